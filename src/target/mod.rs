//! The servers that policy is applied to: we call out.
//!
//! In: an address and a credential. Out: a reader for anybody, and a writer against an approved
//! plan. Nothing else of the program knows HTTP paths and JSON fields.

pub mod gateway;
pub mod http;
