//! May this request pass? The one place in which that is decided.
//!
//! From the settings of a server and one request (where it comes from, what it carries, what it wants) to a
//! [`Permit`], or the [`DenialReason`] why not. The server asks for every request, and everything that predicts
//! the answer of a server asks the same function.
//!
//! How a request arrives and how credentials are verified is not known here. Since verifying is costly and
//! must not happen for an address that is refused anyway, the same decision can be had in stages:
//! [`admit`], then [`looks_at_password`], then [`decide`], which covers both.

mod answer;
pub mod cells;
mod client_address;
mod decision;
mod git;
pub mod limits;
mod memberships;
mod operation;
mod principal;
mod reason;
mod relocation;
mod request;
#[cfg(test)]
pub(crate) mod samples;

pub use answer::{Answer, answer};
pub use client_address::{BadClientAddress, client_address};
pub use decision::{Decision, Permit, admit, decide, looks_at_password};
pub use git::GitRequest;
pub use memberships::Memberships;
pub use operation::{Operation, TokenOwnership};
pub use principal::Principal;
pub use reason::DenialReason;
pub use relocation::Relocation;
pub use request::{Credentials, Held, Passed, PassedKind, Person, Request, RequestOrigin, TokenOwner};
