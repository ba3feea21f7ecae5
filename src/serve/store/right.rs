//! The right to change the store. A right is checked where the effect is committed, not only where the request
//! began: every transaction that writes asks for one and looks again at what it rests on.

use std::sync::Arc;

use super::{Account, KnownOwner, OwnedToken, Whence};
use crate::{model::Owner, serve::ServerClock};

/// On what a change is permitted.
#[derive(Clone)]
pub enum Right {
    /// Anyone who has the file of the store, or the server on its own account, changes it: nobody needs to be
    /// asked.
    Host,
    /// A request was permitted to, on these grounds.
    Request(Box<Grounds>),
}

/// What a request was permitted on. The change is made while all of it still holds, and not otherwise.
#[derive(Clone)]
pub struct Grounds {
    /// The revision of the settings that permitted it.
    pub settings: i64,
    /// Who sends it.
    pub sender: Sender,
    /// The owner of the tokens that it is about, as the store knew that one; `None` when no other owner than
    /// the sender was looked at.
    pub owner: Option<(Owner, Option<KnownOwner>)>,
    /// Tells when the sender's token expires.
    pub clock: ServerClock,
    /// Where it came from; kept in the audit.
    pub whence: Whence,
}

/// Who sends a request, as the store knew them when the credentials were verified.
#[derive(Clone)]
pub enum Sender {
    /// Nobody known, who has no right to change anything.
    Nobody,
    /// The process that runs the server for itself.
    Operator,
    /// A user with a password.
    Password(Account),
    /// Somebody with a token.
    Token(Arc<OwnedToken>),
}

impl Right {
    /// The same right, of which `known` is part: what the store knew of `owner` when it was decided.
    #[must_use]
    pub fn about(self, owner: Owner, known: Option<KnownOwner>) -> Self {
        match self {
            Self::Host => Self::Host,
            Self::Request(grounds) => {
                Self::Request(Box::new(Grounds { owner: Some((owner, known)), ..*grounds }))
            }
        }
    }
}
