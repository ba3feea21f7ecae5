//! The conversion of records from and to the types of an inventory.

use std::collections::BTreeSet;

use crate::{
    inventory::{Administrators, Call, Caller, Credential, Overview, Server},
    model::{GroupName, SettingKey, Settings, TokenId, UserName},
};

use super::{AdministratorsRecord, BadRecord, CallerRecord, CredentialRecord, Header, ServerRecord};

impl From<&Server> for ServerRecord {
    fn from(server: &Server) -> Self {
        Self {
            url: server.url.clone(),
            version: server.version.clone(),
            administrators: server.administrators.as_ref().map(AdministratorsRecord::from),
            manageable: server.manageable.iter().map(|key| key.path().to_owned()).collect(),
            unreadable: server
                .unreadable
                .iter()
                .map(|(key, why)| (key.path().to_owned(), why.clone()))
                .collect(),
            forms: server.forms.iter().map(|(key, form)| (key.path().to_owned(), *form)).collect(),
            capabilities: server.capabilities,
            left_out: server.left_out.clone(),
        }
    }
}

impl From<&Administrators> for AdministratorsRecord {
    fn from(administrators: &Administrators) -> Self {
        match administrators {
            Administrators::Group(group) => Self::Group(group.as_str().to_owned()),
            Administrators::Users(users) => {
                Self::Users { users: users.iter().map(|user| user.as_str().to_owned()).collect() }
            }
        }
    }
}

impl From<&AdministratorsRecord> for Administrators {
    fn from(record: &AdministratorsRecord) -> Self {
        match record {
            AdministratorsRecord::Group(group) => Self::Group(GroupName::new(group.as_str())),
            AdministratorsRecord::Users { users } => {
                Self::Users(users.iter().map(|user| UserName::new(user.as_str())).collect())
            }
        }
    }
}

impl Header {
    /// The server and its settings; `calls` is what a run calls on a server of this kind.
    pub(in crate::inventory::snapshot) fn overview(&self, calls: Vec<Call>) -> Result<Overview, BadRecord> {
        let ServerRecord {
            url,
            version,
            administrators,
            manageable,
            unreadable,
            forms,
            capabilities,
            left_out,
        } = &self.server;
        let key = |path: &String| {
            let known = SettingKey::ALL.into_iter().find(|key| key.path() == path);
            known.ok_or_else(|| BadRecord::Setting(path.clone()))
        };
        Ok(Overview {
            server: Server {
                url: url.clone(),
                version: version.clone(),
                caller: (&self.caller).into(),
                administrators: administrators.as_ref().map(Administrators::from),
                calls,
                manageable: manageable.iter().map(key).collect::<Result<_, _>>()?,
                unreadable: unreadable
                    .iter()
                    .map(|(path, why)| Ok((key(path)?, why.clone())))
                    .collect::<Result<_, BadRecord>>()?,
                forms: forms
                    .iter()
                    .map(|(path, form)| Ok((key(path)?, *form)))
                    .collect::<Result<_, BadRecord>>()?,
                capabilities: *capabilities,
                left_out: left_out.clone(),
                settings_changed: None,
            },
            settings: Settings::try_from(&self.settings)?,
        })
    }
}

impl From<&Caller> for CallerRecord {
    fn from(caller: &Caller) -> Self {
        let credential = match &caller.credential {
            Credential::Token { id, scope, expires } => CredentialRecord::Token {
                id: id.as_str().to_owned(),
                scope: (*scope).into(),
                expires: *expires,
            },
            Credential::TokenAsPassword { id } => {
                CredentialRecord::TokenAsPassword { id: id.as_ref().map(|id| id.as_str().to_owned()) }
            }
            Credential::Unidentified => CredentialRecord::Unidentified,
            Credential::NoToken => CredentialRecord::NoToken,
            Credential::Password => CredentialRecord::Password,
            Credential::Operator => CredentialRecord::Operator,
        };
        Self {
            user: caller.user.clone().map(String::from),
            groups: caller.groups.iter().cloned().map(String::from).collect(),
            administrator: caller.administrator,
            credential,
            address: caller.address,
            peer: caller.peer,
            behind: caller.behind.as_deref().map(|behind| Box::new(Self::from(behind))),
        }
    }
}

impl From<&CallerRecord> for Caller {
    fn from(record: &CallerRecord) -> Self {
        let credential = match &record.credential {
            CredentialRecord::Token { id, scope, expires } => {
                Credential::Token { id: TokenId::new(id.as_str()), scope: (*scope).into(), expires: *expires }
            }
            CredentialRecord::TokenAsPassword { id } => {
                Credential::TokenAsPassword { id: id.as_deref().map(TokenId::new) }
            }
            CredentialRecord::Unidentified => Credential::Unidentified,
            CredentialRecord::NoToken => Credential::NoToken,
            CredentialRecord::Password => Credential::Password,
            CredentialRecord::Operator => Credential::Operator,
        };
        Self {
            user: record.user.clone().map(UserName::from),
            groups: record.groups.iter().cloned().map(GroupName::from).collect::<BTreeSet<_>>(),
            administrator: record.administrator,
            credential,
            address: record.address,
            peer: record.peer,
            behind: record.behind.as_deref().map(|behind| Box::new(Self::from(behind))),
        }
    }
}
