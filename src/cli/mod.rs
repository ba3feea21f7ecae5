//! The command line: one command, one file.
//!
//! Data goes to standard output, everything else to standard error. Every other part of the program is
//! wired here.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    error::{ContextKind, ContextValue},
};
use jiff::Timestamp;

mod apply;
mod atomic;
mod audit;
mod auth_command;
mod base_url;
mod baseline;
mod compare;
mod completions;
mod core_dumps;
mod directory;
mod doctor;
mod drift;
mod exit;
mod explain;
pub mod files;
mod format;
mod git;
mod help;
mod import;
mod init;
mod inventory;
mod journal;
mod leaks;
mod log;
mod log_queue;
mod man;
mod names;
mod only;
mod output;
mod plan;
mod reports;
mod require;
mod review;
mod revision;
mod revoke;
mod run_files;
mod runtime;
mod scan_rules;
mod schema;
mod serve;
mod settings;
mod show;
mod store;
mod terminal;
mod test;
mod tokens;
mod validate;
mod view;
mod webhook;

use crate::{
    model::address_credential::may_hold_credential,
    run::{Base, Ending},
};
pub use exit::{CommandResult, code};

use run_files::RunFiles;
use terminal::Terminal;

/// Policy as code for API tokens on Bitbucket.
#[derive(Debug, Parser)]
#[command(name = "tokenwarden", version = help::version(), max_term_width = 100, arg_required_else_help = true)]
pub struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true, default_value = ".", hide_default_value = true)]
    pub directory: PathBuf,
    /// The config file [default: tokenwarden.yaml]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Use only this target; may be repeated [default: all targets]
    #[arg(long, value_name = "NAME", global = true)]
    pub target: Vec<String>,
    /// When to use colour
    #[arg(long, value_enum, value_name = "WHEN", global = true, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// Log more to standard error (-vv for everything)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Form of the log on standard error
    #[arg(long, value_enum, value_name = "FORM", global = true, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Plan for this time and judge waivers at it, e.g. 2026-12-01T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME", global = true)]
    pub now: Option<Timestamp>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl Global {
    /// Where the run of a command works.
    fn base(&self) -> Base {
        Base {
            directory: self.directory.clone(),
            config: self.config().to_owned(),
            listener: Arc::new(Terminal::new(self.color)),
        }
    }

    /// The config file.
    fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new("tokenwarden.yaml"))
    }

    /// The path `written`, which counts from the folder that the program works in.
    fn resolve(&self, written: &Path) -> PathBuf {
        self.directory.join(written)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(after_long_help = help::INIT)]
    Init(init::Init),
    #[command(after_long_help = help::VALIDATE)]
    Validate(validate::Validate),
    #[command(after_long_help = help::PLAN)]
    Plan(plan::PlanCommand),
    #[command(after_long_help = help::APPLY)]
    Apply(apply::ApplyCommand),
    #[command(after_long_help = help::SHOW)]
    Show(show::ShowCommand),
    #[command(after_long_help = help::DRIFT)]
    Drift(drift::DriftCommand),
    #[command(after_long_help = help::COMPARE)]
    Compare(compare::CompareCommand),
    #[command(after_long_help = help::REVIEW)]
    Review(review::ReviewCommand),
    #[command(after_long_help = help::REVOKE)]
    Revoke(revoke::RevokeCommand),
    #[command(after_long_help = help::SCAN_RULES)]
    ScanRules(scan_rules::ScanRules),
    #[command(after_long_help = help::INVENTORY)]
    Inventory(inventory::InventoryCommand),
    #[command(after_long_help = help::IMPORT)]
    Import(import::ImportCommand),
    #[command(after_long_help = help::EXPLAIN)]
    Explain(explain::Explain),
    #[command(after_long_help = help::TOKENS)]
    Tokens(tokens::TokensCommand),
    #[command(after_long_help = help::TEST)]
    Test(test::Test),
    /// Show what earlier runs did
    #[command(subcommand, after_long_help = help::JOURNAL)]
    Journal(journal::JournalCommand),
    #[command(after_long_help = help::AUDIT)]
    Audit(audit::AuditCommand),
    #[command(after_long_help = help::DOCTOR)]
    Doctor(doctor::DoctorCommand),
    #[command(after_long_help = help::SCHEMA)]
    Schema(schema::Schema),
    /// Run the server that issues API tokens and enforces the applied settings
    #[command(after_long_help = help::SERVE)]
    Serve(serve::ServeArgs),
    /// Manage users and groups of a store
    #[command(subcommand, after_long_help = help::DIRECTORY)]
    Directory(directory::DirectoryCommand),
    /// Manage the settings of a store without its server, as a way back in after a lockout
    #[command(subcommand, after_long_help = help::SETTINGS)]
    Settings(settings::SettingsCommand),
    /// Back up, restore and check a store
    #[command(subcommand, after_long_help = help::STORE)]
    Store(store::StoreCommand),
    #[command(after_long_help = help::COMPLETIONS)]
    Completions(completions::Completions),
    #[command(after_long_help = help::MAN)]
    Man(man::ManPages),
}

impl Command {
    /// What it reads and writes, as far as the one could destroy the other.
    fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        match self {
            Self::Validate(command) => command.files(global),
            Self::Plan(command) => command.files(global),
            Self::Apply(command) => command.files(global),
            Self::Show(command) => command.files(global),
            Self::Drift(command) => command.files(global),
            Self::Compare(command) => command.files(global),
            Self::Review(command) => command.files(global),
            Self::Revoke(command) => command.files(global),
            Self::Inventory(command) => command.files(global),
            Self::Import(command) => command.files(global),
            Self::Test(command) => command.files(global),
            Self::Tokens(command) => command.files(global),
            Self::Explain(_) | Self::Journal(_) => RunFiles::of_config(global),
            Self::Audit(command) => command.files(global),
            Self::Doctor(command) => command.files(global),
            Self::Settings(command) => settings::files(global, command),
            Self::Init(_)
            | Self::ScanRules(_)
            | Self::Schema(_)
            | Self::Serve(_)
            | Self::Directory(_)
            | Self::Store(_)
            | Self::Completions(_)
            | Self::Man(_) => RunFiles::new(global),
        }
    }

    fn run(&self, global: &Global) -> CommandResult {
        match self {
            Self::Init(command) => command.run(global),
            Self::Validate(command) => command.run(global),
            Self::Plan(command) => command.run(global),
            Self::Apply(command) => command.run(global),
            Self::Show(command) => command.run(global),
            Self::Drift(command) => command.run(global),
            Self::Compare(command) => command.run(global),
            Self::Review(command) => command.run(global),
            Self::Revoke(command) => command.run(global),
            Self::ScanRules(command) => command.run(),
            Self::Inventory(command) => command.run(global),
            Self::Import(command) => command.run(global),
            Self::Explain(command) => command.run(global),
            Self::Tokens(command) => command.run(global),
            Self::Test(command) => command.run(global),
            Self::Journal(command) => command.run(global),
            Self::Audit(command) => command.run(global),
            Self::Doctor(command) => command.run(global),
            Self::Schema(command) => command.run(global),
            Self::Serve(arguments) => serve::run(global, arguments),
            Self::Directory(command) => directory::run(global, command),
            Self::Settings(command) => settings::run(global, command),
            Self::Store(command) => store::run(global, command),
            Self::Completions(command) => command.run(),
            Self::Man(command) => command.run(global),
        }
    }
}

/// Runs the program as `arguments` (the program's name first) say.
///
/// Errors of the command line and of the command are written to standard error; the answer is
/// how the program ends.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    ExitCode::from(code(end(arguments)))
}

/// Says what is wrong with the command line, without a value that may be an address with a credential.
fn print(error: &clap::Error) -> io::Result<()> {
    match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if may_hold_credential(value) => {
            let said = error.to_string().replace(value, "(hidden)");
            io::stderr().write_all(said.as_bytes())
        }
        _ => error.print(),
    }
}

fn end(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Ending {
    core_dumps::prevent();
    let arguments: Vec<_> = arguments.into_iter().collect();
    if let Some(ending) = names::answer(&arguments) {
        return ending;
    }
    if let Some(version) = help::version_alone(&arguments) {
        // As below: nothing can be said when even this cannot be written.
        let _ = output::write(&version);
        return Ending::Done;
    }
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            let asked_for = !error.use_stderr();
            // Nothing can be said when even this cannot be written.
            let _ = print(&error);
            return if asked_for { Ending::Done } else { Ending::Usage };
        }
    };
    let (command, global) = (&line.command, &line.global);
    command.files(global).check().and_then(|()| command.run(global)).unwrap_or_else(|failure| {
        output::failure(&failure, None);
        failure.ending
    })
}
