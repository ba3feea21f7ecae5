//! The command `review`: a saved plan in a pull request, as a comment, a Code Insights report and a build
//! status. It runs no code of the pull request, reads neither its policy nor its config file, and needs no
//! credential of a target.

use std::path::PathBuf;

use clap::Args;
use tracing::Level;

use crate::{
    config::Auth,
    http::HttpClient,
    report::Run,
    review::{self, CommentOutcome, Publication, PullRequest},
    run::{Ending, Failure, credential, reading::read_whole, redact::redact, reviewed},
};

use super::{CommandResult, Global, base_url::base_url, log, output, run_files::RunFiles, runtime};

/// Publish a saved plan in a pull request of Bitbucket Data Center
#[derive(Debug, Args)]
pub(super) struct ReviewCommand {
    /// The file that `plan --out` wrote
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Base address of Bitbucket
    #[arg(long, value_name = "URL", value_parser = base_url)]
    url: String,
    /// Key of the project, such as OPS
    #[arg(long, value_name = "KEY")]
    project: String,
    /// Slug of the repository
    #[arg(long, value_name = "SLUG")]
    repo: String,
    /// Number of the pull request
    #[arg(long, value_name = "NUMBER")]
    pull_request: u64,
    /// Distinguish this plan from others in the same pull request
    #[arg(long, value_name = "WORD", default_value = "plan", value_parser = key)]
    key: String,
    /// The folder of the config file in the repository [default: its root]
    #[arg(long, value_name = "FOLDER", default_value = "", hide_default_value = true)]
    root: String,
    /// The environment variable with a token that can read the repository; it is sent as Bearer
    #[arg(long, value_name = "NAME", default_value = "BITBUCKET_TOKEN")]
    bearer_env: String,
    /// The user, if a password is sent instead
    #[arg(long, value_name = "NAME", requires = "password_env")]
    user: Option<String>,
    /// The environment variable with the password
    #[arg(long, value_name = "NAME", requires = "user")]
    password_env: Option<String>,
    /// A PEM file of certificate authorities to trust in addition to the usual ones
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// A word that fits into the key of a report.
fn key(text: &str) -> Result<String, String> {
    let fits = !text.is_empty()
        && text.len() <= 40
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-.".contains(&c));
    if fits { Ok(text.to_owned()) } else { Err("write up to 40 letters, digits, `-` and `.`".to_owned()) }
}

impl ReviewCommand {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        let files = RunFiles::new(global).reading("the saved plan", &self.plan);
        self.tls_ca.iter().fold(files, |files, path| files.reading("the certificates", path))
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the plan cannot be read, there is no credential, or something cannot be published.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let saved = reviewed::open(&self.plan, &global.base())?;
        let shown = saved.shown().map_err(reviewed::refused)?;
        let base = self.url.as_str();
        let client = self.client(base, global)?;
        let publication = Publication::of(&Run::of_shown(&shown), &self.root, &self.key)
            .map_text(&|text| redact(text).into_owned());
        let pull_request = PullRequest {
            project: self.project.clone(),
            repository: self.repo.clone(),
            number: self.pull_request,
        };
        let published = review::publish(&client, base, &pull_request, &publication).await?;
        let comment = match published.comment {
            CommentOutcome::New => "a new comment",
            CommentOutcome::Updated => "the comment was updated",
            CommentOutcome::Unchanged => "the comment is up to date",
        };
        let state = if publication.passed { "passed" } else { "failed" };
        output::write(&format!("Published for {}: {comment}; the report has {state}.\n", published.commit))?;
        if published.annotations_left_out > 0 {
            output::note(&format!(
                "note: {} annotations were left out for lack of room",
                published.annotations_left_out
            ));
        }
        Ok(Ending::Done)
    }

    fn client(&self, base: &str, global: &Global) -> Result<HttpClient, Failure> {
        let auth = match (&self.user, &self.password_env) {
            (Some(user), Some(variable)) => {
                Auth::Password { user: user.clone(), password_env: variable.clone() }
            }
            _ => Auth::BearerVariable(self.bearer_env.clone()),
        };
        let credential = credential::find(&auth, &global.directory, None)?;
        let extra_ca = self.tls_ca.as_ref().map(|file| read_whole(&global.resolve(file))).transpose()?;
        Ok(HttpClient::new(base, credential, extra_ca.as_deref())?)
    }
}
