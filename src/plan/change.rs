//! One thing to do, complete in itself: what is there before it, and what after it. A change that changes
//! nothing is never made.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use crate::model::{Scope, SettingKey, SettingValue, Settings, Token, Verb, digest::sha256, settings::Step};

use super::Phase;

/// One thing to do, with what was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A setting gets another value.
    Setting {
        /// The value as it is.
        before: Box<SettingValue>,
        /// The value as it will be, of the same setting.
        after: Box<SettingValue>,
    },
    /// Something is done to a token.
    Token {
        /// The token as it is.
        token: Arc<Token>,
        /// What is done to it.
        step: TokenStep,
    },
}

/// What is done to a token. In the order in which it is done where one token needs several: its expiry comes before
/// its scope, since the finding that asks for both may be gone with the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStep {
    /// Its expiry comes nearer.
    Expire {
        /// The expiry then, UTC.
        at: Timestamp,
    },
    /// Its description says from when on it is to be revoked, where the server cannot set an expiry.
    Mark {
        /// The moment from which on a run revokes it, UTC midnight.
        until: Timestamp,
    },
    /// Its mark goes, since nothing asks for its end any more.
    Unmark,
    /// Its scope is lowered.
    Narrow {
        /// The scope then.
        to: Scope,
    },
    /// It is revoked. It cannot be undone.
    Revoke,
}

impl TokenStep {
    /// The verbs of all of them, in the order in which they are done; tokens of one verb are changed together.
    pub const VERBS: [Verb; 5] = [Verb::Expire, Verb::Mark, Verb::Unmark, Verb::Narrow, Verb::Revoke];

    /// Its verb.
    #[must_use]
    pub fn verb(self) -> Verb {
        match self {
            Self::Expire { .. } => Verb::Expire,
            Self::Mark { .. } => Verb::Mark,
            Self::Unmark => Verb::Unmark,
            Self::Narrow { .. } => Verb::Narrow,
            Self::Revoke => Verb::Revoke,
        }
    }

    /// When it lets a token end, UTC; `None` when it sets no such day.
    #[must_use]
    pub fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Expire { at: end } | Self::Mark { until: end } => Some(end),
            Self::Unmark | Self::Narrow { .. } | Self::Revoke => None,
        }
    }
}

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// A setting of the server.
    Setting(SettingKey),
    /// A token.
    Token(&'a Token),
}

impl Object<'_> {
    /// What programs read, below the target: `settings/permissions.create`, `token/4711`.
    #[must_use]
    pub fn address(self) -> String {
        match self {
            Self::Setting(key) => format!("settings/{}", key.path()),
            Self::Token(token) => format!("token/{}", token.id),
        }
    }

    /// What programs read of it on `target`: `prod/settings/permissions.create`, `prod/token/4711`.
    #[must_use]
    pub fn address_on(self, target: &str) -> String {
        format!("{target}/{}", self.address())
    }
}

/// How a setting stands, seen from a change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As the plan saw it.
    Before,
    /// As the change leaves it: nothing is left to do.
    After,
    /// Neither: it moved since the plan was made.
    Moved,
}

impl Change {
    /// What `step` does to `token`.
    #[must_use]
    pub fn of_token(token: impl Into<Arc<Token>>, step: TokenStep) -> Self {
        Self::Token { token: token.into(), step }
    }

    /// What it is about.
    #[must_use]
    pub fn object(&self) -> Object<'_> {
        match self {
            Self::Setting { before, .. } => Object::Setting(before.key()),
            Self::Token { token, .. } => Object::Token(token),
        }
    }

    /// The token that it is about, when it is about one.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.token_step().map(|(token, _)| token)
    }

    /// The token that it is about and what is done to it, when it is about one.
    #[must_use]
    pub fn token_step(&self) -> Option<(&Token, TokenStep)> {
        match self {
            Self::Token { token, step } => Some((token, *step)),
            Self::Setting { .. } => None,
        }
    }

    /// Its verb, in plans and reports.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Setting { before, after } => before.verb_to(after),
            Self::Token { step, .. } => step.verb(),
        }
    }

    /// The part of a run that it belongs to.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Setting { before, after } => match before.step_to(after) {
                Step::Open => Phase::Expand,
                Step::Replace => Phase::Verify,
                Step::Close => Phase::Contract,
            },
            Self::Token { .. } => Phase::Contract,
        }
    }

    /// What must not have moved between a plan and its making, as a hash: the whole value of a setting; of a
    /// token whose it is, how far it reaches and how long it lives. Neither its use nor its description
    /// counts: an owner who renames a token does not save it.
    #[must_use]
    pub fn precondition(&self) -> String {
        match self {
            Self::Setting { before, .. } => setting_state(before),
            Self::Token { token, .. } => token_state(token),
        }
    }

    /// Whether it cannot be undone.
    #[must_use]
    pub fn is_irreversible(&self) -> bool {
        match self {
            Self::Setting { .. } => false,
            Self::Token { step, .. } => *step == TokenStep::Revoke,
        }
    }

    /// How `settings` stand, seen from this change; `After` for a change of a token.
    #[must_use]
    pub fn standing_in(&self, settings: &Settings) -> Standing {
        let Self::Setting { before, after } = self else { return Standing::After };
        let is = settings.value(before.key());
        if is == **after {
            Standing::After
        } else if is == **before {
            Standing::Before
        } else {
            Standing::Moved
        }
    }

    /// Puts what it changes into `settings`, and touches nothing else of them.
    pub fn write_into(&self, settings: &mut Settings) {
        match self {
            Self::Setting { after, .. } => settings.set(SettingValue::clone(after)),
            Self::Token { .. } => {}
        }
    }
}

/// The [precondition](Change::precondition) of changes of a setting that has `value`.
#[must_use]
pub fn setting_state(value: &SettingValue) -> String {
    sha256(value.to_json().to_string().as_bytes())
}

/// The [precondition](Change::precondition) of changes of `token`.
#[must_use]
pub fn token_state(token: &Token) -> String {
    let state = json!([
        token.owner.kind().word(),
        token.owner.recorded(),
        token.created,
        token.scope.to_string(),
        token.expires,
        token.mark.map(|mark| mark.until)
    ]);
    sha256(state.to_string().as_bytes())
}
