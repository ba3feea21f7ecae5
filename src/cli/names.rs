//! Names that a shell completes: of rails and built-in rules, and what the config file, its policy layers and the journal
//! tell of. Nothing is asked over a network, and what cannot be read has no names.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Arg, Command, CommandFactory};
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate};

use crate::{
    model::{RuleCode, rails::RailClass, run::RecordedRun},
    policy::{Policy, WaiverSubject},
    run::{
        Base, Ending, Failure, Listener, Progress, Workspace, reading::Disk, records::sought, workspace::load,
    },
    yaml::{Diagnostics, Sources},
};

use super::CommandLine;

/// The variable by which the script of a shell asks.
pub(super) const VARIABLE: &str = "TOKENWARDEN_COMPLETE";
/// How many of the latest runs of each target are completed.
const RUNS: usize = 50;

/// Something that has names.
#[derive(Clone, Copy)]
enum Named {
    Target,
    Rail,
    Rule,
    Owner,
    Token,
    Run,
}

impl Named {
    /// What the value of `argument` names.
    fn of(argument: &Arg) -> Option<Self> {
        Some(match argument.get_id().as_str() {
            "target" => Self::Target,
            "allow" => Self::Rail,
            "rule" => Self::Rule,
            "owner" | "creates_for" => Self::Owner,
            "token" => Self::Token,
            "run" => Self::Run,
            _ => return None,
        })
    }
}

/// Answers the script of a shell, if that is who asks; `None` when it is not.
pub(super) fn answer(arguments: &[OsString]) -> Option<Ending> {
    let place = RunFolder::of(arguments);
    let command = || with_names(CommandLine::command(), &place);
    let completion = CompleteEnv::with_factory(command).var(VARIABLE);
    match completion.try_complete(arguments, Some(Path::new("."))) {
        Ok(true) => Some(Ending::Done),
        Ok(false) => None,
        Err(error) => {
            // Nothing can be said when even this cannot be written.
            let _ = error.print();
            Some(Ending::Usage)
        }
    }
}

/// `command` and all below it, with names for the values of their arguments.
fn with_names(command: Command, place: &RunFolder) -> Command {
    let named = |argument: Arg| match Named::of(&argument) {
        None => argument,
        Some(named) => {
            let place = place.clone();
            argument.add(ArgValueCandidates::new(move || {
                place.names(named).into_iter().map(CompletionCandidate::new).collect()
            }))
        }
    };
    command.mut_args(named).mut_subcommands(|below| with_names(below, place))
}

/// Where the files of a command line are.
#[derive(Clone)]
struct RunFolder {
    directory: PathBuf,
    config: PathBuf,
}

impl RunFolder {
    /// As the options among `words` say, which need be no whole command line.
    fn of(words: &[OsString]) -> Self {
        let after = |option: &str| {
            words.windows(2).rev().find_map(|pair| match pair {
                [name, value] if name == option => Some(PathBuf::from(value)),
                _ => None,
            })
        };
        let joined = || words.iter().rev().find_map(|word| word.to_str()?.strip_prefix("--config="));
        Self {
            directory: after("-C").unwrap_or_else(|| PathBuf::from(".")),
            config: after("--config")
                .or_else(|| joined().map(PathBuf::from))
                .unwrap_or_else(|| PathBuf::from("tokenwarden.yaml")),
        }
    }

    /// The names of all that there are, without those that a shell could take for more than a word.
    fn names(&self, of: Named) -> BTreeSet<String> {
        let all: BTreeSet<String> = match of {
            Named::Rail => RailClass::ALL.iter().map(|rail| format!("{rail}=")).collect(),
            Named::Target => {
                let targets = self.workspace().map(|workspace| workspace.config.targets);
                targets.into_iter().flatten().map(|target| target.name).collect()
            }
            Named::Rule => {
                let own = self.policies().into_iter().flat_map(|policy| policy.rules);
                let built_in = RuleCode::ALL.iter().map(|rule| rule.code().to_owned());
                own.map(|rule| rule.name.to_string()).chain(built_in).collect()
            }
            Named::Owner => self.waived(|subject| match subject {
                WaiverSubject::Owner { owner, .. } => Some(owner.to_string()),
                WaiverSubject::Token(_) => None,
            }),
            Named::Token => {
                let mut tokens = self.waived(|subject| match subject {
                    WaiverSubject::Token(id) => Some(id.to_string()),
                    WaiverSubject::Owner { .. } => None,
                });
                let changes = self.runs().into_iter().flat_map(|run| run.changes);
                tokens.extend(
                    changes.filter_map(|change| Some(change.note.address.strip_prefix("token/")?.to_owned())),
                );
                tokens
            }
            Named::Run => self.runs().into_iter().map(|run| run.head.run.as_str().to_owned()).collect(),
        };
        // INVARIANT: a shell puts a name into its line as it is; one from a file must not become a command there.
        let is_plain = |c: char| c.is_alphanumeric() || "._@-=".contains(c);
        all.into_iter().filter(|name| name.chars().all(is_plain)).collect()
    }

    fn workspace(&self) -> Option<Workspace> {
        let base = Base {
            directory: self.directory.clone(),
            config: self.config.clone(),
            listener: Arc::new(Nobody),
        };
        Workspace::of(load(&base, &Disk), &base).ok()
    }

    /// The policies of the targets, as far as they are valid.
    fn policies(&self) -> Vec<Policy> {
        let Some(workspace) = self.workspace() else { return Vec::new() };
        let policy = |target| workspace.load_policies(&[target]).ok();
        workspace.config.targets.iter().filter_map(policy).flatten().collect()
    }

    /// The subjects of waivers for which `name` has one.
    fn waived(&self, name: impl Fn(&WaiverSubject) -> Option<String>) -> BTreeSet<String> {
        let policies = self.policies();
        let waivers = policies.iter().flat_map(|policy| &policy.waivers.entries);
        waivers.filter_map(|waiver| name(&waiver.subject)).collect()
    }

    /// The latest runs that the journal folder has.
    fn runs(&self) -> Vec<RecordedRun> {
        let Some(workspace) = self.workspace() else { return Vec::new() };
        let Some(journal) = &workspace.journal else { return Vec::new() };
        let latest = |target| journal.latest(&sought(&workspace, target), RUNS).ok();
        workspace.config.targets.iter().filter_map(latest).flatten().collect()
    }
}

/// Hears what is wrong, and says nothing: the person is in the middle of a line.
struct Nobody;

impl Listener for Nobody {
    fn note(&self, _: &str) {}

    fn mistakes(&self, _: &Diagnostics, _: &Sources) {}

    fn failure(&self, _: &Failure, _: &str) {}

    fn reading(&self, _: &str) -> Box<dyn Progress> {
        Box::new(Self)
    }

    fn progress(&self, _: &str, _: usize) -> Box<dyn Progress> {
        Box::new(Self)
    }
}

impl Progress for Nobody {
    fn advance(&self) {}
}
