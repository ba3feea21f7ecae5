//! `audit`: who did what on our own server, from its store or over REST. It changes nothing.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tracing::Level;

use crate::{
    config::Connection,
    model::{
        Owner, TimeBound,
        audit::{AuditAction, AuditEntry, AuditFilter},
        run::RunId,
    },
    report,
    run::{Ending, Failure, redact, session},
    serve::store::{PageRequest, Store, StoreError, StoreUrl},
    targets::gateway::Gateway,
    world::system_time,
};

use super::{
    CommandResult, Global, auth_command::AuthCommandFlag, files, log, output, run_files::RunFiles, runtime,
};

/// Entries that are read at a time.
const PAGE: i64 = 1_000;

/// Print who did what on a tokenwarden server, oldest entry first
#[derive(Debug, Args)]
pub(super) struct AuditCommand {
    /// Read this store, `sqlite:FILE`, instead of a target of the config file
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    store: Option<StoreUrl>,
    /// Only what this user did; `(operator)` and `(host)` are not users
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only what was done to tokens of this owner: `mary`, `project PLAT`, `repository PLAT/app`
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Only what was done to this token, with it, or along with its revocation
    #[arg(long, value_name = "ID")]
    token: Option<i64>,
    /// Only this action, e.g. `token-revoke`
    #[arg(long, value_name = "ACTION")]
    action: Option<AuditAction>,
    /// Only from this time on: a date (2026-11-26, from 00:00 UTC), a timestamp (2026-11-26T12:00:00Z) or a duration back
    /// from now (1d)
    #[arg(long, value_name = "TIME")]
    since: Option<TimeBound>,
    /// Only before this time, written like `--since`
    #[arg(long, value_name = "TIME")]
    until: Option<TimeBound>,
    /// Only what this run did
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// Form of the entries on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    format: Form,
    #[command(flatten)]
    auth_command: AuthCommandFlag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table for people
    Text,
    /// JSON lines: one entry a line
    Json,
}

/// Where entries come from.
enum AuditSource<'a> {
    Store(&'a Store),
    Gateway(&'a Gateway),
}

impl AuditSource<'_> {
    /// The entries from the number `start` on, and where the next page begins.
    async fn page(
        &self,
        filter: &AuditFilter,
        start: i64,
    ) -> Result<(Vec<AuditEntry>, Option<i64>), Failure> {
        let store = match self {
            Self::Gateway(gateway) => return Ok(gateway.audit_page(filter, start).await?),
            Self::Store(store) => store,
        };
        let entries = store.audit(filter, PageRequest { start, limit: PAGE }).await?;
        let next = entries.last().map(|entry| entry.id + 1);
        Ok((entries, next))
    }
}

impl AuditCommand {
    /// What it reads.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        if self.store.is_some() { RunFiles::new(global) } else { RunFiles::of_config(global) }
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the audit cannot be read, or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        if let Some(url) = &self.store {
            return self.work_on(global.resolve(&url.file), global).await;
        }
        let workspace = files::load_workspace(global)?;
        let declaration = workspace.target(&global.target)?;
        match &declaration.connection {
            own if own.own_server().is_some() => {}
            // Its server would bring the store up to date before it answers.
            Connection::Embedded { store, .. } => {
                return self.work_on(workspace.folder.join(store), global).await;
            }
            other => {
                let error = format!("a target of kind `{}` has no readable audit", other.kind());
                return Err(Failure::new(Ending::Usage, error));
            }
        }
        let session = session::connect(&workspace, declaration, self.auth_command.said(), global.now).await?;
        let done = match session.target.gateway() {
            Some(gateway) => self.print(&AuditSource::Gateway(gateway), global, session.now()).await,
            None => Ok(Ending::Done),
        };
        session.close().await;
        done
    }

    /// Prints what the store in `file` has, which is not changed.
    async fn work_on(&self, file: PathBuf, global: &Global) -> CommandResult {
        let store = Store::open_to_read(&StoreUrl { file }).await?;
        let done = match now_of(&store, global).await {
            Ok(now) => self.print(&AuditSource::Store(&store), global, now).await,
            Err(error) => Err(error.into()),
        };
        store.close().await;
        done
    }

    /// Prints the entries of `source`, where it is `now`.
    async fn print(&self, source: &AuditSource<'_>, global: &Global, now: Timestamp) -> CommandResult {
        match self.print_all(source, global, now).await {
            // A reader that went away, such as `head`, is not an error.
            Err(Stopped::Written(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ending::Done),
            Err(Stopped::Written(error)) => Err(error.into()),
            Err(Stopped::Read(failure)) => Err(failure),
            Ok(()) => Ok(Ending::Done),
        }
    }

    async fn print_all(
        &self,
        source: &AuditSource<'_>,
        global: &Global,
        now: Timestamp,
    ) -> Result<(), Stopped> {
        let paint = output::paint(global);
        // What reads a pipe takes a line for an entry.
        let layout = output::layout_for_people().filter(|_| self.format == Form::Text);
        let mut out = redact::Lines::new(BufWriter::new(io::stdout()));
        let filter = self.filter(now);
        let mut next = Some(0);
        let mut is_begun = false;
        while let Some(start) = next {
            let (entries, following) = source.page(&filter, start).await.map_err(Stopped::Read)?;
            let mut text = String::new();
            for entry in &entries {
                if self.format == Form::Text && !is_begun {
                    report::audit::head(paint, &mut text).map_err(io::Error::other)?;
                }
                is_begun = true;
                match self.format {
                    Form::Text => report::audit::line(entry, &mut text).map_err(io::Error::other)?,
                    Form::Json => text += &(serde_json::to_string(entry).map_err(io::Error::other)? + "\n"),
                }
            }
            let text = match layout {
                Some(layout) => layout.fit(&text),
                None => text,
            };
            out.write_all(text.as_bytes())?;
            out.flush()?;
            next = following;
        }
        if self.format == Form::Text && !is_begun {
            output::note("no entries");
        }
        Ok(())
    }

    fn filter(&self, now: Timestamp) -> AuditFilter {
        AuditFilter {
            who: self.who.clone(),
            owner: self.owner.clone(),
            token: self.token,
            action: self.action,
            since: self.since.map(|since| since.at(now)),
            until: self.until.map(|until| until.at(now)),
            run: self.run.clone(),
        }
    }
}

/// What time it is for a server on `store`.
async fn now_of(store: &Store, global: &Global) -> Result<Timestamp, StoreError> {
    let latest = store.latest_moment().await?.unwrap_or(Timestamp::MIN);
    Ok(global.now.unwrap_or_else(|| latest.max(system_time())))
}

/// Why not all entries were printed.
enum Stopped {
    /// They cannot be read.
    Read(Failure),
    /// They cannot be written.
    Written(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Written(error)
    }
}
