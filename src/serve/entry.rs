//! Who gets to a path at all, before anything is asked of a sender.

use axum::http::Method;

use crate::protocol::{OPENAPI, WHOAMI};

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
        match without_slash(path) {
            "/healthz" | "/readyz" => Self::Outside,
            "/metrics"
            | OPENAPI
            | "/rest/api/1.0/application-properties"
            | "/rest/api/latest/application-properties" => Self::Open,
            _ => Self::Permitted,
        }
    }
}

/// Whether the store is read for the answer to such a request. Who somebody is was found out before.
pub(super) fn reads(method: &Method, path: &str) -> bool {
    method.is_safe() && without_slash(path) != WHOAMI
}

fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::reads;
    use crate::protocol::{SETTINGS, WHOAMI};

    #[test]
    fn who_somebody_is_is_answered_without_a_turn_of_those_that_read() {
        assert!(!reads(&Method::GET, WHOAMI) && !reads(&Method::GET, &format!("{WHOAMI}/")));
        assert!(
            reads(&Method::GET, SETTINGS) && reads(&Method::HEAD, "/rest/access-tokens/latest/users/mary")
        );
        assert!(!reads(&Method::PUT, SETTINGS), "what writes takes its turn in the store");
    }
}
