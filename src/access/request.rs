//! The value that a decision is made on: what is known of one request, already taken apart from HTTP.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{BadClientAddress, Memberships, Operation, client_address};
use crate::model::{
    ClientAddressSource, Owner, Restriction, TokenId, TokenScope, UserName, network::canonical,
};

/// One request as far as a decision needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Where it comes from.
    pub origin: RequestOrigin,
    /// The HTTP method, upper case.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// Who sends it, as far as that was found out.
    pub credentials: Credentials,
    /// What it wants.
    pub operation: Operation,
    /// When it is decided on, UTC: from its expiry on a token is refused.
    pub at: Timestamp,
}

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOrigin {
    /// A connection: its peer, and the lines of the declared header in order. Bytes that are no
    /// text are to be given as the replacement character: they are no address either.
    Connection {
        /// The other end of the connection.
        peer: IpAddr,
        /// The values of the declared header; empty when the settings declare none.
        header_lines: Vec<String>,
    },
    /// A client whose address is known.
    Client(IpAddr),
}

impl RequestOrigin {
    /// The address of the client, never an IPv4-mapped one, when it is found as `source` says.
    ///
    /// # Errors
    ///
    /// When a trusted proxy sent an invalid address.
    pub fn client(&self, source: &ClientAddressSource) -> Result<IpAddr, BadClientAddress> {
        match self {
            Self::Client(address) => Ok(canonical(*address)),
            Self::Connection { peer, header_lines } => client_address(source, *peer, header_lines),
        }
    }
}

/// Who sends a request, as far as that was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// There are none.
    None,
    /// A secret shaped like a token that is not a token, has expired or is not of the user named with
    /// it; or something that cannot be read at all.
    Invalid,
    /// A password that is wrong, is of somebody who is not active, or was not looked at because passwords
    /// are disabled for `user`.
    UnverifiedPassword {
        /// The user that was named with it.
        user: UserName,
    },
    /// The password of a person.
    Password(Person),
    /// A token that is valid, apart from its expiry.
    Token(Held),
    /// What the server behind a gateway verifies by itself.
    Passed(Passed),
    /// The credential of the process that runs the server for itself. It is exempt from the rules
    /// on networks and passwords, and may do whatever does not need a user.
    Operator,
}

/// A valid token and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The token.
    pub id: TokenId,
    /// Whose it is.
    pub owner: TokenOwner,
    /// How far it reaches.
    pub scope: TokenScope,
    /// The moment from which on it is refused, UTC.
    pub expires: Option<Timestamp>,
    /// What the gateway takes from it beside that.
    pub restriction: Restriction,
}

/// Credentials that the server behind a gateway verifies by itself, so that here it is only decided what is taken
/// away from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// What they are.
    pub kind: PassedKind,
    /// Whose they are; `None` where that is not known.
    pub person: Option<Person>,
}

/// What the server behind a gateway verifies by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassedKind {
    /// A password.
    Password {
        /// The user that was named with it.
        user: UserName,
    },
    /// What a program sends that is neither a token nor a password, such as a token of OAuth.
    Bearer,
    /// The session of a browser, or nothing.
    Browser {
        /// Whether it is let in from anywhere.
        anywhere: bool,
    },
}

/// The owner of a valid token, with what a decision needs to know of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenOwner {
    /// A user.
    User(Person),
    /// A project, by its key. No user is behind it: it is in no group.
    Project(String),
    /// A repository. No user is behind it either.
    Repository {
        /// Key of the project it lies in.
        project: String,
        /// Its slug.
        slug: String,
    },
}

impl TokenOwner {
    /// The owner `name`, with what `person` answers of a user: of the others there is nothing more to know.
    ///
    /// # Errors
    ///
    /// That of `person`.
    pub fn of<E>(name: &Owner, person: impl FnOnce(&UserName) -> Result<Person, E>) -> Result<Self, E> {
        Ok(match name {
            Owner::User(user) => Self::User(person(user)?),
            Owner::Project(key) => Self::Project(key.clone()),
            Owner::Repository { project, slug } => {
                Self::Repository { project: project.clone(), slug: slug.clone() }
            }
        })
    }

    /// The user, for the tokens of users.
    #[must_use]
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::User(person) => Some(person),
            Self::Project(_) | Self::Repository { .. } => None,
        }
    }

    /// Whether it is the user of this name.
    #[must_use]
    pub fn is_user(&self, name: &UserName) -> bool {
        self.person().is_some_and(|person| person.name == *name)
    }

    /// The same owner, only by name.
    #[must_use]
    pub fn name(&self) -> Owner {
        match self {
            Self::User(person) => Owner::User(person.name.clone()),
            Self::Project(key) => Owner::Project(key.clone()),
            Self::Repository { project, slug } => {
                Owner::Repository { project: project.clone(), slug: slug.clone() }
            }
        }
    }
}

impl From<Person> for TokenOwner {
    fn from(person: Person) -> Self {
        Self::User(person)
    }
}

/// A user of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The user's name.
    pub name: UserName,
    /// The groups the user is in.
    pub groups: Memberships,
    /// Whether the directory says that the user is active.
    pub active: bool,
    /// Whether the user administers the server.
    pub administrator: bool,
}

impl Credentials {
    /// Whether the rules on networks do not hold for them.
    pub(super) fn pass_anywhere(&self) -> bool {
        let is_browser_from_anywhere =
            |passed: &Passed| passed.kind == PassedKind::Browser { anywhere: true };
        match self {
            Self::Operator => true,
            Self::Passed(passed) => is_browser_from_anywhere(passed),
            _ => false,
        }
    }

    /// Who or what sends verified credentials; `None` for the operator's.
    #[must_use]
    pub fn sender(&self) -> Option<Owner> {
        match self {
            Self::Password(person) => Some(Owner::User(person.name.clone())),
            Self::Token(held) => Some(held.owner.name()),
            Self::None
            | Self::Invalid
            | Self::UnverifiedPassword { .. }
            | Self::Passed(_)
            | Self::Operator => None,
        }
    }
}
