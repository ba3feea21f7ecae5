//! The rule `owner-unknown`: the owner is not in the directory. An owner missing from a part of the
//! directory is not taken for unknown.

use super::{NotTried, Subject, Verdict, undecided};
use crate::{
    inventory::{Presence, Unsure},
    model::brief,
};

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    match subject.owner.presence {
        None => Verdict::NotTried(NotTried::NoUser),
        Some(Presence::Active | Presence::Inactive) => Verdict::COMPLIES,
        Some(Presence::NotSeen) => undecided(&Unsure::Users),
        Some(Presence::Unknown) => Verdict::Fails {
            message: format!("{} is not in the directory", brief(&subject.token.owner)),
            place: None,
        },
    }
}
