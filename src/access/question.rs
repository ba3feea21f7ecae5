//! In: what somebody wants to know of a request that nobody sent, and settings. Out: the decision on it, and
//! the settings that it rests on. It refuses to decide by itself: [`decide`] does.

use std::net::IpAddr;

use super::{Credentials, Decision, Held, Operation, Origin, Person, Reason, Request, decide};
use crate::model::{ClientAddressSource, Permission, Scope, SettingKey, Settings, TokenId, TokenScope};

/// A request that nobody sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who would send it.
    pub sender: Person,
    /// The scope of the token that would be sent along; nothing for a password.
    pub token: Option<Scope>,
    /// The HTTP method, upper case.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Name and value of each header line, in order.
    pub headers: Vec<(String, String)>,
    /// The scope of the token that it would create, when it would create one.
    pub creates: Option<Scope>,
}

/// What a server would answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Why the request would not pass; nothing when it would.
    pub denied: Option<Reason>,
    /// The address of the client; nothing when it could not be found.
    pub client: Option<IpAddr>,
    /// The settings that it rests on: the one that refuses, or all that let it pass, in the order in
    /// which they are asked. None when the refusal lies in the request or in the directory.
    pub rests_on: Vec<SettingKey>,
}

impl Question {
    /// What a server with `settings` would answer.
    #[must_use]
    pub fn ask(&self, settings: &Settings) -> Answer {
        let header_lines = match &settings.client_address {
            ClientAddressSource::Peer => Vec::new(),
            ClientAddressSource::Header { name, .. } => self.lines_of(name.as_str()),
        };
        let request = Request {
            origin: Origin::Connection { peer: self.peer, header_lines },
            method: &self.method,
            path: &self.path,
            credentials: self.credentials(),
            operation: self.creates.map_or(Operation::Enter, |scope| Operation::CreateOwn { scope }),
        };
        let client = request.origin.client(&settings.client_address).ok();
        let denied = match decide(settings, &request) {
            Decision::Permit(_) => None,
            Decision::Denied(reason) => Some(reason),
        };
        Answer { denied, client, rests_on: self.rests_on(denied, settings) }
    }

    fn lines_of(&self, header: &str) -> Vec<String> {
        let named = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header));
        named.map(|(_, value)| value.clone()).collect()
    }

    fn credentials(&self) -> Credentials {
        let owner = self.sender.clone();
        match self.token {
            None => Credentials::Password(owner),
            Some(scope) => Credentials::Token(Held {
                id: TokenId::new(""),
                owner,
                scope: TokenScope::Set(scope),
                expires: None,
            }),
        }
    }

    fn rests_on(&self, denied: Option<Reason>, settings: &Settings) -> Vec<SettingKey> {
        let finds_client =
            (settings.client_address != ClientAddressSource::Peer).then_some(SettingKey::ClientAddress);
        match denied {
            Some(Reason::Network) => finds_client.into_iter().chain([SettingKey::Networks]).collect(),
            Some(reason) => reason.settings().iter().take(1).copied().collect(),
            None => {
                let permission = SettingKey::Permission;
                let credential = match self.token {
                    None => SettingKey::PasswordAuthentication,
                    Some(_) => permission(Permission::Use),
                };
                let creates = self.creates.map(|_| permission(Permission::Create));
                let read_write = self.creates.filter(|scope| *scope == Scope::ReadWrite);
                let read_write = read_write.map(|_| permission(Permission::CreateReadWrite));
                let asked = finds_client.into_iter().chain([SettingKey::Networks, credential]);
                asked.chain(creates).chain(read_write).collect()
            }
        }
    }
}
