//! The command `directory`: the import of a directory file into a store. A file with a mistake is refused
//! as a whole.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use tracing::Level;

use crate::{
    run::{Ending, Failure, reading::read_text},
    serve::{
        directory,
        store::{Store, StoreError, StoreUrl},
    },
    world::environment,
};

use super::{CommandResult, Global, help, log, output, runtime};

/// What `directory` understands.
#[derive(Debug, Subcommand)]
pub(super) enum DirectoryCommand {
    #[command(after_long_help = help::DIRECTORY)]
    /// Make users, groups and passwords of a store equal to a file; users missing from it become
    /// inactive, tokens are never deleted
    Import {
        /// The directory file
        file: PathBuf,
        /// Where they are kept: `sqlite:FILE`; created if missing, with a note
        #[arg(long, value_name = "URL")]
        store: StoreUrl,
    },
}

/// A file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be read", file.display())]
pub(super) struct CannotRead {
    pub(super) file: PathBuf,
    #[source]
    pub(super) cause: std::io::Error,
}

/// A directory file has a mistake.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be imported", file.display())]
struct CannotImport {
    file: PathBuf,
    #[source]
    cause: directory::DirectoryError,
}

pub(super) fn run(global: &Global, command: &DirectoryCommand) -> CommandResult {
    log::start(global, Level::WARN);
    let DirectoryCommand::Import { file, store } = command;
    runtime::block_on(async {
        let url = StoreUrl { file: global.resolve(&store.file) };
        let is_new = matches!(url.is_there(), Err(StoreError::Missing(_)));
        let store = Store::open_or_create(&url).await?;
        let imported = import(&store, &global.resolve(file)).await;
        store.close().await;
        imported?;
        if is_new {
            output::note(&format!("created the store {}: there was none", url.file.display()));
        }
        output::note(&format!("imported {}", file.display()));
        Ok(Ending::Done)
    })
}

/// Imports the directory file at `file`; passwords come from the environment.
///
/// # Errors
///
/// When the file cannot be read or has a mistake (exit 3), or the store fails.
pub(super) async fn import(store: &Store, file: &Path) -> Result<(), Failure> {
    let reading = |cause| CannotRead { file: file.to_owned(), cause };
    let text = read_text(file).map_err(reading)?;
    directory::import(store, &text, environment::variable).await.map_err(|cause| {
        let exit = match cause {
            directory::DirectoryError::Store(_) | directory::DirectoryError::Password(_) => Ending::Error,
            _ => Ending::Invalid,
        };
        Failure::new(exit, CannotImport { file: file.to_owned(), cause })
    })
}
