//! The rule `creator-not-permitted`: the token was made for another person by a creator without the
//! permission to. Not tried where the server does not tell who made a token.

use super::{super::owner::holding, NotTried, RuleVerdict, Subject};
use crate::model::{Permission, brief};

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    let Some(owner) = subject.token.owner.user() else { return RuleVerdict::NotTried(NotTried::NoUser) };
    match &subject.token.created_by {
        None => RuleVerdict::NotTried(NotTried::UnknownCreator),
        Some(creator) if creator == owner => RuleVerdict::COMPLIES,
        Some(creator) => {
            let may_manage = holding(subject.policy, subject.people, Permission::ManageOthers, creator);
            subject.permitted(Permission::ManageOthers, &may_manage, || {
                format!("made by {}, who is outside `permissions.manage_others`", brief(creator))
            })
        }
    }
}
