//! What `--help` says of every command, which is the page of the command line.

use std::{fmt::Write as _, fs};

use clap::{Command, CommandFactory, Parser as _};
use tokenwarden::cli::CommandLine;

use crate::docs::pages::{repository, text, updates};

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
    let own = help.split(GLOBAL).next().unwrap().trim_end();
    let end = command.get_after_long_help().map_or(String::new(), |end| format!("\n\n{end}"));
    let lines: Vec<_> = format!("{own}{end}").lines().map(|line| line.trim_end().to_owned()).collect();
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

/// Every command below `command`, by how it is called.
fn below(command: &Command, called: &str) -> Vec<(String, Command)> {
    let each = |below: &Command| {
        let name = format!("{called} {}", below.get_name());
        let deeper = self::below(below, &name);
        [(name, below.clone())].into_iter().chain(deeper)
    };
    command.get_subcommands().flat_map(each).collect()
}

#[test]
fn every_command_has_examples_that_can_be_typed_exit_codes_and_its_environment() {
    let commands = below(&CommandLine::command(), "tokenwarden");
    assert!(commands.iter().any(|(name, _)| name == "tokenwarden store restore"));
    for (name, command) in commands {
        let end = command.get_after_long_help().unwrap_or_else(|| panic!("{name}")).to_string();
        assert!(end.contains("\nExit codes: 0 done, ") && end.contains("\nEnvironment: "), "{name}: {end}");
        let examples: Vec<_> = end.lines().filter(|line| line.starts_with("  tokenwarden ")).collect();
        assert!(!examples.is_empty() && end.starts_with("Examples:\n"), "{name}: {end}");
        for example in examples {
            assert!(format!("{} ", example.trim()).starts_with(&format!("{name} ")), "{name}: {example}");
            // Words, of which one in quotes may have blanks.
            let quoted = example.split('\'').enumerate();
            let words =
                quoted.flat_map(
                    |(at, part)| {
                        if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
                    },
                );
            if let Err(error) = CommandLine::try_parse_from(words) {
                panic!("{example}: {error}");
            }
        }
    }
    let version = CommandLine::command().render_version();
    assert!(version.starts_with(concat!("tokenwarden ", env!("CARGO_PKG_VERSION"))), "{version}");
}

#[test]
fn the_version_is_the_same_line_alone_and_beside_other_flags() {
    let told = |arguments: &[&str]| {
        let run =
            assert_cmd::Command::new(env!("CARGO_BIN_EXE_tokenwarden")).args(arguments).assert().success();
        String::from_utf8(run.get_output().stdout.clone()).unwrap()
    };
    let version = told(&["--color", "never", "--version"]);
    assert!(version.starts_with(concat!("tokenwarden ", env!("CARGO_PKG_VERSION"))), "{version}");
    assert_eq!([told(&["--version"]), told(&["-V"])], [version.as_str(), version.as_str()]);
}
