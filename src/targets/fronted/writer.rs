//! The writer of Bitbucket behind our gateway: settings and restrictions are written at the gateway, tokens are revoked
//! at Bitbucket, and the gateway forgets them at once.

use std::sync::Arc;

use crate::{
    apply::{Effect, TargetWriter, WriteError},
    model::{Restriction, Token},
    plan::{Change, TokenStep},
    targets::{
        bitbucket::BitbucketWriter,
        gateway::{Gateway, GatewayWriter},
    },
};

use super::overlay::over;

/// Changes Bitbucket and the gateway in front of it.
pub struct FrontedWriter {
    bitbucket: BitbucketWriter,
    front: GatewayWriter,
    gateway: Arc<Gateway>,
}

impl TargetWriter for FrontedWriter {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        let Change::Token { token, step } = change else { return self.front.make(change).await };
        match *step {
            TokenStep::Narrow { to } => {
                let tightened = move |now: Restriction| Restriction {
                    max_scope: Some(now.max_scope.map_or(to, |most| most.min(to))),
                    ..now
                };
                self.front.restrict(&self.gateway, change, &token.id, tightened).await
            }
            TokenStep::Expire { at } => {
                let tightened = move |now: Restriction| Restriction {
                    not_after: Some(now.not_after.map_or(at, |end| end.min(at))),
                    ..now
                };
                let effect = self.front.restrict(&self.gateway, change, &token.id, tightened).await?;
                if token.mark.is_some() {
                    let unmark = Change::Token { token: token.clone(), step: TokenStep::Unmark };
                    self.bitbucket.make(&unmark).await?;
                }
                Ok(effect)
            }
            TokenStep::Unmark => {
                self.front.headers(change)?;
                self.bitbucket.make(change).await
            }
            TokenStep::Revoke => self.revoke(change, token).await,
            // INVARIANT: only servers that cannot set an expiry are asked for marks, and with a gateway this one can.
            TokenStep::Mark { .. } => Err(WriteError::Failed("a gateway needs no marks".into())),
        }
    }
}

impl FrontedWriter {
    pub(super) fn new(bitbucket: BitbucketWriter, front: GatewayWriter, gateway: Arc<Gateway>) -> Self {
        Self { bitbucket, front, gateway }
    }

    async fn revoke(&self, change: &Change, token: &Token) -> Result<Effect, WriteError> {
        // Nothing is sent once the lease was lost.
        self.front.headers(change)?;
        let failed = WriteError::Failed;
        let (restriction, _) = self.gateway.restriction(&token.id).await.map_err(failed)?;
        let used = self.gateway.last_use(&token.id).await.map_err(failed)?;
        let effect = self.bitbucket.revoke(token, |now| over(now, restriction, used)).await?;
        self.front.forget(change, &token.id).await?;
        Ok(effect)
    }
}
