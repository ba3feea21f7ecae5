//! The command `revoke`: tokens have to go at once. It is the same run as that of `apply`: the plan, a
//! question, the result of each change, and a new look. It asks no policy, and needs none that is valid.

use std::{path::PathBuf, time::Instant};

use clap::{ArgGroup, Args};
use tracing::Level;

use crate::{
    model::{Owner, Pattern, TimeBound, TokenId, network::AddressRange},
    plan::{Criteria, Incident, Purpose, Selection},
    report::{DetailLevel, View},
    run::{Ending, Failure, plan::Manner, session, stop::Hangup},
};

use super::{
    CommandResult, Global,
    apply::RunArgs,
    files,
    leaks::{Content, Leaks},
    log, output,
    run_files::RunFiles,
    runtime,
};

/// The arguments that choose tokens by what they have in common.
const CRITERIA: [&str; 4] = ["owner", "description", "created_after", "last_used_from"];

/// Revoke tokens after an incident, regardless of the policy and its waivers: show them, ask, and read back
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true).args([
    "owner", "description", "created_after", "last_used_from", "token", "secret_file", "leaked",
])))]
pub(super) struct RevokeCommand {
    /// Revoke the tokens of this owner, as plans show owners: `mary`, `project PLAT`, `repository PLAT/app`;
    /// `user NAME` is always the user. May be repeated
    #[arg(long, value_name = "OWNER")]
    owner: Vec<Owner>,
    /// Only tokens whose description matches this regular expression, e.g. `(?i)jenkins`
    #[arg(long, value_name = "REGEX", value_parser = Pattern::new)]
    description: Option<Pattern>,
    /// Only tokens created then or later: a date (2026-11-26, from 00:00 UTC), a timestamp (2026-11-26T12:00:00Z) or a
    /// duration back from now (1d)
    #[arg(long, value_name = "TIME")]
    created_after: Option<TimeBound>,
    /// Only tokens last used from this address, network or range, e.g. `203.0.113.0/24`; may be repeated
    #[arg(long, value_name = "NETWORK")]
    last_used_from: Vec<AddressRange>,
    /// This token; may be repeated
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = token, conflicts_with_all = CRITERIA)]
    token: Vec<TokenId>,
    /// The tokens whose secrets are in this file, one a line; `-` is standard input. May be repeated
    #[arg(long, value_name = "FILE", conflicts_with_all = CRITERIA)]
    secret_file: Vec<PathBuf>,
    /// The tokens whose secrets are in this report of gitleaks (JSON), trufflehog (JSON lines) or another scanner (SARIF), or
    /// anywhere in this text; `-` is standard input. May be repeated
    #[arg(long, value_name = "FILE", conflicts_with_all = CRITERIA)]
    leaked: Vec<PathBuf>,
    /// The reason; it is shown and recorded
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    #[command(flatten)]
    run: RunArgs,
}

fn token(text: &str) -> Result<TokenId, String> {
    let text = text.trim();
    if text.is_empty() { Err("empty identifier".to_owned()) } else { Ok(TokenId::new(text)) }
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        Err("give a reason, so that others understand it later".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

impl RevokeCommand {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        let leaks = self.secret_file.iter().chain(&self.leaked);
        let files = self.run.reports.files(RunFiles::of_config(global));
        leaks.fold(files, |files, path| files.reading("the leaked secrets", path))
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the config file is invalid, a rail refuses, nobody says yes, or standard output cannot be
    /// written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on_to_the_end(Hangup::Stops, self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let started = Instant::now();
        let workspace = files::load_targets(global)?;
        let chosen = workspace.targets(&global.target)?;
        session::refuse_other_clock("revoke", &chosen, global.now)?;
        let incident = self.incident(global)?;
        if incident.tokens.ids().is_some() && chosen.len() > 1 {
            let message = "identifiers belong to one server: name it with `--target`";
            return Err(Failure::new(Ending::Usage, message));
        }
        let view = View { detail: DetailLevel::All, ..View::brief(output::paint(global), output::layout()) };
        let manner = Manner::of(Purpose::Revoke(incident));
        self.run.carry_out(&workspace, &chosen, manner, &view, global, started).await
    }

    /// Which tokens, and why.
    fn incident(&self, global: &Global) -> Result<Incident, Failure> {
        let mut leaks = Leaks::default();
        for path in &self.secret_file {
            leaks.read(path, Content::Secrets, global)?;
        }
        for path in &self.leaked {
            leaks.read(path, Content::Findings, global)?;
        }
        let files = self.secret_file.len() + self.leaked.len();
        if files > 0 && leaks.is_empty() && self.token.is_empty() {
            let message = "no secret of a token was found: they have the form `tw_..` or `BBDC-..`; name tokens with \
                           `--token`";
            return Err(Failure::new(Ending::Error, message));
        }
        if leaks.unrelated > 0 {
            let (findings, s) = (leaks.unrelated, if leaks.unrelated == 1 { " has" } else { "s have" });
            output::note(&format!("note: {findings} finding{s} no secret of a token"));
        }
        let tokens = if files > 0 || !self.token.is_empty() {
            Selection::Tokens(self.token.iter().cloned().chain(leaks.ids).collect())
        } else {
            Selection::Fitting(Criteria {
                owners: self.owner.clone(),
                description: self.description.clone(),
                created_after: self.created_after,
                last_used_from: self.last_used_from.iter().copied().collect(),
            })
        };
        Ok(Incident { tokens, leaks: leaks.others, reason: self.reason.clone() })
    }
}
