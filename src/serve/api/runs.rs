//! The lease that one run holds at a time, and the ledger of what each did, so that the next one can tell
//! how much was done lately. All of it requires an administrator. Writes of a run whose lease another one
//! has are refused.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
};
use jiff::Timestamp;

use super::{
    endpoint::{Endpoint, Parameter},
    json_body::Body,
    query::Parameters,
    values,
};
use crate::{
    access::Operation,
    model::run::{ChangeNote, RunHead, RunId},
    protocol::{
        AskForLease, BeginRun, CHANGES_AT_MOST, HEADER_CHANGE, HEADER_LEASE, HEADER_RUN, LEASE, LeaseItem,
        RUNS, RunEnd, RunList, end_path, lease_path,
    },
    serve::{
        App,
        problem::Problem,
        session::Session,
        store::{Lease, LeaseAnswer, Under},
    },
};

/// Stands in a path for the name of a run.
const ANY_RUN: &str = "{run}";

/// The longest that a lease lasts without being prolonged, in seconds: so long others may wait for a run
/// that was killed.
const LEASE_AT_MOST: u64 = 300;
/// The most objects that one change counts.
const COUNT_AT_MOST: u64 = 1_000_000_000;
/// Runs of an answer, when nobody says how many.
const RUNS_OF_ANSWER: i64 = 1000;

/// The headers of what a run writes.
pub(super) const UNDER: &[Parameter; 3] = &[
    Parameter::text(HEADER_RUN, "The run that does this, which is kept in the ledger"),
    Parameter::integer(HEADER_LEASE, "The number of its lease: an old one is refused"),
    Parameter::text(HEADER_CHANGE, "With a run: what it does, as JSON with `address`, `action` and `counts`"),
];

/// The header of what a run writes that keeps records elsewhere.
pub(super) const NAMED: &[Parameter; 1] =
    &[Parameter::text(HEADER_RUN, "The run that does this, which has a change for each token")];

const LISTING: &[Parameter] = &[
    Parameter::moment("since", "Only runs that did something at this moment or later, in milliseconds"),
    Parameter::number("limit", "Most runs to return, the latest ones; 1000 when it is left out", 1),
];

/// Makes sure that `begun` can be meant at `now`.
fn check_begun(begun: &BeginRun, now: Timestamp) -> Result<(), Problem> {
    values::name("target", &begun.target)?;
    values::name("by", &begun.by)?;
    values::beginning("begun", begun.begun, now)?;
    values::digest("policy_sha256", &begun.policy_sha256)?;
    begun.server.names().try_for_each(|name| values::name("server", name))
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::put::<LeaseItem, _, _>(
            LEASE,
            "Take the lease that keeps other runs away, or prolong it; requires an administrator",
            take_lease,
        )
        .body::<AskForLease>()
        .statuses(&[(400, "The body cannot be read"), (409, "Another run holds it; the message names it")]),
        Endpoint::delete::<bool, _, _>(
            &lease_path(ANY_RUN),
            "Give the lease of a run back; requires an administrator",
            give_back_lease,
        )
        .statuses(&[(400, "The path does not name a run")]),
        Endpoint::get::<RunList, _, _>(RUNS, "What runs did; requires an administrator", list)
            .query(&[LISTING]),
        Endpoint::post::<bool, _, _>(RUNS, "Begin a run; requires an administrator", begin)
            .body::<BeginRun>()
            .statuses(&[(400, "The body cannot be read")]),
        Endpoint::post::<RunEnd, _, _>(
            &end_path(ANY_RUN),
            "End a run, and tell what went along with its changes; requires an administrator",
            end,
        )
        .statuses(&[(400, "The path does not name a run"), (404, "There is no such run")]),
    ]
}

async fn take_lease(
    session: Session,
    State(app): State<Arc<App>>,
    body: Body,
) -> Result<Json<LeaseItem>, Problem> {
    let right = session.right(&session.permit(Operation::WriteSettings)?);
    let asked: AskForLease = body.json()?;
    values::name("holder", &asked.holder)?;
    let lasts = values::number("seconds", &asked.seconds, 1..=LEASE_AT_MOST)?;
    // A lease is about time that really goes by, whatever the clock of the server was set to.
    let now = app.clock.passing();
    let expires = now + Duration::from_secs(lasts);
    match app.store.take_lease(&right, &asked.run, &asked.holder, now, expires).await? {
        LeaseAnswer::Given(Lease { number, run, holder, since, expires }) => {
            Ok(Json(LeaseItem { number, run, holder, since, expires }))
        }
        LeaseAnswer::Held(Lease { run, holder, since, expires, .. }) => {
            let message = format!(
                "{holder} holds the lease since {}, with the run {run}; unless it goes on, the lease ends at {}",
                seconds(since),
                seconds(expires)
            );
            Err(Problem::new(StatusCode::CONFLICT, "lease", message))
        }
        LeaseAnswer::Over => {
            let message = "The run gave the lease back and is over.";
            Err(Problem::new(StatusCode::CONFLICT, "lease", message))
        }
    }
}

/// `moment` without what is finer than a second.
fn seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

async fn give_back_lease(
    session: Session,
    State(app): State<Arc<App>>,
    Path(run): Path<String>,
) -> Result<Json<bool>, Problem> {
    let right = session.right(&session.permit(Operation::WriteSettings)?);
    Ok(Json(app.store.give_back_lease(&right, &run_id(&run)?).await?))
}

async fn list(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<RunList>, Problem> {
    session.permit(Operation::ReadSettings)?;
    let since = parameters.moment("since")?.unwrap_or(Timestamp::UNIX_EPOCH);
    let limit = parameters.number("limit", 1)?.unwrap_or(RUNS_OF_ANSWER);
    Ok(Json(RunList {
        store: Some(app.store.identity().await?),
        changes_at_most: Some(CHANGES_AT_MOST),
        runs: app.store.runs(since, limit).await?,
    }))
}

async fn begin(session: Session, State(app): State<Arc<App>>, body: Body) -> Result<Json<bool>, Problem> {
    let right = session.right(&session.permit(Operation::WriteSettings)?);
    let begun: BeginRun = body.json()?;
    check_begun(&begun, app.clock.now())?;
    let head = RunHead::from(begun);
    app.clock.keep(&app.store).await?;
    app.store.begin_run(&right, &head).await?;
    Ok(Json(true))
}

async fn end(
    session: Session,
    State(app): State<Arc<App>>,
    Path(run): Path<String>,
) -> Result<Json<RunEnd>, Problem> {
    let right = session.right(&session.permit(Operation::WriteSettings)?);
    let run = run_id(&run)?;
    let along = app.store.end_run(&right, &run, app.clock.now()).await?;
    Ok(Json(RunEnd { along: along.ok_or_else(|| Problem::not_found("There is no such run."))? }))
}

fn run_id(text: &str) -> Result<RunId, Problem> {
    text.parse().map_err(|error| Problem::bad_request(format!("The run cannot be read: {error}.")))
}

/// The run that a write belongs to, as its headers say.
pub(super) struct UnderRun {
    /// `None` for a write that belongs to none.
    run: Option<RunId>,
    /// What goes into the ledger, under which lease. A run that keeps records elsewhere only names itself.
    kept: Option<(ChangeNote, Option<i64>)>,
}

impl<S: Sync> FromRequestParts<S> for UnderRun {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let bad =
            |name: &str, takes: &str| Problem::bad_request(format!("The header `{name}` takes {takes}."));
        let header = |name: &'static str| {
            let value = parts.headers.get(name);
            value.map(|value| value.to_str().map_err(|_| bad(name, "only ASCII"))).transpose()
        };
        let bad_lease = || bad(HEADER_LEASE, "the number of a lease, from 1 on");
        let lease = header(HEADER_LEASE)?
            .map(|text| text.parse().ok().filter(|number| *number >= 1).ok_or_else(bad_lease))
            .transpose()?;
        let bad_run = |error| bad(HEADER_RUN, &format!("the name of a run: {error}"));
        let run = header(HEADER_RUN)?.map(|text| text.parse().map_err(bad_run)).transpose()?;
        let bad_change = |error| bad(HEADER_CHANGE, &format!("JSON with `address` and `action`: {error}"));
        let change: Option<ChangeNote> =
            header(HEADER_CHANGE)?.map(|text| serde_json::from_str(text).map_err(bad_change)).transpose()?;
        if let Some(change) = &change {
            check(change)?;
        }
        match (&run, change) {
            (Some(_), Some(change)) => Ok(Self { run, kept: Some((change, lease)) }),
            (_, None) if lease.is_none() => Ok(Self { run, kept: None }),
            (None, _) => Err(bad(HEADER_RUN, "the run that does this")),
            (Some(_), None) => Err(bad(HEADER_CHANGE, "what the run does")),
        }
    }
}

/// Makes sure that `change` can be meant.
pub(super) fn check(change: &ChangeNote) -> Result<(), Problem> {
    values::name("address", &change.address)?;
    values::name("action", &change.action)?;
    for count in change.counts.values() {
        values::number("counts", &(*count).into(), 0..=COUNT_AT_MOST)?;
    }
    change.deadline.map_or(Ok(()), |deadline| values::moment("deadline", deadline))
}

impl UnderRun {
    /// Whether a run writes.
    pub(super) fn is_of_run(&self) -> bool {
        self.run.is_some()
    }

    /// The same, once the sender is known to be an administrator: nobody else writes into the ledger.
    pub(super) fn permitted(self, session: &Session, app: &App) -> Result<Option<Under>, Problem> {
        let Some((run, (note, lease))) = self.run.zip(self.kept) else { return Ok(None) };
        session.permit(Operation::WriteSettings)?;
        Ok(Some(Under { run, lease, note, at: app.clock.now() }))
    }
}
