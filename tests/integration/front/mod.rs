//! The gateway in front of another server.

mod decoder;
mod judge;
mod secret;
mod table;
mod target;
mod world;
