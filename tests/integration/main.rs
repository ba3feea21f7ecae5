//! The integration tests, one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bitbucket;
mod capabilities;
mod crash;
mod decisions;
mod directory;
mod fault_proxy;
mod fleet;
mod gateway;
mod hostile_input;
mod http_client;
mod laws;
mod layers;
mod lockout;
mod lockout_laws;
mod lost_answers;
mod marks;
mod openapi;
mod own_rules;
mod policy;
mod program;
mod proxy;
mod quickstart;
mod rails;
mod reconcile;
mod resolution;
mod rules;
mod schema;
mod seed;
mod serve_process;
mod settings_file;
mod settings_rest;
mod store;
mod support;
mod tokens;
mod validate;
mod waivers;
mod workspace;
mod world;
