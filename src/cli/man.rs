//! The command `man`: the manual page of the program on standard output, or a page for it and for each
//! command as files.

use std::{fs, path::PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::{CommandLine, CommandResult, Global, atomic::CannotWrite, output};
use crate::run::Ending;

/// Print the manual page of the program, or write the pages of all commands
#[derive(Debug, Args)]
pub(super) struct ManPages {
    /// Write a page for the program and for each command into this folder, as NAME.1
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl ManPages {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When a file or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let program = CommandLine::command().disable_help_subcommand(true);
        if let Some(folder) = &self.out {
            let path = global.resolve(folder);
            let written = fs::create_dir_all(&path).and_then(|()| clap_mangen::generate_to(program, &path));
            written.map_err(|source| CannotWrite { path, source })?;
        } else {
            let mut page = Vec::new();
            Man::new(program).render(&mut page)?;
            output::write(&String::from_utf8(page)?)?;
        }
        Ok(Ending::Done)
    }
}
