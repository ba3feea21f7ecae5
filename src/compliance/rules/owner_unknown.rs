//! `owner-unknown`: the owner is not in the directory. In: what the directory says. Out: a verdict.
//! It refuses to guess why, and to take who is not in a part of the directory for unknown.

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
