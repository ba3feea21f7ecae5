//! The command `tokens`: a list of the tokens of targets, or of a snapshot of one, with what the policy finds on each.
//! It changes nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tracing::Level;

use crate::{
    compliance::TokenState,
    config::TargetDeclaration,
    inventory::InventoryReader,
    model::{Owner, TimeBound, TokenId},
    plan::{self, ListedToken},
    policy::Policy,
    report::tokens::{TargetTokens, csv, json, text},
    run::{
        Ending, Failure,
        offline::{self, OpenedSnapshot},
        session,
        workspace::Workspace,
    },
};

use super::{
    CommandResult, Global, auth_command::AuthCommandFlag, files, log, output, run_files::RunFiles, runtime,
};

/// List tokens with their owners, ends, last uses and what the policy finds on them
#[derive(Debug, Args)]
pub(super) struct TokensCommand {
    /// Only tokens of this owner, such as `mary` or `project PLAT`; may be repeated
    #[arg(long, value_name = "OWNER")]
    owner: Vec<Owner>,
    /// Only tokens with a finding of this rule, such as `lifetime`, also under a waiver; may be repeated
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// Only tokens in this state; may be repeated
    #[arg(long, value_enum, value_name = "STATE")]
    state: Vec<State>,
    /// Only tokens that were never used
    #[arg(long)]
    never_used: bool,
    /// Only tokens that end before this time, by expiry or mark, or ended already: a date (2026-11-26, from 00:00 UTC), a
    /// timestamp (2026-11-26T12:00:00Z) or a duration from now (30d)
    #[arg(long, value_name = "TIME")]
    ends_before: Option<TimeBound>,
    /// List the tokens of a snapshot of `inventory`, without network and credentials, for the time of the snapshot
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Form of the list on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    format: Form,
    #[command(flatten)]
    auth_command: AuthCommandFlag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    /// Works, and ends by itself
    Ending,
    /// Works, and never ends
    Endless,
    /// Expired, and still listed
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table for people
    Text,
    /// One JSON document, described by the schema `tokens`
    Json,
    /// Comma-separated values with a head, for spreadsheets
    Csv,
}

impl State {
    fn is(self, state: TokenState) -> bool {
        state
            == match self {
                Self::Ending => TokenState::Ending,
                Self::Endless => TokenState::Endless,
                Self::Expired => TokenState::Expired,
            }
    }
}

impl TokensCommand {
    /// What it reads.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        let files = RunFiles::of_config(global);
        self.inventory.iter().fold(files, |files, path| files.reading("the inventory", path))
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the policy is invalid or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let workspace = files::load_workspace(global)?;
        if let Some(file) = &self.inventory {
            let (target, tokens, is_whole) = self.in_snapshot(&workspace, file, global).await?;
            self.show(&[TargetTokens { target, tokens: Ok(tokens) }], global)?;
            return Ok(if is_whole { Ending::Done } else { Ending::Error });
        }
        let chosen = workspace.targets(&global.target)?;
        let policies = workspace.load_policies(&chosen)?;
        session::refuse_other_clock("tokens", &chosen, global.now)?;
        let (mut targets, mut ending) = (Vec::new(), Ending::Done);
        for (declaration, policy) in chosen.into_iter().zip(&policies) {
            let tokens = match self.tokens(&workspace, declaration, policy, global).await {
                Ok((tokens, is_whole)) => {
                    ending = if is_whole { ending } else { ending.min(Ending::Error) };
                    Ok(tokens)
                }
                Err(failure) => {
                    output::failure(&failure, Some(&declaration.name));
                    ending = ending.min(failure.ending);
                    Err(failure.error.to_string())
                }
            };
            targets.push(TargetTokens { target: &declaration.name, tokens });
        }
        self.show(&targets, global)?;
        Ok(ending)
    }

    fn show(&self, targets: &[TargetTokens<'_>], global: &Global) -> Result<(), Failure> {
        match self.format {
            Form::Text => output::write_text(&text(targets, output::paint(global)))?,
            Form::Json => output::write(&json(targets)?)?,
            Form::Csv => output::write(&csv(targets))?,
        }
        Ok(())
    }

    /// The target whose snapshot `file` is, its tokens that are asked for, and whether all of them were seen.
    async fn in_snapshot<'a>(
        &self,
        workspace: &'a Workspace,
        file: &Path,
        global: &Global,
    ) -> Result<(&'a str, Vec<ListedToken>, bool), Failure> {
        let OpenedSnapshot { declaration, snapshot, .. } =
            offline::open(workspace, &global.base(), file, &global.target)?;
        let policy = workspace.load_policies(&[declaration])?.pop().unwrap_or_default();
        let now = global.now.unwrap_or(snapshot.seen_at());
        let (tokens, is_whole) =
            self.listed(&declaration.name, &policy, &BTreeMap::new(), now, &snapshot).await?;
        Ok((&declaration.name, tokens, is_whole))
    }

    /// The tokens of a target that are asked for, and whether all of them were seen.
    async fn tokens(
        &self,
        workspace: &Workspace,
        declaration: &TargetDeclaration,
        policy: &Policy,
        global: &Global,
    ) -> Result<(Vec<ListedToken>, bool), Failure> {
        let session = session::connect(workspace, declaration, self.auth_command.said(), global.now).await?;
        session.say_clock();
        let now = session.now();
        let listed = match session.records.history(&session.target, now).await {
            Ok(history) => {
                self.listed(&declaration.name, policy, &history.deadlines, now, &session.target).await
            }
            Err(failure) => Err(failure),
        };
        session.close().await;
        listed
    }

    async fn listed(
        &self,
        target: &str,
        policy: &Policy,
        deadlines: &BTreeMap<TokenId, Timestamp>,
        now: Timestamp,
        reader: &impl InventoryReader,
    ) -> Result<(Vec<ListedToken>, bool), Failure> {
        let listing = plan::list(policy, deadlines, now, reader).await?;
        let unseen: Vec<_> = listing.coverage.unseen().collect();
        for missing in &unseen {
            output::note(&format!("{target}: not seen: {missing}"));
        }
        let is_whole = unseen.is_empty();
        Ok((listing.tokens.into_iter().filter(|listed| self.shows(listed, now)).collect(), is_whole))
    }

    fn shows(&self, listed: &ListedToken, now: Timestamp) -> bool {
        let ListedToken { token, state, findings } = listed;
        let is_of = |owner: &Owner| owner.folded() == token.owner.folded();
        let breaks = |rule: &String| findings.iter().any(|finding| finding.rule.code() == rule);
        (self.owner.is_empty() || self.owner.iter().any(is_of))
            && (self.rule.is_empty() || self.rule.iter().any(breaks))
            && (self.state.is_empty() || self.state.iter().any(|wanted| wanted.is(*state)))
            && (!self.never_used || token.last_used.is_none())
            && self.ends_before.is_none_or(|bound| token.ends().is_some_and(|ends| ends < bound.ahead(now)))
    }
}
