//! One request whose client is let in: what it may do, and the right that its effect rests on.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};

use crate::{
    access::{self, Credentials, Decision, Operation, Permit, RequestOrigin},
    model::network::canonical,
};

use super::{
    ServerClock,
    live_settings::Revision,
    problem::Problem,
    store::{Grounds, Right, Sender, Whence},
};

/// One request whose client is let in, and everything that a decision on it needs.
#[derive(Clone)]
pub(super) struct Session {
    /// The settings that hold for this request from its beginning to its end.
    pub(super) revision: Arc<Revision>,
    request: Arc<RequestFacts>,
}

/// What is known of a request.
pub(super) struct RequestFacts {
    pub(super) origin: RequestOrigin,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) credentials: Credentials,
    pub(super) sender: Sender,
    pub(super) clock: ServerClock,
    pub(super) whence: Whence,
}

impl Session {
    /// The session of the request that `known` tells of, under the settings of `revision`.
    pub(super) fn new(revision: Arc<Revision>, known: RequestFacts) -> Self {
        Self { revision, request: Arc::new(known) }
    }

    /// The permit to do `operation`, or the refusal.
    pub(super) fn permit(&self, operation: Operation) -> Result<Permit, Problem> {
        let request = access::Request {
            origin: self.request.origin.clone(),
            method: &self.request.method,
            path: &self.request.path,
            credentials: self.request.credentials.clone(),
            operation,
            at: self.request.clock.now(),
        };
        match access::decide(&self.revision.settings, &request) {
            Decision::Permit(permit) => Ok(permit),
            Decision::Denied(reason) => Err(reason.into()),
        }
    }

    /// The right to change what was permitted, which ends when something ends that it was permitted on.
    pub(super) fn right(&self, _: &Permit) -> Right {
        self.grounds()
    }

    pub(super) fn grounds(&self) -> Right {
        Right::Request(Box::new(Grounds {
            settings: self.revision.number,
            sender: self.request.sender.clone(),
            owner: None,
            clock: self.request.clock.clone(),
            whence: self.request.whence.clone(),
        }))
    }

    /// Tells the log what became of one of the changes of the request: `permit`, or the reason of a refusal.
    pub(super) fn log_change(&self, token: i64, action: &str, reason: &str) {
        tracing::info!(request = self.request.whence.request, token, action, reason, "change");
    }

    /// Whether the other end of the connection is a proxy that is trusted.
    pub(super) fn is_proxied(&self) -> bool {
        self.peer().is_some_and(|peer| self.revision.settings.client_address.trusts(peer))
    }

    /// The other end of the connection.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        match self.request.origin {
            RequestOrigin::Connection { peer, .. } => Some(canonical(peer)),
            RequestOrigin::Client(_) => None,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Every route that asks for a session lies behind the guard.
        let missing =
            || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no-session", "Something went wrong.");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}
