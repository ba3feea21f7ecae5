//! The purpose of a plan as one value, kept in it so that a second look afterwards asks the same.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::model::{Owner, Token, TokenId};

use super::{Change, HeldBack, Object, PlannedChange, Review};

/// What a plan is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To make the target comply with the policy.
    #[default]
    Comply,
    /// The same, but only one part of it.
    ComplyOnly(Part),
    /// The same, but what was reviewed alone.
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
    /// Why, in the words of the one who wants it.
    pub reason: String,
}

/// A choice of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All tokens of an owner. Names compare without regard to case.
    Owner(Owner),
    /// These tokens.
    Tokens(BTreeSet<TokenId>),
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
    /// `held_back`, and answers the changes.
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

    /// Takes what is not of this part out of `changes` and `held_back`, and answers the changes.
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
            Self::Owner(_) => None,
        }
    }

    /// Whether `token` is one of them.
    #[must_use]
    pub fn has(&self, token: &Token) -> bool {
        match (self, &token.owner) {
            (Self::Tokens(ids), _) => ids.contains(&token.id),
            (Self::Owner(Owner::User(wanted)), Owner::User(user)) => wanted == user,
            (Self::Owner(Owner::User(_)), _) | (Self::Owner(_), Owner::User(_)) => false,
            (Self::Owner(wanted), owner) => wanted.folded() == owner.folded(),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
