//! In: changes of an approved plan. Out: calls that take effect once. It refuses to repeat a call
//! whose answer was lost before it has read back what happened.

use std::sync::Arc;

use jiff::Timestamp;
use reqwest::{Method, StatusCode};

use crate::{
    apply::{Effect, TargetWriter, WriteError},
    model::{Scope, Settings, Token, TokenId, TokenScope, settings::SettingsDocument},
    plan::{Change, Standing},
    target::http::HttpClient,
};

use super::{
    Gateway,
    wire::{SETTINGS, TOKEN, TokenPatch},
};

/// How often the settings are written anew when others write at the same time, or answers are lost.
const TRIES: u32 = 5;

/// Changes a gateway.
pub struct GatewayWriter {
    client: Arc<HttpClient>,
}

impl TargetWriter for GatewayWriter {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        match change {
            Change::Grant(_)
            | Change::Withdraw(_)
            | Change::Admit(_)
            | Change::Refuse(_)
            | Change::SetClientAddress { .. }
            | Change::SetPasswordAuthentication { .. }
            | Change::SetLimits { .. } => self.settings(change).await,
            Change::Narrow { token, to } => self.narrow(&token.id, *to).await,
            Change::Expire { token, at } => self.expire(&token.id, *at).await,
            // INVARIANT: only servers that cannot set an expiry are asked for marks, and this is none.
            Change::Mark { .. } | Change::Unmark { .. } => Err(failed("this server knows no marks")),
            Change::Revoke { token } => self.revoke(&token.id).await,
        }
    }
}

impl GatewayWriter {
    pub(super) fn new(client: Arc<HttpClient>) -> Self {
        Self { client }
    }

    /// Reads the settings, compares what the change touches, and writes them with the version that
    /// was read; begins anew when somebody else was faster or the answer was lost.
    async fn settings(&self, change: &Change) -> Result<Effect, WriteError> {
        let mut wrote = false;
        for _ in 0..TRIES {
            let read = self
                .client
                .get::<SettingsDocument>(SETTINGS, &[])
                .await
                .map_err(|error| if wrote { WriteError::Unknown(error.into()) } else { failed(error) })?;
            let mut settings = Settings::try_from(&read.body).map_err(failed)?;
            match change.standing_in(&settings) {
                Standing::After => return Ok(if wrote { Effect::Made } else { Effect::AlreadySo }),
                Standing::Moved => return Err(WriteError::Moved),
                Standing::Before => {}
            }
            change.write_into(&mut settings);
            let body = SettingsDocument::from(&settings);
            match self.client.send(Method::PUT, SETTINGS, read.etag.as_deref(), Some(&body)).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) if error.status() == Some(StatusCode::PRECONDITION_FAILED) => {}
                Err(error) if error.is_lost_answer() => wrote = true,
                Err(error) => return Err(failed(error)),
            }
        }
        Err(WriteError::Contended(TRIES))
    }

    async fn narrow(&self, id: &TokenId, to: Scope) -> Result<Effect, WriteError> {
        let patch = TokenPatch { token_scope: Some(to.number()), ..TokenPatch::default() };
        self.token(id, Method::PATCH, Some(&patch), |token| match token.scope {
            TokenScope::Unset => false,
            TokenScope::Set(scope) => scope <= to,
        })
        .await
    }

    async fn expire(&self, id: &TokenId, at: Timestamp) -> Result<Effect, WriteError> {
        let patch = TokenPatch {
            token_expiration_date_time_millis: Some(at.as_millisecond()),
            ..TokenPatch::default()
        };
        self.token(id, Method::PATCH, Some(&patch), |token| {
            token.expires.is_some_and(|expires| expires <= at)
        })
        .await
    }

    async fn revoke(&self, id: &TokenId) -> Result<Effect, WriteError> {
        self.token(id, Method::DELETE, None, |_| false).await
    }

    /// Calls `method` on a token. When the answer is lost, the token is read: `is_so` tells whether
    /// the call took effect, a token that is gone needs nothing more, and otherwise it is called
    /// once again.
    async fn token(
        &self,
        id: &TokenId,
        method: Method,
        body: Option<&TokenPatch>,
        is_so: impl Fn(&Token) -> bool + Send + Sync,
    ) -> Result<Effect, WriteError> {
        let path = format!("{TOKEN}/{id}");
        let mut lost = None;
        for _ in 0..2 {
            match self.client.send(method.clone(), &path, None, body).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {
                    return Ok(Effect::AlreadySo);
                }
                Err(error) if error.is_lost_answer() => lost = Some(error),
                Err(error) => return Err(failed(error)),
            }
            match Gateway::token(&self.client, id).await {
                Ok(None) => return Ok(Effect::Made),
                Ok(Some(token)) if is_so(&token) => return Ok(Effect::Made),
                Ok(Some(_)) => {}
                Err(error) => return Err(WriteError::Unknown(error)),
            }
        }
        Err(lost.map_or(WriteError::Moved, failed))
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> WriteError {
    WriteError::Failed(error.into())
}
