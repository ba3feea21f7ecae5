//! Policy as code for API tokens on Bitbucket.
pub mod access;
pub mod apply;
pub mod cli;
pub mod compliance;
pub mod inventory;
pub mod model;
pub mod plan;
pub mod policy;
pub mod report;
pub mod serve;
pub mod target;
