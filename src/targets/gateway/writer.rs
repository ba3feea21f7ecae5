//! The writer of a gateway: changes of an approved plan as calls that take effect once. A call whose answer
//! was lost is not repeated before reading back what happened, and nothing is revoked that was not just
//! read.

use std::{
    collections::BTreeSet,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};

use crate::{
    apply::{Effect, TargetWriter, WriteError},
    http::{HttpClient, HttpError, IF_MATCH, RequestHeader},
    model::{Scope, Settings, Token, TokenId, TokenScope, settings::SettingsDocument},
    plan::{Change, Standing, TokenStep},
    protocol::SETTINGS,
    targets::grounds::RevocationGrounds,
};

use super::{
    Gateway,
    ledger::{Signature, is_right_ended},
    wire::{TokenPatch, token_path},
};

/// How often a write is begun when others write at the same time, or answers are lost.
pub(super) const TRIES: u32 = 5;

type Cause = Box<dyn Error + Send + Sync>;

/// Changes a gateway.
pub struct GatewayWriter {
    client: Arc<HttpClient>,
    /// What goes with every write of a run that the server keeps.
    signature: Option<Signature>,
    grounds: RevocationGrounds,
    /// The tokens that are revoked without what came of them; `None` for all.
    alone: Option<BTreeSet<TokenId>>,
    /// How many changes of tokens the server takes in one call.
    at_most: usize,
    /// Whether it would not take them when it was asked.
    declined: AtomicBool,
}

impl TargetWriter for GatewayWriter {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        let headers = self.headers(change)?;
        match change {
            Change::Setting { .. } => self.settings(change, &headers).await,
            Change::Token { token, step } => match *step {
                TokenStep::Narrow { to } => self.narrow(&token.id, to, &headers).await,
                TokenStep::Expire { at } => self.expire(&token.id, at, &headers).await,
                // INVARIANT: only servers that cannot set an expiry are asked for marks, and this is none.
                TokenStep::Mark { .. } | TokenStep::Unmark => Err(failed("this server knows no marks")),
                TokenStep::Revoke => self.revoke(token, &headers).await,
            },
        }
    }

    fn at_most(&self) -> usize {
        if self.declined.load(Ordering::Relaxed) { 1 } else { self.at_most }
    }

    async fn make_all(&self, changes: &[&Change]) -> Vec<Result<Effect, WriteError>> {
        self.make_together(changes).await
    }
}

impl GatewayWriter {
    pub(super) fn new(
        client: Arc<HttpClient>,
        signature: Option<Signature>,
        grounds: RevocationGrounds,
        alone: Option<BTreeSet<TokenId>>,
        at_most: usize,
    ) -> Self {
        Self { client, signature, grounds, alone, at_most, declined: AtomicBool::new(false) }
    }

    /// The server takes no changes together.
    pub(super) fn decline(&self) {
        self.declined.store(true, Ordering::Relaxed);
    }

    pub(super) fn grounds(&self) -> &RevocationGrounds {
        &self.grounds
    }

    /// Whether the revocation of the token `id` takes along what came of it; otherwise the server decides.
    pub(super) fn takes_along(&self, id: &TokenId) -> bool {
        self.alone.as_ref().is_some_and(|alone| !alone.contains(id))
    }

    pub(super) fn client(&self) -> &HttpClient {
        &self.client
    }

    pub(super) fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// Reads the settings, compares what the change touches, and writes them with the version that
    /// was read; begins again when somebody else was faster or the answer was lost.
    async fn settings(&self, change: &Change, headers: &[RequestHeader]) -> Result<Effect, WriteError> {
        let mut lost = None;
        for _ in 0..TRIES {
            let (mut settings, etag) = match self.read_settings().await {
                Ok(read) => read,
                Err(error) if lost.is_some() => return Err(WriteError::Unknown(error)),
                Err(error) => return Err(WriteError::Failed(error)),
            };
            match change.standing_in(&settings) {
                Standing::After => return Ok(if lost.is_some() { Effect::Made } else { Effect::AlreadySo }),
                Standing::Moved => return Err(WriteError::Moved),
                Standing::Before => {}
            }
            change.write_into(&mut settings);
            let body = SettingsDocument::from(&settings);
            let mut headers = headers.to_vec();
            headers.extend(etag.map(|etag| (IF_MATCH, etag)));
            match self.client.send(Method::PUT, SETTINGS, &headers, Some(&body)).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) if error.status() == Some(StatusCode::PRECONDITION_FAILED) => {}
                Err(error) if error.is_lost_answer() => lost = Some(error),
                Err(error) => return Err(self.refused(error)),
            }
        }
        match lost {
            None => Err(WriteError::Contended(TRIES)),
            Some(error) => self.settings_after(change, error).await,
        }
    }

    async fn read_settings(&self) -> Result<(Settings, Option<String>), Cause> {
        let read = self.client.get::<SettingsDocument>(SETTINGS, &[]).await?;
        Ok((Settings::try_from(&read.body)?, read.etag))
    }

    /// What became of `change` when the answer to the last try was `lost`.
    async fn settings_after(&self, change: &Change, lost: HttpError) -> Result<Effect, WriteError> {
        let (settings, _) = self.read_settings().await.map_err(WriteError::Unknown)?;
        match change.standing_in(&settings) {
            Standing::After => Ok(Effect::Made),
            Standing::Before => Err(failed(lost)),
            Standing::Moved => Err(WriteError::Moved),
        }
    }

    async fn narrow(&self, id: &TokenId, to: Scope, headers: &[RequestHeader]) -> Result<Effect, WriteError> {
        let patch = TokenPatch { token_scope: Some(to.number()), ..TokenPatch::default() };
        self.token((id, ""), Method::PATCH, headers, Some(&patch), |token| {
            is_so(TokenStep::Narrow { to }, token)
        })
        .await
    }

    async fn expire(
        &self,
        id: &TokenId,
        at: Timestamp,
        headers: &[RequestHeader],
    ) -> Result<Effect, WriteError> {
        let patch = TokenPatch {
            token_expiration_date_time_millis: Some(at.as_millisecond()),
            ..TokenPatch::default()
        };
        self.token((id, ""), Method::PATCH, headers, Some(&patch), |token| {
            is_so(TokenStep::Expire { at }, token)
        })
        .await
    }

    /// Reads a token and revokes it, when what the plan found still holds.
    async fn revoke(&self, planned: &Token, headers: &[RequestHeader]) -> Result<Effect, WriteError> {
        let now = Gateway::token(&self.client, &planned.id).await.map_err(WriteError::Failed)?;
        if now.is_some_and(|now| !self.grounds.hold(planned, &now)) {
            return Err(WriteError::Moved);
        }
        // A run says of each token that it is to go: without a word it means that one alone.
        let children = if self.takes_along(&planned.id) { "?children=revoke" } else { "" };
        self.token((&planned.id, children), Method::DELETE, headers, None, |_| false).await
    }

    /// Calls `method` on a token, with a query. When the answer is lost, or says that there is no such token or that it
    /// reaches less far already, the token is read: `is_so` tells whether the call took effect, or what the token came
    /// of took it along, and a token that is gone needs nothing more. Otherwise a call whose answer was lost is made
    /// once again.
    async fn token(
        &self,
        (id, query): (&TokenId, &str),
        method: Method,
        headers: &[RequestHeader],
        body: Option<&TokenPatch>,
        is_so: impl Fn(&Token) -> bool + Send + Sync,
    ) -> Result<Effect, WriteError> {
        let path = token_path(id) + query;
        let mut again = 1..TRIES;
        loop {
            let error = match self.client.send(method.clone(), &path, headers, body).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) => error,
            };
            let is_lost = error.is_lost_answer();
            let may_be_so =
                [Some(StatusCode::NOT_FOUND), Some(StatusCode::BAD_REQUEST)].contains(&error.status());
            if !is_lost && !may_be_so {
                return Err(self.refused(error));
            }
            match Gateway::token(&self.client, id).await {
                Ok(None) if is_lost => return Ok(Effect::Made),
                Ok(None) => return Ok(Effect::AlreadySo),
                Ok(Some(token)) if is_so(&token) => return Ok(Effect::Made),
                Ok(Some(_)) if is_lost && again.next().is_some() => {}
                Ok(Some(_)) => return Err(failed(error)),
                Err(cause) if is_lost => return Err(WriteError::Unknown(cause)),
                Err(cause) => return Err(WriteError::Failed(cause)),
            }
        }
    }

    /// Why the server did not do it; that the lease was lost ends the run, a right that ended is judged again
    /// by the next write.
    pub(super) fn refused(&self, error: HttpError) -> WriteError {
        match &self.signature {
            _ if is_right_ended(&error) => WriteError::RightEnded,
            Some(signature) if error.status() == Some(StatusCode::CONFLICT) => signature.lost(),
            _ => failed(error),
        }
    }
}

/// Whether `token`, which is there, is as `step` leaves it.
pub(super) fn is_so(step: TokenStep, token: &Token) -> bool {
    match step {
        TokenStep::Narrow { to } => matches!(token.scope, TokenScope::Set(scope) if scope <= to),
        TokenStep::Expire { at } => token.expires.is_some_and(|expires| expires <= at),
        TokenStep::Mark { .. } | TokenStep::Unmark | TokenStep::Revoke => false,
    }
}

pub(super) fn failed(error: impl Into<Cause>) -> WriteError {
    WriteError::Failed(error.into())
}
