//! The command `completions`: a shell script on standard output that completes the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{CommandLine, CommandResult, output};
use crate::run::Ending;

/// Print the script that makes a shell complete commands, options and their values
///
/// bash: source <(tokenwarden completions bash). The documentation of each shell says where to keep it.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(super) fn run(&self) -> CommandResult {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut CommandLine::command(), "tokenwarden", &mut script);
        output::write(&String::from_utf8(script)?)?;
        Ok(Ending::Done)
    }
}
