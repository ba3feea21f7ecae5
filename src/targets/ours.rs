//! Our own server behind the dialect of another: how it is told, and what a run says to it then.

use crate::{
    http::{HttpClient, RequestHeader},
    model::run::RunId,
    plan::{Plan, Purpose},
    protocol::HEADER_RUN,
};

/// What it calls itself where Bitbucket says `Bitbucket`.
pub(super) const NAME: &str = "tokenwarden";

/// What goes with the revocations of `plan`, which `run` makes. To our own server it names itself, which would take along
/// what was made with a token otherwise: a plan in this dialect knows nothing of that. In an incident it is to go.
pub(super) fn beside_revocations(
    client: &HttpClient,
    plan: &Plan,
    run: Option<&RunId>,
) -> Vec<RequestHeader> {
    let is_incident = matches!(plan.purpose, Purpose::Revoke(_));
    let run = run.filter(|_| client.is_ours() && !is_incident);
    run.map(|run| (HEADER_RUN, run.to_string())).into_iter().collect()
}
