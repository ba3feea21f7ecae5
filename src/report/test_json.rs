//! The results of policy tests as JSON, passed cases included.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    model::schema::schema_of_output,
    policy_tests::{CaseResult, CoverageItem, CoverageSubject, TestRun},
    saved::document::SourceEntry,
};

use super::json::source;

/// Version of the form. It grows by 0.1 when something is added, by 1 when something is taken away.
const FORMAT_VERSION: &str = "1.0";

/// The results of a run of policy tests.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "tokenwarden test report")]
pub struct TestReportDocument {
    /// Version of this format.
    pub format_version: &'static str,
    /// How many cases passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// The share of `coverage` that is exercised, in whole percent, rounded down.
    pub coverage_percent: u8,
    /// Each case, in the order of the files and of the cases in them.
    pub cases: Vec<CaseEntry>,
    /// What the cases could exercise of the policies: rules that act, own rules, entries of the limits.
    pub coverage: Vec<CoverageEntry>,
}

/// One case.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CaseEntry {
    /// What it shows.
    pub name: String,
    /// The target whose policy was tested.
    pub target: String,
    /// Where it begins.
    pub source: SourceEntry,
    /// Whether it passed.
    pub passed: bool,
    /// What is expected, such as `finding lifetime`, `action revoke` or `decision network`.
    pub expected: Vec<String>,
    /// What the policy does, in the same form and order.
    pub actual: Vec<String>,
    /// Why.
    pub because: Vec<BecauseEntry>,
}

/// A reason for the result of a case.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BecauseEntry {
    /// What there is to say.
    pub message: String,
    /// The line of the policy that says so.
    pub source: Option<SourceEntry>,
}

/// Something of a policy that a case can exercise.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CoverageEntry {
    /// The target.
    pub target: String,
    /// The code of the rule, for rules.
    pub rule: Option<String>,
    /// The number of the entry from 1, for entries of the limits.
    pub limit: Option<usize>,
    /// Where the policy says so.
    pub source: Option<SourceEntry>,
    /// Whether a case exercises it.
    pub exercised: bool,
}

/// The JSON schema of [`TestReportDocument`].
#[must_use]
pub fn schema() -> Value {
    schema_of_output::<TestReportDocument>()
}

impl From<&TestRun> for TestReportDocument {
    fn from(run: &TestRun) -> Self {
        let failed = run.failed();
        Self {
            format_version: FORMAT_VERSION,
            passed: run.results.len() - failed,
            failed,
            coverage_percent: run.coverage.percent(),
            cases: run.results.iter().map(case).collect(),
            coverage: run.coverage.items.iter().map(item).collect(),
        }
    }
}

fn case(result: &CaseResult) -> CaseEntry {
    CaseEntry {
        name: result.name.clone(),
        target: result.target.clone(),
        source: source(&result.place),
        passed: result.passed(),
        expected: result.expected.clone(),
        actual: result.actual.clone(),
        because: result
            .because
            .iter()
            .map(|because| BecauseEntry {
                message: because.text.clone(),
                source: because.place.as_ref().map(source),
            })
            .collect(),
    }
}

fn item(item: &CoverageItem) -> CoverageEntry {
    let (rule, limit) = match &item.subject {
        CoverageSubject::Rule(rule) => (Some(rule.to_string()), None),
        CoverageSubject::LimitEntry(number) => (None, Some(*number)),
    };
    CoverageEntry {
        target: item.target.clone(),
        rule,
        limit,
        source: item.place.as_ref().map(source),
        exercised: item.exercised,
    }
}
