//! `creator-not-permitted`: somebody made the token for somebody else without being permitted to.
//! In: who may manage the tokens of others. Out: a verdict. Where the server does not tell who made
//! a token, it is not tried.

use super::{Subject, Verdict};
use crate::model::Permission;

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let Some(owner) = subject.token.owner.user() else { return Verdict::NotTried };
    match &subject.token.created_by {
        None => Verdict::NotTried,
        Some(creator) if creator == owner => Verdict::Complies,
        Some(creator) => subject.permitted(creator, Permission::ManageOthers, || {
            format!("made by {creator}, who is outside `permissions.manage_others`")
        }),
    }
}
