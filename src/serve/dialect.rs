//! Whose clients read the answers of a path, and the form in which they read a refusal.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::access::DenialReason;

use super::problem::Problem;

/// The reason why somebody with a token is refused what only takes a password.
pub(super) const TOKEN: &str = "token";

/// Whose clients read the errors of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Bitbucket's own REST.
    Bitbucket,
    /// A module that Atlassian's products share.
    Module,
    /// The app's and ours.
    App,
}

impl Dialect {
    pub(super) fn of(path: &str) -> Self {
        if path.starts_with("/rest/api/") || path.starts_with("/rest/access-tokens/") {
            Self::Bitbucket
        } else if path.starts_with("/rest/basicauth/") {
            Self::Module
        } else {
            Self::App
        }
    }

    /// What its JSON is announced as.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Bitbucket | Self::Module => "application/json;charset=UTF-8",
            Self::App => "application/json",
        }
    }
}

/// What Bitbucket 10.4 answers to whom it does not know, and to who lacks a permission; measured.
const NOT_PERMITTED: &str = "You are not permitted to access this resource";
/// What Bitbucket 10.4 answers to a password while these are disabled, in the form of a module; measured.
pub(super) const NO_PASSWORDS: &str = "Basic Authentication has been disabled on this instance.";

/// The name of Bitbucket's exception for a refusal, by which clients tell it from others: those of recorded answers.
pub(super) fn exception(problem: &Problem) -> Option<&'static str> {
    Some(match problem.code {
        "no-such-user" => "com.atlassian.bitbucket.user.NoSuchUserException",
        "no-such-project" => "com.atlassian.bitbucket.project.NoSuchProjectException",
        "no-such-repository" => "com.atlassian.bitbucket.repository.NoSuchRepositoryException",
        _ if problem.status != StatusCode::UNAUTHORIZED => return None,
        code if is_unknown_sender(code) => {
            "com.atlassian.plugins.rest.api.security.exception.AuthenticationRequiredException"
        }
        _ => "com.atlassian.bitbucket.AuthorisationException",
    })
}

/// Whether a refusal with this code is one of somebody who is not signed in.
fn is_unknown_sender(code: &str) -> bool {
    DenialReason::ALL
        .iter()
        .any(|reason| reason.status() == StatusCode::UNAUTHORIZED && reason.code() == code)
}

/// `problem` in the form that clients of `path` read, with `message`.
pub(super) fn error_body(path: &str, problem: &Problem, message: &str) -> Value {
    match Dialect::of(path) {
        Dialect::App => json!({"errorMessage": message}),
        _ if problem.code == DenialReason::PasswordDisabled.code() => json!({"message": NO_PASSWORDS}),
        Dialect::Module => json!({"message": message}),
        Dialect::Bitbucket => {
            let exception = exception(problem);
            if problem.status != StatusCode::UNAUTHORIZED {
                return json!({"errors": [{"context": null, "message": message, "exceptionName": exception}]});
            }
            let message = if problem.code == TOKEN { message } else { NOT_PERMITTED };
            if is_unknown_sender(problem.code) {
                json!({"errors": [{"context": null, "message": message, "exceptionName": exception}]})
            } else {
                json!({"errors": [{"message": message, "exceptionName": exception}]})
            }
        }
    }
}
