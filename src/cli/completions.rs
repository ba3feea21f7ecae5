//! `completions`: what a shell completes after `tokenwarden`. In: the command line as it is declared.
//! Out: a script for the shell on standard output. It refuses to know where the shell looks for it.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{CommandLine, CommandResult, output};
use crate::run::Ending;

/// Prints the script that makes a shell complete commands, options and their values
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
