//! The integration tests, one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "the programs that are tested go by the clock of the system")]

mod apply;
mod cli;
mod compare;
mod compliance;
mod config;
mod docs;
mod http;
mod inventory;
mod journal;
mod plan;
mod policy;
mod policy_tests;
mod report;
mod review;
mod saved;
mod serve;
mod support;
mod targets;
