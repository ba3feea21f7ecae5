//! What a gateway takes from one token that the server behind it cannot take.

use jiff::Timestamp;

use super::Scope;

/// How one token is restricted at the gateway, beside what its own server knows of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Restriction {
    /// The moment from which on it is refused, UTC; `None` when it is not restricted in time.
    pub not_after: Option<Timestamp>,
    /// The farthest that it reaches; `None` when it reaches as far as its own scope.
    pub max_scope: Option<Scope>,
}
