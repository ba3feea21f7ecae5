//! The integration tests, one binary.

mod hostile_input;
mod layers;
mod policy;
mod schema;
mod settings_file;
mod validate;
mod workspace;
