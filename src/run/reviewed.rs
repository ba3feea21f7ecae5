//! The check whether a saved and reviewed plan may be applied here and now. Nothing is taken from the file but what
//! was reviewed.

use std::path::Path;

use crate::{config::TargetDeclaration, saved::SavedPlan};

use super::{Base, Ending, Failure, Listener, Workspace, plan::Planned, reading::read_whole};

/// Reads the saved plan at `file`. Its age is judged by the clock of its server: see [`check_servers`].
///
/// # Errors
///
/// When it cannot be read, is not whole, or not the expected one.
pub(crate) fn read(file: &Path, expected: Option<&str>, base: &Base) -> Result<SavedPlan, Failure> {
    let saved = open(file, base)?;
    saved.check_digest(expected).map_err(refused)?;
    Ok(saved)
}

/// Reads the saved plan at `file`, whether it may be applied or not.
///
/// # Errors
///
/// When it cannot be read or is not whole.
pub(crate) fn open(file: &Path, base: &Base) -> Result<SavedPlan, Failure> {
    let bytes = read_whole(&base.directory.join(file)).map_err(|error| {
        Failure::new(Ending::Refused, Unreadable { file: file.display().to_string(), source: error })
    })?;
    SavedPlan::read(&bytes).map_err(refused)
}

/// Something is wrong with a saved plan.
pub(crate) fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(Ending::Refused, Box::<dyn std::error::Error + Send + Sync>::from(error))
}

#[derive(Debug, thiserror::Error)]
#[error("the saved plan `{file}` cannot be read")]
struct Unreadable {
    file: String,
    #[source]
    source: std::io::Error,
}

/// Those of `chosen` that `saved` was made for.
///
/// # Errors
///
/// When it was made for a target that the config file does not have, or for none of the chosen ones.
pub(crate) fn targets<'a>(
    saved: &SavedPlan,
    workspace: &Workspace,
    chosen: &[&'a TargetDeclaration],
) -> Result<Vec<&'a TargetDeclaration>, Failure> {
    let declared = |name: &str| workspace.config.targets.iter().any(|target| target.name == name);
    if let Some(unknown) = saved.targets().iter().find(|target| !declared(&target.name)) {
        let message =
            format!("the saved plan is for `{}`, which the config file does not have", unknown.name);
        return Err(Failure::new(Ending::Refused, message));
    }
    let planned =
        |target: &&&TargetDeclaration| saved.targets().iter().any(|saved| saved.name == target.name);
    let targets: Vec<_> = chosen.iter().filter(planned).copied().collect();
    if targets.is_empty() {
        return Err(Failure::new(Ending::Refused, "the saved plan is for none of these targets"));
    }
    Ok(targets)
}

/// Whether the servers are those that `saved` was made for, and it is not too old by their clocks. The listener is told
/// of policies that have changed.
///
/// # Errors
///
/// When one has another address, or the plan is too old.
pub(crate) fn check_servers(
    saved: &SavedPlan,
    planned: &[Planned<'_>],
    listener: &dyn Listener,
) -> Result<(), Failure> {
    for (_, plan) in planned.iter().filter_map(|one| one.plan.as_ref().ok()) {
        saved.check_age(plan.made_for).map_err(refused)?;
        let reviewed = saved.targets().iter().find(|target| target.name == plan.target);
        if let Some(other) = reviewed.filter(|target| target.url != plan.server.url) {
            let (name, now, then) = (&plan.target, &plan.server.url, &other.url);
            let message = format!("the saved plan is for `{name}` at {then}, which is now {now}");
            return Err(Failure::new(Ending::Refused, message));
        }
        if reviewed.is_some_and(|target| target.policy_sha256 != plan.policy_fingerprint) {
            listener.note(&format!(
                "note: the policy of {} has changed since the saved plan was made: only changes that both \
                 ask for are applied",
                plan.target
            ));
        }
    }
    Ok(())
}
