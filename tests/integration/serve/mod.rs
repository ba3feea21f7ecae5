//! Our own server.

mod audit;
mod backup;
mod bitbucket_rest;
mod child_tokens;
mod connections;
mod decisions;
mod dialect_answers;
mod directory;
mod ended_rights;
pub(crate) mod front;
mod full_disk;
mod gateway;
mod http_hygiene;
mod lease;
mod openapi;
mod people;
pub(crate) mod process;
mod remembered;
mod request_bodies;
mod seed;
mod settings_rest;
mod store;
mod store_life;
mod throttle;
mod tls;
pub(crate) mod token_changes;
mod tokens;
