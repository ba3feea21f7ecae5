//! What a request to the server behind is, from its method and its raw target.
//!
//! Every server between a client and an endpoint reads a path in a way of its own: dot segments, `;`, `//`,
//! letters in percent-encoding. So there is one reading here, and a target that could have two is refused. The
//! target is forwarded as it came.

mod git;
mod target;
mod tokens;

pub use target::{Ambiguous, Prefixes};
pub use tokens::{OwnerPath, TokenRequest};

use crate::model::Scope;
use target::RequestTarget;

/// What a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// What it is for.
    pub kind: Kind,
    /// The method, as it came: methods differ in case.
    pub method: String,
    /// The path, decoded, below the context path: what the rule on passwords is asked about.
    pub path: String,
    /// Whether the query has credentials of OAuth in it.
    pub has_credentials_in_query: bool,
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the gateway serves by itself.
    Own,
    /// Git: reading or writing, whatever the method is.
    Git(Scope),
    /// LFS beside its batch, such as its locks: reading or writing.
    Lfs(Scope),
    /// The batch of LFS, which reads or writes as its body says.
    LfsBatch,
    /// An object of LFS: the server behind signs what clients send there.
    LfsStorage,
    /// To create, change or revoke a token of the server behind.
    Tokens(TokenRequest),
    /// Any other REST.
    Rest,
    /// Anything else, such as a page.
    Page,
}

impl Kind {
    /// Its word in figures and in the log.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Git(Scope::ReadOnly) => "git-read",
            Self::Git(Scope::ReadWrite) => "git-write",
            Self::Lfs(Scope::ReadOnly) => "lfs-read",
            Self::Lfs(Scope::ReadWrite) => "lfs-write",
            Self::LfsBatch => "lfs-batch",
            Self::LfsStorage => "lfs-storage",
            Self::Tokens(_) => "tokens",
            Self::Rest => "rest",
            Self::Page => "page",
        }
    }
}

/// What a request with `method` to `target` is: its path and query, as they came.
///
/// # Errors
///
/// When the target could be read in two ways.
pub fn classify(method: &str, target: &str, prefixes: &Prefixes) -> Result<Class, Ambiguous> {
    let target = RequestTarget::read(target)?;
    let segments = target.segments();
    if is_own(&segments) {
        return Ok(class(Kind::Own, method, &segments, &target));
    }
    // What lies beside the context path is read as if it lay below: only less passes.
    let below = prefixes.below_context(&segments)?;
    let kind = match prefixes.below_git(below)? {
        Some(segments) => git::below_prefix(method, segments, &target)?,
        None => beside_git(method, below, &target)?,
    };
    Ok(class(kind, method, below, &target))
}

fn class(kind: Kind, method: &str, segments: &[&str], target: &RequestTarget<'_>) -> Class {
    Class {
        kind,
        method: method.to_owned(),
        path: ["/", &segments.join("/")].concat(),
        has_credentials_in_query: target.has_credentials(),
    }
}

/// Whether the gateway serves the path by itself.
fn is_own(segments: &[&str]) -> bool {
    let segments = segments.strip_suffix(&[""]).unwrap_or(segments);
    matches!(segments, ["healthz" | "readyz" | "metrics"] | ["authz", ..] | ["rest", "tokenwarden", ..])
}

fn beside_git(method: &str, segments: &[&str], target: &RequestTarget<'_>) -> Result<Kind, Ambiguous> {
    let (first, second) = (segments.first().copied(), segments.get(1).copied());
    if !target::is_word(first, "rest")? {
        if !Scope::ReadOnly.allows(method)
            && segments.windows(2).any(|pair| pair == ["rest", "access-tokens"])
        {
            // Rewritten by the server behind, or another context path than the one that is known here.
            return Err(Ambiguous::Place);
        }
        return Ok(git::kind(method, segments, target)?.unwrap_or(Kind::Page));
    }
    if target::is_word(second, "access-tokens")? {
        return Ok(tokens::request(method, segments)?.map_or(Kind::Rest, Kind::Tokens));
    }
    if target::is_word(second, "git-lfs")? && target::is_word(segments.get(2).copied(), "storage")? {
        return Ok(Kind::LfsStorage);
    }
    Ok(Kind::Rest)
}
