//! The command `man`: the manual page of the program on standard output, or a page for it and for each
//! command as files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Command, CommandFactory};
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
        let mut program = CommandLine::command().disable_help_subcommand(true);
        if let Some(folder) = &self.out {
            let path = global.resolve(folder);
            program.build();
            let written = fs::create_dir_all(&path).and_then(|()| write(&program, &path));
            written.map_err(|source| CannotWrite { path, source })?;
        } else {
            output::write(&page(&Man::new(program))?)?;
        }
        Ok(Ending::Done)
    }
}

/// Writes the pages of `command` and of those below it into `folder`.
fn write(command: &Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below, folder)?;
    }
    let man = Man::new(command.clone());
    fs::write(folder.join(man.get_filename()), page(&man)?)
}

/// The page. Its lines end between two of several options and never inside a word, and are not stretched: options make long
/// words.
fn page(man: &Man) -> io::Result<String> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    let page = String::from_utf8(page).map_err(io::Error::other)?;
    let page = page.replacen(".SH SYNOPSIS", ".ad l\n.nh\n.SH SYNOPSIS", 1);
    Ok(page.replace("\\fR|\\fB", "\\fR|\\:\\fB"))
}
