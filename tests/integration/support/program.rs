//! The real program on a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

pub(crate) use crate::support::world::NOW;
use crate::support::world::block_on;

/// The program.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenwarden"));
    command.stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(variable);
    }
    command
}

/// A copy of the quickstart in a folder that goes away with the value.
pub(crate) struct Quickstart {
    pub(crate) folder: TempDir,
}

impl Quickstart {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
        copy(&source, folder.path());
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path(".tokenwarden/quickstart.db")
    }

    /// The program, told to work in this folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.arg("-C").arg(self.folder.path()).args(arguments);
        command
    }

    /// What a run said and how it ended.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// One in a Git repository, whose first commit, on `main`, has all but what is `ignored` (lines of `.gitignore`).
    pub(crate) fn in_git(ignored: &str) -> Self {
        let quickstart = Self::new();
        fs::write(quickstart.path(".gitignore"), ignored).unwrap();
        quickstart.git(&["init", "--quiet", "--initial-branch", "main"]);
        quickstart.commit("the policy");
        quickstart
    }

    /// Runs Git in this folder.
    pub(crate) fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.folder.path()).stdout(Stdio::null());
        command.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Commits everything in this folder.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    /// Puts `text` in the place of `old` in the file `name`.
    pub(crate) fn edit(&self, name: &str, old: &str, text: &str) {
        let path = self.path(name);
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(old), "{name} has {old}");
        fs::write(path, before.replacen(old, text, 1)).unwrap();
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == ".tokenwarden" {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What a run said and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Self {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}

/// Everything in a store but the secrets' hashes, as text.
pub(crate) fn dump(store: &Path) -> Vec<String> {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(store);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let mut lines = Vec::new();
        let settings =
            sqlx::query("SELECT document, revision FROM settings").fetch_all(&mut connection).await;
        for row in settings.unwrap() {
            lines.push(format!(
                "settings {} {}",
                row.get::<i64, _>("revision"),
                row.get::<String, _>("document")
            ));
        }
        let tokens = sqlx::query(
            "SELECT id, owner || '|' || description || '|' || coalesce(scope, 'unset') || '|' || created || '|' \
             || coalesce(created_by, '') || '|' || coalesce(last_used, 'never') || '|' \
             || coalesce(last_used_from, '') || '|' || coalesce(expires, 'never') AS line FROM tokens ORDER BY id",
        );
        for row in tokens.fetch_all(&mut connection).await.unwrap() {
            lines.push(format!("token {} {}", row.get::<i64, _>("id"), row.get::<String, _>("line")));
        }
        lines
    })
}
