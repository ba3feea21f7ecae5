//! The gateway in front of another server.

mod addresses;
mod behind;
mod decoder;
mod judge;
pub(crate) mod proxies;
mod secret;
mod served;
mod table;
mod target;
mod world;
