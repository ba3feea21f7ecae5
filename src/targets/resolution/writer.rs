//! The writer of the app: changes of an approved plan as calls that take effect once. Nothing is written
//! that was not read just before, and a call whose answer was lost is not repeated before reading back what
//! happened.

use std::{collections::HashMap, error::Error, sync::Arc};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{
    apply::{Effect, TargetWriter, WriteError},
    http::{HttpClient, HttpError, IF_MATCH, PagingFault, RequestHeader},
    model::{
        Marker, SettingKey, Settings, Token, TokenId, UserName,
        mapping::{Field, SettingsMapping},
        run::RunId,
    },
    plan::{ApprovedPlan, Change, Plan, Standing, TokenStep},
    targets::{grounds::RevocationGrounds, ours::beside_revocations},
};

use super::{
    directory::ProductUser,
    mapping,
    reader::document,
    tokens::{Pages, may_be},
    wire::{Filter, NoToken, TOKENS, TokenItem, TokenPatch, token_path},
};

/// How often a call is made when its answer is lost, or others write at the same time.
const TRIES: u32 = 5;

/// What is wrong with a list without the token that is looked for.
const NOT_WHOLE: &str = "begins a list that may lack the token";

/// How often a list is read until it is the same twice.
const READINGS: u32 = 20;

type Cause = Box<dyn Error + Send + Sync>;

/// Changes the app.
pub struct ResolutionWriter {
    client: Arc<HttpClient>,
    marker: Option<Marker>,
    settings: Option<SettingsMapping>,
    keys: HashMap<UserName, String>,
    grounds: RevocationGrounds,
    beside_revocations: Vec<RequestHeader>,
}

impl TargetWriter for ResolutionWriter {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        match change {
            Change::Setting { before, .. } => self.setting(change, before.key()).await,
            Change::Token { token, step } => match *step {
                TokenStep::Mark { until } => {
                    let marked = |words: &str| Ok(self.marker()?.marked(words, token, until)?);
                    self.describe(token, marked).await
                }
                TokenStep::Unmark => self.describe(token, |words| self.unmarked(&token.id, words)).await,
                TokenStep::Revoke => self.revoke(token).await,
                // INVARIANT: a plan asks for nothing that the server is not said to be capable of.
                TokenStep::Narrow { .. } | TokenStep::Expire { .. } => {
                    Err(failed("the app cannot change that of a token"))
                }
            },
        }
    }
}

impl ResolutionWriter {
    pub(super) fn new(
        client: Arc<HttpClient>,
        marker: Option<Marker>,
        settings: Option<SettingsMapping>,
        people: &[ProductUser],
        plan: &Plan,
    ) -> Self {
        let grounds = RevocationGrounds::of(plan);
        let keys = people.iter().map(|person| (person.name.clone(), person.key.clone())).collect();
        Self { client, marker, settings, keys, grounds, beside_revocations: Vec::new() }
    }

    /// The same, as a part of `run`, which does what `approved` says.
    #[must_use]
    pub fn named(mut self, approved: &ApprovedPlan, run: Option<&RunId>) -> Self {
        self.beside_revocations = beside_revocations(&self.client, approved.plan(), run);
        self
    }

    /// Reads the settings, compares what the change touches, writes them with everything else as it was, and
    /// reads them back; begins again when the answer was lost, and when somebody else was faster, as far as
    /// the server tells versions apart.
    async fn setting(&self, change: &Change, key: SettingKey) -> Result<Effect, WriteError> {
        let (mapping, field) = self.field(key)?;
        let method: Method = mapping.write.parse().map_err(|error| failed(Cause::from(error)))?;
        let mut wrote = None;
        // The last time it only reads back.
        for tries in 0..=TRIES {
            let unread = |cause| if wrote.is_some() { WriteError::Unknown(cause) } else { failed(cause) };
            let read = document(&self.client, mapping).await.map_err(unread)?;
            let (mut document, etag) = (read.body, read.etag);
            let mut settings = settings_in(&document, mapping, key).map_err(failed)?;
            match (change.standing_in(&settings), wrote.take()) {
                (Standing::After, wrote) => {
                    return Ok(if wrote.is_some() { Effect::Made } else { Effect::AlreadySo });
                }
                (Standing::Moved, _) => return Err(WriteError::Moved),
                (Standing::Before, Some(Ok(()))) => {
                    return Err(failed("the server accepted it and kept what was there"));
                }
                (Standing::Before, Some(Err(error))) if tries == TRIES => return Err(failed(error)),
                (Standing::Before, None) if tries == TRIES => break,
                (Standing::Before, _) => {}
            }
            change.write_into(&mut settings);
            mapping::write(key, field, &settings, &mut document).map_err(failed)?;
            // A weak version never matches (RFC 9110, 13.1.1): proxies make them when they compress.
            let strong = etag.filter(|etag| !etag.starts_with("W/"));
            let version: Vec<_> = strong.into_iter().map(|etag| (IF_MATCH, etag)).collect();
            match self.client.send(method.clone(), &mapping.path, &version, Some(&document)).await {
                Ok(()) => wrote = Some(Ok(())),
                // Somebody else was faster.
                Err(error) if error.status() == Some(StatusCode::PRECONDITION_FAILED) => {}
                Err(error) if error.is_lost_answer() => wrote = Some(Err(error)),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(WriteError::Contended(TRIES))
    }

    fn field(&self, key: SettingKey) -> Result<(&SettingsMapping, &Field), WriteError> {
        let mapping = self.settings.as_ref();
        let found = mapping.and_then(|mapping| Some((mapping, mapping.fields.get(&key)?)));
        found.ok_or_else(|| failed(format!("nothing says where the app keeps `{key}`")))
    }

    /// Reads a token and writes the words that `wanted` makes of its own, unless that is nothing. When the
    /// answer is lost, it begins again. What its owner wrote meanwhile stays.
    async fn describe(
        &self,
        token: &Token,
        wanted: impl Fn(&str) -> Result<Option<String>, Cause> + Send + Sync,
    ) -> Result<Effect, WriteError> {
        let path = path(token)?;
        let mut lost = None;
        for _ in 0..TRIES {
            let now = match self.find(token).await {
                Ok(Some(now)) => now,
                Ok(None) => return Ok(Effect::AlreadySo),
                Err(error) if lost.is_some() => return Err(WriteError::Unknown(error.into())),
                Err(error) => return Err(failed(error)),
            };
            let Some(token_description) = wanted(now.words()).map_err(failed)? else {
                return Ok(if lost.is_some() { Effect::Made } else { Effect::AlreadySo });
            };
            let update = TokenPatch { token_description };
            match self.client.send(Method::PATCH, &path, &[], Some(&update)).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) if error.is_lost_answer() => lost = Some(error),
                // It may be gone by now.
                Err(error) if error.status() == Some(StatusCode::NOT_FOUND) && lost.is_none() => {
                    lost = Some(error);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(lost.map_or(WriteError::Moved, |error| WriteError::Unknown(error.into())))
    }

    fn unmarked(&self, id: &TokenId, now: &str) -> Result<Option<String>, Cause> {
        let (words, mark) = self.marker()?.read(now, id);
        Ok(mark.map(|_| Marker::unmarked(words).to_owned()))
    }

    fn marker(&self) -> Result<&Marker, Cause> {
        self.marker.as_ref().ok_or_else(|| "there is no key for marks".into())
    }

    /// Looks for a token and revokes it, when what the plan found still holds. One that is gone after a lost
    /// answer was revoked by us.
    async fn revoke(&self, token: &Token) -> Result<Effect, WriteError> {
        let path = path(token)?;
        let (mut lost, mut failure) = (false, None);
        // The last time it only reads back.
        for tries in 0..=TRIES {
            let unread =
                |error: HttpError| if lost { WriteError::Unknown(error.into()) } else { failed(error) };
            let Some(now) = self.find(token).await.map_err(unread)? else {
                return Ok(if lost { Effect::Made } else { Effect::AlreadySo });
            };
            if !self.grounds.hold(token, &self.shown(now, token).map_err(failed)?) {
                return Err(WriteError::Moved);
            }
            if let Some(error) = failure.take_if(|_| tries == TRIES) {
                return Err(failed(error));
            }
            match self.client.delete(&path, &self.beside_revocations).await {
                Ok(true) => return Ok(Effect::Made),
                Ok(false) => return Err(failed("the server answered that it did not revoke it")),
                // It may be gone by now.
                Err(error) if error.is_lost_answer() || error.status() == Some(StatusCode::NOT_FOUND) => {
                    lost |= error.is_lost_answer();
                    failure = Some(error);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(WriteError::Moved)
    }

    /// The listed `item` as a token. What a list does not say of it is taken to be as it was in `planned`.
    fn shown(&self, item: TokenItem, planned: &Token) -> Result<Token, Cause> {
        let owner = planned.owner.user().cloned();
        match item.token(owner, Some(planned.scope), self.marker.as_ref()) {
            Ok(token) => Ok(token),
            Err(NoToken::Lacks(_)) => Err("the server does not say as much of it as before".into()),
            Err(NoToken::Bad(bad)) => Err(bad.into()),
        }
    }

    /// The token as it is listed now; `None` when it is not. No call shows a single token: its owner's are
    /// looked through, and only when it is not among them, all.
    async fn find(&self, token: &Token) -> Result<Option<TokenItem>, HttpError> {
        if let Some(user) = token.owner.user() {
            // Users who left the directory are known by their keys.
            let key = self.keys.get(user).map_or(user.as_str(), String::as_str);
            match self.find_among(Some(key), &token.id).await {
                Ok(None) => {}
                // All of them say more than a list that takes no notice of the filter.
                Err(error) if error.refusal().is_some() || matches!(error, HttpError::Paging { .. }) => {}
                found => return found,
            }
        }
        self.find_among(None, &token.id).await
    }

    /// The token among those of the user with `key`, or among all. It is not there when the list was the same twice
    /// without it: another token that goes meanwhile moves those behind it to a page that was read before.
    async fn find_among(&self, key: Option<&str>, id: &TokenId) -> Result<Option<TokenItem>, HttpError> {
        let mut before = None;
        for _ in 0..READINGS {
            let filter = key.map(|key| Filter::User(key.to_owned()));
            let mut pages = Pages::new(&self.client, filter, None);
            let mut ids = Vec::new();
            while let Some(items) = pages.next().await? {
                ids.extend(items.iter().map(TokenItem::id));
                if let Some(found) = items.into_iter().find(|item| item.id() == *id) {
                    return Ok(Some(found));
                }
            }
            // A list that may lack tokens shows of none that it is gone.
            if pages.fault.is_some() || pages.odd.iter().any(|entry| may_be(entry, id)) {
                return Err(self.client.paging(TOKENS, 0, PagingFault::Contradicts(NOT_WHOLE)));
            }
            if before.as_ref() == Some(&ids) {
                return Ok(None);
            }
            before = Some(ids);
        }
        Err(self.client.paging(TOKENS, 0, PagingFault::Unsteady))
    }
}

/// The settings in `document`, of which `key` must be readable.
fn settings_in(document: &Value, mapping: &SettingsMapping, key: SettingKey) -> Result<Settings, String> {
    let (settings, mut unreadable) = mapping::read(&mapping.fields, document);
    unreadable.remove(&key).map_or(Ok(settings), Err)
}

fn path(token: &Token) -> Result<String, WriteError> {
    token_path(&token.id).ok_or_else(|| failed("its identifier is no number"))
}

fn failed(error: impl Into<Cause>) -> WriteError {
    WriteError::Failed(error.into())
}
