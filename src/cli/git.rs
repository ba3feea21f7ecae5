//! Git, asked about the repository that a folder lies in: it reads objects and runs nothing else.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
};

use crate::world::environment;

/// The variables of Git that are kept: they say where it is installed, what its configuration of the user and
/// of the machine is, and how far up it looks for a repository.
const KEPT: [&str; 6] = [
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
];

/// Git could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    /// There is no Git, for one.
    #[error("`git` cannot be run")]
    Run(#[source] io::Error),
    /// It said why.
    #[error("`git {command}` failed: {words}")]
    Failed {
        /// The first argument.
        command: String,
        /// What it wrote to standard error, on one line.
        words: String,
    },
}

/// What Git writes to standard output when it is asked in `folder`.
///
/// Only the folder decides which repository that is. A hook of Git sets variables that name another one, or
/// another index and configuration; those are not passed on, but for `safe.directory`. Neither does it run a program that the
/// configuration of the repository names, nor fetch an object that a partial clone does not have.
///
/// # Errors
///
/// When Git cannot be run or ends with an error.
pub(super) fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
    let mut command = Command::new("git");
    for name in environment::names() {
        if name.to_str().is_some_and(|name| name.starts_with("GIT_") && !KEPT.contains(&name)) {
            command.env_remove(name);
        }
    }
    for trusted in safe_directories(environment::variable) {
        command.arg("-c").arg(format!("safe.directory={trusted}"));
    }
    let output = command
        .args(["--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C"])
        .arg(folder)
        .args(arguments)
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(GitError::Run)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let words = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    Err(GitError::Failed { command: arguments.first().copied().unwrap_or_default().to_owned(), words })
}

/// The folders that the environment says are to be trusted although they belong to another user, as CI systems
/// do: the one thing that is kept of the configuration in it.
fn safe_directories(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let entry = |number: u32| {
        let key = variable(&format!("GIT_CONFIG_KEY_{number}"))?;
        Some((key, variable(&format!("GIT_CONFIG_VALUE_{number}"))?))
    };
    let safe = (0..).map_while(entry).filter(|(key, _)| key.eq_ignore_ascii_case("safe.directory"));
    safe.map(|(_, folder)| folder).collect()
}

/// What [`git`] answers, as text without the end of the line.
///
/// # Errors
///
/// As for [`git`].
pub(super) fn line(folder: &Path, arguments: &[&str]) -> Result<String, GitError> {
    let mut text = String::from_utf8_lossy(&git(folder, arguments)?).into_owned();
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// The paths of files from the root of the repository that `folder` lies in, for files that are named from the
/// folder `from`. Without a repository, and for a file outside it, the name stays as it is. It asks no Git,
/// which refuses to tell in a work tree of another user, such as that of a container.
pub(super) fn paths_in_repository(folder: &Path, from: &Path) -> impl Fn(&str) -> String + use<> {
    let root = fs::canonicalize(folder).ok().and_then(|folder| {
        folder.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_path_buf)
    });
    let from = fs::canonicalize(from).ok();
    move |named| {
        let named = Path::new(named);
        let inside = root.as_ref().zip(from.as_ref()).and_then(|(root, from)| {
            let path = plain(&from.join(named));
            path.strip_prefix(root).ok().map(Path::to_path_buf)
        });
        inside.unwrap_or_else(|| plain(named)).display().to_string()
    }
}

/// `path` without `.`, and without `..` where something is before it.
pub(super) fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            other => plain.push(other),
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_configuration_in_the_environment_only_trusted_folders_are_kept() {
        let variable = |name: &str| {
            let value = match name {
                "GIT_CONFIG_KEY_0" => "core.pager",
                "GIT_CONFIG_KEY_1" => "Safe.Directory",
                "GIT_CONFIG_VALUE_1" => "/builds",
                "GIT_CONFIG_VALUE_0" | "GIT_CONFIG_KEY_3" | "GIT_CONFIG_VALUE_3" => "x",
                _ => return None,
            };
            Some(value.to_owned())
        };
        assert_eq!(safe_directories(variable), ["/builds"]);
        assert_eq!(safe_directories(|_| None), Vec::<String>::new());
    }

    #[test]
    fn a_path_loses_what_leads_nowhere_and_keeps_what_leads_out() {
        for (written, expected) in
            [("./a/./b", "a/b"), ("a/../b", "b"), ("../a/../b", "../b"), ("/a/../b", "/b")]
        {
            assert_eq!(plain(Path::new(written)), Path::new(expected), "{written}");
        }
    }
}
