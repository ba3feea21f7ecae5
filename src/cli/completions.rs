//! The command `completions`: a shell script on standard output that completes the command line.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, env::Shells};

use super::{CommandLine, CommandResult, names, output};
use crate::run::Ending;

/// The program, as a shell finds it and as the script calls it.
const PROGRAM: &str = "tokenwarden";

/// Print the script that makes a shell complete commands, options and their values
///
/// bash: source <(tokenwarden completions bash --names). The documentation of each shell says where to keep it.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
    /// Also complete the names of targets, rails, rules, owners, tokens and runs, from the files at hand: the script asks
    /// the program each time, so load it anew with each version
    #[arg(long)]
    names: bool,
}

impl Completions {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(super) fn run(&self) -> CommandResult {
        let mut script = Vec::new();
        let name = self.shell.to_string();
        match Shells::builtins().completer(&name).filter(|_| self.names) {
            Some(shell) => {
                shell.write_registration(names::VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
            }
            None => clap_complete::generate(self.shell, &mut CommandLine::command(), PROGRAM, &mut script),
        }
        output::write(&String::from_utf8(script)?)?;
        Ok(Ending::Done)
    }
}
