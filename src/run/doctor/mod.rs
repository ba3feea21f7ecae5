//! The examination of an installation: what no document tells of the servers of a config file, found out by asking
//! them. Nothing is changed on a server.

mod at_hand;
mod front;
mod server;

use serde::Serialize;

use crate::{config::TargetDeclaration, run::workspace::Workspace};

use super::session::{self, AuthCommand};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// It is as it should be.
    Ok,
    /// It may be wrong, or will be.
    Warning,
    /// It is wrong.
    Failure,
}

/// One check: how it ended, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What is checked, such as `clock`.
    #[serde(rename = "check")]
    pub(crate) of: &'static str,
    /// How it ended.
    pub(crate) state: State,
    /// What was found.
    pub(crate) why: String,
    /// What to do about it; `None` when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
}

impl Check {
    fn ok(of: &'static str, why: impl Into<String>) -> Self {
        Self { of, state: State::Ok, why: why.into(), advice: None }
    }

    fn warning(of: &'static str, why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { of, state: State::Warning, why: why.into(), advice: Some(advice.into()) }
    }

    fn failure(of: &'static str, why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Failure, ..Self::warning(of, why, advice) }
    }
}

/// Examines the target of `declaration`; at none of the addresses `around` may Bitbucket be reached from here.
pub(crate) async fn examine(
    workspace: &Workspace,
    declaration: &TargetDeclaration,
    command: AuthCommand,
    around: &[String],
) -> Vec<Check> {
    let mut checks: Vec<Check> = at_hand::journal(workspace, declaration).into_iter().collect();
    checks.extend(at_hand::mark_key(workspace, declaration));
    let session = match Box::pin(session::connect(workspace, declaration, command, None)).await {
        Ok(session) => session,
        Err(failure) => {
            let why = crate::apply::one_line(failure.error.as_ref());
            let advice =
                "check `url`, `auth` and the network between; nothing else of this target was checked";
            checks.push(Check::failure("connection", why, advice));
            return checks;
        }
    };
    checks.push(Check::ok("connection", "the server lets this credential in"));
    checks.extend(server::examine(&session, declaration).await);
    checks.extend(front::examine(&session.target, declaration, around).await);
    session.close().await;
    checks
}
