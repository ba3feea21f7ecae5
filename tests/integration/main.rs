//! The integration tests, one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "the programs that are tested go by the clock of the system")]

mod audit;
mod auth_command;
mod backup;
mod bitbucket;
mod bitbucket_rest;
mod calls;
mod capabilities;
mod child_tokens;
mod ci_files;
mod clocks;
mod codes;
mod compare;
mod compare_own_rules;
mod compare_today;
mod completions;
mod config;
mod connections;
mod console_blocks;
mod crash;
mod decisions;
mod dialect_answers;
mod directory;
mod docs;
mod doctor;
mod earlier_formats;
mod ended_rights;
mod explain;
mod faked_clocks;
mod fault_proxy;
mod first_hour;
mod fleet;
mod forwarder;
mod front;
mod fronted;
mod full_disk;
mod gate;
mod gateway;
mod help;
mod hiding_gateway;
mod hostile_input;
mod http_client;
mod http_hygiene;
mod hurtful_edits;
mod import;
mod init;
mod inventory;
mod journal;
mod laws;
mod layers;
mod lease;
mod lockout;
mod lockout_laws;
mod lost_answers;
mod marks;
mod mirror;
mod networks;
mod odd_addresses;
mod only;
mod openapi;
mod origin;
mod own_rules;
mod page;
mod people;
mod policy;
mod policy_tests;
mod policy_tests_holding;
mod program;
mod proxy;
mod pull_request;
mod quickstart;
mod rails;
mod random_worlds;
mod reconcile;
mod remembered;
mod report_files;
mod reports;
mod request_bodies;
mod resolution;
mod restrictions;
mod review;
mod revoke;
mod rules;
mod rules_reference;
mod run_files;
mod saved_plan;
mod schema;
mod second_look;
mod seed;
mod serve_process;
mod settings_rest;
mod signals;
mod store;
mod store_life;
mod support;
mod tables;
mod terminal;
mod throttle;
mod tls;
mod token_list;
mod tokens;
mod unwritable;
mod validate;
mod waivers;
mod webhook;
mod workspace;
mod world;
