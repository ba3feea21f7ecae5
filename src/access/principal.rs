//! The principal of a request that passes.

use super::{Held, Person};

/// The principal of a request that passes: who is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Anyone at all; only for what is open to all.
    Anybody,
    /// A person with a password.
    Password(Person),
    /// A person with a token.
    Token(Held),
    /// The user that the server behind a gateway names; the person where that is known.
    Passed(Option<Person>),
    /// The process that runs the server for itself.
    Operator,
}

impl Principal {
    /// The person, when there is one: not behind a token of a project or repository.
    #[must_use]
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::Password(person) => Some(person),
            Self::Token(held) => held.owner.person(),
            Self::Passed(person) => person.as_ref(),
            Self::Anybody | Self::Operator => None,
        }
    }

    /// The token, when there is one.
    #[must_use]
    pub fn token(&self) -> Option<&Held> {
        match self {
            Self::Token(held) => Some(held),
            Self::Anybody | Self::Password(_) | Self::Passed(_) | Self::Operator => None,
        }
    }
}
