//! What a plan is compared with: the policies of a Git revision or a folder, planned on the same inventory.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use crate::{
    compare::compare,
    config::TargetDeclaration,
    policy::Policy,
    report::compare::Compared,
    run::{
        Ending, Failure,
        plan::Against,
        reading::{Disk, folder_of},
        workspace::Workspace,
    },
};

use super::{Global, files, output, revision::Revision, run_files::RunFiles};

/// What a plan is compared with, so that each change can say where it comes from.
#[derive(Debug, Args)]
pub(super) struct BaselineArgs {
    /// Compare with the policy at this Git revision, and tell for each change whether it already asked for it
    #[arg(long, value_name = "REV", conflicts_with = "baseline_dir")]
    baseline: Option<String>,
    /// Use a checkout of the earlier policy instead of a Git revision
    #[arg(long, value_name = "DIR")]
    baseline_dir: Option<PathBuf>,
}

impl BaselineArgs {
    /// What a run reads and writes that has `files` beside them.
    pub(super) fn files<'a>(&self, files: RunFiles<'a>, global: &Global) -> RunFiles<'a> {
        match &self.baseline_dir {
            Some(folder) => files.reading_baseline(in_folder(folder, global)),
            None => files,
        }
    }

    /// What it is, as the user named it.
    fn name(&self) -> String {
        let folder = || self.baseline_dir.as_ref().map(|folder| folder.display().to_string());
        self.baseline.clone().or_else(folder).unwrap_or_default()
    }

    /// The policies of the baseline, one for each of `targets`, in their order; `None` without a baseline. A target that
    /// the baseline does not have had no policy.
    ///
    /// # Errors
    ///
    /// When there is no such revision or folder.
    pub(super) fn earlier(
        &self,
        targets: &[&TargetDeclaration],
        global: &Global,
    ) -> Result<Option<BaselinePolicies>, Failure> {
        let path = global.directory.join(global.config());
        let policies = match (&self.baseline, &self.baseline_dir) {
            (None, None) => return Ok(None),
            (Some(name), _) => {
                let folder = folder_of(&path);
                let revision = Revision::find(name, &folder)?;
                let config = name_of(global.config());
                if !revision.may_have(config) {
                    output::note(
                        "note: the baseline has no config file: every change is attributed to the \
                                  policy",
                    );
                    let policies = targets.iter().map(|target| (target.name.clone(), Policy::default()));
                    return Ok(Some(BaselinePolicies::new(self.name(), Ok(policies.collect()))));
                }
                let there = Global { config: Some(config.to_path_buf()), ..global.clone() };
                policies_of(files::load_workspace_from(&there, &revision), targets)
            }
            (None, Some(folder)) => {
                let there = in_folder(folder, global);
                // A dangling link exists, too.
                if global.resolve(there.config()).symlink_metadata().is_err() {
                    let message = format!("the baseline has no config file `{}`", there.config().display());
                    return Err(Failure::new(Ending::Invalid, message));
                }
                policies_of(files::load_workspace_from(&there, &Disk), targets)
            }
        };
        let policies = match policies {
            Ok(policies) => Ok(targets.iter().map(|target| target.name.clone()).zip(policies).collect()),
            Err(failure) if failure.ending == Ending::Invalid => Err(failure.error.to_string()),
            Err(failure) => return Err(failure),
        };
        Ok(Some(BaselinePolicies::new(self.name(), policies)))
    }
}

/// What a baseline asks for.
pub(super) struct BaselinePolicies {
    /// What it is, as the user named it.
    pub(super) name: String,
    /// The policy of each target, in the order of a run, with its name; or why it is invalid.
    policies: Result<Vec<(String, Policy)>, String>,
    /// The policy of a target that it does not have.
    none: Policy,
}

impl BaselinePolicies {
    fn new(name: String, policies: Result<Vec<(String, Policy)>, String>) -> Self {
        Self { name, policies, none: Policy::default() }
    }

    /// What it asks for of the target `name`; `None` when it is invalid.
    pub(super) fn policy_of(&self, name: &str) -> Option<&Policy> {
        let policies = self.policies.as_ref().ok()?;
        let found = policies.iter().find(|(target, _)| target == name);
        Some(found.map_or(&self.none, |(_, policy)| policy))
    }

    /// What plans are compared with.
    ///
    /// A baseline that is invalid or cannot be read must not stop the change that mends it: it is shown, and
    /// nothing is said of where changes come from.
    pub(super) fn against(&self) -> Against {
        match &self.policies {
            Ok(policies) => Against::Before(policies.iter().map(|(_, policy)| policy.clone()).collect()),
            Err(why) => {
                output::note(&format!(
                    "warning: the baseline `{}` is invalid ({why}): the origin of changes is not shown",
                    self.name
                ));
                Against::Nothing
            }
        }
    }

    /// The `policy` of the target `name`, compared with what it was. Waivers are looked at as of `now`.
    pub(super) fn compared(&self, name: &str, policy: &Policy, now: Timestamp) -> Compared {
        let comparison = match (&self.policies, self.policy_of(name)) {
            (_, Some(before)) => Ok(compare(before, policy, None, now)),
            (policies, None) => {
                let why = policies.as_ref().err().map_or("", String::as_str);
                Err(format!("the baseline is invalid ({why})"))
            }
        };
        Compared { target: Some(name.to_owned()), with: self.name.clone(), comparison, today: None }
    }
}

/// The config file of the baseline in `folder`: it is in the same place, seen from there.
fn in_folder(folder: &Path, global: &Global) -> Global {
    let config = if global.config().is_absolute() { name_of(global.config()) } else { global.config() };
    Global { config: Some(folder.join(config)), ..global.clone() }
}

fn policies_of(
    workspace: Result<Workspace, Failure>,
    targets: &[&TargetDeclaration],
) -> Result<Vec<Policy>, Failure> {
    let workspace = workspace?;
    let declared: Vec<_> = targets
        .iter()
        .map(|target| workspace.config.targets.iter().find(|declared| declared.name == target.name))
        .collect();
    let known: Vec<&TargetDeclaration> = declared.iter().copied().flatten().collect();
    // All at once, so that what is wrong with a layer is shown once.
    let mut policies = workspace.load_policies(&known)?.into_iter();
    Ok(declared.into_iter().map(|known| known.and_then(|_| policies.next()).unwrap_or_default()).collect())
}

fn name_of(path: &Path) -> &Path {
    path.file_name().map_or(path, Path::new)
}
