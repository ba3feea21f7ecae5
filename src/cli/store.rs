//! `store`: backups of a store, and what is wrong with it.

use std::{io, path::PathBuf};

use clap::Subcommand;
use tracing::Level;

use crate::{
    run::{Ending, Failure},
    serve::store::{Renumbered, Restored, Store, StoreError, StoreUrl},
    world::system_time,
};

use super::{CommandResult, Global, help, log, output, runtime};

/// What `store` understands.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    #[command(after_long_help = help::STORE_BACKUP)]
    /// Write a backup to a new file, also while a server runs on the store
    Backup {
        /// The new file; one that exists is never overwritten
        file: PathBuf,
        /// The store: `sqlite:FILE`
        #[arg(long, value_name = "URL")]
        store: StoreUrl,
    },
    #[command(after_long_help = help::STORE_RESTORE)]
    /// Replace a store whose server is stopped by a backup; tokens revoked since then stay revoked
    Restore {
        /// The backup
        file: PathBuf,
        /// The store: `sqlite:FILE`; the current one is kept next to it
        #[arg(long, value_name = "URL")]
        store: StoreUrl,
    },
    #[command(after_long_help = help::STORE_CHECK)]
    /// Check a store or a backup for damage, without changing it; exit with 1 if there is any
    Check {
        /// The store: `sqlite:FILE`
        #[arg(long, value_name = "URL")]
        store: StoreUrl,
    },
}

/// A server runs on the store.
#[derive(Debug, thiserror::Error)]
#[error("the store `{}` is in use; stop the server first", .0.display())]
struct InUse(PathBuf);

pub(super) fn run(global: &Global, command: &StoreCommand) -> CommandResult {
    log::start(global, Level::WARN);
    let at = |store: &StoreUrl| StoreUrl { file: global.resolve(&store.file) };
    runtime::block_on(async {
        match command {
            StoreCommand::Backup { file, store } => backup(global.resolve(file), at(store)).await,
            StoreCommand::Restore { file, store } => restore(global.resolve(file), at(store)).await,
            StoreCommand::Check { store } => check(at(store)).await,
        }
    })
}

async fn backup(file: PathBuf, store: StoreUrl) -> CommandResult {
    Store::back_up(&store, &file, system_time()).await.map_err(|error| match &error {
        StoreError::Copy { cause, .. } if cause.kind() == io::ErrorKind::AlreadyExists => {
            Failure::new(Ending::Refused, error)
        }
        _ => error.into(),
    })?;
    output::note(&format!("backed up {} to {}", store.file.display(), file.display()));
    Ok(Ending::Done)
}

async fn restore(file: PathBuf, store: StoreUrl) -> CommandResult {
    let restored = Store::restore(&file, &store, system_time()).await;
    let restored = restored.map_err(|error| match error {
        StoreError::Locked => Failure::new(Ending::Refused, InUse(store.file.clone())),
        StoreError::OtherStore(_) | StoreError::LeftBehind(_) | StoreError::InTheWay(_) => {
            Failure::new(Ending::Refused, error)
        }
        error => error.into(),
    })?;
    let of = restored.of.map_or("an unknown time".to_owned(), |at| format!("{at:.0}"));
    output::note(&format!("restored {} from {}, of {of}", store.file.display(), file.display()));
    output::note(&told(&restored));
    Ok(Ending::Done)
}

/// What became of the tokens, and what nobody can know.
fn told(restored: &Restored) -> String {
    let tokens = restored.tokens;
    let Some(revoked) = restored.stays_revoked else {
        return format!(
            "{tokens} tokens are as they were in the backup: without the old store, revocations, narrowed scopes and budgets used since then are unknown; review the tokens\n\
             settings, users, groups and passwords are those of the backup: import the directory file and apply the \
             policy before others use the server"
        );
    };
    let mut lines =
        vec![format!("{tokens} tokens are as they are now; {revoked} that were revoked since stay revoked")];
    if !restored.created_since.is_empty() {
        let ids: Vec<String> = restored.created_since.iter().map(ToString::to_string).collect();
        lines.push(format!("{} tokens that were created since are gone: {}", ids.len(), ids.join(", ")));
    }
    for Renumbered { were, are } in &restored.renumbered {
        lines.push(format!(
            "entries {} to {} of the audit of before are {} to {} now: the backup has others under their numbers",
            were.0, were.1, are.0, are.1
        ));
    }
    lines.push(
        "the settings are those of the backup: apply the policy; users, groups and passwords are as they are now"
            .to_owned(),
    );
    if let Some(kept) = &restored.kept {
        lines.push(format!("the store as it was before is kept at {}", kept.display()));
    }
    lines.join("\n")
}

async fn check(store: StoreUrl) -> CommandResult {
    let checked = Store::check(&store, system_time()).await?;
    let mut text =
        format!("{}: schema version {}, {} tokens\n", store.file.display(), checked.version, checked.tokens);
    let mut problems = checked.problems;
    problems.extend(checked.ahead.map(|at| {
        format!(
            "its clock is ahead, at {at:.0}; if that is wrong, stop the server and run `tokenwarden \
             settings reset-clock`"
        )
    }));
    for problem in &problems {
        text.push_str("problem: ");
        text.push_str(problem);
        text.push('\n');
    }
    if problems.is_empty() {
        text.push_str("no problems found\n");
    }
    output::write(&text)?;
    Ok(if problems.is_empty() { Ending::Done } else { Ending::Error })
}
