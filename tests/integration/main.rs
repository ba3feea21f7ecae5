//! The integration tests, one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod crash;
mod hostile_input;
mod laws;
mod layers;
mod policy;
mod program;
mod quickstart;
mod rules;
mod schema;
mod settings_file;
mod validate;
mod world;
