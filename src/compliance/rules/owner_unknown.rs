//! `owner-unknown`: the owner is not in the directory. In: what the directory says. Out: a verdict.
//! It refuses to guess why: a directory that was cut short looks the same.

use super::{NotTried, Subject, Verdict};
use crate::{inventory::Presence, model::brief};

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    match subject.owner.presence {
        None => Verdict::NotTried(NotTried::NoUser),
        Some(Presence::Active | Presence::Inactive) => Verdict::COMPLIES,
        Some(Presence::Unknown) => Verdict::Fails {
            message: format!("{} is not in the directory", brief(&subject.token.owner)),
            place: None,
        },
    }
}
