//! The target `resolution`, over HTTP.

mod contradictions;
mod cross_checks;
mod directories;
mod gateway;
mod program;
mod reading;
mod settings;
pub(crate) mod stub;
mod tokens;

use tokenwarden::{
    apply::{Outcome, execute},
    plan::{History, Plan, Terms},
    policy::Policy,
    targets::resolution::Resolution,
};

use crate::support::world::{NOW, approve, terms, time};

/// The moment of the tests.
async fn plan(target: &Resolution, policy: &Policy, now: &str) -> Plan {
    let history = History::default();
    let terms = Terms { target: stub::TARGET, history: &history, ..terms(policy, time(now)) };
    Plan::make(&terms, target).await.unwrap()
}

/// Plans and applies, whatever the rails and the check on lockouts would say, and plans anew.
async fn apply(target: &Resolution, policy: &Policy, now: &str) -> (Plan, Outcome, Plan) {
    let before = plan(target, policy, now).await;
    let approved = approve(before.clone());
    let outcome = execute(&approved, target, &target.writer(&approved), &|_| {}).await;
    let after = plan(target, policy, now).await;
    (before, outcome, after)
}

fn actions(plan: &Plan) -> Vec<String> {
    let name = |planned: &tokenwarden::plan::PlannedChange| {
        let token = planned.change.token().map_or("settings", |token| token.id.as_str()).to_owned();
        format!("{} {token}", planned.change.verb().word())
    };
    plan.changes.iter().map(name).collect()
}

/// What was not done, with the reasons.
fn held_back(plan: &Plan) -> Vec<String> {
    plan.held_back.iter().map(|held| format!("{}: {}", held.subject, held.reason)).collect()
}

/// What could not be seen.
fn missing(plan: &Plan) -> Vec<String> {
    plan.coverage.missing().map(ToString::to_string).collect()
}
