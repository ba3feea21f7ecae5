//! The requests that create, change or revoke tokens of the server behind, whoever sends them.

use jiff::{SignedDuration, Timestamp};

use super::{
    Case, Refused, Verdict,
    body::{BadBody, Body, TokenBody},
    forward, permit,
};
use crate::{
    access::{
        DenialReason, Operation, Person, TokenOwner, TokenOwnership,
        limits::{self, RequestedToken},
    },
    model::{LimitKey, Scope},
    serve::front::classify::TokenRequest,
};

/// What becomes of a `request` about tokens.
pub(super) fn judge(case: &Case<'_>, request: &TokenRequest) -> Result<Verdict, Refused> {
    let entered = permit(case, &Operation::Enter)?;
    let sender = entered.principal().person();
    let owner = case.known.owner.as_ref();
    if let (Some(owner), Some(holder)) = (owner, &case.known.holder)
        && owner.name().folded() != holder.folded()
    {
        // Whose rights would count, those of the one in the path or of the other, the server behind alone knows.
        return Err(DenialReason::UnknownOwner.into());
    }
    match request {
        TokenRequest::Administer => pass(case, &Operation::WriteSettings),
        TokenRequest::Revoke(..) => pass(case, &Operation::Revoke(target(sender, owner))),
        TokenRequest::Create(_) => {
            let create = |scope| match owner {
                Some(owner) if is_own(sender, owner) => Operation::CreateOwn { scope },
                owner => Operation::CreateFor { owner: owner.cloned(), scope },
            };
            // What is refused however far the token reaches is refused before the body is read.
            permit(case, &create(Scope::ReadOnly))?;
            let owner = owner.ok_or(DenialReason::UnknownOwner)?;
            match case.body {
                Body::Unread => Ok(Verdict::NeedsBody),
                // Nor does whoever asks tell when the token is there, so that the next one could be counted.
                Body::Unseen => unseen(case, owner, &create(Scope::ReadWrite), &[LimitKey::MaxPerOwner]),
                Body::Read(bytes) => created(case, owner, &TokenBody::read(bytes)?, create),
            }
        }
        TokenRequest::Change(..) => {
            let target = target(sender, owner);
            permit(case, &Operation::Narrow(target))?;
            let owner = owner.ok_or(DenialReason::UnknownOwner)?;
            let rescope = |scope| Operation::Rescope { target, owner: Some(owner.clone()), scope };
            match case.body {
                Body::Unread => Ok(Verdict::NeedsBody),
                Body::Unseen => unseen(case, owner, &rescope(Scope::ReadWrite), &[]),
                Body::Read(bytes) => {
                    let body = TokenBody::read(bytes)?;
                    let operation = body.scope().map_or(Operation::Narrow(target), rescope);
                    changed(case, owner, &body, &operation)
                }
            }
        }
    }
}

fn pass(case: &Case<'_>, operation: &Operation) -> Result<Verdict, Refused> {
    Ok(forward(case, permit(case, operation)?, None))
}

/// Whose token the request is about, seen from `sender`. An owner whom nobody knows could be an administrator.
fn target(sender: Option<&Person>, owner: Option<&TokenOwner>) -> TokenOwnership {
    match owner {
        Some(owner) if is_own(sender, owner) => TokenOwnership::Own,
        Some(owner) => TokenOwnership::Others {
            owner_is_administrator: owner.person().is_some_and(|person| person.administrator),
        },
        None => TokenOwnership::Others { owner_is_administrator: true },
    }
}

fn is_own(sender: Option<&Person>, owner: &TokenOwner) -> bool {
    sender.is_some_and(|sender| owner.is_user(&sender.name))
}

/// What becomes of a request whose body nobody sees: it is taken for the most that it can be.
fn unseen(
    case: &Case<'_>,
    owner: &TokenOwner,
    most: &Operation,
    further: &[LimitKey],
) -> Result<Verdict, Refused> {
    let permit = permit(case, most)?;
    let keys = [LimitKey::MaxScope, LimitKey::MaxLifetime, LimitKey::Description];
    match limits::limit_for(&case.settings.limits, owner) {
        Some(limit) if keys.iter().chain(further).any(|key| limit.sets(*key)) => Err(Refused::Unseen),
        _ => Ok(forward(case, permit, None)),
    }
}

fn created(
    case: &Case<'_>,
    owner: &TokenOwner,
    body: &TokenBody,
    create: impl Fn(Scope) -> Operation,
) -> Result<Verdict, Refused> {
    // Without permissions the server behind refuses it.
    let scope = body.scope().unwrap_or(Scope::ReadWrite);
    let permit = permit(case, &create(scope))?;
    let expires = body.expiry_days.map(|days| after_days(case.at, days));
    let asked = RequestedToken { scope, expires, description: body.name.as_deref().unwrap_or_default() };
    let granted = limits::keeps(&case.settings.limits, owner, asked, case.at)?;
    if let Some(most) = granted.max_per_owner {
        let Some(tokens) = case.known.tokens else { return Ok(Verdict::NeedsCount(owner.name())) };
        limits::another(most, tokens)?;
    }
    Ok(forward(case, permit, Some(body.written()?)))
}

fn changed(
    case: &Case<'_>,
    owner: &TokenOwner,
    body: &TokenBody,
    operation: &Operation,
) -> Result<Verdict, Refused> {
    let permit = permit(case, operation)?;
    if body.expiry_days.is_some() {
        return Err(BadBody::Expiry.into());
    }
    if let Some(scope) = body.scope() {
        limits::rescope(&case.settings.limits, owner, scope)?;
    }
    if let Some(name) = &body.name {
        limits::rename(&case.settings.limits, owner, name)?;
    }
    Ok(forward(case, permit, Some(body.written()?)))
}

/// `days` of 24 hours after `at`.
fn after_days(at: Timestamp, days: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
}
