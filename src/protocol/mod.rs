//! Our own REST, `tokenwarden/1`: paths, headers and shapes, as the server and the target `gateway` write and read
//! them.
//!
//! It has one author, and so one shape for both sides. The dialects of others, which our server speaks as well, are
//! written down twice, since a server is strict and a client tolerant. The shapes of settings, of entries of the audit
//! and of recorded runs are nouns of the [`model`](crate::model).

pub mod audit;
mod by_hash;
mod changes;
mod runs;
mod upstream;
mod whoami;

use std::fmt::Display;

pub use by_hash::{HASH, HASHES_AT_MOST, TokenByHash, TokensByHash};
pub use changes::{
    CHANGES_AT_MOST, ChangeTokens, ChangedToken, ChangedTokens, ChildrenWish, Condition, TokenChange,
    TokenOutcome, WantedChange,
};
pub use runs::{AskForLease, BeginRun, LeaseItem, RunEnd, RunList};
pub use upstream::{MirrorItem, RestrictionItem, UseItem, WantedRestriction};
pub use whoami::{CredentialKind, WhoAmI};

macro_rules! paths {
    ($($(#[doc = $meaning:literal])+ $name:ident $below:literal;)+) => {
        $($(#[doc = $meaning])+ pub const $name: &str = concat!("/rest/tokenwarden/1/", $below);)+
    };
}

paths! {
    /// The settings that are enforced.
    SETTINGS "settings";
    /// Who changed the settings last.
    LAST_CHANGE "settings/last-change";
    /// The lease that one run holds at a time.
    LEASE "lease";
    /// The ledger of runs.
    RUNS "runs";
    /// Who did what.
    AUDIT "audit";
    /// Whom the server takes the sender for.
    WHOAMI "whoami";
    /// How tokens of the server behind are restricted.
    RESTRICTIONS "restrictions";
    /// Tokens of the server itself, where the paths of the app belong to the one behind it.
    TOKENS "tokens";
    /// Which tokens secrets are of.
    TOKENS_BY_HASH "tokens/by-hash";
    /// Many changes of tokens in one call.
    TOKEN_CHANGES "tokens/changes";
    /// The last uses of tokens that the server behind confirmed.
    USES "uses";
    /// What is held of the server behind.
    MIRROR "mirror";
    /// The tokens that are held of it.
    MIRROR_TOKENS "mirror/tokens";
    /// The description of everything that the server answers.
    OPENAPI "openapi.json";
}

/// The path of the lease of `run`.
#[must_use]
pub fn lease_path(run: impl Display) -> String {
    format!("{LEASE}/{run}")
}

/// The path to tell the end of `run` at.
#[must_use]
pub fn end_path(run: impl Display) -> String {
    format!("{RUNS}/{run}/end")
}

/// The header that names the run that writes.
pub const HEADER_RUN: &str = "Tokenwarden-Run";
/// The header with the number of the lease under which a run writes.
pub const HEADER_LEASE: &str = "Tokenwarden-Lease";
/// The header with what a run does, as JSON.
pub const HEADER_CHANGE: &str = "Tokenwarden-Change";
