//! Reports, in every form.

mod files;
mod page;
mod reports;
