//! The credentials of a request to the server behind, and which token they are.
//!
//! That server proves a secret; here is only read which token it is, since that is what the decision goes by. Were
//! the two to read different tokens from the same bytes, a request would be judged as one and served as the other.
//! So there is one strict form, and what is forwarded is written anew from what was read. What somebody more
//! lenient could take for a token, and is not in that form, is neither a token nor a password: it is not forwarded.

mod token;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::classify::{Class, Kind};
use crate::{
    access::Credentials,
    model::{self, TokenId, UserName},
};

/// The credentials of a request. No header in here can be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// There are none.
    None,
    /// The session of a browser.
    Session,
    /// A token of the server behind.
    Bitbucket {
        /// Its identifier, read from the secret: 12 digits.
        id: TokenId,
        /// The user that was named with it, when it came in place of a password. The name that Bitbucket has for
        /// "whoever this token is of" is none.
        as_user: Option<UserName>,
        /// What to forward.
        authorization: HeaderValue,
        /// Whether that is the token, so that the server behind proves it. Otherwise it is what that server signed
        /// for the storage of LFS, beside which the token came.
        is_forwarded: bool,
    },
    /// A token of the gateway, which is never forwarded.
    Ours,
    /// Whatever it is, the gateway has looked it up in its own directory. It is not forwarded.
    Recognised(Credentials),
    /// What the server behind knows as a credential and is neither a token nor a password.
    OtherBearer {
        /// What to forward; nothing when it is in the query.
        authorization: Option<HeaderValue>,
    },
    /// A password.
    Password {
        /// The user that was named with it.
        user: UserName,
        /// What to forward.
        authorization: HeaderValue,
    },
    /// Something that is none of these, or not clearly one. It is not forwarded.
    Unknown,
}

/// A head that could be read in two ways, so that nobody is asked which one was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Odd {
    /// There are several.
    #[error("a request has one `Authorization`, and nothing of the kind in its query beside that")]
    Several,
    /// A header says that the method is another one than the request has.
    #[error("a request has one method, and no header that says another one")]
    Method,
}

/// The schemes of what servers and apps sign for one another.
const SIGNED: [&str; 3] = ["oauth", "jwt", "negotiate"];
/// Headers that some servers take the method from.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-method-override", "x-http-method"];
/// The user that stands for whoever the token is of that comes with it.
const ANY_USER: &str = "x-token-auth";

impl Presented {
    /// What `headers` and the query of a request of this `class` carry.
    ///
    /// # Errors
    ///
    /// When that are several credentials, or a header says that the method is another one.
    pub fn of(headers: &HeaderMap, class: &Class) -> Result<Self, Odd> {
        check_method(headers)?;
        let mut lines = headers.get_all(header::AUTHORIZATION).iter();
        let in_query = class.has_credentials_in_query;
        match (lines.next(), lines.next(), lines.next()) {
            (None, ..) if in_query => Ok(Self::OtherBearer { authorization: None }),
            (None, ..) if headers.contains_key(header::COOKIE) => Ok(Self::Session),
            (None, ..) => Ok(Self::None),
            (Some(_), ..) if in_query => Err(Odd::Several),
            (Some(line), None, _) => Ok(Self::read(line)),
            (Some(first), Some(second), None) if class.kind == Kind::LfsStorage => {
                beside(Self::read(first), Self::read(second))
            }
            (Some(_), Some(_), _) => Err(Odd::Several),
        }
    }

    fn read(line: &HeaderValue) -> Self {
        let text = line.to_str().ok().filter(|text| !text.contains('\t'));
        text.and_then(Self::parse).unwrap_or(Self::Unknown)
    }

    /// The credentials in the value of one header; `None` for [`Self::Unknown`].
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(' ')?;
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => Self::basic(scheme, rest),
            "bearer" => Self::bearer(scheme, rest),
            signed
                if SIGNED.contains(&signed)
                    && !token::could_be_one(rest.as_bytes())
                    && !names_another(rest) =>
            {
                Some(Self::OtherBearer { authorization: Some(value(scheme, rest)?) })
            }
            _ => None,
        }
    }

    fn bearer(scheme: &str, secret: &str) -> Option<Self> {
        if token::is_ours(secret.as_bytes()) {
            return Some(Self::Ours);
        }
        if let Some(id) = token::read(secret) {
            let authorization = value(scheme, secret)?;
            return Some(Self::Bitbucket { id, as_user: None, authorization, is_forwarded: true });
        }
        let is_one_word =
            !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
        let is_other = is_one_word && !token::could_be_one(secret.as_bytes());
        is_other.then(|| Some(Self::OtherBearer { authorization: Some(value(scheme, secret)?) }))?
    }

    fn basic(scheme: &str, encoded: &str) -> Option<Self> {
        let pair = SecretSlice::from(STANDARD.decode(encoded).ok()?);
        let pair = pair.expose_secret();
        if pair.iter().any(u8::is_ascii_control) {
            return None;
        }
        let (user, secret) = pair.split_at_checked(pair.iter().position(|byte| *byte == b':')?)?;
        let (user, secret) = (str::from_utf8(user).ok()?, secret.get(1..)?);
        if token::is_ours(secret) {
            return Some(Self::Ours);
        }
        if let Some(id) = str::from_utf8(secret).ok().and_then(token::read) {
            let as_user = Some(user).filter(|user| !user.is_empty() && *user != ANY_USER).map(UserName::from);
            let authorization = basic(scheme, user, secret)?;
            return Some(Self::Bitbucket { id, as_user, authorization, is_forwarded: true });
        }
        // Behind any of its colons, which a password can have as well.
        let colons = pair.iter().enumerate().filter(|(_, byte)| **byte == b':');
        let mut parts = colons.filter_map(|(place, _)| pair.get(place + 1..));
        if token::could_be_one(pair) || parts.any(token::could_be_one) {
            return None;
        }
        let authorization = basic(scheme, user, secret)?;
        match user {
            "" => None,
            ANY_USER => Some(Self::OtherBearer { authorization: Some(authorization) }),
            user => Some(Self::Password { user: UserName::from(user), authorization }),
        }
    }
}

/// Makes sure that `headers` say no other method than the request has.
fn check_method(headers: &HeaderMap) -> Result<(), Odd> {
    let is_as_long = |name: &str| OVERRIDES.iter().any(|header| header.len() == name.len());
    let says_method = |name: &HeaderName| {
        // Folding leaves the length as it is, and is not needed for most.
        is_as_long(name.as_str()) && OVERRIDES.contains(&&*model::HeaderName::folded(name.as_str()))
    };
    if headers.keys().any(says_method) { Err(Odd::Method) } else { Ok(()) }
}

/// Makes sure that `headers` and the query of a request of this `class` say nothing that a server behind could take for
/// another sender than the one in `Authorization`, or for another method.
///
/// # Errors
///
/// When they do.
pub fn check_alone(headers: &HeaderMap, class: &Class) -> Result<(), Odd> {
    check_method(headers)?;
    let lines = headers.get_all(header::AUTHORIZATION).iter().count();
    if class.has_credentials_in_query || lines > 1 { Err(Odd::Several) } else { Ok(()) }
}

/// Whether another scheme stands somewhere in `text`, which a lenient reader could go on with.
fn names_another(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["basic", "bearer"].iter().any(|scheme| text.contains(scheme))
}

/// What came as two: a token, and beside it what the server behind signed, which is forwarded alone.
fn beside(first: Presented, second: Presented) -> Result<Presented, Odd> {
    match (first, second) {
        (
            Presented::Bitbucket { id, as_user, .. },
            Presented::OtherBearer { authorization: Some(authorization) },
        )
        | (
            Presented::OtherBearer { authorization: Some(authorization) },
            Presented::Bitbucket { id, as_user, .. },
        ) => Ok(Presented::Bitbucket { id, as_user, authorization, is_forwarded: false }),
        _ => Err(Odd::Several),
    }
}

/// The value of an `Authorization` of `scheme`, which nothing shows.
fn value(scheme: &str, rest: &str) -> Option<HeaderValue> {
    let text = SecretString::from([scheme, " ", rest].concat());
    let mut value = HeaderValue::from_str(text.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn basic(scheme: &str, user: &str, secret: &[u8]) -> Option<HeaderValue> {
    let pair = SecretSlice::from([user.as_bytes(), b":", secret].concat());
    value(scheme, SecretString::from(STANDARD.encode(pair.expose_secret())).expose_secret())
}
