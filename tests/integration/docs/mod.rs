//! The pages that people read say what the program does.

mod codes;
mod console_blocks;
pub(crate) mod pages;
mod rules_reference;
mod tables;
