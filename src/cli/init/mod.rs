//! `init`: a policy repository to start from, with the files of a CI system. A file that says something else is
//! not touched unless that is asked for.

use std::{
    collections::{BTreeSet, HashSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum as _};
use similar::TextDiff;

use super::{CommandResult, Global, atomic, base_url::base_url, output};
use crate::{
    config,
    run::{Ending, Failure, reading::read_regular},
    yaml::masking,
};
use ci::CiSystem;
use repository::{CONFIG, Kind, Named};
use template::{Found, Template};

mod ask;
mod ci;
mod repository;
mod template;

/// Write a policy repository that can be tried out at once, and the files that run it in CI
///
/// The one target in it is a server inside the program, with a few users and tokens to try things on. With
/// `--target gateway`, `--target bitbucket` or `--target resolution`, and `--url`, it is that server, under the name
/// `prod`, with a policy that only reports on the tokens there are. At a terminal it asks for them.
/// Existing files with other content are never touched: if there are any, nothing is written.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The folder to write to, created if missing [default: the current one]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The base address of the server, such as `https://bitbucket.example.com`
    #[arg(long, value_name = "URL", value_parser = base_url)]
    url: Option<String>,
    /// The user that runs authenticate as, for Bitbucket and the app
    #[arg(long, value_name = "NAME", default_value = "warden")]
    user: String,
    /// Also write the files for this CI system
    #[arg(long, value_enum, value_name = "SYSTEM")]
    ci: Option<CiSystem>,
    /// Show how existing files differ from what this version writes; write nothing
    #[arg(long, conflicts_with = "update")]
    diff: bool,
    /// Bring existing CI files up to this version; what else exists stays as it is
    #[arg(long, requires = "ci")]
    update: bool,
}

/// Files of the repository are there and say something else.
#[derive(Debug, thiserror::Error)]
#[error(
    "nothing was written: these files exist with other content: {}; `--diff` shows how they differ, `--update` rewrites \
     the files of CI alone", .paths.join(", ")
)]
struct InTheWay {
    paths: Vec<String>,
}

/// What names the server does not fit together.
#[derive(Debug, thiserror::Error)]
enum BadServer {
    #[error("`init` takes one `--target`: gateway, bitbucket or resolution, not `{0}`")]
    Kind(String),
    #[error("`--target` and `--url` go together: add {0}; in a terminal, `init` would ask for it")]
    Half(&'static str),
    #[error(transparent)]
    NoAnswer(#[from] ask::NoAnswer),
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
        let named =
            self.named(&global.target, &folder).map_err(|error| Failure::new(Ending::Usage, error))?;
        let repository = named.as_ref().map_or_else(repository::trial, Named::repository);
        let variables = variables(&folder, &repository);
        let ci = self.ci.map(|system| system.templates(&variables)).unwrap_or_default();
        if self.diff {
            // What people write themselves differs by its nature; without a CI system it is all that there is.
            let shown = if ci.is_empty() { &repository } else { &ci };
            return show_differences(&folder, shown);
        }
        if self.update && read_regular(&folder.join(CONFIG)).is_ok() {
            return update(&folder, &ci);
        }
        write(&folder, repository.iter().chain(&ci))?;
        output::write_text(&self.next(&folder, named.as_ref()))?;
        Ok(Ending::Done)
    }

    /// The server that flags or answers to questions name, if any.
    fn named(&self, targets: &[String], folder: &Path) -> Result<Option<Named>, BadServer> {
        let kind = match targets {
            [] => None,
            [kind] => Some(Kind::from_str(kind, false).map_err(|_| BadServer::Kind(kind.clone()))?),
            several => return Err(BadServer::Kind(several.join("`, `"))),
        };
        // Where a config file is, it says which servers there are.
        let is_open = !self.diff && !folder.join(CONFIG).exists();
        let server = match (kind, self.url.clone()) {
            (Some(kind), Some(url)) => Some((kind, url)),
            (kind, url) if is_open && ask::is_possible() => {
                ask::server(kind, url, io::stdin().lock(), output::prompt)?
            }
            (None, None) => None,
            (Some(_), None) => return Err(BadServer::Half("`--url`, where the server is")),
            (None, Some(_)) => return Err(BadServer::Half("`--target`, which kind of server it is")),
        };
        Ok(server.map(|(kind, url)| Named { kind, url, user: self.user.clone() }))
    }

    /// What to do next.
    fn next(&self, folder: &Path, named: Option<&Named>) -> String {
        let shown = folder.strip_prefix(".").unwrap_or(folder).display().to_string();
        let from_here = if shown.is_empty() { String::new() } else { format!("-C {shown} ") };
        let ci = match self.ci {
            Some(_) => "The first lines of the CI files say which credentials and settings they need.\n",
            None => "",
        };
        let (first, then) = match named {
            None => (
                format!("Try it: `tokenwarden {from_here}plan`, then `tokenwarden {from_here}apply`."),
                "Then name a real server in `tokenwarden.yaml`; it says how.",
            ),
            Some(Named { kind, .. }) => (
                format!(
                    "Set the variables that `tokenwarden.yaml` names, then: `tokenwarden {from_here}doctor`, \
                     `tokenwarden {from_here}plan`."
                ),
                match kind {
                    Kind::Gateway => {
                        "Tokens are only reported until `tokens.enforcement` says more; new ones keep to the limits \
                         from the first `apply` on."
                    }
                    Kind::Bitbucket | Kind::Resolution => {
                        "The policy reports and changes nothing until `tokens.enforcement` says more."
                    }
                },
            ),
        };
        let editors = format!(
            "`tokenwarden schema --write {}` lets editors complete and check the files.",
            folder.strip_prefix(".").unwrap_or(folder).join("schema").display()
        );
        format!("\n{first}\n{then}\n{editors}\n{ci}")
    }
}

/// The variables that the config file in `folder` names, or else the one that would be written.
fn variables(folder: &Path, repository: &[Template]) -> BTreeSet<String> {
    let written = || Some(repository.iter().find(|file| file.path == CONFIG)?.text.as_bytes().to_vec());
    let config = read_regular(&folder.join(CONFIG)).ok().or_else(written).unwrap_or_default();
    config::read(&Arc::from(CONFIG), &config).config.as_ref().map(ci::variables).unwrap_or_default()
}

/// Writes what is missing, unless something else is in the way of any.
fn write<'a>(folder: &Path, templates: impl Iterator<Item = &'a Template>) -> Result<(), Failure> {
    let (mut missing, mut paths) = (Vec::new(), Vec::new());
    for template in templates {
        match template.found(folder) {
            Found::Nothing => missing.push(template),
            Found::TheSame => {}
            Found::Other(_) | Found::Unreadable => paths.push(format!("`{}`", template.path)),
        }
    }
    if !paths.is_empty() {
        return Err(Failure::new(Ending::Refused, InTheWay { paths }));
    }
    for template in missing {
        template.write(folder)?;
        output::write(&format!("wrote {}\n", template.path))?;
    }
    Ok(())
}

/// Rewrites the files that differ, and writes those that are missing.
fn update(folder: &Path, templates: &[Template]) -> CommandResult {
    let unreadable = templates.iter().filter(|template| matches!(template.found(folder), Found::Unreadable));
    let paths: Vec<_> = unreadable.map(|template| format!("`{}`", template.path)).collect();
    if !paths.is_empty() {
        return Err(Failure::new(Ending::Refused, InTheWay { paths }));
    }
    for template in templates {
        match template.found(folder) {
            Found::TheSame | Found::Unreadable => continue,
            Found::Nothing => template.write(folder)?,
            Found::Other(_) => atomic::write(&folder.join(template.path), &template.text)?,
        }
        output::write(&format!("wrote {}\n", template.path))?;
    }
    Ok(Ending::Done)
}

/// `there`, which is in the place of `template`, as it can be shown: of a line of its own only what is known to hold no
/// secret, in files in which there may be one.
fn shown(template: &Template, there: &str) -> String {
    let masked = match template.path {
        CONFIG => {
            let sources = config::read(&Arc::from(CONFIG), there.as_bytes()).sources;
            sources.into_values().next().map(|text| text.as_ref().to_owned())
        }
        repository::DIRECTORY => None,
        _ => return there.to_owned(),
    };
    let masked = masked.unwrap_or_else(|| masking::keys_of(there));
    let known: HashSet<&str> = template.text.lines().collect();
    let mut masked = masked.split_inclusive('\n');
    there
        .split_inclusive('\n')
        .map(|line| {
            let masked = masked.next().unwrap_or_default();
            if known.contains(line.trim_end()) { line } else { masked }
        })
        .collect()
}

/// Shows how the files that are there differ from `templates`.
fn show_differences(folder: &Path, templates: &[Template]) -> CommandResult {
    let mut differences = 0;
    for template in templates {
        let there = match template.found(folder) {
            Found::TheSame => continue,
            Found::Nothing => String::new(),
            Found::Other(text) => shown(template, &text),
            Found::Unreadable => {
                differences += 1;
                output::write(&format!("{} is no file that can be read\n", template.path))?;
                continue;
            }
        };
        differences += 1;
        let difference = TextDiff::from_lines(there.as_str(), template.text.as_ref());
        let (here, new) = (format!("a/{}", template.path), format!("b/{}", template.path));
        output::write(&difference.unified_diff().header(&here, &new).to_string())?;
    }
    if differences == 0 {
        output::write("Nothing differs.\n")?;
    }
    Ok(Ending::Done)
}
