//! In: changes of an approved plan. Out: calls that take effect once. It refuses to write what it has not
//! read just before, and to repeat a call whose answer was lost before it has read back what happened.

use std::{error::Error, sync::Arc};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};

use crate::{
    apply::{Effect, TargetWriter, WriteError},
    model::{Marker, Scope, Token, TokenId},
    plan::{Change, Standing},
    target::http::{HttpClient, HttpError, Refusal},
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
}

type Cause = Box<dyn Error + Send + Sync>;

impl TargetWriter for BitbucketWriter {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        match change {
            Change::SetPasswordAuthentication { .. } => self.passwords(change).await,
            Change::Narrow { token, to } => self.update(token, |now| narrowed(now, *to)).await,
            Change::Mark { token, until } => {
                self.update(token, |now| self.marked(&token.id, now, *until)).await
            }
            Change::Unmark { token } => self.update(token, |now| self.unmarked(&token.id, now)).await,
            Change::Revoke { token } => self.revoke(token).await,
            // INVARIANT: a plan asks for nothing that the server is not said to be capable of.
            Change::Grant(_)
            | Change::Withdraw(_)
            | Change::Admit(_)
            | Change::Refuse(_)
            | Change::SetClientAddress { .. }
            | Change::SetLimits { .. }
            | Change::Expire { .. } => Err(failed("Bitbucket has nothing like that")),
        }
    }
}

impl BitbucketWriter {
    pub(super) fn new(client: Arc<HttpClient>, slugs: Arc<Slugs>, marker: Option<Marker>) -> Self {
        Self { client, slugs, marker }
    }

    /// Reads a token and writes what `wanted` makes of it, unless that is nothing. When the answer is
    /// lost, it begins anew. What its owner wrote meanwhile stays.
    async fn update(
        &self,
        token: &Token,
        wanted: impl Fn(&TokenItem) -> Result<Option<TokenUpdate>, Cause> + Send + Sync,
    ) -> Result<Effect, WriteError> {
        let path = self.path(token)?;
        let mut lost = None;
        for _ in 0..TRIES {
            let now = match self.client.get::<TokenItem>(&path, &[]).await {
                Ok(read) => read.body,
                Err(error) if is_gone(&error) => return Ok(Effect::AlreadySo),
                Err(error) if lost.is_some() => return Err(WriteError::Unknown(error.into())),
                Err(error) => return Err(failed(error)),
            };
            let Some(update) = wanted(&now).map_err(failed)? else {
                return Ok(if lost.is_some() { Effect::Made } else { Effect::AlreadySo });
            };
            match self.client.send(Method::POST, &path, &[], Some(&update)).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) if error.is_lost_answer() => lost = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(lost.map_or(WriteError::Moved, |error| WriteError::Unknown(error.into())))
    }

    fn marked(&self, id: &TokenId, now: &TokenItem, until: Timestamp) -> Result<Option<TokenUpdate>, Cause> {
        let (marker, name) = (self.marker()?, now.name.as_deref().unwrap_or_default());
        let (words, mark) = marker.read(name, id);
        if mark.is_some_and(|mark| mark.until <= until) {
            return Ok(None);
        }
        renamed(now, marker.write(words, id, until)).map(Some)
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

    /// Revokes a token. One that is gone after a lost answer was revoked by us.
    async fn revoke(&self, token: &Token) -> Result<Effect, WriteError> {
        let path = self.path(token)?;
        let mut lost = None;
        for _ in 0..TRIES {
            match self.client.send(Method::DELETE, &path, &[], None::<&()>).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) if is_gone(&error) => {
                    return Ok(if lost.is_some() { Effect::Made } else { Effect::AlreadySo });
                }
                Err(error) if error.is_lost_answer() => lost = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(lost.map_or(WriteError::Moved, |error| WriteError::Unknown(error.into())))
    }

    /// Reads the configuration, compares what the change is about, and writes it with everything else as
    /// it was; begins anew when another update runs (409) or the answer was lost.
    async fn passwords(&self, change: &Change) -> Result<Effect, WriteError> {
        let mut wrote = false;
        for _ in 0..TRIES {
            let read = self
                .client
                .get::<PasswordConfiguration>(PASSWORDS, &[])
                .await
                .map_err(|error| if wrote { WriteError::Unknown(error.into()) } else { failed(error) })?;
            let mut settings = passwords::settings(read.body.read());
            match change.standing_in(&settings) {
                Standing::After => return Ok(if wrote { Effect::Made } else { Effect::AlreadySo }),
                Standing::Moved => return Err(WriteError::Moved),
                Standing::Before => {}
            }
            change.write_into(&mut settings);
            let body = read.body.with(&settings.password_authentication);
            match self.client.send(Method::PUT, PASSWORDS, &[], Some(&body)).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) if error.status() == Some(StatusCode::CONFLICT) => {}
                Err(error) if error.is_lost_answer() => wrote = true,
                Err(error) => return Err(failed(error)),
            }
        }
        Err(WriteError::Contended(TRIES))
    }

    fn path(&self, token: &Token) -> Result<String, WriteError> {
        let tokens = self.slugs.tokens_path(&token.owner).map_err(failed)?;
        token_path(&tokens, &token.id).map_err(failed)
    }
}

fn narrowed(now: &TokenItem, to: Scope) -> Result<Option<TokenUpdate>, Cause> {
    if now.scope().effective() <= to {
        return Ok(None);
    }
    let name = now.name.clone().unwrap_or_default();
    Ok(Some(TokenUpdate { name, permissions: read_only(held(now)?)? }))
}

fn renamed(now: &TokenItem, name: String) -> Result<TokenUpdate, Cause> {
    Ok(TokenUpdate { name, permissions: held(now)?.to_vec() })
}

/// The permissions of a token, which every update must send.
fn held(now: &TokenItem) -> Result<&[String], Cause> {
    let held = now.permissions.as_deref();
    held.ok_or_else(|| {
        "the server does not say which permissions the token has, so that none can be sent".into()
    })
}

fn is_gone(error: &HttpError) -> bool {
    error.refusal() == Some(Refusal::NotFound)
}

fn failed(error: impl Into<Cause>) -> WriteError {
    WriteError::Failed(error.into())
}
