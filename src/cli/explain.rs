//! `explain`: every rule that is tried on a token, or the decision on a request that nobody sent. It changes
//! nothing.

use std::{error::Error, net::IpAddr};

use clap::{ArgGroup, Args};
use futures_util::{StreamExt, stream};
use tracing::Level;

use crate::{
    config::{Connection, TargetDeclaration},
    inventory::Dated,
    model::{GroupName, Owner, Question, Scope, TokenId, Why, network},
    plan::{Forecast, History, Outlook, Plan},
    policy::Policy,
    report::{
        Paint,
        explain::{forecast, token},
        explain_json::{DecisionDocument, ExplanationDocument},
    },
    run::{
        Ending, Failure,
        plan::{AT_ONCE, terms},
        session::connect,
        workspace::Workspace,
    },
};

use super::{
    CommandResult, Global,
    auth_command::AuthCommandFlag,
    files, log,
    output::{self, Form},
    runtime,
};

/// Show every rule that is tried on a token, or what a server would answer to a request
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("subject").args(["token", "owner"]).required(true)))]
pub(super) struct Explain {
    /// The token, by its identifier
    #[arg(value_name = "TOKEN")]
    token: Option<String>,
    /// Who would send a request: `mary`, `project PLAT` or `repository PLAT/app`; `user NAME` is always the user
    #[arg(long, value_name = "OWNER", requires = "from")]
    owner: Option<Owner>,
    /// Its HTTP method
    #[arg(long, value_name = "METHOD", default_value = "GET", requires = "owner")]
    method: String,
    /// Its path
    #[arg(long, value_name = "PATH", default_value = "/", requires = "owner")]
    path: String,
    /// The address that it would come from: the other end of the connection
    #[arg(long, value_name = "ADDRESS", requires = "owner", value_parser = network::address)]
    from: Option<IpAddr>,
    /// One of its header lines, such as `X-Forwarded-For: 192.0.2.7`; may be repeated
    #[arg(long, value_name = "LINE", requires = "owner", value_parser = header_line)]
    header: Vec<(String, String)>,
    /// How far the token that is sent along reaches
    #[arg(long, value_name = "SCOPE", default_value = "read-write", requires = "owner")]
    scope: Scope,
    /// Send a password instead of a token
    #[arg(long, requires = "owner", conflicts_with = "scope")]
    password: bool,
    /// Let the request create a token of this scope
    #[arg(long, value_name = "SCOPE", requires = "owner")]
    creates: Option<Scope>,
    /// Let it create that token for somebody else
    #[arg(long = "for", value_name = "OWNER", requires = "creates")]
    creates_for: Option<Owner>,
    /// Take the owner to be in this group, and in none that the directory says, known there or not; may be repeated
    #[arg(long, value_name = "GROUP", requires = "owner")]
    group: Vec<String>,
    /// Take the owner to be in no group, known to the directory or not
    #[arg(long, requires = "owner", conflicts_with = "group")]
    no_group: bool,
    /// Form of the explanation on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    format: Form,
    #[command(flatten)]
    auth_command: AuthCommandFlag,
}

fn header_line(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or("write it as `Name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// What every target says, with its name; or why it says nothing.
type Answers<T> = Vec<(String, Result<T, Failure>)>;

/// Targets that say nothing, each with the reason.
type Errors = Vec<(String, String)>;

impl Explain {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the policy is invalid, there is no such token or user, or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let workspace = files::load_workspace(global)?;
        let chosen = workspace.targets(&global.target)?;
        let policies = workspace.load_policies(&chosen)?;
        let targets: Vec<_> = chosen.into_iter().zip(&policies).collect();
        match (&self.token, self.question()) {
            (Some(id), _) => {
                self.explain_token(&TokenId::new(id.as_str()), &workspace, &targets, global).await
            }
            (None, Some(question)) => self.explain_request(&question, &workspace, &targets, global).await,
            // The command line has one of them.
            (None, None) => Ok(Ending::Usage),
        }
    }

    fn question(&self) -> Option<Question> {
        Some(Question {
            sender: self.owner.clone()?,
            token: (!self.password).then_some(self.scope),
            method: self.method.to_uppercase(),
            path: self.path.clone(),
            from: self.from?,
            headers: self.header.clone(),
            creates: self.creates,
            creates_for: self.creates_for.clone(),
            groups: (self.no_group || !self.group.is_empty())
                .then(|| self.group.iter().map(|name| GroupName::new(name.as_str())).collect()),
        })
    }

    async fn explain_token(
        &self,
        id: &TokenId,
        workspace: &Workspace,
        targets: &[(&TargetDeclaration, &Policy)],
        global: &Global,
    ) -> CommandResult {
        let answers = stream::iter(targets).map(|&(declaration, policy)| async move {
            let explained = async {
                let session = connect(workspace, declaration, self.auth_command.said(), global.now).await?;
                session.say_clock();
                let explained = async {
                    let now = session.now();
                    // What a plan does with a token rests on what earlier runs did, so that this does too.
                    let history = session.records.history(&session.target, now).await?;
                    let terms = terms(declaration, policy, &history, now);
                    let latest = || session.latest_date();
                    Ok(Plan::explain(&terms, &Dated::new(&session.target, &latest), id).await?)
                };
                let explained = explained.await;
                session.close().await;
                explained
            };
            (declaration.name.clone(), explained.await)
        });
        let (explained, errors, exit) = sort(answers.buffered(AT_ONCE).collect().await);
        let explained: Vec<_> = explained.into_iter().filter_map(|(_, explained)| explained).collect();
        let nowhere = explained.is_empty() && errors.is_empty();
        match self.format {
            Form::Json => show_json(&ExplanationDocument::new(&explained, errors.clone()))?,
            Form::Text => show_text(&explained, global, token)?,
        }
        if nowhere {
            let names: Vec<_> = targets.iter().map(|(declaration, _)| declaration.name.as_str()).collect();
            let not_looked = targets.iter().any(|(declaration, _)| leaves_out(declaration));
            let extent = if not_looked { ", within `areas` and `projects`" } else { "" };
            return Err(NoSuchToken { id: id.clone(), targets: names.join(", "), extent }.into());
        }
        Ok(exit)
    }

    async fn explain_request(
        &self,
        question: &Question,
        workspace: &Workspace,
        targets: &[(&TargetDeclaration, &Policy)],
        global: &Global,
    ) -> CommandResult {
        let answers = stream::iter(targets).map(|&(declaration, policy)| async move {
            let answer = async {
                let session = connect(workspace, declaration, self.auth_command.said(), global.now).await?;
                // No setting rests on what earlier runs did.
                let history = History::default();
                let terms = terms(declaration, policy, &history, session.now());
                let outlook = Outlook::read(&session.target, &terms).await;
                session.close().await;
                Ok(outlook?.forecast(question)?)
            };
            (declaration.name.clone(), answer.await)
        });
        let (forecasts, errors, exit): (Vec<(String, Forecast)>, _, _) =
            sort(answers.buffered(AT_ONCE).collect().await);
        match self.format {
            Form::Json => show_json(&DecisionDocument::new(&forecasts, errors.clone()))?,
            Form::Text => {
                show_text(&forecasts, global, |(name, one), paint, text| forecast(name, one, paint, text))?;
            }
        }
        Ok(exit)
    }
}

/// What was found, the targets that say nothing with the reason, which is also written to standard error, and
/// how the program ends for them.
fn sort<T>(answers: Answers<T>) -> (Vec<(String, T)>, Errors, Ending) {
    let (mut found, mut errors, mut exit) = (Vec::new(), Vec::new(), Ending::Done);
    for (target, answer) in answers {
        match answer {
            Ok(answer) => found.push((target, answer)),
            Err(failure) => {
                output::failure(&failure, Some(&target));
                exit = exit.min(failure.ending);
                let error: &(dyn Error + 'static) = failure.error.as_ref();
                errors.push((target, Why::of(error).kept().to_owned()));
            }
        }
    }
    (found, errors, exit)
}

fn show_json(document: &impl serde::Serialize) -> Result<(), Failure> {
    Ok(output::write(&(serde_json::to_string_pretty(document)? + "\n"))?)
}

fn show_text<T>(
    all: &[T],
    global: &Global,
    section: impl Fn(&T, Paint, &mut String) -> std::fmt::Result,
) -> Result<(), Failure> {
    let paint = output::paint(global);
    let mut shown = String::new();
    for one in all {
        if !shown.is_empty() {
            shown.push('\n');
        }
        section(one, paint, &mut shown)?;
    }
    Ok(output::write_text(&shown)?)
}

/// Whether the config file leaves out some tokens of a target.
fn leaves_out(declaration: &TargetDeclaration) -> bool {
    matches!(&declaration.connection, Connection::Bitbucket { areas, projects, .. }
        if !areas.is_empty() || !projects.is_empty())
}

/// No target has the token.
#[derive(Debug, thiserror::Error)]
#[error("no token `{id}` on {targets}{extent}; `plan` shows tokens with their identifiers")]
struct NoSuchToken {
    id: TokenId,
    targets: String,
    extent: &'static str,
}
