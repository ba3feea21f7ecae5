//! Does a policy do what its authors think?
//!
//! From a policy and files of policy tests to the expected and the actual results of each case, and the
//! rules and entries of the limits that no case exercises. Each case is planned for and decided on by the
//! same code as a real target, which is why this is a part of its own: it needs [`plan`](crate::plan) and
//! [`access`](crate::access). It needs no network, no clock and no file system.

mod coverage;
pub mod file;
mod holding;
mod paper;
mod statement;
mod words;

pub use coverage::{CoverageItem, CoverageSubject, TestCoverage};
pub use words::check;

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use crate::{
    access::DenialReason,
    compliance::{LimitChoice, Trial, rules::RuleVerdict},
    model::{
        Question, Rule, Token,
        rails::{Lockout, Unsupported},
    },
    plan::{Basis, ExplainedToken, History, Outlook, Plan, Terms, TokenStep},
    policy::Policy,
    policy_tests::file::{CaseSubject, TestCase, TestFile, TokenAction, WrittenWord},
    yaml::Place,
};

use paper::{Paper, at_once};

/// The result of all cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestRun {
    /// Each case, in the order of the files and of the cases in them.
    pub results: Vec<CaseResult>,
    /// What they exercise of the policies.
    pub coverage: TestCoverage,
}

impl TestRun {
    /// How many cases did not come out as they must.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|result| !result.passed()).count()
    }
}

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// The file.
    pub file: Arc<str>,
    /// The target whose policy was tested.
    pub target: String,
    /// What the case shows.
    pub name: String,
    /// Where it begins.
    pub place: Place,
    /// What is expected of it, a line each, such as `finding lifetime`.
    pub expected: Vec<String>,
    /// What the policy does, in the same form and order.
    pub actual: Vec<String>,
    /// Why, with the line of the policy.
    pub because: Vec<Because>,
    /// The rules that found something.
    pub rules: BTreeSet<Rule>,
    /// The entries of the limits that counted.
    pub limits: BTreeSet<usize>,
}

/// A reason for the result of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    /// What there is to say.
    pub text: String,
    /// The line of the policy that says so.
    pub place: Option<Place>,
}

impl CaseResult {
    /// Whether what is expected of the case happens.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.expected == self.actual
    }
}

/// The result of `case` of `file` under `policy`.
#[must_use]
pub fn run(file: &TestFile, case: &TestCase, policy: &Policy) -> CaseResult {
    let mut result = CaseResult {
        file: Arc::clone(&file.path),
        target: file.target.text.clone(),
        name: case.name.clone(),
        place: case.place.clone(),
        expected: Vec::new(),
        actual: vec!["not judged".to_owned()],
        because: Vec::new(),
        rules: BTreeSet::new(),
        limits: BTreeSet::new(),
    };
    match &case.subject {
        CaseSubject::Token { token, others, findings, waived, actions } => {
            let words = |written: &[WrittenWord]| written.iter().map(|word| word.text.clone()).collect();
            result.expected = lines(words(findings), words(waived), actions.iter().copied().collect());
            let paper = Paper { users: &file.users, judged: Some(token), others, waivers: &policy.waivers };
            run_token(&paper, token, case, policy, &mut result);
        }
        CaseSubject::Request { request, decision } => {
            result.expected = vec![format!("decision {}", decision.text)];
            let paper = Paper { users: &file.users, judged: None, others: &[], waivers: &policy.waivers };
            run_request(&paper, request, case, policy, &mut result);
        }
        CaseSubject::Statement(statement) => statement::run(statement, policy, case.now, &mut result),
    }
    result
}

fn lines(
    findings: BTreeSet<String>,
    waived: BTreeSet<String>,
    actions: BTreeSet<TokenAction>,
) -> Vec<String> {
    let findings = findings.into_iter().map(|rule| format!("finding {rule}"));
    let waived = waived.into_iter().map(|rule| format!("waived {rule}"));
    let actions = actions.into_iter().map(|action| format!("action {action}"));
    findings.chain(waived).chain(actions).collect()
}

/// What a plan on paper is made from: nothing was done before, and nobody needs to keep a way in.
fn paper_terms<'a>(
    target: &'a str,
    policy: &'a Policy,
    lockout: &'a Lockout,
    history: &'a History,
    now: Timestamp,
) -> Terms<'a> {
    Terms { target, policy, lockout, unsupported: Unsupported::default(), history, now }
}

fn run_token(paper: &Paper<'_>, token: &Token, case: &TestCase, policy: &Policy, result: &mut CaseResult) {
    let (lockout, history) = (Lockout::default(), History::default());
    let target = result.target.clone();
    let terms = paper_terms(&target, policy, &lockout, &history, case.now);
    let Some(explained) = at_once(Plan::explain(&terms, paper, &token.id)).ok().flatten() else { return };
    let trials = || explained.explanation.trials.iter();
    let is_waived = |trial: &&Trial| trial.holding_waiver(case.now).is_some();
    let (waived, found): (Vec<_>, Vec<_>) = trials().filter(|trial| trial.fails()).partition(is_waived);
    let codes = |trials: &[&Trial]| trials.iter().map(|trial| trial.rule.to_string()).collect();
    result.actual = lines(codes(&found), codes(&waived), actions(&explained));
    result.because = trials().filter_map(because).collect();
    result.rules = trials().filter(|trial| trial.fails()).map(|trial| trial.rule.clone()).collect();
    result.limits = match explained.explanation.limit {
        LimitChoice::Entry(index) => BTreeSet::from([index]),
        LimitChoice::None | LimitChoice::Undecided(_) => BTreeSet::new(),
    };
}

fn actions(explained: &ExplainedToken) -> BTreeSet<TokenAction> {
    let changes = explained.changes.iter().filter_map(|planned| match planned.change.token_step()?.1 {
        TokenStep::Narrow { .. } => Some(TokenAction::Narrow),
        TokenStep::Expire { at } => Some(TokenAction::Expire(at)),
        TokenStep::Revoke => Some(TokenAction::Revoke),
        // On paper every server can set an expiry.
        TokenStep::Mark { .. } | TokenStep::Unmark => None,
    });
    let pending = explained.pending.iter().map(|pending| TokenAction::Pending(pending.until));
    let held_back = explained.held_back.iter().map(|_| TokenAction::HeldBack);
    changes.chain(pending).chain(held_back).collect()
}

fn rests_on(basis: Basis) -> Because {
    let unmanaged = if basis.place.is_none() { " (not managed: as on a new server)" } else { "" };
    Because { text: format!("{}{unmanaged}", basis.key.path()), place: basis.place }
}

fn because(trial: &Trial) -> Option<Because> {
    let message = match &trial.verdict {
        RuleVerdict::Fails { message, .. } => message.clone(),
        RuleVerdict::Undecided { reason } => reason.to_string(),
        RuleVerdict::NotTried(_) | RuleVerdict::Complies { .. } => return None,
    };
    Some(Because { text: format!("{}: {message}", trial.rule), place: trial.place.clone() })
}

fn run_request(
    paper: &Paper<'_>,
    request: &Question,
    case: &TestCase,
    policy: &Policy,
    result: &mut CaseResult,
) {
    let (lockout, history) = (Lockout::default(), History::default());
    let target = result.target.clone();
    let terms = paper_terms(&target, policy, &lockout, &history, case.now);
    let Ok(outlook) = at_once(Outlook::read(paper, &terms)) else { return };
    let Ok(forecast) = outlook.forecast(request) else { return };
    let word = forecast.answer.denied.map_or(words::PERMIT, DenialReason::code);
    result.actual = vec![format!("decision {word}")];
    result.because = forecast.rests_on.into_iter().map(rests_on).collect();
    if result.because.is_empty() {
        let text = "no setting says so: it lies in the request or in the owner".to_owned();
        result.because.push(Because { text, place: None });
    }
}
