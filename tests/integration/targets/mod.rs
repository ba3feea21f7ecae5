//! The kinds of target.

pub(crate) mod bitbucket;
mod fronted;
mod hiding_gateway;
pub(crate) mod reconcile;
pub(crate) mod resolution;
