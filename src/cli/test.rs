//! `test`.
use super::{CommandResult, Exit, Global};
/// Runs the policy tests
#[derive(Debug, clap::Args)]
pub(super) struct Test {}
impl Test {
    pub(super) fn run(&self, _: &Global) -> CommandResult {
        Ok(Exit::Done)
    }
}
