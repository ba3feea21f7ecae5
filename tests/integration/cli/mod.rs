//! The commands, as a person and a script use them.

mod arguments;
mod ci_files;
mod completions;
mod doctor;
mod explain;
mod first_hour;
mod fleet;
mod help;
mod import;
mod init;
mod quickstart;
mod revoke;
mod run_files;
mod schema;
mod terminal;
mod token_list;
mod unwritable;
mod validate;
mod webhook;
mod workspace;
