//! What could not be seen on a target, and whether everything was seen.

use std::{collections::BTreeSet, fmt};

use crate::model::{GroupName, Owner, OwnerKind, TokenId, UserName, brief};

use super::{LeftOut, left_out::plural};

/// How many tokens that cannot be read are named.
const NAMED: usize = 10;

/// How much of a target was seen. Nothing is removed just because it was not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Everything.
    Complete,
    /// Something is missing; never empty.
    Partial(BTreeSet<Missing>),
}

/// Something that was not seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// The server does not know the group. That is not an empty group.
    Group(GroupName),
    /// The config file says not to look at it.
    LeftOut(LeftOut),
    /// Something that is told only in words, such as by a saved plan.
    Told(String),
    /// The server does not show the tokens of some owners to our credential.
    Tokens {
        /// Which kind of owner.
        of: OwnerKind,
        /// How many of them.
        owners: u64,
        /// One of them.
        such_as: Owner,
        /// What was wrong, in words that are the same for others like it.
        reason: String,
    },
    /// The server lists the owners of this kind that our credential may see, which may not be all.
    Hidden(OwnerKind),
    /// A list that the server gave contradicts itself, or holds what cannot be read: there may be others.
    List {
        /// What it is of.
        of: List,
        /// Why it cannot be whole.
        reason: String,
    },
    /// Tokens of which something cannot be read: they are not looked at.
    Odd {
        /// What cannot be read.
        what: String,
        /// Which tokens, such as `7 of mary`; never empty.
        tokens: BTreeSet<String>,
    },
    /// Tokens that the server lists more than once, with different content: nothing is done about them. Never
    /// empty.
    Disputed(BTreeSet<TokenId>),
    /// Several users have one slug, by which the server answers for only one of them.
    SharedSlug {
        /// The slug.
        slug: String,
        /// The users; at least two.
        users: BTreeSet<UserName>,
    },
    /// The server does not say of some tokens what nothing can be decided without: they are not looked at.
    Part {
        /// What it does not say.
        of: TokenPart,
        /// How many of them.
        tokens: u64,
        /// One of them.
        such_as: TokenId,
    },
    /// The server does not say of some users whether they are active: they are taken to be.
    Activity {
        /// How many of them.
        users: u64,
        /// One of them.
        such_as: UserName,
    },
}

/// What a list of a server is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// Users.
    Users,
    /// The members of a group.
    Members(GroupName),
    /// Owners of this kind, which is none of users.
    Owners(OwnerKind),
    /// Tokens.
    Tokens,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users => f.write_str("users"),
            Self::Members(group) => write!(f, "members of group `{group}`"),
            Self::Owners(kind) => f.write_str(plural(*kind)),
            Self::Tokens => f.write_str("tokens"),
        }
    }
}

/// What a server must say of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenPart {
    /// Whose it is.
    Owner,
    /// When it expires, or that it never does.
    Expiry,
    /// When it was used last, or that it never was.
    LastUse,
}

impl TokenPart {
    fn words(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Expiry => "expiry",
            Self::LastUse => "last use",
        }
    }
}

impl Missing {
    /// Whether it is missed by somebody who asks only for `groups`.
    #[must_use]
    pub fn matters_to(&self, groups: &BTreeSet<GroupName>) -> bool {
        match self {
            Self::Group(group) | Self::List { of: List::Members(group), .. } => groups.contains(group),
            _ => true,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => write!(f, "group `{group}` is not known to the server"),
            Self::LeftOut(left_out) => write!(f, "not looked at, as the config file says: {left_out}"),
            Self::Told(words) => f.write_str(words),
            Self::Hidden(of) => write!(
                f,
                "the server lists the {} that the credential may see: it is not known to be an administrator's, so that there may be others",
                plural(*of)
            ),
            Self::List { of, reason } => write!(f, "the list of {of} is not whole: {reason}"),
            Self::Odd { what, tokens } if tokens.len() == 1 => {
                let of = tokens.iter().map(String::as_str).collect::<String>();
                write!(f, "the {what} of token {of} cannot be read: it is not looked at")
            }
            Self::Odd { what, tokens } => {
                write!(f, "the {what} of tokens {} cannot be read: they are not looked at", named(tokens))
            }
            Self::Disputed(tokens) if tokens.len() == 1 => write!(
                f,
                "the server lists token {} more than once, with different content: nothing is done about it",
                named(tokens)
            ),
            Self::Disputed(tokens) => write!(
                f,
                "the server lists tokens {} more than once, with different content: nothing is done about them",
                named(tokens)
            ),
            Self::SharedSlug { slug, users } => {
                let users: Vec<_> = users.iter().map(|user| format!("`{user}`")).collect();
                write!(
                    f,
                    "the users {} have one slug, `{slug}`, and the server answers for one of them alone: tokens of the \
                     others could not be seen",
                    users.join(" and ")
                )
            }
            Self::Tokens { owners: 1, such_as, reason, .. } => {
                write!(f, "the tokens of {} could not be seen: {reason}", brief(such_as))
            }
            Self::Part { of, tokens: 1, such_as } => {
                write!(
                    f,
                    "the server does not say the {} of token {}: it is not looked at",
                    of.words(),
                    brief(such_as)
                )
            }
            Self::Part { of, tokens, such_as } => write!(
                f,
                "the server does not say the {} of {tokens} tokens, such as {}: they are not looked at",
                of.words(),
                brief(such_as)
            ),
            Self::Activity { users, such_as } => write!(
                f,
                "the server does not say whether {users} users, such as {}, are active: they are taken to be",
                brief(such_as)
            ),
            Self::Tokens { of, owners, such_as, reason } => {
                let (of, such_as) = (plural(*of), brief(such_as));
                write!(f, "the tokens of {owners} {of}, such as {such_as}, could not be seen: {reason}")
            }
        }
    }
}

/// The first of `tokens`, and how many others there are.
fn named<T: fmt::Display>(tokens: &BTreeSet<T>) -> String {
    let first: Vec<_> = tokens.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match tokens.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} others"),
    };
    format!("{}{more}", first.join(", "))
}

impl Coverage {
    /// What is missing; `None` when the coverage is complete.
    pub fn missing(&self) -> impl Iterator<Item = &Missing> + Clone {
        match self {
            Self::Complete => None,
            Self::Partial(missing) => Some(missing),
        }
        .into_iter()
        .flatten()
    }

    /// What could not be seen although it was looked for.
    pub fn unseen(&self) -> impl Iterator<Item = &Missing> + Clone {
        self.missing().filter(|missing| !matches!(missing, Missing::LeftOut(_)))
    }

    /// Whether the server lists the token `id` more than once, with different content.
    #[must_use]
    pub fn is_disputed(&self, id: &TokenId) -> bool {
        self.missing().any(|missing| matches!(missing, Missing::Disputed(tokens) if tokens.contains(id)))
    }

    /// The tokens that the server lists more than once, with different content.
    pub fn disputed(&self) -> impl Iterator<Item = &TokenId> + Clone {
        self.missing()
            .filter_map(|missing| match missing {
                Missing::Disputed(tokens) => Some(tokens),
                _ => None,
            })
            .flatten()
    }

    /// What was not looked at, since the config file says so.
    pub fn left_out(&self) -> impl Iterator<Item = &LeftOut> + Clone {
        self.missing().filter_map(|missing| match missing {
            Missing::LeftOut(left_out) => Some(left_out),
            _ => None,
        })
    }

    /// What is missing in either.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.missing().chain(other.missing()).cloned().collect()
    }
}

impl FromIterator<Missing> for Coverage {
    fn from_iter<I: IntoIterator<Item = Missing>>(missing: I) -> Self {
        let missing: BTreeSet<_> = missing.into_iter().collect();
        if missing.is_empty() { Self::Complete } else { Self::Partial(missing) }
    }
}
