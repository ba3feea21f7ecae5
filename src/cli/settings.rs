//! The command `settings`: the export and import of the settings of a store. A document that cannot be
//! enforced is refused.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use tracing::Level;

use crate::{
    run::{Ending, Failure, reading::read_text},
    serve::{
        settings::{self, TransferError},
        store::{Store, StoreUrl},
    },
    world::system_time,
};

use super::{CommandResult, Global, directory::CannotRead, help, log, output, run_files::RunFiles, runtime};

/// What `settings` understands.
#[derive(Debug, Subcommand)]
pub(super) enum SettingsCommand {
    #[command(after_long_help = help::SETTINGS_EXPORT)]
    /// Write the settings of a store to standard output, as JSON
    Export {
        /// Where they are kept: `sqlite:FILE`
        #[arg(long, value_name = "URL")]
        store: StoreUrl,
    },
    #[command(after_long_help = help::SETTINGS_RESET_CLOCK)]
    /// Reset the time of a store whose server is stopped, after the clock of that server was ahead
    ResetClock {
        /// Where the time is kept: `sqlite:FILE`
        #[arg(long, value_name = "URL")]
        store: StoreUrl,
    },
    #[command(after_long_help = help::SETTINGS_IMPORT)]
    /// Import settings into a store; a running server applies them at once
    Import {
        /// The settings as JSON; `-` is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Where they are kept: `sqlite:FILE`
        #[arg(long, value_name = "URL")]
        store: StoreUrl,
    },
}

/// What a command reads and writes.
pub(super) fn files<'a>(global: &'a Global, command: &SettingsCommand) -> RunFiles<'a> {
    let (SettingsCommand::Export { store }
    | SettingsCommand::Import { store, .. }
    | SettingsCommand::ResetClock { store }) = command;
    RunFiles::new(global).reading_store(&store.file)
}

pub(super) fn run(global: &Global, command: &SettingsCommand) -> CommandResult {
    log::start(global, Level::WARN);
    runtime::block_on(async {
        let (SettingsCommand::Export { store }
        | SettingsCommand::Import { store, .. }
        | SettingsCommand::ResetClock { store }) = command;
        let url = StoreUrl { file: global.resolve(&store.file) };
        let store = match command {
            SettingsCommand::Export { .. } => Store::open_to_read(&url).await?,
            SettingsCommand::Import { .. } | SettingsCommand::ResetClock { .. } => Store::open(&url).await?,
        };
        let done = match command {
            SettingsCommand::Export { .. } => export(&store).await,
            SettingsCommand::Import { file, .. } => import(&store, global, file).await,
            SettingsCommand::ResetClock { .. } => reset_clock(&store).await,
        };
        store.close().await;
        done
    })
}

async fn export(store: &Store) -> CommandResult {
    let text = settings::export(store).await?;
    output::write(&format!("{text}\n"))?;
    Ok(Ending::Done)
}

async fn import(store: &Store, global: &Global, file: &Path) -> CommandResult {
    let text = read(global, file).map_err(|cause| CannotRead { file: file.to_owned(), cause })?;
    settings::import(store, &text, system_time()).await.map_err(|error| {
        let exit = match error {
            TransferError::Document(_) | TransferError::Meaning(_) => Ending::Invalid,
            TransferError::Store(_) | TransferError::Absent => Ending::Error,
        };
        Failure::new(exit, error)
    })?;
    output::note("imported settings");
    Ok(Ending::Done)
}

async fn reset_clock(store: &Store) -> CommandResult {
    let (before, now) = (store.latest_moment().await?, system_time());
    store.go_back_to(now).await?;
    let before = before.map_or("nowhere".to_owned(), |before| format!("{before:.0}"));
    output::note(&format!("the time of the store was at {before} and is at {now:.0}"));
    Ok(Ending::Done)
}

fn read(global: &Global, file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        Ok(text)
    } else {
        read_text(&global.resolve(file))
    }
}
