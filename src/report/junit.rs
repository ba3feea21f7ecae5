//! The JUnit XML report of a run, for the test view of a CI server: a suite for each rule, a failure for
//! each finding, a skipped test for what is waived. A rule without findings is not counted as a passed
//! test: it may not have been tried.
//!
//! Sources: <https://docs.gitlab.com/ci/testing/unit_test_reports>,
//! <https://gitlab.com/gitlab-org/gitlab/-/issues/507482>

use std::{
    collections::{BTreeMap, HashSet},
    iter,
};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{
    model::Rule,
    plan::{Object, PlanView},
    yaml::Place,
};

use super::{
    Run, TargetRun,
    advice::advice,
    difference,
    escape::{counted, escape, escape_whole},
    findings::{ByRank, Found, Remedy},
    subject::{name, token_name},
    summary::{by_object, compliance_of},
    unseen::unseen,
};

/// How many findings a file has at most: GitLab refuses one of more than 250,000 attributes and elements, of which
/// a finding has up to ten, or of more than 30 MB.
const FINDINGS_AT_MOST: usize = 20_000;

/// The run as JUnit XML.
///
/// # Errors
///
/// When the XML cannot be written, which no content makes happen.
pub fn report(run: &Run<'_>) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("tokenwarden");
    report.add_test_suite(suite("targets", run.targets.iter().map(of_target)));
    let latest = || run.targets.iter().filter_map(|target| Some((target, target.latest()?)));
    let settings: Vec<_> = latest().flat_map(|(target, plan)| of_settings(target, plan)).collect();
    if !settings.is_empty() {
        report.add_test_suite(suite("settings", settings));
    }
    let mut room = ByRank::of(run.found().map(|(_, found)| found));
    let left_out = room.all().saturating_sub(FINDINGS_AT_MOST);
    ByRank::confine(iter::once(&mut room), FINDINGS_AT_MOST);
    let mut findings: Vec<_> = run.found().filter(|(_, found)| room.take(found)).collect();
    if left_out > 0 {
        report.add_test_suite(suite("left out", [of_left_out(left_out)]));
        findings.sort_by_key(|(_, found)| found.remedy.rank());
    }
    let mut rules: BTreeMap<&Rule, Vec<TestCase>> = BTreeMap::new();
    for (target, found) in findings {
        rules.entry(found.rule).or_default().push(of_finding(target, &found));
    }
    report.add_test_suites(rules.into_iter().map(|(rule, cases)| suite(rule.code(), cases)));
    tell_apart(&mut report);
    report.to_string()
}

fn suite(name: &str, cases: impl IntoIterator<Item = TestCase>) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.add_test_cases(cases);
    suite
}

/// Makes class and name of every case its own: readers take cases that have both in common for one.
pub(super) fn tell_apart(report: &mut Report) {
    let mut seen = HashSet::new();
    for case in report.test_suites.iter_mut().flat_map(|suite| &mut suite.test_cases) {
        let name = case.name.to_string();
        let mut count = 1;
        while !seen.insert((case.classname.clone(), case.name.clone())) {
            count += 1;
            case.name = format!("{name} ({count})").into();
        }
    }
}

/// A test that passes when the target was read and judged as a whole, and may be applied to.
fn of_target(target: &TargetRun<'_>) -> TestCase {
    let problem = |kind, message: &str, details: Vec<String>| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(message).set_description(details.join("\n"));
        status
    };
    let held_back = target.latest().map_or(&[][..], |plan| &plan.held_back);
    let status = match &target.plan {
        Err(why) => problem(NonSuccessKind::Error, "could not be read", vec![escape_whole(why.kept())]),
        Ok(_) if !target.refusals.is_empty() => {
            let lines = target.refusals.iter().flat_map(|why| why.lines());
            let details = lines.map(|line| escape_whole(line.trim_end())).collect();
            problem(NonSuccessKind::Failure, "apply is refused", details)
        }
        Ok(_) if !target.is_success() => {
            let lines = held_back
                .iter()
                .map(|held| format!("{}: {}", escape(&held.subject), escape_whole(&held.reason)));
            let unseen = target.latest().into_iter().flat_map(unseen).map(|missing| escape_whole(&missing));
            problem(
                NonSuccessKind::Failure,
                "something is held back, or failed",
                lines.chain(unseen).collect(),
            )
        }
        Ok(_) => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(escape_whole(target.name), status);
    if let Some(plan) = target.latest() {
        case.set_system_out(compliance_of(plan));
    }
    case
}

/// A failure for each setting that is not as the policy says.
fn of_settings(target: &TargetRun<'_>, plan: &PlanView) -> Vec<TestCase> {
    let settings =
        plan.changes.iter().filter(|planned| matches!(planned.change.object(), Object::Setting(_)));
    let case = |group: &Vec<_>| {
        let first: &&crate::plan::PlannedChange = group.first()?;
        let lines = difference::of_setting(plan, group);
        let lines = lines.iter().map(|line| format!("{}{}", line.sign.lead(), line.text));
        let place = first.reasons.iter().find_map(|reason| reason.place.as_ref());
        let details = lines.chain(place.map(at)).collect::<Vec<_>>().join("\n");
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message("not as the policy says").set_type("setting").set_description(details);
        Some(of(target, "settings", &name(first.change.object()), status))
    };
    by_object(&settings.collect::<Vec<_>>()).iter().filter_map(case).collect()
}

fn of_finding(target: &TargetRun<'_>, found: &Found<'_>) -> TestCase {
    let message = escape_whole(found.message);
    let status = match found.remedy {
        Remedy::Waived(waiver) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!(
                "{message}; waived until {}: {}",
                waiver.until,
                escape_whole(&waiver.reason)
            ));
            status
        }
        remedy => {
            let details =
                [Some(format!("what its owner can do: {}", advice(found.rule))), found.place.map(at)];
            let details = details.into_iter().flatten().collect::<Vec<_>>().join("\n");
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(message).set_type(remedy.word()).set_description(details);
            status
        }
    };
    of(target, found.rule.code(), &token_name(found.token), status)
}

/// A skipped test that counts the findings that there is no room for.
fn of_left_out(count: usize) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message("the least serious ones; write several files with --target, or see the JSON report");
    TestCase::new(format!("{} left out", counted(count, "finding")), status)
}

/// A case of `suite`, whose class is that of the target: a token that breaks two rules is two cases.
fn of(target: &TargetRun<'_>, suite: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(escape_whole(&format!("{}.{suite}", target.name)));
    case
}

fn at(place: &Place) -> String {
    format!("at {}", escape_whole(&place.to_string()))
}
