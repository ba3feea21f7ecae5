//! In: what is and what should be of one thing. Out: one thing to do, complete in itself. It
//! refuses to know whether it is worth doing: a change that changes nothing is never made.

use jiff::Timestamp;

use crate::model::{
    AllowedNetworks, ClientAddressSource, Holders, Limit, PasswordAuthentication, Permission, Scope,
    SettingKey, Settings, Token,
};

/// One thing to do, with what was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// More people hold a permission; `after` includes everybody in `before`.
    Grant(HoldersChange),
    /// Fewer people hold a permission.
    Withdraw(HoldersChange),
    /// Clients are accepted from more addresses; `after` includes all of `before`.
    Admit(NetworksChange),
    /// Clients are accepted from fewer addresses.
    Refuse(NetworksChange),
    /// The address of a client is found elsewhere.
    SetClientAddress {
        /// Where it is found now.
        before: ClientAddressSource,
        /// Where it will be found.
        after: ClientAddressSource,
    },
    /// Passwords work for other people than before.
    SetPasswordAuthentication {
        /// For whom now.
        before: PasswordAuthentication,
        /// For whom then.
        after: PasswordAuthentication,
    },
    /// New tokens may reach further or less far.
    SetLimits {
        /// The entries as they are.
        before: Vec<Limit>,
        /// The entries as they will be.
        after: Vec<Limit>,
    },
    /// The scope of a token is lowered.
    Narrow {
        /// The token as it is.
        token: Box<Token>,
        /// Its scope then.
        to: Scope,
    },
    /// The expiry of a token comes nearer.
    Expire {
        /// The token as it is.
        token: Box<Token>,
        /// Its expiry then, UTC.
        at: Timestamp,
    },
    /// The description of a token says from when on it is to be revoked, where the server cannot set an
    /// expiry.
    Mark {
        /// The token as it is.
        token: Box<Token>,
        /// The moment from which on a run revokes it, UTC midnight.
        until: Timestamp,
    },
    /// The mark of a token goes, since nothing asks for its end any more.
    Unmark {
        /// The token as it is.
        token: Box<Token>,
    },
    /// A token is revoked. It cannot be undone.
    Revoke {
        /// The token as it is.
        token: Box<Token>,
    },
}

/// Another set of people holds a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldersChange {
    /// The permission.
    pub permission: Permission,
    /// Who holds it now.
    pub before: Holders,
    /// Who will hold it.
    pub after: Holders,
}

/// Clients are accepted from another set of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworksChange {
    /// From where now.
    pub before: AllowedNetworks,
    /// From where then.
    pub after: AllowedNetworks,
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
    /// What it is about.
    #[must_use]
    pub fn object(&self) -> Object<'_> {
        match self {
            Self::Grant(change) | Self::Withdraw(change) => {
                Object::Setting(SettingKey::Permission(change.permission))
            }
            Self::Admit(_) | Self::Refuse(_) => Object::Setting(SettingKey::Networks),
            Self::SetClientAddress { .. } => Object::Setting(SettingKey::ClientAddress),
            Self::SetPasswordAuthentication { .. } => Object::Setting(SettingKey::PasswordAuthentication),
            Self::SetLimits { .. } => Object::Setting(SettingKey::Limits),
            Self::Narrow { token, .. }
            | Self::Expire { token, .. }
            | Self::Mark { token, .. }
            | Self::Unmark { token }
            | Self::Revoke { token } => Object::Token(token),
        }
    }

    /// The token that it is about, when it is about one.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        match self.object() {
            Object::Token(token) => Some(token),
            Object::Setting(_) => None,
        }
    }

    /// Its verb, in plans and reports.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Grant(_) => "grant",
            Self::Withdraw(_) => "withdraw",
            Self::Admit(_) => "admit",
            Self::Refuse(_) => "refuse",
            Self::SetClientAddress { .. }
            | Self::SetPasswordAuthentication { .. }
            | Self::SetLimits { .. } => "set",
            Self::Narrow { .. } => "narrow",
            Self::Expire { .. } => "expire",
            Self::Mark { .. } => "mark",
            Self::Unmark { .. } => "unmark",
            Self::Revoke { .. } => "revoke",
        }
    }

    /// Whether it cannot be undone.
    #[must_use]
    pub fn is_irreversible(&self) -> bool {
        matches!(self, Self::Revoke { .. })
    }

    /// How `settings` stand, seen from this change; `After` for a change of a token.
    #[must_use]
    pub fn standing_in(&self, settings: &Settings) -> Standing {
        fn of<T: PartialEq>(is: &T, before: &T, after: &T) -> Standing {
            if is == after {
                Standing::After
            } else if is == before {
                Standing::Before
            } else {
                Standing::Moved
            }
        }
        match self {
            Self::Grant(change) | Self::Withdraw(change) => {
                of(settings.permissions.of(change.permission), &change.before, &change.after)
            }
            Self::Admit(change) | Self::Refuse(change) => {
                of(&settings.networks, &change.before, &change.after)
            }
            Self::SetClientAddress { before, after } => of(&settings.client_address, before, after),
            Self::SetPasswordAuthentication { before, after } => {
                of(&settings.password_authentication, before, after)
            }
            Self::SetLimits { before, after } => of(&settings.limits, before, after),
            Self::Narrow { .. }
            | Self::Expire { .. }
            | Self::Mark { .. }
            | Self::Unmark { .. }
            | Self::Revoke { .. } => Standing::After,
        }
    }

    /// Puts what it changes into `settings`, and touches nothing else of them.
    pub fn write_into(&self, settings: &mut Settings) {
        match self {
            Self::Grant(change) | Self::Withdraw(change) => {
                *settings.permissions.of_mut(change.permission) = change.after.clone();
            }
            Self::Admit(change) | Self::Refuse(change) => settings.networks = change.after.clone(),
            Self::SetClientAddress { after, .. } => settings.client_address = after.clone(),
            Self::SetPasswordAuthentication { after, .. } => {
                settings.password_authentication = after.clone();
            }
            Self::SetLimits { after, .. } => settings.limits.clone_from(after),
            Self::Narrow { .. }
            | Self::Expire { .. }
            | Self::Mark { .. }
            | Self::Unmark { .. }
            | Self::Revoke { .. } => {}
        }
    }
}
