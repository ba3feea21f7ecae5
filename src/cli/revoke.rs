//! The command `revoke`: tokens have to go at once. It is the same run as that of `apply`: the plan, a
//! question, the result of each change, and a new look. It asks no policy, and needs none that is valid.

use std::time::Instant;

use clap::Args;
use tracing::Level;

use crate::{
    model::{Owner, TokenId},
    plan::{Incident, Purpose, Selection},
    report::{Extent, View},
    run::{Ending, Failure, plan::Manner, session, stop::Hangup},
};

use super::{CommandResult, Global, apply::RunArgs, files, log, output, run_files::RunFiles, runtime};

/// Revoke tokens after an incident, regardless of the policy and its waivers: show them, ask, and read back
#[derive(Debug, Args)]
pub(super) struct RevokeCommand {
    /// Revoke every token of this owner, as plans show owners: `mary`, `project PLAT`, `repository PLAT/app`;
    /// `user NAME` is always the user
    #[arg(long, value_name = "OWNER", required_unless_present = "token")]
    owner: Option<Owner>,
    /// This token; may be repeated
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = token, conflicts_with = "owner")]
    token: Vec<TokenId>,
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
        self.run.reports.files(RunFiles::of_config(global))
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
        let tokens = match &self.owner {
            Some(owner) => Selection::Owner(owner.clone()),
            None if chosen.len() > 1 => {
                let message = "identifiers belong to one server: name it with `--target`";
                return Err(Failure::new(Ending::Usage, message));
            }
            None => Selection::Tokens(self.token.iter().cloned().collect()),
        };
        let view = View { extent: Extent::All, ..View::brief(output::paint(global), output::layout()) };
        let purpose = Purpose::Revoke(Incident { tokens, reason: self.reason.clone() });
        self.run.carry_out(&workspace, &chosen, Manner::of(purpose), &view, global, started).await
    }
}
