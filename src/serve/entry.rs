//! Who gets to a path at all, before anything is asked of a sender.

use crate::protocol::OPENAPI;

/// Who gets to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndpointAccess {
    /// Everybody from everywhere: what load balancers ask.
    Outside,
    /// Everybody from an allowed network.
    Open,
    /// Anyone who has a permit.
    Permitted,
}

impl EndpointAccess {
    /// Who gets to `path`.
    pub(super) fn of(path: &str) -> Self {
        match path.strip_suffix('/').unwrap_or(path) {
            "/healthz" | "/readyz" => Self::Outside,
            "/metrics"
            | OPENAPI
            | "/rest/api/1.0/application-properties"
            | "/rest/api/latest/application-properties" => Self::Open,
            _ => Self::Permitted,
        }
    }
}
