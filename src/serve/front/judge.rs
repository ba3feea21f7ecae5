//! What becomes of a request to the server behind: the decision of `access` on it, with what is forwarded.
//!
//! The server behind verifies all credentials and knows its own rules. Here it is only decided what is taken away.

mod body;
mod tokens;

pub use body::{BadBody, Body};

use std::net::IpAddr;

use axum::http::HeaderValue;
use jiff::Timestamp;

use super::{
    classify::{Class, Kind, OwnerPath},
    secret::Presented,
};
use crate::{
    access::{
        Credentials, Decision, DenialReason, Held, Operation, Passed, PassedKind, Permit, Person, Request,
        RequestOrigin, TokenOwner, decide, limits::LimitBroken,
    },
    model::{Owner, Scope, Settings, TokenId, UserName},
};

/// From where browsers are let in: requests without credentials, and those with a session alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Browsers {
    /// From anywhere.
    #[default]
    Pass,
    /// From where the policy lets clients in.
    Network,
}

/// A request with everything that is known of it.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// From where browsers are let in.
    pub browsers: Browsers,
    /// Where it comes from.
    pub origin: RequestOrigin,
    /// What it is.
    pub class: &'a Class,
    /// What it carries.
    pub presented: &'a Presented,
    /// What [`wanted`] asks for.
    pub known: Known,
    /// Its body, as far as that was read.
    pub body: Body<'a>,
    /// When it is judged, UTC.
    pub at: Timestamp,
}

/// What is known of the sender and the owner in a request.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The token that it carries; `None` when there is no such token.
    pub token: Option<Held>,
    /// Whose password, session or other credential it carries; `None` when that is not known.
    pub sender: Option<Person>,
    /// Whose tokens it is about; `None` when that one is not known.
    pub owner: Option<TokenOwner>,
    /// Whose the token is that it changes or revokes; `None` when nobody knows. A path can name another owner.
    pub holder: Option<Owner>,
    /// How many tokens the owner has that work; `None` while they were not counted.
    pub tokens: Option<u64>,
}

/// What has to be found out before a request is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The token with this identifier.
    pub token: Option<&'a TokenId>,
    /// Who sends it.
    pub sender: SenderLookup<'a>,
    /// The owner at this place.
    pub owner: Option<&'a OwnerPath>,
    /// Whose the token with this identifier is.
    pub holder: Option<&'a TokenId>,
}

/// How to find out who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderLookup<'a> {
    /// It does not matter, or is the owner of the token.
    Any,
    /// It is the user of this name.
    Named(&'a UserName),
    /// The server behind is to be asked, with the credentials of the request.
    Asked,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is forwarded.
    Permit(Box<Forward>),
    /// It depends on the body: that is to be read, up to [`BODY_AT_MOST`], and the request judged again.
    NeedsBody,
    /// It depends on how many tokens this owner has: they are to be counted, and the request judged again. Until it is
    /// answered no other token is created for that one.
    NeedsCount(Owner),
    /// It is refused.
    Refused(Refused),
}

/// The longest body that a decision depends on, in bytes.
pub const BODY_AT_MOST: usize = 64 * 1024;

/// What is forwarded of a request that passes.
#[derive(Clone, Debug)]
pub struct Forward {
    // INVARIANT: private, so that `judge` alone can make one.
    permit: Permit,
    /// The one `Authorization`; none when it is `None`.
    pub authorization: Option<HeaderValue>,
    /// Whether cookies are taken off, and off the answer as well.
    pub drops_cookies: bool,
    /// What the answer confirms, unless that is 401.
    pub confirms: Option<Confirms>,
    /// The body, written anew from what was read; `None` for the one that came.
    pub body: Option<Vec<u8>>,
}

impl Forward {
    /// The address of the client; `None` when it could not be found and does not matter.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        self.permit.client()
    }

    /// The proof that it was decided on.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}

/// What the server behind confirms by answering a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirms {
    /// That this token is one.
    pub token: TokenId,
    /// That it is of this owner. Who is behind a token of a project or repository is nobody whom the directory knows.
    pub owner: Owner,
}

/// Why a request is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The decision of `access`.
    #[error("{0}")]
    Reason(DenialReason),
    /// The token that it asks for would break a limit.
    #[error(transparent)]
    Limit(#[from] LimitBroken),
    /// Its body cannot be read.
    #[error(transparent)]
    Body(#[from] BadBody),
    /// It depends on the body, which whoever asks cannot show.
    #[error("it depends on the body of the request, which the proxy does not show")]
    Unseen,
}

impl From<DenialReason> for Refused {
    fn from(reason: DenialReason) -> Self {
        Self::Reason(reason)
    }
}

/// What has to be found out before a request of this `class` with what it `presented` can be judged.
#[must_use]
pub fn wanted<'a>(class: &'a Class, presented: &'a Presented) -> Wanted<'a> {
    let request = match &class.kind {
        Kind::Tokens(request) => Some(request),
        _ => None,
    };
    let token = match presented {
        Presented::Bitbucket { id, .. } => Some(id),
        _ => None,
    };
    let sender = match presented {
        _ if request.is_none() => SenderLookup::Any,
        Presented::Password { user, .. } => SenderLookup::Named(user),
        Presented::Session | Presented::OtherBearer { .. } => SenderLookup::Asked,
        Presented::None
        | Presented::Bitbucket { .. }
        | Presented::Ours
        | Presented::Recognised(_)
        | Presented::Unknown => SenderLookup::Any,
    };
    Wanted {
        token,
        sender,
        owner: request.and_then(|request| request.owner()),
        holder: request.and_then(|request| request.token()),
    }
}

/// What becomes of the request in `case`.
#[must_use]
pub fn judge(case: &Case<'_>) -> Verdict {
    let judged = match &case.class.kind {
        Kind::Tokens(request) => tokens::judge(case, request),
        Kind::LfsBatch => batch(case),
        kind => {
            permit(case, &operation(kind)).map(|permit| forward(case, permit, None)).map_err(Refused::from)
        }
    };
    match judged {
        Ok(verdict) => verdict,
        Err(refused) => Verdict::Refused(refused),
    }
}

/// What `access` is asked about a request of this `kind`.
#[must_use]
pub fn operation(kind: &Kind) -> Operation {
    match kind {
        Kind::Git(needs) | Kind::Lfs(needs) => Operation::Git { needs: *needs },
        // As the most that it can be.
        Kind::LfsBatch => Operation::Git { needs: Scope::ReadWrite },
        Kind::Own | Kind::LfsStorage | Kind::Tokens(_) | Kind::Rest | Kind::Page => Operation::Enter,
    }
}

/// A batch of LFS: who may write is not asked what it is.
fn batch(case: &Case<'_>) -> Result<Verdict, Refused> {
    let reason = match permit(case, &operation(&Kind::LfsBatch)) {
        Ok(permit) => return Ok(forward(case, permit, None)),
        Err(reason) => reason,
    };
    let permit = permit(case, &Operation::Git { needs: Scope::ReadOnly })?;
    match case.body {
        Body::Unread => Ok(Verdict::NeedsBody),
        Body::Unseen => Err(reason.into()),
        Body::Read(bytes) => match body::batch_needs(bytes)? {
            Scope::ReadOnly => Ok(forward(case, permit, None)),
            Scope::ReadWrite => Err(reason.into()),
        },
    }
}

/// The decision of `access` on the request, were it for `operation`.
fn permit(case: &Case<'_>, operation: &Operation) -> Result<Permit, DenialReason> {
    let request = Request {
        origin: case.origin.clone(),
        method: &case.class.method,
        path: &case.class.path,
        credentials: credentials(case),
        operation: operation.clone(),
        at: case.at,
    };
    match decide(case.settings, &request) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Denied(reason) => Err(reason),
    }
}

/// What the credentials of the request are for `access`.
#[must_use]
pub fn credentials(case: &Case<'_>) -> Credentials {
    let passed = |kind| Credentials::Passed(Passed { kind, person: case.known.sender.clone() });
    match case.presented {
        Presented::None if matches!(case.class.kind, Kind::Tokens(_)) => Credentials::None,
        Presented::None | Presented::Session => {
            passed(PassedKind::Browser { anywhere: case.browsers == Browsers::Pass })
        }
        Presented::OtherBearer { .. } => passed(PassedKind::Bearer),
        Presented::Password { user, .. } => passed(PassedKind::Password { user: user.clone() }),
        Presented::Ours | Presented::Unknown => Credentials::Invalid,
        Presented::Recognised(credentials) => credentials.clone(),
        Presented::Bitbucket { id, as_user, .. } => {
            let is_named = |held: &Held| as_user.as_ref().is_none_or(|named| held.owner.is_user(named));
            let held = case.known.token.as_ref().filter(|held| held.id == *id && is_named(held));
            held.map_or(Credentials::Invalid, |held| Credentials::Token(held.clone()))
        }
    }
}

fn forward(case: &Case<'_>, permit: Permit, body: Option<Vec<u8>>) -> Verdict {
    let (authorization, is_proved) = match case.presented {
        Presented::None
        | Presented::Session
        | Presented::Ours
        | Presented::Recognised(_)
        | Presented::Unknown => (None, false),
        Presented::Bitbucket { authorization, is_forwarded, .. } => (Some(authorization), *is_forwarded),
        Presented::OtherBearer { authorization } => (authorization.as_ref(), false),
        Presented::Password { authorization, .. } => (Some(authorization), false),
    };
    let proved = permit.principal().token().filter(|_| is_proved);
    let confirms = proved.map(|held| Confirms { token: held.id.clone(), owner: held.owner.name() });
    // A session that came of a token would outlive its scope and its end, and one beside it could be another's.
    let drops_cookies = !matches!(case.presented, Presented::None | Presented::Session);
    let authorization = authorization.cloned();
    Verdict::Permit(Box::new(Forward { permit, authorization, drops_cookies, confirms, body }))
}
