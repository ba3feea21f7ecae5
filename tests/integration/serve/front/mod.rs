//! The gateway in front of another server.

mod addresses;
mod behind;
mod decoder;
mod forwarder;
mod gate;
mod judge;
mod mirror;
mod pool;
pub(crate) mod proxies;
pub(crate) mod restrictions;
mod secret;
mod served;
mod table;
mod target;
mod world;
