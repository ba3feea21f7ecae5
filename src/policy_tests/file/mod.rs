//! Files of policy tests: their cases, each with its expected results, or every mistake in the file. Which
//! rules, reasons and targets there are is checked later.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;

use crate::{
    model::{AddressSet, GroupName, Holders, Question, Scope, Token, UserName},
    yaml::{Place, Span},
};

mod case;
mod common;
pub mod document;
mod moment;
mod read;
mod statement;

pub use read::{TestReading, read};

/// A valid file of policy tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFile {
    /// Its path, as people know it.
    pub path: Arc<str>,
    /// The target whose policy is tested.
    pub target: WrittenWord,
    /// The users whom the directory knows.
    pub users: BTreeMap<UserName, TestUser>,
    /// The cases in their order; at least one.
    pub cases: Vec<TestCase>,
}

/// What the directory says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestUser {
    /// The groups that the user is in.
    pub groups: Vec<GroupName>,
    /// Whether the user is active.
    pub active: bool,
}

/// A word whose meaning others know, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenWord {
    /// The word.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    /// Path of its key, such as `cases[0].expect.findings[1]`.
    pub key: String,
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCase {
    /// What it shows.
    pub name: String,
    /// Where it begins.
    pub place: Place,
    /// The time that it is judged at, UTC.
    pub now: Timestamp,
    /// What it is about, and what is expected of it.
    pub subject: CaseSubject,
}

/// What a case is about, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseSubject {
    /// A token.
    Token {
        /// The one that is judged.
        token: Box<Token>,
        /// Those beside it.
        others: Vec<Token>,
        /// The rules that find something wrong.
        findings: Vec<WrittenWord>,
        /// The rules whose finding a waiver holds.
        waived: Vec<WrittenWord>,
        /// What the plan does.
        actions: Vec<TokenAction>,
    },
    /// A request.
    Request {
        /// What is sent, by one of the users of the file.
        request: Box<Question>,
        /// `permit`, or the reason why not.
        decision: WrittenWord,
    },
    /// All requests of a kind.
    Statement(Box<Statement>),
}

/// That all requests of a kind pass, or that none does: those of active people, and of tokens that last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Whether they all pass; otherwise none does.
    pub always: bool,
    /// Where their clients are, as the server finds these.
    pub clients: AddressSet,
    /// The groups that a sender is in one of.
    pub in_groups: Holders,
    /// The groups that a sender is in none of.
    pub not_in_groups: Holders,
    /// Whether some are sent with a token.
    pub with_token: bool,
    /// Whether some are sent with a password.
    pub with_password: bool,
    /// Whether they write, or only read; both when nothing is said.
    pub writes: Option<bool>,
    /// The scope of the tokens.
    pub scope: Scope,
    /// The scope of the token that they would create, when they would create one.
    pub creates: Option<Scope>,
    /// That it is about tokens that reach as far as this, and about no requests.
    pub holds: Option<Scope>,
}

/// What a plan does with a token, in the words of policy tests. Ordered as tests show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenAction {
    /// Its scope is lowered.
    Narrow,
    /// Its expiry is brought nearer, to this moment.
    Expire(Timestamp),
    /// It is revoked.
    Revoke,
    /// It ends by itself at this moment.
    Pending(Timestamp),
    /// The policy wants something that cannot be done for now.
    HeldBack,
}

impl fmt::Display for TokenAction {
    /// As it is written in a file, only with the day when the moment is its first one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Narrow => f.write_str("narrow"),
            Self::Expire(at) => write!(f, "expire {}", moment::text(*at)),
            Self::Revoke => f.write_str("revoke"),
            Self::Pending(until) => write!(f, "pending {}", moment::text(*until)),
            Self::HeldBack => f.write_str("held-back"),
        }
    }
}
