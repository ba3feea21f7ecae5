//! `init`: a policy repository to start from, with the files of a CI system. A file that says something else is
//! never touched.
//!
//! The files lie beside this one as they will lie in the repository.

use std::{
    borrow::Cow,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::{CommandResult, Global, atomic::CannotWrite, output, schema::Document};
use crate::run::{Ending, Failure, reading::read_regular};

/// Write a policy repository that can be tried out at once, and the files that run it in CI
///
/// The one target in it is a server inside the program, with a few users and tokens to try things on.
/// Existing files with other content are never touched: if there are any, nothing is written.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The folder to write to, created if missing [default: the current one]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Also write the files for this CI system
    #[arg(long, value_enum, value_name = "SYSTEM")]
    ci: Option<CiSystem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CiSystem {
    /// Jenkins, for a repository on Bitbucket Data Center
    Jenkins,
    /// Bamboo, for a repository on Bitbucket Data Center
    Bamboo,
    /// GitHub Actions
    Github,
    /// GitLab CI/CD
    Gitlab,
}

/// A file by its path in the repository.
struct Template {
    path: &'static str,
    text: Cow<'static, str>,
}

macro_rules! template {
    ($folder:literal, $path:literal) => {
        Template { path: $path, text: Cow::Borrowed(include_str!(concat!($folder, "/", $path))) }
    };
}

const IGNORED: &str = ".gitignore";

impl CiSystem {
    fn templates(self) -> Vec<Template> {
        match self {
            Self::Jenkins => vec![
                template!("jenkins", "ci/pull-request.Jenkinsfile"),
                template!("jenkins", "ci/comment.Jenkinsfile"),
                template!("jenkins", "ci/main.Jenkinsfile"),
            ],
            Self::Bamboo => vec![template!("bamboo", "bamboo-specs/bamboo.yaml")],
            Self::Github => vec![
                template!("github", ".github/workflows/tokenwarden-pull-request.yml"),
                template!("github", ".github/workflows/tokenwarden-main.yml"),
            ],
            Self::Gitlab => vec![template!("gitlab", ".gitlab-ci.yml")],
        }
    }
}

/// The files that every policy repository has.
fn repository() -> Result<Vec<Template>, Failure> {
    let schema =
        |path, document: Document| Ok::<_, Failure>(Template { path, text: document.text()?.into() });
    Ok(vec![
        template!("repository", ".gitignore"),
        template!("repository", "tokenwarden.yaml"),
        template!("repository", "policy/base.yaml"),
        template!("repository", "tests/base.yaml"),
        template!("repository", "trial/directory.yaml"),
        template!("repository", "trial/tokens.yaml"),
        schema("schema/policy.schema.json", Document::Policy)?,
        schema("schema/settings.schema.json", Document::Settings)?,
        schema("schema/tests.schema.json", Document::Tests)?,
    ])
}

/// Files of the repository are there and say something else.
#[derive(Debug, thiserror::Error)]
#[error(
    "nothing was written: these files exist with other content: {}; move them away, or name an empty folder", .paths.join(", ")
)]
struct InTheWay {
    paths: Vec<String>,
}

impl Init {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When a file is there already and says something else, and when one cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let folder =
            self.folder.as_ref().map_or_else(|| global.directory.clone(), |folder| global.resolve(folder));
        let mut templates = repository()?;
        templates.extend(self.ci.map(CiSystem::templates).unwrap_or_default());

        let mut missing = Vec::new();
        let mut paths = Vec::new();
        for template in &templates {
            match Found::at(&folder, template) {
                Found::Nothing => missing.push(template),
                Found::TheSame => {}
                Found::SomethingElse => paths.push(format!("`{}`", template.path)),
            }
        }
        if !paths.is_empty() {
            return Err(Failure::new(Ending::Refused, InTheWay { paths }));
        }
        for template in missing {
            write(&folder, template)?;
            output::write(&format!("wrote {}\n", template.path))?;
        }
        output::write(&self.next(&folder))?;
        Ok(Ending::Done)
    }

    /// What to do next.
    fn next(&self, folder: &Path) -> String {
        let shown = folder.strip_prefix(".").unwrap_or(folder).display().to_string();
        let from_here = if shown.is_empty() { String::new() } else { format!("-C {shown} ") };
        let ci = match self.ci {
            Some(_) => "The first lines of the CI files say which credentials and settings they need.\n",
            None => "",
        };
        format!(
            "\nTry it: `tokenwarden {from_here}plan`, then `tokenwarden {from_here}apply`.\n\
             Then name a real server in `tokenwarden.yaml`; it says how.\n{ci}"
        )
    }
}

/// What is there where a file would be written.
enum Found {
    Nothing,
    TheSame,
    SomethingElse,
}

impl Found {
    fn at(folder: &Path, template: &Template) -> Self {
        let path = folder.join(template.path);
        let there = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::Nothing,
            // What cannot be looked at cannot be written either.
            Err(_) => return Self::SomethingElse,
            Ok(_) => read_regular(&path).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        };
        let Some(there) = there else { return Self::SomethingElse };
        // A repository has one already more often than not, and it may ignore more.
        let holds_all = || template.text.lines().all(|line| there.lines().any(|other| other == line));
        if there == template.text || (template.path == IGNORED && holds_all()) {
            Self::TheSame
        } else {
            Self::SomethingElse
        }
    }
}

fn write(folder: &Path, template: &Template) -> Result<(), CannotWrite> {
    let path = folder.join(template.path);
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        // INVARIANT: a file that appeared since it was looked for is not overwritten.
        OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(template.text.as_bytes())
    });
    written.map_err(|source| CannotWrite { path, source })
}
