//! The sender of a request whose client is let in, from its `Authorization` header. A password that the
//! settings do not accept is refused.
//!
//! While the settings accept no password at all, none is looked at. As soon as they accept one, all of them take
//! as long and count as failed alike, so that nobody finds out whose or where that is.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

use super::{
    App,
    passwords::Attempt,
    problem::Problem,
    store::{Account, KnownOwner, Sender},
};
use crate::{
    access::{Credentials, Held, Person, TokenOwner, looks_at_password},
    model::{Restriction, Settings, TokenId, TokenSecret, UserName},
};

/// What a request carries, before anything is verified.
pub(super) enum PresentedCredential {
    None,
    /// It has no form that is understood.
    Unreadable,
    Bearer(SecretString),
    Basic {
        user: UserName,
        secret: SecretString,
    },
}

impl PresentedCredential {
    /// What `headers` carry. More than one `Authorization` is not understood.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Self::None,
            (Some(value), None) => value,
            (Some(_), Some(_)) => return Self::Unreadable,
        };
        value.to_str().ok().and_then(Self::parse).unwrap_or(Self::Unreadable)
    }

    fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer(SecretString::from(rest)));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = SecretString::from(String::from_utf8(STANDARD.decode(rest).ok()?).ok()?);
        let (user, secret) = decoded.expose_secret().split_once(':')?;
        Some(Self::Basic { user: UserName::new(user), secret: SecretString::from(secret) })
    }
}

/// Who sends a request: what a decision needs of that, and the rows that it rests on.
pub(super) struct Recognised {
    pub(super) credentials: Credentials,
    pub(super) sender: Sender,
}

impl From<Credentials> for Recognised {
    fn from(credentials: Credentials) -> Self {
        Self { credentials, sender: Sender::Nobody }
    }
}

impl App {
    /// Whether `presented` is the credential of the process that runs the server for itself.
    pub(super) fn is_operator(&self, presented: &PresentedCredential) -> bool {
        let PresentedCredential::Bearer(secret) = presented else { return false };
        let hash = TokenSecret::parse(secret.expose_secret()).map(|secret| secret.hash());
        self.operator.is_some() && self.operator == hash
    }

    /// Who sends a request to `path` with `presented` from `client`.
    pub(super) async fn authenticate(
        &self,
        settings: &Settings,
        presented: PresentedCredential,
        path: &str,
        client: IpAddr,
    ) -> Result<Recognised, Problem> {
        match presented {
            PresentedCredential::None => Ok(Credentials::None.into()),
            PresentedCredential::Unreadable => Ok(Credentials::Invalid.into()),
            PresentedCredential::Bearer(secret) => match TokenSecret::parse(secret.expose_secret()) {
                Some(secret) => self.token(&secret, None).await,
                None => Ok(Credentials::Invalid.into()),
            },
            PresentedCredential::Basic { user, secret } => match TokenSecret::parse(secret.expose_secret()) {
                Some(secret) => self.token(&secret, Some(&user)).await,
                None if settings.password_authentication.accepts_any() => {
                    let counts = looks_at_password(settings, &user, path);
                    self.password(user, secret, counts, client).await
                }
                None => Ok(Credentials::UnverifiedPassword { user }.into()),
            },
        }
    }

    /// The token with this secret, when it is valid and of the user that was `named` with it. Those of projects
    /// and repositories come without a name: they are accepted only as `Bearer`, as in Bitbucket.
    async fn token(&self, secret: &TokenSecret, named: Option<&UserName>) -> Result<Recognised, Problem> {
        let known = self.store.token_by_hash(&secret.hash()).await?;
        let Some(known) = known.filter(|known| known.owner.is_some()) else {
            return Ok(Credentials::Invalid.into());
        };
        let token = &known.token;
        let expired = token.expires.is_some_and(|expires| expires <= self.clock.now());
        if expired || named.is_some_and(|named| Some(named) != token.owner.user()) {
            return Ok(Credentials::Invalid.into());
        }
        let owner = TokenOwner::of(&token.owner, |_| match &known.owner {
            Some(KnownOwner::User(account)) => Ok(self.person(account.clone())),
            Some(KnownOwner::Place) | None => Err(()),
        });
        let Ok(owner) = owner else { return Ok(Credentials::Invalid.into()) };
        let held = Held {
            id: TokenId::new(token.id.to_string()),
            owner,
            scope: token.scope,
            expires: token.expires,
            restriction: Restriction::default(),
        };
        Ok(Recognised { credentials: Credentials::Token(held), sender: Sender::Token(known) })
    }

    async fn password(
        &self,
        user: UserName,
        password: SecretString,
        counts: bool,
        client: IpAddr,
    ) -> Result<Recognised, Problem> {
        let account = self.store.account(&user).await?.filter(|_| counts);
        // Whether the password of somebody inactive is right is nobody's business: it counts as wrong.
        let active = account.as_ref().filter(|account| account.active);
        let hash = active.and_then(|account| account.password_hash.clone());
        match (self.passwords.check(&user, password, hash, client).await?, account) {
            (Attempt::Throttled, _) => Err(Problem::throttled()),
            (Attempt::Right, Some(account)) => {
                self.uses.record_sign_in(account.name.clone(), self.clock.now());
                Ok(Recognised {
                    credentials: Credentials::Password(self.person(account.clone())),
                    sender: Sender::Password(account),
                })
            }
            (Attempt::Right | Attempt::Wrong, _) => Ok(Credentials::UnverifiedPassword { user }.into()),
        }
    }

    /// The person behind `account`.
    pub(super) fn person(&self, account: Account) -> Person {
        let administrator = account.groups.contains(&self.administrators);
        Person { name: account.name, groups: account.groups, active: account.active, administrator }
    }
}
