//! `creator-not-permitted`: somebody made the token for somebody else without being permitted to.
//! In: who may manage the tokens of others. Out: a verdict. Where the server does not tell who made
//! a token, it is not tried.

use super::{super::owner::holding, NotTried, Subject, Verdict};
use crate::model::{Permission, brief};

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let Some(owner) = subject.token.owner.user() else { return Verdict::NotTried(NotTried::NoUser) };
    match &subject.token.created_by {
        None => Verdict::NotTried(NotTried::UnknownCreator),
        Some(creator) if creator == owner => Verdict::COMPLIES,
        Some(creator) => {
            let may_manage = holding(subject.policy, subject.people, Permission::ManageOthers, creator);
            subject.permitted(Permission::ManageOthers, &may_manage, || {
                format!("made by {}, who is outside `permissions.manage_others`", brief(creator))
            })
        }
    }
}
