//! The gateway in front of another server: what of a request passes, and in which form.
//!
//! A request is read once ([`classify`], [`secret`]), judged ([`judge`]), and what is forwarded of its target and its
//! credentials is what was read: the server behind sees no byte that was not looked at. Nothing here adds to what
//! that server permits by itself.

mod body;
pub mod classify;
pub mod forward;
mod headers;
pub mod judge;
pub mod mirror;
#[cfg_attr(not(test), expect(dead_code, reason = "what answers requests comes with the forwarder"))]
mod refusal;
pub mod secret;
mod upstream;
mod uses;

pub use upstream::{BadUpstream, Limits, UpstreamUrl};
