//! The rule `owner-inactive`: the directory says that the owner is not active. An owner whom it does not
//! know is another rule's subject.

use super::{NotTried, Subject, Verdict, undecided};
use crate::{
    inventory::{Presence, Unsure},
    model::brief,
};

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    match subject.owner.presence {
        None => Verdict::NotTried(NotTried::NoUser),
        Some(Presence::Unknown) => Verdict::NotTried(NotTried::OwnerUnknown),
        Some(Presence::NotSeen) => undecided(&Unsure::Users),
        Some(Presence::Active) => Verdict::COMPLIES,
        Some(Presence::Inactive) => {
            Verdict::Fails { message: format!("{} is not active", brief(&subject.token.owner)), place: None }
        }
    }
}
