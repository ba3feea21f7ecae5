//! Questions about one token or user of Bitbucket, for the gateway in front of it, which cannot wait for a walk.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde::de::IgnoredAny;

use crate::{
    http::{self, HttpClient, HttpCredential, HttpError, RefusalKind},
    inventory::ReadError,
    model::{GroupName, Owner, Token, TokenId, UserName},
};

use super::{
    Bitbucket, directory,
    reader::Cause,
    wire::{PROBE, TokenItem, USERS, User, token_path},
};

/// A user and their groups.
pub struct Found {
    /// The name as the directory writes it.
    pub name: UserName,
    /// Whether the directory says that the user is active; `None` when it does not tell.
    pub active: Option<bool>,
    /// The groups.
    pub groups: Vec<GroupName>,
}

impl Bitbucket {
    /// Whom the server takes anyone for who sends the header `Authorization` with this value; `None` when it does not
    /// let them in, or names nobody.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn who_sends(&self, authorization: &str) -> Result<Option<UserName>, ReadError> {
        let Some(credential) = credential(authorization) else { return Ok(None) };
        match self.asking().get_as::<IgnoredAny>(&credential, PROBE, &[("limit", "1")]).await {
            Ok(answer) => Ok(answer.user),
            Err(error) if matches!(error.status().map(|status| status.as_u16()), Some(401 | 403)) => Ok(None),
            Err(error) => Err(self.cannot_read("settings")(error)),
        }
    }

    /// The token `id` of `owner` as it is now; `None` when they have no such token.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or not with a token.
    pub async fn token_of(&self, owner: &Owner, id: &TokenId) -> Result<Option<Token>, ReadError> {
        let read = async {
            // A name that no path can have is nobody's.
            let Ok(tokens) = self.slugs.tokens_path(owner) else { return Ok(None) };
            let path = token_path(&tokens, id)?;
            match self.asking().get::<TokenItem>(&path, &[]).await {
                Ok(read) if self.is_theirs(&read.body, owner) == Some(true) => {
                    Ok(Some(read.body.token(owner.clone(), None)?))
                }
                Ok(_) => Ok(None),
                Err(error) if error.refusal() == Some(RefusalKind::NotFound) => Ok(None),
                Err(error) => Err(Cause::from(error)),
            }
        };
        read.await.map_err(self.cannot_read("tokens"))
    }

    /// The user `name`; `None` when the directory knows none.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn find_user(&self, name: &UserName) -> Result<Option<Found>, ReadError> {
        let read = async {
            let found =
                self.asking().pages::<User>(USERS, &[("filter", name.as_str())], directory::PAGE).await?;
            let Some(user) = found.into_iter().find(|user| user.name == *name) else { return Ok(None) };
            self.slugs.learn_one(&user);
            let groups = directory::groups_of(self.asking(), &user.name).await?;
            Ok::<_, HttpError>(Some(Found { name: user.name, active: user.active, groups }))
        };
        read.await.map_err(self.cannot_read("users"))
    }

    /// The user with this slug, as far as slugs were learned; the name itself where nothing else was. `None` when it is
    /// that of several.
    #[must_use]
    pub fn user_of_slug(&self, slug: &str) -> Option<UserName> {
        let learned = self.slugs.learned();
        if learned.shared.contains_key(&slug.to_lowercase()) {
            return None;
        }
        let named = learned.by_name.iter().find(|(_, of)| of.eq_ignore_ascii_case(slug));
        Some(named.map_or_else(|| UserName::new(slug), |(name, _)| name.clone()))
    }

    /// The client that questions go through.
    fn asking(&self) -> &HttpClient {
        self.questions.as_deref().unwrap_or(&self.client)
    }
}

/// Whether an answer with these `headers` to a request with a token of `owner` shows that the server took the token for
/// what it is. Who is behind a token of a project or repository has a name that nobody knows.
#[must_use]
pub fn confirms(headers: &HeaderMap, owner: &Owner) -> bool {
    match owner.user() {
        Some(user) => http::names(headers, user) == Some(true),
        None => http::names(headers, &UserName::new("")) == Some(false),
    }
}

/// The credential in a header `Authorization` with this value.
fn credential(authorization: &str) -> Option<HttpCredential> {
    let (scheme, rest) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(HttpCredential::Bearer(SecretString::from(rest)));
    }
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest).ok())??;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, secret) = decoded.split_once(':')?;
    Some(HttpCredential::Basic { user: user.to_owned(), secret: SecretString::from(secret) })
}
