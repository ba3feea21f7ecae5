//! Reports, in every form.

mod files;
#[path = "../../../benches/instance.rs"]
#[expect(dead_code, reason = "it can write instances by itself")]
mod instance;
#[cfg(target_os = "linux")]
mod memory;
mod page;
mod reports;
