//! Policy as code for API tokens on Bitbucket.
pub mod access;
pub mod cli;
pub mod model;
pub mod policy;
pub mod serve;
