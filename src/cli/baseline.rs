//! In: a Git revision or a folder. Out: the policies that it has, for planning them on the same
//! inventory. It refuses to change anything in the repository, and to follow links in it.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;

use crate::policy::{FILE_BYTES_AT_MOST, Policy, settings_file::TargetDeclaration};

use super::{
    Failure, Global,
    files::{self, Disk, Source, Unusable, Workspace, folder_of},
    output,
};

/// What a plan is compared with, so that each change can say where it comes from.
#[derive(Debug, Args)]
pub(super) struct BaselineArgs {
    /// Say of each change whether the policy asked for it at this Git revision already
    #[arg(long, value_name = "REV", conflicts_with = "baseline_dir")]
    baseline: Option<String>,
    /// The same, with a checkout of the earlier policy in the place of a revision
    #[arg(long, value_name = "DIR")]
    baseline_dir: Option<PathBuf>,
}

impl BaselineArgs {
    /// The policies of the baseline, one for each of `targets`, in their order; nothing when there is no
    /// baseline. A target that the baseline does not have had no policy.
    ///
    /// # Errors
    ///
    /// When there is no such revision or folder, or its policy is invalid.
    pub(super) fn policies(
        &self,
        targets: &[&TargetDeclaration],
        global: &Global,
    ) -> Result<Option<Vec<Policy>>, Failure> {
        let workspace = match (&self.baseline, &self.baseline_dir) {
            (None, None) => return Ok(None),
            (Some(revision), _) => Revision::find(revision, global)?.workspace(global)?,
            (None, Some(folder)) => {
                let there = Global { directory: global.resolve(folder), ..global.clone() };
                Some(files::load_settings_from(&there, &Disk)?)
            }
        };
        let Some(workspace) = workspace else {
            output::note("note: the baseline has no settings file: everything comes from the policy");
            return Ok(Some(targets.iter().map(|_| Policy::default()).collect()));
        };
        targets.iter().map(|target| policy_of(&workspace, target)).collect::<Result<_, _>>().map(Some)
    }
}

fn policy_of(workspace: &Workspace, target: &TargetDeclaration) -> Result<Policy, Failure> {
    let same = workspace.settings.targets.iter().find(|declared| declared.name == target.name);
    let policies = same.map(|same| workspace.load_policies(&[same])).transpose()?;
    Ok(policies.and_then(|mut policies| policies.pop()).unwrap_or_default())
}

/// The files as they are in a commit.
struct Revision {
    folder: PathBuf,
    commit: String,
}

impl Revision {
    /// The commit that `name` means in the repository of the settings file.
    fn find(name: &str, global: &Global) -> Result<Self, Failure> {
        let folder = folder_of(&global.directory.join(&global.config));
        let name = format!("{name}^{{commit}}");
        let found = git(&folder, &["rev-parse", "--verify", "--end-of-options", &name])?;
        let commit = String::from_utf8_lossy(&found).trim().to_owned();
        Ok(Self { folder, commit })
    }

    /// Its settings file and layers; nothing when it has no settings file.
    fn workspace(&self, global: &Global) -> Result<Option<Workspace>, Failure> {
        let name = global.config.file_name().map_or(global.config.as_path(), Path::new);
        if self.entry(&name.display().to_string())?.is_none() {
            return Ok(None);
        }
        files::load_settings_from(global, self).map(Some)
    }

    /// Mode and object of the file at `path` below the folder.
    fn entry(&self, path: &str) -> Result<Option<(String, String)>, GitError> {
        let listed = git(&self.folder, &["ls-tree", "-z", &self.commit, "--", path])?;
        let listed = String::from_utf8_lossy(&listed);
        let mut words = listed.split([' ', '\t']);
        Ok(words.next().zip(words.nth(1)).map(|(mode, object)| (mode.to_owned(), object.to_owned())))
    }

    fn blob(&self, path: &str) -> Result<Vec<u8>, Unusable> {
        let unreadable = |error: GitError| Unusable::Unreadable(io::Error::other(error));
        match self.entry(path).map_err(unreadable)? {
            Some((mode, object)) if mode.starts_with("100") => {
                let mut bytes = git(&self.folder, &["cat-file", "blob", &object]).map_err(unreadable)?;
                bytes.truncate(FILE_BYTES_AT_MOST.saturating_add(1));
                Ok(bytes)
            }
            Some(_) => Err(Unusable::NoRegularFile),
            None => Err(Unusable::Unreadable(io::ErrorKind::NotFound.into())),
        }
    }
}

impl Source for Revision {
    fn settings(&self, path: &Path) -> Result<Vec<u8>, Unusable> {
        self.blob(&path.file_name().map_or(path, Path::new).display().to_string())
    }

    fn layer(&self, _folder: &Path, layer: &str) -> Result<Vec<u8>, Unusable> {
        self.blob(layer)
    }
}

/// Git could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
enum GitError {
    #[error("`git` cannot be run")]
    Run(#[source] io::Error),
    #[error("`git {command}` failed: {words}")]
    Failed { command: String, words: String },
}

/// What Git answers in `folder`, with the objects of the repository alone.
fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(GitError::Run)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(GitError::Failed { command: arguments.first().copied().unwrap_or_default().to_owned(), words })
}
