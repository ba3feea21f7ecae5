//! The requests that create, change or revoke tokens (`/rest/access-tokens/`, REST specifications 8.19 to 10.3).

use super::{
    Ambiguous,
    target::{folded, is_word},
};
use crate::model::{Scope, TokenId};

/// What is to be done to tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenRequest {
    /// To create one, as its body says.
    Create(OwnerPath),
    /// To change one, as its body says.
    Change(OwnerPath, TokenId),
    /// To revoke one.
    Revoke(OwnerPath, TokenId),
    /// Something beside the tokens of anybody, such as what holds for all.
    Administer,
}

impl TokenRequest {
    /// The token that is to be changed or revoked; `None` when it is about no one token.
    #[must_use]
    pub fn token(&self) -> Option<&TokenId> {
        match self {
            Self::Change(_, id) | Self::Revoke(_, id) => Some(id),
            Self::Create(_) | Self::Administer => None,
        }
    }

    /// Whose tokens it is about; `None` when it is about all.
    #[must_use]
    pub fn owner(&self) -> Option<&OwnerPath> {
        match self {
            Self::Create(owner) | Self::Change(owner, _) | Self::Revoke(owner, _) => Some(owner),
            Self::Administer => None,
        }
    }
}

/// An owner of tokens as a path names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerPath {
    /// A user, by the slug, which is another text than the name.
    User {
        /// The slug.
        slug: String,
    },
    /// A project.
    Project {
        /// Its key.
        key: String,
    },
    /// A repository.
    Repository {
        /// The key of its project.
        project: String,
        /// Its slug.
        slug: String,
    },
}

/// What the request to `segments` below `/rest/access-tokens/` does; `None` when it only reads.
pub(super) fn request(method: &str, segments: &[&str]) -> Result<Option<TokenRequest>, Ambiguous> {
    if Scope::ReadOnly.allows(method) {
        return Ok(None);
    }
    let segments = segments.strip_suffix(&[""]).unwrap_or(segments);
    // A suffix that says which form is wanted is taken off by the server behind.
    let last = segments.last().map(|last| folded(last)).unwrap_or_default();
    if [".json", ".xml"].iter().any(|suffix| last.ends_with(suffix)) {
        return Err(Ambiguous::Tokens);
    }
    // `rest`, `access-tokens` and the version.
    let below = segments.get(3..).unwrap_or_default();
    let (owner, item) = if is_word(below.first().copied(), "users")? {
        match below {
            [_, slug, item @ ..] => (OwnerPath::User { slug: (*slug).to_owned() }, item),
            _ => return Err(Ambiguous::Tokens),
        }
    } else if is_word(below.first().copied(), "projects")? {
        let is_of_repository = is_word(below.get(2).copied(), "repos")?;
        match below {
            [_, project, _, slug, item @ ..] if is_of_repository => {
                let (project, slug) = ((*project).to_owned(), (*slug).to_owned());
                (OwnerPath::Repository { project, slug }, item)
            }
            [_, _, _, ..] if is_of_repository => return Err(Ambiguous::Tokens),
            [_, key, item @ ..] => (OwnerPath::Project { key: (*key).to_owned() }, item),
            _ => return Err(Ambiguous::Tokens),
        }
    } else {
        return Ok(Some(TokenRequest::Administer));
    };
    Ok(Some(match (method, item) {
        ("PUT", []) => TokenRequest::Create(owner),
        ("POST", [id]) => TokenRequest::Change(owner, TokenId::new(*id)),
        ("DELETE", [id]) => TokenRequest::Revoke(owner, TokenId::new(*id)),
        _ => return Err(Ambiguous::Tokens),
    }))
}
