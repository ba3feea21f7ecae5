//! Many changes of tokens in one call and one transaction. Each is judged as it would be alone, and has an outcome of its
//! own.

use std::{collections::HashMap, sync::Arc};

use axum::{Json, extract::State};
use jiff::Timestamp;

use super::{endpoint::Endpoint, json_body::Body, runs, tokens};
use crate::{
    access::{Operation, Permit, TokenOwnership},
    model::{LastUse, Scope, TokenScope, digest::sha256},
    protocol::{
        CHANGES_AT_MOST, ChangeTokens, ChangedToken, ChangedTokens, ChildrenWish, Condition, TOKEN_CHANGES,
        TokenChange, TokenOutcome, WantedChange,
    },
    serve::{
        App,
        problem::Problem,
        session::Session,
        store::{Children, Deed, DeedStep, Done, KnownOwner, Narrowing, StoreError, TokenRow, Under},
    },
};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::post::<ChangedTokens, _, _>(
            TOKEN_CHANGES,
            "Revoke, narrow and expire up to 500 tokens in one transaction, each with an outcome of its own",
            change,
        )
        .body::<ChangeTokens>()
        .statuses(&[
            (400, "The body cannot be read, has too many changes, or one that cannot be meant"),
            (409, "The run does not hold the lease any more"),
        ]),
    ]
}

async fn change(
    session: Session,
    State(app): State<Arc<App>>,
    body: Body,
) -> Result<Json<ChangedTokens>, Problem> {
    let permit = session.permit(Operation::Enter)?;
    let asked: ChangeTokens = body.json()?;
    let deeds = deeds(&session, &app, &asked)?;
    // Before the store is read: a use is in one of both.
    let judge = Judge { session: &session, app: &app, permit: &permit, last_uses: app.uses.waiting() };
    let judged = |place: usize, token: Option<(&TokenRow, Option<&KnownOwner>)>| {
        asked.changes.get(place).map_or(Ok(()), |wanted| judge.judge(wanted, token))
    };
    let done = app.store.change_tokens(&session.right(&permit), &deeds, judged).await?;
    let told = asked.changes.iter().zip(done).map(|(wanted, done)| {
        let (outcome, reason) = outcome(done);
        session.log_change(wanted.token, wanted.change.verb().word(), reason);
        ChangedToken { token: wanted.token, outcome }
    });
    Ok(Json(ChangedTokens { results: told.collect() }))
}

/// What the store is to do for `asked`, once all of it can be meant.
fn deeds(session: &Session, app: &App, asked: &ChangeTokens) -> Result<Vec<Deed>, Problem> {
    if !(1..=CHANGES_AT_MOST).contains(&asked.changes.len()) {
        let message =
            format!("`changes` takes 1 to {CHANGES_AT_MOST} changes, and has {}.", asked.changes.len());
        return Err(Problem::bad_request(message));
    }
    match (&asked.run, asked.lease) {
        (None, Some(_)) => return Err(Problem::bad_request("`run` takes the run that has the `lease`.")),
        (Some(_), lease) => {
            if lease.is_some_and(|number| number < 1) {
                return Err(Problem::bad_request("`lease` takes the number of a lease, from 1 on."));
            }
            // Nobody else writes into the ledger.
            session.permit(Operation::WriteSettings)?;
        }
        (None, None) => {}
    }
    let at = app.clock.now();
    asked.changes.iter().enumerate().map(|(place, wanted)| deed(asked, (place, wanted), at)).collect()
}

fn deed(
    asked: &ChangeTokens,
    (place, wanted): (usize, &WantedChange),
    at: Timestamp,
) -> Result<Deed, Problem> {
    let bad = |words: &str| Problem::bad_request(format!("`changes[{place}]`: {words}."));
    let under = match (&asked.run, &wanted.note) {
        (None, None) => None,
        (None, Some(_)) => return Err(bad("`note` is for changes of a `run`")),
        (Some(_), None) => return Err(bad("`note` takes what the run does")),
        (Some(run), Some(note)) => {
            runs::check(note)?;
            let address = format!("token/{}", wanted.token);
            let action = wanted.change.verb().word();
            if (note.address.as_str(), note.action.as_str()) != (&address, action) {
                return Err(bad(&format!("`note` takes the address `{address}` and the action `{action}`")));
            }
            Some(Under { run: run.clone(), lease: asked.lease, note: note.clone(), at })
        }
    };
    let step = match wanted.change {
        TokenChange::Expire { at } if at <= Timestamp::UNIX_EPOCH => {
            return Err(bad("`at` takes a moment after 1970-01-01T00:00:00Z"));
        }
        TokenChange::Expire { at } => {
            DeedStep::Narrow(Narrowing { expires: Some(at), ..Narrowing::default() })
        }
        TokenChange::Narrow { to } => DeedStep::Narrow(Narrowing { scope: Some(to), ..Narrowing::default() }),
        TokenChange::Revoke { children: Some(ChildrenWish::Keep) } => DeedStep::Revoke(Children::Keep),
        TokenChange::Revoke { children: None } if asked.run.is_some() => DeedStep::Revoke(Children::Keep),
        TokenChange::Revoke { .. } => DeedStep::Revoke(Children::Revoke),
    };
    Ok(Deed { token: wanted.token, step, under })
}

/// Why a change is not made.
enum Refusal {
    Moved,
    Problem(Problem),
}

/// What judges changes where they are made.
struct Judge<'a> {
    session: &'a Session,
    app: &'a App,
    permit: &'a Permit,
    /// The last uses that the store may not have yet.
    last_uses: HashMap<i64, LastUse>,
}

impl Judge<'_> {
    /// Whether `wanted` may be done to the `token`. Who may not manage the tokens of others does not learn which there are.
    fn judge(
        &self,
        wanted: &WantedChange,
        token: Option<(&TokenRow, Option<&KnownOwner>)>,
    ) -> Result<(), Refusal> {
        let target = match token {
            Some((token, known)) => tokens::target(self.app, self.permit, &token.owner, known),
            None => TokenOwnership::Others { owner_is_administrator: false },
        };
        let operation = match wanted.change {
            TokenChange::Expire { .. } | TokenChange::Narrow { .. } => Operation::Narrow(target),
            TokenChange::Revoke { .. } => Operation::Revoke(target),
        };
        self.session.permit(operation).map_err(Refusal::Problem)?;
        let holds =
            token.is_none_or(|(token, _)| holds(&wanted.only_if, token, self.last_uses.get(&token.id)));
        if holds { Ok(()) } else { Err(Refusal::Moved) }
    }
}

/// Whether `token` is what `condition` asks for; a use that `waits` to be written is its last one.
fn holds(condition: &Condition, token: &TokenRow, waits: Option<&LastUse>) -> bool {
    let Condition { scopes, expiries, last_uses, descriptions_sha256 } = condition;
    let scope: Option<Scope> = match token.scope {
        TokenScope::Set(scope) => Some(scope),
        TokenScope::Unset | TokenScope::Unknown => None,
    };
    let last_use = token.last_used.iter().chain(waits).map(|used| used.at).max();
    let description = || sha256(token.description.as_bytes());
    (scopes.is_empty() || scopes.contains(&scope))
        && (expiries.is_empty() || expiries.contains(&token.expires))
        && (last_uses.is_empty() || last_uses.contains(&last_use))
        && (descriptions_sha256.is_empty() || descriptions_sha256.contains(&description()))
}

/// What the sender is told of a change, and the reason for the log.
fn outcome(done: Done<Refusal>) -> (TokenOutcome, &'static str) {
    let refused = |problem: Problem| {
        let (status, message) = (problem.status.as_u16(), problem.message);
        (TokenOutcome::Refused { status, message }, problem.code)
    };
    match done {
        Done::Done => (TokenOutcome::Done, "permit"),
        Done::AlreadySo => (TokenOutcome::AlreadySo, "already-so"),
        Done::Gone => (TokenOutcome::Gone, "not-found"),
        Done::Refused(Refusal::Moved) => (TokenOutcome::Moved, "precondition"),
        Done::Refused(Refusal::Problem(problem)) => refused(problem),
        Done::OwnCredential => refused(StoreError::OwnCredential.into()),
        Done::RightEnded => (TokenOutcome::RightEnded, "right-ended"),
    }
}
