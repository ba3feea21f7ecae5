//! The rule `owner-unknown`: the owner is not in the directory. An owner missing from a part of the
//! directory is not taken for unknown.

use super::{NotTried, RuleVerdict, Subject, undecided};
use crate::{
    inventory::{Presence, Unsure},
    model::brief,
};

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    match subject.owner.presence {
        None => RuleVerdict::NotTried(NotTried::NoUser),
        Some(Presence::Active | Presence::Inactive) => RuleVerdict::COMPLIES,
        Some(Presence::NotSeen) => undecided(&Unsure::Users),
        Some(Presence::Unknown) => RuleVerdict::Fails {
            message: format!("{} is not in the directory", brief(&subject.token.owner)),
            place: None,
        },
    }
}
