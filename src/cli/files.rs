//! The config file and the policy layers of a command, with what is wrong with them on standard error.

use crate::run::{
    Failure, Workspace,
    reading::{Disk, FileSource},
    workspace::{load, load_without_layers},
};

use super::Global;

/// Reads the config file and its layers, for a command that needs them all to be there. Shows
/// what is wrong on standard error.
///
/// # Errors
///
/// When the config file is invalid, or the path of a layer is.
pub fn load_workspace(global: &Global) -> Result<Workspace, Failure> {
    load_workspace_from(global, &Disk)
}

/// The same, from `source`.
///
/// # Errors
///
/// As for [`load_workspace`].
pub(super) fn load_workspace_from(global: &Global, source: &dyn FileSource) -> Result<Workspace, Failure> {
    let base = global.base();
    Workspace::of(load(&base, source), &base)
}

/// Reads the config file alone, for a command that asks no policy: its layers may have mistakes, or not
/// be there yet. Shows what is wrong on standard error.
///
/// # Errors
///
/// When the config file is invalid.
pub fn load_targets(global: &Global) -> Result<Workspace, Failure> {
    let base = global.base();
    Workspace::of(load_without_layers(&base, &Disk), &base)
}
