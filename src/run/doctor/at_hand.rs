//! What a run needs on this machine.

use std::{fs, process};

use crate::{
    apply::one_line,
    config::TargetDeclaration,
    run::{credential, workspace::Workspace},
};

use super::Check;

/// Whether runs can be recorded; `None` where only the server's own ledger does that.
pub(super) fn journal(workspace: &Workspace, declaration: &TargetDeclaration) -> Option<Check> {
    const CHECK: &str = "journal";
    let Some(folder) = &workspace.journal else {
        let why = "no journal is configured, and this server keeps no ledger: runs are not recorded";
        let advice = "add `journal: { directory: .. }` to the config file";
        return (!declaration.connection.has_own_server()).then(|| Check::warning(CHECK, why, advice));
    };
    let path = folder.path();
    let probe = path.join(format!(".doctor-{}", process::id()));
    let written =
        fs::create_dir_all(path).and_then(|()| fs::write(&probe, b"")).and_then(|()| fs::remove_file(&probe));
    Some(match written {
        Ok(()) => Check::ok(CHECK, format!("`{}` can be written", path.display())),
        Err(error) => Check::failure(
            CHECK,
            format!("`{}` cannot be written: {error}", path.display()),
            "give the user of the run the right to write there, or name another folder in `journal.directory`",
        ),
    })
}

/// Whether tokens can be marked where they cannot be made to end.
pub(super) fn mark_key(workspace: &Workspace, declaration: &TargetDeclaration) -> Option<Check> {
    const CHECK: &str = "mark-key";
    match &workspace.config.mark_key_env {
        None if declaration.connection.has_own_server() => None,
        None => Some(Check::warning(
            CHECK,
            "there is no key for marks: `expire` is held back",
            "name the variable with the key in `mark_key_env`, e.g. from `openssl rand -hex 32`",
        )),
        Some(name) => Some(match credential::mark_key(name) {
            Ok(_) => Check::ok(CHECK, format!("`{name}` holds a key for marks")),
            Err(error) => {
                Check::failure(CHECK, one_line(&error), "set it to a key, e.g. from `openssl rand -hex 32`")
            }
        }),
    }
}
