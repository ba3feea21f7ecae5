//! The `tokenwarden` program: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokenwarden::cli::run(std::env::args_os())
}
