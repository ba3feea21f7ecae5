//! The client: answers, networks, and credentials that a program hands out.

mod auth_command;
mod client;
mod networks;
