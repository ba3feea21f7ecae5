//! The purpose of a plan as one value, kept in it so that a second look afterwards asks the same.

use std::{collections::BTreeSet, fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{AddressSet, Owner, Pattern, TimeBound, Token, TokenId, secret::SecretHash};

use super::{Change, HeldBack, Object, PlannedChange, Review};

/// What a plan is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To make the target comply with the policy.
    #[default]
    Comply,
    /// The same, but only one part of it.
    ComplyOnly(Part),
    /// The same, but only what was reviewed.
    Reviewed(Arc<Review>),
    /// To revoke tokens at once, whatever the policy says of them.
    Revoke(Incident),
}

/// One of the two parts that a plan has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The settings of the server.
    Settings,
    /// The tokens that are there.
    Tokens,
}

/// Why tokens have to go at once, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Which tokens.
    pub tokens: Selection,
    /// What leaked beside these, and does not say by itself which tokens it opens.
    pub leaks: Vec<Leak>,
    /// Why, in the words of the one who wants it.
    pub reason: String,
}

/// Something that leaked and is, or may be, the secret of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Where it was found, such as `line 3 of leaks.txt`.
    pub place: String,
    /// The SHA-256 of the secret, by which the server that issued it knows the token; `None` when the secret cannot
    /// be read.
    pub hash: Option<SecretHash>,
}

/// A choice of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All that fit.
    Fitting(Criteria),
    /// These tokens.
    Tokens(BTreeSet<TokenId>),
}

/// What tokens have in common. Those fit that have all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Criteria {
    /// They are of one of these owners; of anybody when there is none. Names compare without regard to case.
    pub owners: Vec<Owner>,
    /// Their descriptions match.
    pub description: Option<Pattern>,
    /// They were created then or later.
    pub created_after: Option<TimeBound>,
    /// Their last use came from one of these addresses; from anywhere, or never, when there is none.
    pub last_used_from: AddressSet,
}

impl Purpose {
    /// The part that the plan is confined to, when it is.
    #[must_use]
    pub fn part(&self) -> Option<Part> {
        match self {
            Self::ComplyOnly(part) => Some(*part),
            Self::Comply | Self::Reviewed(_) | Self::Revoke(_) => None,
        }
    }

    /// Takes what it leaves out, of what would be done on `target` to comply, out of `changes` and
    /// `held_back`, and returns the changes.
    pub(super) fn cut(
        &self,
        target: &str,
        changes: &mut Vec<PlannedChange>,
        held_back: &mut Vec<HeldBack>,
    ) -> Vec<PlannedChange> {
        match self {
            Self::Comply | Self::Revoke(_) => Vec::new(),
            Self::ComplyOnly(part) => part.cut(changes, held_back),
            Self::Reviewed(review) => {
                changes.extract_if(.., |planned| !review.has(target, &planned.change)).collect()
            }
        }
    }
}

impl Part {
    /// Its word on the command line and in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Tokens => "tokens",
        }
    }

    /// Takes what is not of this part out of `changes` and `held_back`, and returns the changes.
    fn cut(self, changes: &mut Vec<PlannedChange>, held_back: &mut Vec<HeldBack>) -> Vec<PlannedChange> {
        held_back.retain(|held| held.tokens.is_some() == (self == Self::Tokens));
        changes.extract_if(.., |planned| !self.has(&planned.change)).collect()
    }

    fn has(self, change: &Change) -> bool {
        match change.object() {
            Object::Setting(_) => self == Self::Settings,
            Object::Token(_) => self == Self::Tokens,
        }
    }
}

impl Selection {
    /// The identifiers, when it is about single tokens.
    #[must_use]
    pub fn ids(&self) -> Option<&BTreeSet<TokenId>> {
        match self {
            Self::Tokens(ids) => Some(ids),
            Self::Fitting(_) => None,
        }
    }

    /// Whether all tokens are read for it. A token that is named can be anybody's.
    #[must_use]
    pub fn is_of_anybody(&self) -> bool {
        match self {
            Self::Tokens(_) => true,
            Self::Fitting(criteria) => criteria.owners.is_empty(),
        }
    }

    /// Whether `token` is one of them at `now`; `None` when the server does not tell enough of it.
    #[must_use]
    pub fn has(&self, token: &Token, now: Timestamp) -> Option<bool> {
        match self {
            Self::Tokens(ids) => Some(ids.contains(&token.id)),
            Self::Fitting(criteria) => criteria.fit(token, now),
        }
    }
}

impl Criteria {
    /// All tokens of `owner`.
    #[must_use]
    pub fn of_owner(owner: Owner) -> Self {
        Self { owners: vec![owner], ..Self::default() }
    }

    fn fit(&self, token: &Token, now: Timestamp) -> Option<bool> {
        let of_owner = self.owners.is_empty() || self.owners.iter().any(|owner| is_same(owner, &token.owner));
        let described = self.description.as_ref().is_none_or(|wanted| wanted.matches(&token.description));
        let created = self.created_after.is_none_or(|bound| token.created >= bound.at(now));
        if !(of_owner && described && created) {
            return Some(false);
        }
        if self.last_used_from.is_empty() {
            return Some(true);
        }
        let Some(used) = token.last_used else { return Some(false) };
        used.from.map(|from| self.last_used_from.contains(from))
    }
}

/// Whether `wanted` is `owner`.
pub(super) fn is_same(wanted: &Owner, owner: &Owner) -> bool {
    wanted.folded() == owner.folded()
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
