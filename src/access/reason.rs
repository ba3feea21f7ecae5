//! Why a request does not pass: codes, statuses and the settings that are to blame.

use std::fmt;

use crate::model::{Permission, SettingKey};

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenialReason {
    /// A trusted proxy sent what is not an address.
    ClientAddress,
    /// The client's address is not allowed.
    Network,
    /// There are no credentials.
    NoCredentials,
    /// The credentials are wrong.
    InvalidCredentials,
    /// Passwords are disabled.
    PasswordDisabled,
    /// The token has expired.
    Expired,
    /// The token is restricted, and the restriction has ended it.
    RestrictedExpiry,
    /// The owner of the token is not active.
    OwnerInactive,
    /// The user may not use tokens.
    Use,
    /// The token's scope does not cover the request.
    Scope,
    /// The token is restricted to a scope that does not cover the request.
    RestrictedScope,
    /// The user may not create tokens.
    Create,
    /// The user who is to own a read-write token may not have one.
    CreateReadWrite,
    /// The user may not manage the tokens of others.
    ManageOthers,
    /// It takes an administrator.
    Administrator,
    /// It is about the caller's own tokens, and the caller is not a user.
    NoUser,
    /// It is about tokens, and nobody knows whose credentials these are.
    UnknownSender,
    /// It is about the tokens of an owner whom nobody knows.
    UnknownOwner,
}

impl DenialReason {
    /// All of them, in the order in which they are found.
    pub const ALL: [Self; 18] = [
        Self::ClientAddress,
        Self::Network,
        Self::NoCredentials,
        Self::InvalidCredentials,
        Self::PasswordDisabled,
        Self::Expired,
        Self::RestrictedExpiry,
        Self::OwnerInactive,
        Self::Use,
        Self::Scope,
        Self::RestrictedScope,
        Self::Create,
        Self::CreateReadWrite,
        Self::ManageOthers,
        Self::Administrator,
        Self::NoUser,
        Self::UnknownSender,
        Self::UnknownOwner,
    ];

    /// Its code in logs and explanations.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::ClientAddress => "client-address",
            Self::Network => "network",
            Self::NoCredentials => "no-credentials",
            Self::InvalidCredentials => "invalid-credentials",
            Self::PasswordDisabled => "password-disabled",
            Self::Expired => "expired",
            Self::RestrictedExpiry => "restricted-expiry",
            Self::OwnerInactive => "owner-inactive",
            Self::Use => "use",
            Self::Scope => "scope",
            Self::RestrictedScope => "restricted-scope",
            Self::Create => "create",
            Self::CreateReadWrite => "create-read-write",
            Self::ManageOthers => "manage-others",
            Self::Administrator => "administrator",
            Self::NoUser => "no-user",
            Self::UnknownSender => "unknown-sender",
            Self::UnknownOwner => "unknown-owner",
        }
    }

    /// The settings that can be to blame for it, the likeliest one first; none when it lies in the request
    /// or in the directory.
    #[must_use]
    pub fn settings(self) -> &'static [SettingKey] {
        match self {
            Self::ClientAddress => &[SettingKey::ClientAddress, SettingKey::Networks],
            Self::Network => &[SettingKey::Networks, SettingKey::ClientAddress],
            Self::PasswordDisabled => &[SettingKey::PasswordAuthentication],
            Self::Use => &[SettingKey::Permission(Permission::Use)],
            Self::Create => &[SettingKey::Permission(Permission::Create)],
            Self::CreateReadWrite => &[SettingKey::Permission(Permission::CreateReadWrite)],
            Self::ManageOthers => &[SettingKey::Permission(Permission::ManageOthers)],
            Self::NoCredentials
            | Self::InvalidCredentials
            | Self::Expired
            | Self::RestrictedExpiry
            | Self::OwnerInactive
            | Self::Scope
            | Self::RestrictedScope
            | Self::Administrator
            | Self::NoUser
            | Self::UnknownSender
            | Self::UnknownOwner => &[],
        }
    }

    /// The HTTP status that the client gets.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::NoCredentials | Self::InvalidCredentials | Self::Expired | Self::RestrictedExpiry => 401,
            _ => 403,
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
