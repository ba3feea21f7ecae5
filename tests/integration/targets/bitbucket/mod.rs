//! The target `bitbucket`, over HTTP.

mod budget;
mod contradictions;
mod cross_checks;
mod gateway;
mod incident;
mod left_out;
mod passwords;
pub(crate) mod program;
mod reading;
mod samples;
mod secrets;
pub(crate) mod stub;
mod tokens;

use tokenwarden::{
    apply::{Outcome, execute},
    plan::{History, Plan, Terms},
    policy::Policy,
    targets::bitbucket::Bitbucket,
};

use crate::support::world::{approve, terms, time};

/// A plan for the moment `now`.
async fn plan(target: &Bitbucket, policy: &Policy, history: &History, now: &str) -> Plan {
    let terms = Terms { target: stub::TARGET, history, ..terms(policy, time(now)) };
    Plan::make(&terms, target).await.unwrap()
}

/// Plans and applies, whatever the rails and the check on lockouts would say, and plans anew.
async fn apply(target: &Bitbucket, policy: &Policy, now: &str) -> (Plan, Outcome, Plan) {
    let before = plan(target, policy, &History::default(), now).await;
    let approved = approve(before.clone());
    let outcome = execute(&approved, target, &target.writer(&approved), &|_| {}).await;
    let after = plan(target, policy, &History::default(), now).await;
    (before, outcome, after)
}

fn actions(plan: &Plan) -> Vec<String> {
    let name = |planned: &tokenwarden::plan::PlannedChange| {
        let token = planned.change.token().map_or("settings", |token| token.id.as_str()).to_owned();
        format!("{} {token}", planned.change.verb().word())
    };
    plan.changes.iter().map(name).collect()
}
