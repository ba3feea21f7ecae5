//! A token as everything else sees it, without its secret.

use std::{cmp::Ordering, fmt, net::IpAddr, sync::Arc};

use jiff::Timestamp;

use super::{Mark, Owner, Scope, UserName};

/// The identifier of a token on its server. Text, since Bitbucket's have leading zeros; numbers
/// come in the order of their value, before other text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenId {
    text: Arc<str>,
    /// How many zeros a number begins with; `None` for other text.
    zeros: Option<u32>,
}

impl TokenId {
    /// The identifier `text`.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let is_number = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let zeros = is_number.then(|| text.bytes().take_while(|c| *c == b'0').count());
        Self { zeros: zeros.map(|zeros| u32::try_from(zeros).unwrap_or(u32::MAX)), text }
    }

    /// As the server writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn order(&self) -> (bool, usize, &str, &str) {
        match self.zeros {
            None => (true, 0, &self.text, ""),
            Some(zeros) => {
                let value = self.text.get(zeros as usize..).unwrap_or_default();
                (false, value.len(), value, &self.text)
            }
        }
    }
}

impl PartialOrd for TokenId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TokenId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The scope of a token that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenScope {
    /// The token is older than scopes; it reaches as far as read-write.
    Unset,
    /// The token was given this scope.
    Set(Scope),
    /// The server does not say it. Nothing is decided on it.
    Unknown,
}

impl TokenScope {
    /// How far the token really reaches: what can be relied on, where that is not known.
    #[must_use]
    pub fn effective(self) -> Scope {
        match self {
            Self::Unset => Scope::ReadWrite,
            Self::Set(scope) => scope,
            Self::Unknown => Scope::ReadOnly,
        }
    }

    /// Whether giving the token the scope `to` takes something away, or at least says for the first time
    /// how far it reaches.
    #[must_use]
    pub fn is_lowered_by(self, to: Scope) -> bool {
        match self {
            Self::Unset | Self::Unknown => true,
            Self::Set(scope) => scope > to,
        }
    }

    /// The word for it in policies and plans.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Set(scope) => scope.word(),
            Self::Unknown => "unknown",
        }
    }

    /// The number for it in the token REST: 0 unset (or not known), otherwise that of the scope.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Unset | Self::Unknown => 0,
            Self::Set(scope) => scope.number(),
        }
    }

    /// The scope of a token that has this number; `None` when none has.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Unset),
            number => Scope::from_number(number).map(Self::Set),
        }
    }
}

impl fmt::Display for TokenScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// When a token was used last, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LastUse {
    /// The moment, UTC.
    pub at: Timestamp,
    /// The address of the client, where the server records it.
    pub from: Option<IpAddr>,
}

/// One API token as its server shows it. It never holds the secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Its identifier on the server.
    pub id: TokenId,
    /// Whose it is.
    pub owner: Owner,
    /// What people wrote to tell it from others, without the mark. Text from a server: hostile until escaped.
    pub description: String,
    /// How far it reaches.
    pub scope: TokenScope,
    /// When it was made, UTC.
    pub created: Timestamp,
    /// Who made it, where the server tells.
    pub created_by: Option<UserName>,
    /// Its last use; `None` when it was never used.
    pub last_used: Option<LastUse>,
    /// The moment from which on it is refused, UTC; `None` when it never expires.
    pub expires: Option<Timestamp>,
    /// The deadline that an earlier run marked it with, where the server cannot set an expiry.
    pub mark: Option<Mark>,
}

impl Token {
    /// The moment from which on it is refused or to be revoked, UTC; `None` when there is none.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        self.expires.into_iter().chain(self.mark.map(|mark| mark.until)).min()
    }

    /// Takes the deadline that a record of earlier runs has of it for the one that counts, whatever its
    /// description shows: taking a mark off, or bringing an older or a later one back, moves nothing.
    pub fn recall(&mut self, recorded: Timestamp) {
        self.mark = Some(Mark { until: recorded, shown: self.mark.and_then(|mark| mark.shown) });
    }

    /// When it was made, or used if that was later, UTC.
    #[must_use]
    pub fn made_or_used(&self) -> Timestamp {
        self.last_used.map_or(self.created, |last| last.at.max(self.created))
    }

    /// Whether it is refused at `now` because it expired.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::TokenId;

    #[test]
    fn identifiers_come_in_the_order_of_their_value_and_keep_their_zeros() {
        let mut ids: Vec<_> = ["b", "10", "007", "9", "7", "a1"].map(TokenId::new).into();
        ids.sort();
        let texts: Vec<_> = ids.iter().map(TokenId::as_str).collect();
        assert_eq!(texts, ["007", "7", "9", "10", "a1", "b"]);
    }
}
