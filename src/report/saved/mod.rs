//! A plan as a file: for people, for programs, and for `apply`.
//!
//! In: the plans of a run, and later the bytes of the file. Out: the file, and what of it still stands on
//! a target that was planned afresh. It refuses to be believed: the file says what was reviewed, never
//! what may be done. Only a change that the policy at hand asks for as well is made, so that a forged
//! file can do nothing that the policy does not do anyway.
//!
//! The file is the JSON of [`PlanDocument`] with one more member at its end, `digest`: the SHA-256 of all
//! bytes before the comma in front of it. It is there against damage, not against malice; whoever must be
//! sure that the file is the reviewed one gives `apply` the digest of the review.

mod plans;
mod verdict;

pub use plans::{BadPlan, Shown};
pub use verdict::{Reviewed, Verdict};

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    model::{Period, SettingKey, TokenId, Verb},
    plan::{Change, TokenStep},
};

use super::{
    hash,
    json::{FORMAT_VERSION, PlanDocument},
    subject::address,
};

/// How long a saved plan may be applied.
pub const VALID_FOR: Period = Period::days(7);
/// How far the clock of the machine that saved a plan may be ahead of ours.
const CLOCKS_APART: Period = Period::hours(1);
/// What stands between the rest of the file and the digest itself.
const DIGEST: &str = ",\n  \"digest\": \"sha256:";
/// What stands behind it.
const END: &str = "\"\n}\n";
/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// The file that `document` makes.
///
/// # Errors
///
/// When the document cannot be written as JSON.
pub fn write(document: &PlanDocument) -> Result<String, serde_json::Error> {
    Ok(seal(serde_json::to_string_pretty(document)?))
}

/// The file that the JSON of a document makes, indented as [`write()`] does it.
#[must_use]
pub fn seal(mut text: String) -> String {
    text.truncate(text.trim_end_matches(['}', '\n']).len());
    let digest = sha256(text.as_bytes());
    text.push_str(DIGEST);
    text.push_str(&digest);
    text.push_str(END);
    text
}

/// The SHA-256 of `bytes`, in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hash::hex(&Sha256::digest(bytes))
}

/// A saved plan whose bytes are whole.
#[derive(Debug)]
pub struct SavedPlan {
    /// The digest, in hexadecimal.
    pub digest: String,
    /// When it was made, UTC.
    pub made_at: Timestamp,
    /// Until when it may be applied, UTC.
    pub valid_until: Timestamp,
    /// The targets that were planned.
    pub targets: Vec<SavedTarget>,
    changes: Vec<SavedChange>,
    /// Where in `changes` those with an address are.
    by_address: HashMap<String, Vec<usize>>,
    text: String,
}

/// A target of a saved plan.
#[derive(Debug, Deserialize)]
pub struct SavedTarget {
    /// Its name in the config file.
    pub name: String,
    /// Its address, without credentials.
    pub url: String,
    /// SHA-256 of the merged policy, in hexadecimal.
    pub policy_sha256: String,
}

/// A change of a saved plan. Text from the file: it may say anything.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedChange {
    /// `<target>/settings/<key>` or `<target>/token/<id>`.
    pub address: String,
    change: SavedEffect,
    precondition: String,
}

#[derive(Clone, Debug, Deserialize)]
struct SavedEffect {
    actions: [Verb; 1],
    after: Value,
}

#[derive(Deserialize)]
struct Envelope {
    made_at: Timestamp,
    valid_until: Timestamp,
    targets: Vec<SavedTarget>,
    resource_changes: Vec<SavedChange>,
}

/// Why a saved plan cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is something else than a saved plan, or was cut off.
    #[error("this is no whole saved plan: it does not end with a digest")]
    NoDigest,
    /// Its bytes are not those that were saved.
    #[error("the saved plan was altered or damaged: its digest is another one")]
    Altered,
    /// It is whole, and not the one that was reviewed.
    #[error("the saved plan has the digest {0}, not the expected one")]
    Unexpected(String),
    /// It is of a later version of the program.
    #[error("the saved plan has the format {0}, and this version reads {FORMAT_VERSION}")]
    Format(String),
    /// It has another form.
    #[error("the saved plan has another form than expected")]
    Form(#[source] serde_json::Error),
    /// A part of it has no meaning.
    #[error(transparent)]
    Meaning(BadPlan),
    /// It is too old.
    #[error("the saved plan could be applied until {0:.0}: make a new one")]
    Expired(Timestamp),
    /// It says that it was made in the future.
    #[error("the saved plan was made at {0:.0}, which is still to come")]
    FromTheFuture(Timestamp),
}

impl SavedPlan {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// When they are not whole, or have a form that this version does not know.
    pub fn read(bytes: &[u8]) -> Result<Self, Unusable> {
        let text = str::from_utf8(bytes).map_err(|_| Unusable::NoDigest)?;
        let rest = text.strip_suffix(END).ok_or(Unusable::NoDigest)?;
        let cut = rest.len().checked_sub(DIGITS).ok_or(Unusable::NoDigest)?;
        let (rest, digest) = rest.split_at_checked(cut).ok_or(Unusable::NoDigest)?;
        let body = rest.strip_suffix(DIGEST).ok_or(Unusable::NoDigest)?;
        if sha256(body.as_bytes()) != digest {
            return Err(Unusable::Altered);
        }
        let version: Version = serde_json::from_str(text).map_err(Unusable::Form)?;
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        if major(&version.format_version) != major(FORMAT_VERSION) {
            return Err(Unusable::Format(version.format_version));
        }
        let Envelope { made_at, valid_until, targets, resource_changes, .. } =
            serde_json::from_str(text).map_err(Unusable::Form)?;
        let mut by_address: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, change) in resource_changes.iter().enumerate() {
            by_address.entry(change.address.clone()).or_default().push(index);
        }
        let (digest, text) = (digest.to_owned(), text.to_owned());
        Ok(Self { digest, made_at, valid_until, targets, changes: resource_changes, by_address, text })
    }

    /// Whether it is the one with the digest `expected`, when one is.
    ///
    /// # Errors
    ///
    /// When it is another one.
    pub fn check_digest(&self, expected: Option<&str>) -> Result<(), Unusable> {
        let expected = expected.map(|digest| digest.strip_prefix("sha256:").unwrap_or(digest));
        if expected.is_some_and(|digest| !digest.eq_ignore_ascii_case(&self.digest)) {
            return Err(Unusable::Unexpected(self.digest.clone()));
        }
        Ok(())
    }

    /// Whether it may be applied at `now`, by the clock of the server that it was made for.
    ///
    /// # Errors
    ///
    /// When it may not.
    pub fn check_age(&self, now: Timestamp) -> Result<(), Unusable> {
        if self.made_at > CLOCKS_APART.after(now) {
            return Err(Unusable::FromTheFuture(self.made_at));
        }
        // Whatever the file says: nothing is valid for longer.
        let until = self.valid_until.min(VALID_FOR.after(self.made_at));
        if until < now { Err(Unusable::Expired(until)) } else { Ok(()) }
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it shows.
    ///
    /// # Errors
    ///
    /// When a part of it is missing or has no meaning.
    pub fn shown(&self) -> Result<Shown, Unusable> {
        let document: plans::Document = serde_json::from_str(&self.text).map_err(Unusable::Form)?;
        document.shown(self.made_at).map_err(Unusable::Meaning)
    }

    /// The tokens of `target` that it would change.
    pub fn tokens<'a>(&'a self, target: &'a str) -> impl Iterator<Item = TokenId> + 'a {
        self.changes.iter().filter_map(move |change| change.token(target))
    }

    /// Whether it has `change`, which the policy at hand asks for on `target` now, and the thing that it is
    /// about has not moved.
    ///
    /// A deadline moves with the day on which a plan is made. One that is no earlier than the reviewed one
    /// is the same change: nobody gets less grace than the policy promises.
    #[must_use]
    pub fn has(&self, target: &str, change: &Change) -> bool {
        self.at(&address(target, change.object())).any(|saved| {
            saved.change.actions == [change.verb()]
                && saved.precondition == precondition(change)
                && saved.has_effect_of(change)
        })
    }

    /// The changes of what is at `address`.
    fn at(&self, address: &str) -> impl Iterator<Item = &SavedChange> {
        let of_address = self.by_address.get(address);
        of_address.into_iter().flatten().filter_map(|index| self.changes.get(*index))
    }
}

#[derive(Deserialize)]
struct Version {
    format_version: String,
}

impl SavedChange {
    /// Its verb.
    #[must_use]
    pub fn verb(&self) -> Verb {
        let [verb] = self.change.actions;
        verb
    }

    /// The setting that it is about, when it is about one.
    fn setting(&self) -> Option<SettingKey> {
        let (_, path) = self.address.rsplit_once("/settings/")?;
        SettingKey::ALL.into_iter().find(|key| key.path() == path)
    }

    fn token(&self, target: &str) -> Option<TokenId> {
        let rest = self.address.strip_prefix(target)?.strip_prefix("/token/")?;
        Some(TokenId::new(rest))
    }

    /// The moment of `key` after the change.
    fn moment(&self, key: &str) -> Option<Timestamp> {
        self.change.after.get(key)?.as_str()?.parse().ok()
    }

    fn has_effect_of(&self, change: &Change) -> bool {
        let after = &self.change.after;
        match change {
            Change::Setting { after: value, .. } => *after == value.to_json(),
            Change::Token { step, .. } => match step {
                TokenStep::Expire { at } => self.moment("expires").is_some_and(|reviewed| reviewed <= *at),
                TokenStep::Mark { until } => {
                    self.moment("marked_to_end").is_some_and(|reviewed| reviewed <= *until)
                }
                TokenStep::Unmark => after.get("marked_to_end").is_some_and(Value::is_null),
                TokenStep::Narrow { to } => after.get("scope") == Some(&to.to_string().into()),
                TokenStep::Revoke => after.is_null(),
            },
        }
    }
}

/// What must not have moved between a plan and its making, as a hash: the whole value of a setting; of a
/// token whose it is, how far it reaches and how long it lives. Neither its use nor its description
/// counts: an owner who renames a token does not save it.
pub(super) fn precondition(change: &Change) -> String {
    match change {
        Change::Setting { before, .. } => sha256(before.to_json().to_string().as_bytes()),
        Change::Token { token, .. } => token_state(token),
    }
}

fn token_state(token: &crate::model::Token) -> String {
    let state = serde_json::json!([
        token.owner.kind().word(),
        token.owner.recorded(),
        token.created,
        token.scope.to_string(),
        token.expires,
        token.mark.map(|mark| mark.until)
    ]);
    sha256(state.to_string().as_bytes())
}
