//! Changes of tokens that a gateway makes together, in one transaction. A call whose answer was lost is made again: the
//! server knows what the run did, and does nothing twice. What still nobody can tell is read back token by token.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use reqwest::{Method, StatusCode};

use crate::{
    apply::{Effect, TOKENS_AT_ONCE, WriteError, one_by_one},
    http::HttpError,
    plan::{Change, TokenStep},
    protocol::{
        ChangeTokens, ChangedToken, ChangedTokens, ChildrenWish, Condition, TOKEN_CHANGES, TokenChange,
        TokenOutcome, WantedChange,
    },
};

use super::{
    Gateway, GatewayWriter,
    descent::number,
    ledger::{Signature, is_right_ended},
    writer::{TRIES, failed, is_so},
};

type Made = Result<Effect, WriteError>;

impl GatewayWriter {
    /// Makes `changes` of tokens in one call, and what became of each.
    pub(super) async fn make_together(&self, changes: &[&Change]) -> Vec<Made> {
        let wanted: Option<Vec<WantedChange>> = changes.iter().map(|change| self.wanted(change)).collect();
        let Some(wanted) = wanted.filter(|wanted| wanted.len() > 1) else {
            return one_by_one(self, changes).await;
        };
        let Ok(lease) = self.signature().map_or(Ok(None), Signature::lease) else {
            return changes.iter().map(|_| Err(WriteError::LeaseLost)).collect();
        };
        let run = self.signature().map(|signature| signature.run().clone());
        let body = ChangeTokens { run, lease, changes: wanted };
        let mut lost = None;
        for tries in 1..=TRIES {
            let answer = self.client().exchange::<ChangedTokens>(Method::POST, TOKEN_CHANGES, &body).await;
            let error = match answer {
                Ok(ChangedTokens { results }) if is_about(&results, &body) => {
                    // Of what a run did the server tells that it is done.
                    let may_be_ours = lost.is_some() && body.run.is_none();
                    return results.into_iter().map(|told| self.told(told.outcome, may_be_ours)).collect();
                }
                Ok(_) => return self.read_back(changes, None).await,
                Err(error) => error,
            };
            match error {
                error if error.is_lost_answer() => {
                    lost = Some(error);
                    if tries < TRIES {
                        self.client().pause(tries).await;
                    }
                }
                error if lost.is_some() => return self.read_back(changes, Some(error)).await,
                error if is_declined(&error) => {
                    self.decline();
                    return one_by_one(self, changes).await;
                }
                error => {
                    let error = Arc::new(error);
                    return changes.iter().map(|_| Err(self.not_done(&error))).collect();
                }
            }
        }
        self.read_back(changes, lost).await
    }

    /// `change` as the server takes it together with others; `None` when it does not.
    fn wanted(&self, change: &Change) -> Option<WantedChange> {
        let (token, step) = change.token_step()?;
        let (mut only_if, takes_along) = (Condition::default(), self.takes_along(&token.id));
        let wanted = match step {
            TokenStep::Narrow { to } => TokenChange::Narrow { to },
            TokenStep::Expire { at } => TokenChange::Expire { at },
            TokenStep::Revoke => {
                only_if = self.grounds().condition(token)?;
                TokenChange::Revoke { children: takes_along.then_some(ChildrenWish::Revoke) }
            }
            TokenStep::Mark { .. } | TokenStep::Unmark => return None,
        };
        let note = match self.signature() {
            Some(signature) => Some(signature.note(change)?.clone()),
            None => None,
        };
        Some(WantedChange { token: number(&token.id)?, change: wanted, only_if, note })
    }

    /// What became of `changes`, as the tokens show it. Those that were not made were refused for `error`.
    async fn read_back(&self, changes: &[&Change], error: Option<HttpError>) -> Vec<Made> {
        let error = error.map(Arc::new);
        let Some((first, others)) = changes.split_first() else { return Vec::new() };
        let mut all = vec![self.look_at(first, error.as_ref()).await];
        if matches!(all.as_slice(), [Err(WriteError::Unknown(_))]) {
            // Who does not answer for one token does not answer for hundreds.
            let unknown = || Err(WriteError::Unknown("the server does not answer for it".into()));
            all.extend(others.iter().map(|_| unknown()));
            return all;
        }
        let looks: Vec<_> = others.iter().map(|change| self.look_at(change, error.as_ref())).collect();
        all.extend(stream::iter(looks).buffered(TOKENS_AT_ONCE).collect::<Vec<_>>().await);
        all
    }

    async fn look_at(&self, change: &Change, error: Option<&Arc<HttpError>>) -> Made {
        let Some((planned, step)) = change.token_step() else { return Err(failed("it is about no token")) };
        match Gateway::token(self.client(), &planned.id).await {
            Ok(None) => Ok(Effect::Made),
            Ok(Some(token)) if is_so(step, &token) => Ok(Effect::Made),
            Ok(Some(_)) => Err(error
                .map_or_else(|| failed("the answer is about other changes"), |error| self.not_done(error))),
            Err(cause) => Err(WriteError::Unknown(cause)),
        }
    }

    /// What `outcome` means; a token that is gone `may_be_ours` where an answer was lost.
    fn told(&self, outcome: TokenOutcome, may_be_ours: bool) -> Made {
        match outcome {
            // As where a token that refuses is read: what it came of took it along.
            TokenOutcome::Done | TokenOutcome::AlreadySo => Ok(Effect::Made),
            TokenOutcome::Gone if may_be_ours => Ok(Effect::Made),
            TokenOutcome::Gone => Ok(Effect::AlreadySo),
            TokenOutcome::Moved => Err(WriteError::Moved),
            TokenOutcome::RightEnded => Err(WriteError::RightEnded),
            TokenOutcome::Refused { status, message } => {
                Err(failed(self.client().refused_part(&Method::POST, TOKEN_CHANGES, status, &message)))
            }
        }
    }

    /// Why a change was not made when the call for all of them ended with `error`.
    fn not_done(&self, error: &Arc<HttpError>) -> WriteError {
        match self.signature() {
            _ if is_right_ended(error) => WriteError::RightEnded,
            Some(signature) if error.status() == Some(StatusCode::CONFLICT) => signature.lost(),
            _ => failed(Arc::clone(error)),
        }
    }
}

/// Whether `results` are about what was asked for.
fn is_about(results: &[ChangedToken], asked: &ChangeTokens) -> bool {
    results.iter().map(|told| told.token).eq(asked.changes.iter().map(|wanted| wanted.token))
}

/// Whether the server, or something before it, does not know the call, lets nobody to it or finds it too large: then
/// nothing was done.
fn is_declined(error: &HttpError) -> bool {
    let statuses = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::PAYLOAD_TOO_LARGE,
    ];
    error.status().is_some_and(|status| statuses.contains(&status))
}
