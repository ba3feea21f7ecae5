//! The credential of a run as the server sees it; never the secret.

use std::{borrow::Cow, collections::BTreeSet, net::IpAddr};

use jiff::Timestamp;

use crate::model::{GroupName, Token, TokenId, TokenScope, UserName};

/// Whom a server takes us for, and where it sees us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user behind our credential, when there is one.
    pub user: Option<UserName>,
    /// The groups that the user is in.
    pub groups: BTreeSet<GroupName>,
    /// Whether we administer the server.
    pub administrator: bool,
    /// What we prove to be that with.
    pub credential: Credential,
    /// Our address, found as the settings of the server say, where it tells.
    pub address: Option<IpAddr>,
    /// The other end of the connection as the server sees it, where it tells: us, or a proxy between.
    pub peer: Option<IpAddr>,
    /// Whom the server behind a gateway takes us for, whose tokens are looked at; `None` where there is no gateway.
    pub behind: Option<Box<Caller>>,
}

/// What a caller proves to be somebody with; never the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A token.
    Token {
        /// Its identifier.
        id: TokenId,
        /// How far it reaches.
        scope: TokenScope,
        /// The moment from which on it is refused, UTC; `None` when it never expires.
        expires: Option<Timestamp>,
    },
    /// A token, sent as a password, which the server treats like one.
    TokenAsPassword {
        /// Its identifier; `None` when nobody says which one it is.
        id: Option<TokenId>,
    },
    /// A bearer credential that may be a token, and of which nobody says which one.
    Unidentified,
    /// A bearer credential that is not a token of the server, since it may do what none of them may.
    NoToken,
    /// A password.
    Password,
    /// The credential of the process that runs the server for itself, which is exempt from the rules
    /// on networks, passwords and permissions.
    Operator,
}

impl Caller {
    /// The process that runs the server for itself.
    #[must_use]
    pub fn operator() -> Self {
        Self {
            user: None,
            groups: BTreeSet::new(),
            administrator: true,
            credential: Credential::Operator,
            address: None,
            peer: None,
            behind: None,
        }
    }

    /// The token that our credential is, when it is one; for the gateway, where there is one.
    #[must_use]
    pub fn token(&self) -> Option<&TokenId> {
        match &self.credential {
            Credential::Token { id, .. } => Some(id),
            Credential::TokenAsPassword { id } => id.as_ref(),
            Credential::Unidentified | Credential::NoToken | Credential::Password | Credential::Operator => {
                None
            }
        }
    }

    /// Whether our credential is `token`; `None` when that cannot be known.
    #[must_use]
    pub fn is_using(&self, token: &Token) -> Option<bool> {
        if let Some(behind) = &self.behind {
            return behind.is_using(token);
        }
        let is_ours = |otherwise| match (&self.user, token.owner.user()) {
            (Some(user), Some(owner)) => user == owner,
            (None, _) => true,
            (Some(_), None) => otherwise,
        };
        match &self.credential {
            // With a token of a project or a repository we are taken for a user that the server makes up.
            Credential::Unidentified if is_ours(true) => None,
            // These are not accepted as passwords.
            Credential::TokenAsPassword { id: None } if is_ours(false) => None,
            _ => Some(self.token() == Some(&token.id)),
        }
    }

    /// Whether `other` is the same user with the same credential, from wherever it calls.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let behind = |caller: &Self| {
            caller.behind.as_ref().map(|behind| (behind.user.clone(), behind.credential.clone()))
        };
        self.user == other.user && self.credential == other.credential && behind(self) == behind(other)
    }
}

/// A call that a run makes on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The HTTP method, upper case.
    pub method: Cow<'static, str>,
    /// The path, without the query, with [`Self::ANY`] in place of every identifier.
    pub path: Cow<'static, str>,
}

impl Call {
    /// What stands for an identifier that the server gives: nobody knows beforehand which one, so that a
    /// pattern of paths has it only by a wildcard.
    pub const ANY: &str = "\u{fffc}";

    /// The call of `path` by `method`.
    pub fn new(method: impl Into<Cow<'static, str>>, path: impl Into<Cow<'static, str>>) -> Self {
        Self { method: method.into(), path: path.into() }
    }

    /// Whether it changes nothing: anyone who may make these calls can plan.
    #[must_use]
    pub fn reads(&self) -> bool {
        matches!(&*self.method, "GET" | "HEAD" | "OPTIONS")
    }
}
