//! The settings of one server, complete and valid.

pub mod client_address;
mod document;
pub mod password;
mod value;

use std::fmt;

use super::{
    AllowedNetworks, ClientAddressSource, GroupName, Holders, Limit, PasswordAuthentication, Permission,
};

pub use document::{
    BadSettings, ClientAddressDocument, HeaderDocument, NetworkDocument, PasswordAuthenticationDocument,
    PasswordExceptionsDocument, PermissionsDocument, SettingsDocument, WordOrList,
};
pub use value::{SettingValue, Step};

/// Everything a server enforces on tokens and on the requests made with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who may use, create and manage tokens.
    pub permissions: Permissions,
    /// From which networks a client is accepted, with whatever credentials.
    pub networks: AllowedNetworks,
    /// Where the address of a client is found.
    pub client_address: ClientAddressSource,
    /// Whether passwords still work.
    pub password_authentication: PasswordAuthentication,
    /// How far new tokens may reach; the first entry that matches the owner counts.
    pub limits: Vec<Limit>,
}

/// Who holds each permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Who may be let in with a token.
    pub use_tokens: Holders,
    /// Who may create tokens for themselves.
    pub create: Holders,
    /// Who of those may create read-write tokens, and for whom others may.
    pub create_read_write: Holders,
    /// Who may create and revoke tokens for other people; never everyone.
    pub manage_others: Holders,
}

impl Permissions {
    /// The holders of `permission`.
    #[must_use]
    pub fn of(&self, permission: Permission) -> &Holders {
        match permission {
            Permission::Use => &self.use_tokens,
            Permission::Create => &self.create,
            Permission::CreateReadWrite => &self.create_read_write,
            Permission::ManageOthers => &self.manage_others,
        }
    }

    /// The place where the holders of `permission` are kept.
    pub fn of_mut(&mut self, permission: Permission) -> &mut Holders {
        match permission {
            Permission::Use => &mut self.use_tokens,
            Permission::Create => &mut self.create,
            Permission::CreateReadWrite => &mut self.create_read_write,
            Permission::ManageOthers => &mut self.manage_others,
        }
    }
}

impl Settings {
    /// What a new server has: everyone may use and create tokens, the members of
    /// `administrators` manage those of others, and nothing else is restricted.
    #[must_use]
    pub fn initial(administrators: GroupName) -> Self {
        let mut settings = Self::unrestricted();
        settings.permissions.manage_others = Holders::of([administrators]);
        settings
    }

    /// Those of a server that has none: everyone may use and create tokens from everywhere, and nobody manages those
    /// of others.
    #[must_use]
    pub fn unrestricted() -> Self {
        Self {
            permissions: Permissions {
                use_tokens: Holders::Everyone,
                create: Holders::Everyone,
                create_read_write: Holders::Everyone,
                manage_others: Holders::Nobody,
            },
            networks: AllowedNetworks::Anywhere,
            client_address: ClientAddressSource::Peer,
            password_authentication: PasswordAuthentication::Allowed,
            limits: Vec::new(),
        }
    }

    /// Every group that a setting names; some perhaps more than once.
    pub fn groups(&self) -> impl Iterator<Item = &GroupName> {
        SettingKey::ALL.into_iter().flat_map(|key| self.groups_of(key))
    }

    /// The groups that the setting `key` names; some perhaps more than once.
    pub fn groups_of(&self, key: SettingKey) -> impl Iterator<Item = &GroupName> {
        let (holders, limits) = match key {
            SettingKey::Permission(permission) => (Some(self.permissions.of(permission)), [].as_slice()),
            SettingKey::Limits => (None, &*self.limits),
            SettingKey::Networks | SettingKey::ClientAddress | SettingKey::PasswordAuthentication => {
                (None, [].as_slice())
            }
        };
        holders.into_iter().flat_map(Holders::groups).chain(value::groups_of(limits))
    }
}

/// One setting that can be managed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SettingKey {
    /// Who holds a permission.
    Permission(Permission),
    /// From which networks a client is accepted.
    Networks,
    /// Where the address of a client is found.
    ClientAddress,
    /// Whether passwords still work.
    PasswordAuthentication,
    /// How far new tokens may reach.
    Limits,
}

impl SettingKey {
    /// All of them, in the order of the policy document.
    pub const ALL: [Self; 8] = [
        Self::Permission(Permission::Use),
        Self::Permission(Permission::Create),
        Self::Permission(Permission::CreateReadWrite),
        Self::Permission(Permission::ManageOthers),
        Self::Networks,
        Self::ClientAddress,
        Self::PasswordAuthentication,
        Self::Limits,
    ];

    /// Its path in the policy document, which is also its name in plans.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Permission(Permission::Use) => "permissions.use",
            Self::Permission(Permission::Create) => "permissions.create",
            Self::Permission(Permission::CreateReadWrite) => "permissions.create_read_write",
            Self::Permission(Permission::ManageOthers) => "permissions.manage_others",
            Self::Networks => "network.allow",
            Self::ClientAddress => "network.client_address",
            Self::PasswordAuthentication => "password_authentication",
            Self::Limits => "tokens.limits",
        }
    }
}

impl fmt::Display for SettingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}
