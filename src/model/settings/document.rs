//! The settings document that servers exchange, and its parts: settings to JSON and back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    AddressSet, AllowedNetworks, ClientAddressSource, GroupName, HeaderName, Holders, Limit,
    PasswordAuthentication, Permission, UserName,
    limit::LimitDocument,
    network::{AddressRange, network_text},
    permission::Groups,
};

use super::{Permissions, SettingKey, Settings, password::PasswordExceptions};

/// The settings as JSON, in the words of the policy: what `GET` and `PUT` of the settings resource
/// carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsDocument {
    /// Who may use, create and manage tokens.
    pub permissions: PermissionsDocument,
    /// Where clients are accepted from, and how their address is found.
    pub network: NetworkDocument,
    /// Whether passwords still work.
    pub password_authentication: PasswordAuthenticationDocument,
    /// How far new tokens may reach; the first entry that matches the owner counts.
    pub limits: Vec<LimitDocument>,
}

/// Who holds each permission, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PermissionsDocument {
    /// Who may be let in with a token.
    #[serde(rename = "use")]
    pub use_tokens: WordOrList,
    /// Who may create tokens for themselves.
    pub create: WordOrList,
    /// Who of those may create read-write tokens.
    pub create_read_write: WordOrList,
    /// Who may create and revoke tokens for other people: groups or nobody.
    pub manage_others: WordOrList,
}

/// The network settings, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkDocument {
    /// `anywhere`, or a list of networks.
    pub allow: WordOrList,
    /// `peer`, or a header and the proxies that may be believed.
    pub client_address: ClientAddressDocument,
}

/// A word such as `everyone`, or a list of one or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum WordOrList {
    /// The word.
    Word(String),
    /// The list; never empty.
    List(#[schemars(length(min = 1))] Vec<String>),
}

/// Where the address of a client is found, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ClientAddressDocument {
    /// `peer`.
    Word(String),
    /// A header.
    Header(HeaderDocument),
}

/// A header that carries the addresses of clients, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderDocument {
    /// Its name, such as `X-Forwarded-For`.
    pub header: String,
    /// The proxies whose header is believed: addresses or networks.
    #[schemars(length(min = 1))]
    pub trusted_proxies: Vec<String>,
}

/// Whether passwords still work, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PasswordAuthenticationDocument {
    /// `allowed` or `disabled`.
    Word(String),
    /// `disabled` with exceptions.
    Exceptions(PasswordExceptionsDocument),
}

/// Passwords disabled, with exceptions, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordExceptionsDocument {
    /// `disabled`.
    pub state: String,
    /// Users who may still use a password; `*` matches any text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except_users: Vec<String>,
    /// Paths on which a password still works; `*` matches any text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except_paths: Vec<String>,
}

impl From<&Settings> for SettingsDocument {
    fn from(settings: &Settings) -> Self {
        let permissions = &settings.permissions;
        Self {
            permissions: PermissionsDocument {
                use_tokens: (&permissions.use_tokens).into(),
                create: (&permissions.create).into(),
                create_read_write: (&permissions.create_read_write).into(),
                manage_others: (&permissions.manage_others).into(),
            },
            network: NetworkDocument {
                allow: (&settings.networks).into(),
                client_address: (&settings.client_address).into(),
            },
            password_authentication: (&settings.password_authentication).into(),
            limits: settings.limits.iter().map(LimitDocument::from).collect(),
        }
    }
}

impl From<&Holders> for WordOrList {
    fn from(holders: &Holders) -> Self {
        match holders {
            Holders::Groups(groups) => {
                Self::List(groups.iter().map(|group| group.as_str().to_owned()).collect())
            }
            word => Self::Word(word.to_string()),
        }
    }
}

impl From<&AllowedNetworks> for WordOrList {
    fn from(networks: &AllowedNetworks) -> Self {
        match networks {
            AllowedNetworks::Anywhere => Self::Word("anywhere".to_owned()),
            AllowedNetworks::Only(addresses) => Self::List(network_texts(addresses)),
        }
    }
}

impl From<&ClientAddressSource> for ClientAddressDocument {
    fn from(source: &ClientAddressSource) -> Self {
        match source {
            ClientAddressSource::Peer => Self::Word("peer".to_owned()),
            ClientAddressSource::Header { name, trusted_proxies } => Self::Header(HeaderDocument {
                header: name.as_str().to_owned(),
                trusted_proxies: network_texts(trusted_proxies),
            }),
        }
    }
}

impl From<&PasswordAuthentication> for PasswordAuthenticationDocument {
    fn from(password: &PasswordAuthentication) -> Self {
        match password {
            PasswordAuthentication::Allowed => Self::Word("allowed".to_owned()),
            PasswordAuthentication::Disabled(except) if *except == PasswordExceptions::default() => {
                Self::Word("disabled".to_owned())
            }
            PasswordAuthentication::Disabled(except) => Self::Exceptions(PasswordExceptionsDocument {
                state: "disabled".to_owned(),
                except_users: except.users.iter().map(|user| user.as_str().to_owned()).collect(),
                except_paths: except.paths.iter().cloned().collect(),
            }),
        }
    }
}

impl From<&Limit> for LimitDocument {
    fn from(limit: &Limit) -> Self {
        let list = |texts: Vec<String>| (!texts.is_empty()).then_some(texts);
        Self {
            groups: limit
                .groups
                .as_ref()
                .map(|groups| groups.iter().map(|group| group.as_str().to_owned()).collect()),
            owner_kind: (!limit.owner_kinds.is_empty()).then(|| limit.owner_kinds.iter().copied().collect()),
            projects: list(limit.projects.iter().cloned().collect()),
            ..Self::of_tokens(limit)
        }
    }
}

fn network_texts(addresses: &AddressSet) -> Vec<String> {
    addresses.networks().into_iter().map(network_text).collect()
}

/// A settings document that is well-formed but means nothing that can be enforced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{at}`: {problem}")]
pub struct BadSettings {
    /// Path of the value, such as `network.allow`.
    pub at: String,
    /// What is wrong with it.
    pub problem: String,
}

impl BadSettings {
    fn at(at: impl Into<String>) -> impl FnOnce(String) -> Self {
        let at = at.into();
        move |problem| Self { at, problem }
    }
}

impl TryFrom<&SettingsDocument> for Settings {
    type Error = BadSettings;

    fn try_from(document: &SettingsDocument) -> Result<Self, Self::Error> {
        let permissions = &document.permissions;
        let holders = |written: &WordOrList, permission: Permission| {
            holders(written, permission).map_err(BadSettings::at(SettingKey::Permission(permission).path()))
        };
        let mut limits = Vec::with_capacity(document.limits.len());
        for (index, entry) in document.limits.iter().enumerate() {
            limits.push(limit(entry, index)?);
        }
        Ok(Self {
            permissions: Permissions {
                use_tokens: holders(&permissions.use_tokens, Permission::Use)?,
                create: holders(&permissions.create, Permission::Create)?,
                create_read_write: holders(&permissions.create_read_write, Permission::CreateReadWrite)?,
                manage_others: holders(&permissions.manage_others, Permission::ManageOthers)?,
            },
            networks: networks(&document.network.allow)
                .map_err(BadSettings::at(SettingKey::Networks.path()))?,
            client_address: client_address(&document.network.client_address)
                .map_err(BadSettings::at(SettingKey::ClientAddress.path()))?,
            password_authentication: password_authentication(&document.password_authentication)
                .map_err(BadSettings::at(SettingKey::PasswordAuthentication.path()))?,
            limits,
        })
    }
}

pub(super) fn holders(written: &WordOrList, permission: Permission) -> Result<Holders, String> {
    match written {
        WordOrList::Word(word) if word == "everyone" && permission == Permission::ManageOthers => {
            Err("`everyone` cannot manage the tokens of others; name groups, or write `nobody`".to_owned())
        }
        WordOrList::Word(word) if word == "everyone" => Ok(Holders::Everyone),
        WordOrList::Word(word) if word == "nobody" => Ok(Holders::Nobody),
        WordOrList::Word(word) => {
            Err(format!("`{word}` is neither a list of groups, `everyone` nor `nobody`"))
        }
        WordOrList::List(names) => group_list(names).map(Holders::Groups),
    }
}

fn group_list(names: &[String]) -> Result<Groups, String> {
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err("empty group name".to_owned());
    }
    Groups::new(names.iter().map(|name| GroupName::new(name.as_str())))
        .ok_or_else(|| "the list of groups is empty; write `nobody`".to_owned())
}

pub(super) fn networks(written: &WordOrList) -> Result<AllowedNetworks, String> {
    match written {
        WordOrList::Word(word) if word == "anywhere" => Ok(AllowedNetworks::Anywhere),
        WordOrList::Word(word) => Err(format!("`{word}` is neither a list of networks nor `anywhere`")),
        WordOrList::List(texts) => AllowedNetworks::only(address_set(texts)?)
            .ok_or_else(|| "the list of networks is empty; write `anywhere`".to_owned()),
    }
}

fn address_set(texts: &[String]) -> Result<AddressSet, String> {
    texts.iter().map(|text| text.parse::<AddressRange>().map_err(|error| error.to_string())).collect()
}

pub(super) fn client_address(written: &ClientAddressDocument) -> Result<ClientAddressSource, String> {
    match written {
        ClientAddressDocument::Word(word) if word == "peer" => Ok(ClientAddressSource::Peer),
        ClientAddressDocument::Word(word) => Err(format!("`{word}` is neither a header nor `peer`")),
        ClientAddressDocument::Header(written) => {
            let trusted_proxies = address_set(&written.trusted_proxies)?;
            if trusted_proxies.is_empty() {
                return Err("a header needs `trusted_proxies`; without one write `peer`".to_owned());
            }
            if trusted_proxies.covers_a_family() {
                let problem = "`trusted_proxies` trusts all of IPv4 or IPv6, so any client could spoof its \
                               address; name the proxies";
                return Err(problem.to_owned());
            }
            let name = HeaderName::new(written.header.as_str()).map_err(|error| error.to_string())?;
            Ok(ClientAddressSource::Header { name, trusted_proxies })
        }
    }
}

pub(super) fn password_authentication(
    written: &PasswordAuthenticationDocument,
) -> Result<PasswordAuthentication, String> {
    match written {
        PasswordAuthenticationDocument::Word(word) => match word.as_str() {
            "allowed" => Ok(PasswordAuthentication::Allowed),
            "disabled" => Ok(PasswordAuthentication::disabled()),
            other => Err(format!("`{other}` is neither `allowed` nor `disabled`")),
        },
        PasswordAuthenticationDocument::Exceptions(written) if written.state == "disabled" => {
            Ok(PasswordAuthentication::Disabled(PasswordExceptions {
                users: written.except_users.iter().map(|user| UserName::new(user.as_str())).collect(),
                paths: written.except_paths.iter().cloned().collect(),
            }))
        }
        PasswordAuthenticationDocument::Exceptions(_) => {
            Err("exceptions work only with `state: disabled`".to_owned())
        }
    }
}

pub(super) fn limit(written: &LimitDocument, index: usize) -> Result<Limit, BadSettings> {
    let at = |key: &str| BadSettings::at(format!("limits[{index}].{key}"));
    let owners = Limit {
        groups: written.groups.as_deref().map(group_list).transpose().map_err(at("groups"))?,
        owner_kinds: written.owner_kind.iter().flatten().copied().collect(),
        projects: written.projects.iter().flatten().cloned().collect(),
        ..Limit::default()
    };
    written.with_owners_of(owners).map_err(|(key, problem)| at(key)(problem))
}
