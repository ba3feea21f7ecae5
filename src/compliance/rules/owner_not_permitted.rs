//! The rule `owner-not-permitted`: the owner is outside `permissions.use`. It says nothing of owners whom
//! the directory does not know or who are not active.

use super::{NotTried, RuleVerdict, Subject};
use crate::{
    inventory::Presence,
    model::{Permission, brief},
};

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    let Some(user) = subject.token.owner.user() else { return RuleVerdict::NotTried(NotTried::NoUser) };
    if matches!(subject.owner.presence, Some(Presence::Inactive | Presence::Unknown)) {
        return RuleVerdict::NotTried(NotTried::OwnerNotActive);
    }
    subject.permitted(Permission::Use, &subject.owner.may_use, || {
        format!("{} is outside `permissions.use`", brief(user))
    })
}
