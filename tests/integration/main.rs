//! The integration tests, one binary.

mod laws;
mod rules;
mod world;
