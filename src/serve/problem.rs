//! The refusal or failure of a request: a status and words for the client, and the reason for the log. Why
//! a sender is refused stays in the log.

use std::{error::Error, sync::Arc};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    front::mirror::Unanswered, live_settings::SettingsError, passwords::PasswordError, random::NoRandomness,
    store::StoreError, throttle,
};
use crate::{
    access::{DenialReason, limits::LimitBroken},
    model::{Why, run::RIGHT_ENDED},
};

const BUSY: &str = "busy";
const LOCKED: &str = "store-locked";
const STALE: &str = "mirror-stale";
/// How the codes for faults of the server behind begin.
const UPSTREAM: &str = "upstream-";

/// A request that is not answered with what it asked for. What a handler answers becomes a body in
/// the middleware, which knows the form that the path's clients read.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// For the log: the reason of a decision, or what else it was.
    pub(super) code: &'static str,
    /// For the client.
    pub(super) message: String,
    /// For the log.
    pub(super) cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), cause: None }
    }

    /// What the client sent cannot be understood.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message)
    }

    /// There is no such user; `slug` is what the client called them.
    pub(super) fn no_such_user(slug: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-such-user", format!("User {slug} does not exist."))
    }

    /// There is no project with this key.
    pub(super) fn no_such_project(key: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-such-project", format!("Project {key} does not exist."))
    }

    /// There is no such repository in the project with this key.
    pub(super) fn no_such_repository(key: &str, slug: &str) -> Self {
        let message = format!("Repository {key}/{slug} does not exist.");
        Self::new(StatusCode::NOT_FOUND, "no-such-repository", message)
    }

    /// What an answer with `status` says if its body is not in the form of the path; `None` when it is not a refusal.
    pub(super) fn unsaid(status: StatusCode) -> Option<Self> {
        let is_refusal = status.is_client_error() || status.is_server_error();
        let message =
            status.canonical_reason().map_or_else(|| status.to_string(), |words| format!("{words}."));
        is_refusal.then(|| Self::new(status, "unsaid", message))
    }

    pub(super) fn throttled() -> Self {
        let message =
            "Too many attempts with a password failed, from your network or for this user; wait a minute.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "throttled", message)
    }

    /// What the request was permitted on changed while it was under way, again and again.
    pub(super) fn right_ended() -> Self {
        Self::new(StatusCode::CONFLICT, "right-ended", format!("{RIGHT_ENDED}."))
    }

    /// Whether the right that the request had may have ended: then it is to be judged again.
    pub(super) fn is_right_ended(&self) -> bool {
        self.code == "right-ended"
    }

    /// The server has as much to do as it can.
    pub(super) fn busy() -> Self {
        let message = "The server is too busy at the moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, BUSY, message)
    }

    /// The store is locked, or takes longer to write than anybody waits.
    pub(super) fn locked() -> Self {
        let message = "The store is locked: another process is writing to it. Try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, LOCKED, message)
    }

    /// The store holds what it never may; `problem` is fit for everybody to read.
    pub(super) fn damaged(problem: &str) -> Self {
        let message = format!("The store is damaged: {problem}. Run `tokenwarden store check` on it.");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store-damaged", message)
    }

    /// Why, with all causes, for the log; `None` when that is clear from the code.
    pub(super) fn why(&self) -> Option<Why> {
        self.cause.as_deref().map(|cause| Why::of(cause))
    }

    /// The server cannot do its work; everything is refused meanwhile.
    pub(super) fn unavailable(cause: impl Error + Send + Sync + 'static) -> Self {
        let message = "The server cannot do its work at the moment.";
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        problem.cause = Some(Arc::new(cause));
        problem
    }
}

impl From<DenialReason> for Problem {
    fn from(reason: DenialReason) -> Self {
        let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::FORBIDDEN);
        let message = if status == StatusCode::UNAUTHORIZED {
            "Authentication is required, or it failed."
        } else {
            "You are not permitted to do this."
        };
        Self::new(status, reason.code(), message)
    }
}

impl From<LimitBroken> for Problem {
    fn from(broken: LimitBroken) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "limit", broken.to_string())
    }
}

macro_rules! unavailable_on {
    ($($error:ty),+) => {
        $(impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                Self::unavailable(error)
            }
        })+
    };
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LeaseLost => {
                let message = "The run does not hold the lease any more: another one has it.";
                Self::new(StatusCode::CONFLICT, "lease", message)
            }
            StoreError::RightEnded => Self::right_ended(),
            StoreError::OwnCredential => {
                let message =
                    "The credential of this run came of that token and would go along: rotate it first.";
                Self::bad_request(message)
            }
            StoreError::NoSuchRun(run) => Self::bad_request(format!("There is no run `{run}`.")),
            error if error.is_overlong() => Self::busy(),
            StoreError::Locked => Self::locked(),
            StoreError::Lost { how, .. } => {
                let message = format!("The store was {how} while the server ran.");
                let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "store-lost", message);
                problem.cause = Some(Arc::new(error));
                problem
            }
            error => Self::unavailable(error),
        }
    }
}

impl From<Unanswered> for Problem {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Stale(cause) => {
                let message = "The server behind this one does not answer.";
                let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, STALE, message);
                problem.cause = cause.map(|cause| Arc::new(cause) as Arc<_>);
                problem
            }
            Unanswered::Busy => Self::busy(),
            Unanswered::Store(error) => error.into(),
        }
    }
}

impl From<SettingsError> for Problem {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Store(error) => error.into(),
            error => Self::unavailable(error),
        }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::busy(),
            error => Self::unavailable(error),
        }
    }
}

unavailable_on!(NoRandomness, serde_json::Error);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenges = HeaderValue::from_static("Basic realm=\"tokenwarden\", charset=\"UTF-8\"");
            headers.append(header::WWW_AUTHENTICATE, challenges);
            headers
                .append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tokenwarden\""));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(throttle::WINDOW.as_secs()));
        }
        if [BUSY, LOCKED].contains(&self.code) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(1));
        }
        if self.code == STALE || self.code.starts_with(UPSTREAM) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(5));
        }
        response.extensions_mut().insert(self);
        response
    }
}
