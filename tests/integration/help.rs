//! What `--help` says of every command, which is the page of the command line.

use std::{fmt::Write as _, fs};

use clap::{Command, CommandFactory};
use tokenwarden::cli::CommandLine;

use crate::docs::{repository, text, updates};

const PAGE: &str = "docs/command-line.md";
const WIDTH: usize = 100;
const GLOBAL: &str = "\nGlobal options:\n";

const BEGINNING: &str = "# Command line

What `--help` says of every command. The [global options](#global-options) work with all of them. How a command ended is its
[exit code](exit-codes.md).
";

/// Writes a section for `command` and each command below it; `name` is how it is called.
fn describe(command: &Command, name: &str, page: &mut String) {
    let help = command.clone().term_width(WIDTH).render_long_help().to_string();
    let own = help.split(GLOBAL).next().unwrap();
    let lines: Vec<_> = own.lines().map(str::trim_end).collect();
    write!(page, "\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end()).unwrap();
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        describe(below, &format!("{name} {}", below.get_name()), page);
    }
}

fn page() -> String {
    let mut program = CommandLine::command();
    program.build();
    let mut page = BEGINNING.to_owned();
    let help = program.clone().term_width(WIDTH).render_long_help().to_string();
    let global: Vec<_> = help.split(GLOBAL).nth(1).unwrap().lines().map(str::trim_end).collect();
    write!(page, "\n## Global options\n\n```text\n{}\n```\n", global.join("\n").trim_end()).unwrap();
    describe(&program, "tokenwarden", &mut page);
    page
}

#[test]
fn the_command_line_page_has_the_help_of_every_command() {
    let page = page();
    for command in ["plan", "apply", "store restore", "settings reset-clock", "journal show", "serve"] {
        assert!(page.contains(&format!("\n## `tokenwarden {command}`\n")), "{command}");
    }
    if updates() {
        fs::write(repository().join(PAGE), &page).unwrap();
    }
    assert_eq!(text(PAGE), page, "write the page anew: UPDATE_DOCS=1 cargo test command_line_page");
}
