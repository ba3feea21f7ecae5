//! The rule `owner-inactive`: the directory says that the owner is not active. An owner whom it does not
//! know is another rule's subject.

use super::{NotTried, RuleVerdict, Subject, undecided};
use crate::{
    inventory::{Presence, Unsure},
    model::brief,
};

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    match subject.owner.presence {
        None => RuleVerdict::NotTried(NotTried::NoUser),
        Some(Presence::Unknown) => RuleVerdict::NotTried(NotTried::OwnerUnknown),
        Some(Presence::NotSeen) => undecided(&Unsure::Users),
        Some(Presence::Active) => RuleVerdict::COMPLIES,
        Some(Presence::Inactive) => RuleVerdict::Fails {
            message: format!("{} is not active", brief(&subject.token.owner)),
            place: None,
        },
    }
}
