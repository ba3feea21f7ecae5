//! The writer of Bitbucket: changes of an approved plan as calls that take effect once. Nothing is written
//! that was not read just before, and a call whose answer was lost is not repeated before reading back what
//! happened.

use std::{error::Error, sync::Arc};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::de::IgnoredAny;

use crate::{
    apply::{Effect, TargetWriter, WriteError},
    http::{HttpClient, HttpError, RefusalKind, RequestHeader},
    model::{Marker, Owner, Scope, SettingValue, Token, TokenId, run::RunId},
    plan::{ApprovedPlan, Change, Plan, Standing, TokenStep},
    targets::{grounds::RevocationGrounds, ours::beside_revocations},
};

use super::{
    Slugs,
    passwords::{self, PasswordConfiguration},
    wire::{PASSWORDS, TokenItem, TokenUpdate, read_only, token_path},
};

/// How often a call is made when its answer is lost, or others write at the same time.
const TRIES: u32 = 5;

/// Changes Bitbucket.
pub struct BitbucketWriter {
    client: Arc<HttpClient>,
    slugs: Arc<Slugs>,
    marker: Option<Marker>,
    grounds: RevocationGrounds,
    beside_revocations: Vec<RequestHeader>,
}

/// The server knows neither a token nor its owner.
#[derive(Debug, thiserror::Error)]
#[error("the server knows no `{0}` any more, under the name that was planned with: was it renamed?")]
struct NoOwner(Owner, #[source] HttpError);

type Cause = Box<dyn Error + Send + Sync>;

impl TargetWriter for BitbucketWriter {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        let refused = || Err(failed("Bitbucket has nothing like that"));
        match change {
            Change::Setting { after, .. } => match **after {
                SettingValue::PasswordAuthentication(_) => self.passwords(change).await,
                // INVARIANT: a plan asks for nothing that the server is not said to be capable of.
                _ => refused(),
            },
            Change::Token { token, step } => match *step {
                TokenStep::Narrow { to } => self.update(token, |now| narrowed(now, to)).await,
                TokenStep::Mark { until } => self.update(token, |now| self.marked(token, now, until)).await,
                TokenStep::Unmark => self.update(token, |now| self.unmarked(&token.id, now)).await,
                TokenStep::Revoke => self.revoke(token, |now| now).await,
                // INVARIANT: the same.
                TokenStep::Expire { .. } => refused(),
            },
        }
    }
}

impl BitbucketWriter {
    pub(super) fn new(
        client: Arc<HttpClient>,
        slugs: Arc<Slugs>,
        marker: Option<Marker>,
        plan: &Plan,
    ) -> Self {
        let grounds = RevocationGrounds::of(plan);
        Self { client, slugs, marker, grounds, beside_revocations: Vec::new() }
    }

    /// The same, as a part of `run`, which does what `approved` says.
    #[must_use]
    pub fn named(mut self, approved: &ApprovedPlan, run: Option<&RunId>) -> Self {
        self.beside_revocations = beside_revocations(&self.client, approved.plan(), run);
        self
    }

    /// Reads a token and writes what `wanted` makes of it, unless that is nothing. When the answer is
    /// lost, it begins again. What its owner wrote meanwhile stays.
    async fn update(
        &self,
        token: &Token,
        wanted: impl Fn(&TokenItem) -> Result<Option<TokenUpdate>, Cause> + Send + Sync,
    ) -> Result<Effect, WriteError> {
        let (_, path) = self.paths(token)?;
        let mut lost = None;
        // The last time it only reads back.
        for tries in 0..=TRIES {
            let Some(now) = self.read(token, lost.is_some()).await? else {
                return Ok(Effect::AlreadySo);
            };
            let Some(update) = wanted(&now).map_err(failed)? else {
                return Ok(if lost.is_some() { Effect::Made } else { Effect::AlreadySo });
            };
            if let Some(error) = lost.take_if(|_| tries == TRIES) {
                return Err(failed(error));
            }
            match self.client.send(Method::POST, &path, &[], Some(&update)).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) if error.is_lost_answer() => lost = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(WriteError::Moved)
    }

    /// The token as it is; `None` when it is gone. With `lost`, an answer to a write was lost before.
    async fn read(&self, token: &Token, lost: bool) -> Result<Option<TokenItem>, WriteError> {
        let (tokens, path) = self.paths(token)?;
        let unread = |cause: Cause| if lost { WriteError::Unknown(cause) } else { failed(cause) };
        match self.client.get::<TokenItem>(&path, &[]).await {
            Ok(read) => Ok(Some(read.body)),
            // INVARIANT: a token counts as gone only where its owner is: who was renamed has it still.
            Err(error) if is_gone(&error) => {
                match self.client.get::<IgnoredAny>(&tokens, &[("limit", "1")]).await {
                    Ok(_) => Ok(None),
                    Err(error) if is_gone(&error) => Err(unread(NoOwner(token.owner.clone(), error).into())),
                    Err(error) => Err(unread(error.into())),
                }
            }
            Err(error) => Err(unread(error.into())),
        }
    }

    fn marked(&self, token: &Token, now: &TokenItem, until: Timestamp) -> Result<Option<TokenUpdate>, Cause> {
        let marked = self.marker()?.marked(now.name.as_deref().unwrap_or_default(), token, until)?;
        marked.map(|name| renamed(now, name)).transpose()
    }

    fn unmarked(&self, id: &TokenId, now: &TokenItem) -> Result<Option<TokenUpdate>, Cause> {
        match self.marker()?.read(now.name.as_deref().unwrap_or_default(), id) {
            (_, None) => Ok(None),
            (words, Some(_)) => renamed(now, Marker::unmarked(words).to_owned()).map(Some),
        }
    }

    fn marker(&self) -> Result<&Marker, Cause> {
        self.marker.as_ref().ok_or_else(|| "there is no key for marks".into())
    }

    /// Reads a token and revokes it, when what the plan found still holds of what `seen` makes of it: the plan may have
    /// known more of it than the server tells. One that is gone after a lost answer was revoked by us.
    pub(in crate::targets) async fn revoke(
        &self,
        token: &Token,
        seen: impl Fn(Token) -> Token + Send + Sync,
    ) -> Result<Effect, WriteError> {
        let (_, path) = self.paths(token)?;
        let (mut lost, mut failure) = (false, None);
        // The last time it only reads back.
        for tries in 0..=TRIES {
            let Some(now) = self.read(token, lost).await? else {
                return Ok(if lost { Effect::Made } else { Effect::AlreadySo });
            };
            let now = seen(now.token(token.owner.clone(), self.marker.as_ref()).map_err(failed)?);
            if !self.grounds.hold(token, &now) {
                return Err(WriteError::Moved);
            }
            if let Some(error) = failure.take_if(|_| tries == TRIES) {
                return Err(failed(error));
            }
            let beside = &self.beside_revocations;
            match self.client.send(Method::DELETE, &path, beside, None::<&()>).await {
                Ok(()) => return Ok(Effect::Made),
                // It may be gone by now.
                Err(error) if error.is_lost_answer() || is_gone(&error) => {
                    lost |= error.is_lost_answer();
                    failure = Some(error);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(WriteError::Moved)
    }

    /// Reads the configuration, compares what the change is about, and writes it with everything else as
    /// it was; begins again when another update runs (409) or the answer was lost.
    async fn passwords(&self, change: &Change) -> Result<Effect, WriteError> {
        let mut lost = None;
        // The last time it only reads back.
        for tries in 0..=TRIES {
            let read = self.client.get::<PasswordConfiguration>(PASSWORDS, &[]).await.map_err(|error| {
                if lost.is_some() { WriteError::Unknown(error.into()) } else { failed(error) }
            })?;
            let mut settings = passwords::settings(read.body.read());
            match change.standing_in(&settings) {
                Standing::After => {
                    return Ok(if lost.is_some() { Effect::Made } else { Effect::AlreadySo });
                }
                Standing::Moved => return Err(WriteError::Moved),
                Standing::Before => {}
            }
            if tries == TRIES {
                break;
            }
            change.write_into(&mut settings);
            let body = read.body.with(&settings.password_authentication);
            match self.client.send(Method::PUT, PASSWORDS, &[], Some(&body)).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) if error.status() == Some(StatusCode::CONFLICT) => {
                    self.client.pause(tries + 1).await;
                }
                Err(error) if error.is_lost_answer() => lost = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(lost.map_or(WriteError::Contended(TRIES), failed))
    }

    /// The path of the tokens of the owner of `token`, and that of the token itself.
    fn paths(&self, token: &Token) -> Result<(String, String), WriteError> {
        let tokens = self.slugs.tokens_path(&token.owner).map_err(failed)?;
        let path = token_path(&tokens, &token.id).map_err(failed)?;
        Ok((tokens, path))
    }
}

fn narrowed(now: &TokenItem, to: Scope) -> Result<Option<TokenUpdate>, Cause> {
    let held = held(now)?;
    if now.scope().effective() <= to {
        return Ok(None);
    }
    let name = now.name.clone().filter(|name| !name.is_empty());
    Ok(Some(TokenUpdate { name, permissions: read_only(held)? }))
}

fn renamed(now: &TokenItem, name: String) -> Result<TokenUpdate, Cause> {
    Ok(TokenUpdate { name: Some(name), permissions: held(now)?.to_vec() })
}

/// The permissions of a token, which every update must send.
fn held(now: &TokenItem) -> Result<&[String], Cause> {
    let held = now.permissions.as_deref();
    held.ok_or_else(|| {
        "the server does not say which permissions the token has, so that none can be sent".into()
    })
}

fn is_gone(error: &HttpError) -> bool {
    error.refusal() == Some(RefusalKind::NotFound)
}

fn failed(error: impl Into<Cause>) -> WriteError {
    WriteError::Failed(error.into())
}
