//! Changes of tokens that are made together, and what becomes of each.

use super::{Children, Narrowing, Under};

/// One change of one token.
pub struct Deed {
    /// The number of the token.
    pub token: i64,
    /// What is done to it.
    pub step: DeedStep,
    /// The run that does it, the same one for all that are done together.
    pub under: Option<Under>,
}

/// What is done to a token.
pub enum DeedStep {
    /// It is narrowed.
    Narrow(Narrowing),
    /// It is revoked.
    Revoke(Children),
}

/// What became of a [`Deed`]; `R` is why whoever judges it refused it.
#[derive(Debug, PartialEq, Eq)]
pub enum Done<R> {
    /// It was done, now or by the same run before.
    Done,
    /// The token reaches less far, or ends earlier, already.
    AlreadySo,
    /// There is no such token.
    Gone,
    /// Whoever judges it refused it.
    Refused(R),
    /// It would take the credential of the run along.
    OwnCredential,
    /// It was not tried: what was done before ended the right to it.
    RightEnded,
}
