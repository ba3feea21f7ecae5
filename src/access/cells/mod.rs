//! All requests there can be, as far as one or two settings tell them apart: finitely many cells, and one request of
//! each.
//!
//! What a decision asks of a request is in `key`; requests that answer alike are one cell. Since each cell has a
//! request that the real [`decide`](super::decide) can be asked about, whatever holds for these requests holds for all.

mod ask;
mod groups;
mod key;
mod origins;
mod samples;
#[cfg(test)]
mod tests;
mod texts;

pub use ask::{Ask, origin};
pub use groups::{GroupClass, group_classes};
pub use key::{CallerKey, Key, OwnerKey, PersonAspects, SenderKey, TargetKey, Want, held};
pub use origins::{OriginCell, OriginKey, origin_cells};
pub use samples::logins;
pub use texts::{TextSet, text_classes};

use crate::{
    access::DenialReason,
    model::{Holders, PasswordAuthentication, Permission, Settings},
};

use samples::Samples;

/// The cells of all requests under one or two settings.
pub struct Cells {
    /// Where requests come from; those that nobody lets in too.
    pub origins: Vec<OriginCell>,
    /// The people there can be, as far as permissions tell them apart: four bits for each of the settings, as of
    /// [`held`].
    pub people: Vec<GroupClass>,
    senders: Vec<(SenderKey, Ask)>,
    anywhere: Vec<(SenderKey, Ask)>,
}

/// The patterns of the exceptions for passwords are too many to find every user and path that they tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exceptions of `password_authentication` have too many patterns to compare")]
pub struct TooManyPatterns;

impl Cells {
    /// The cells under `views`, of which there are one or two.
    ///
    /// # Errors
    ///
    /// When the patterns of the exceptions for passwords are too many.
    pub fn of(views: &[&Settings]) -> Result<Self, TooManyPatterns> {
        let lists: Vec<&Holders> = views
            .iter()
            .flat_map(|settings| Permission::ALL.map(|permission| settings.permissions.of(permission)))
            .collect();
        let people = group_classes(&lists);
        let samples = Samples { views, people: &people, logins: logins(views)? };
        let (senders, anywhere) = (samples.senders(), samples.anywhere());
        Ok(Self { origins: origin_cells(views, &[]), people, senders, anywhere })
    }

    /// Every cell, each with one of its requests.
    pub fn iter(&self) -> impl Iterator<Item = (Key, Ask)> {
        let at = |cell: &OriginCell, ask: &Ask| Ask {
            peer: cell.peer,
            headers: cell.headers.clone(),
            ..ask.clone()
        };
        let (refused, seen): (Vec<_>, Vec<_>) =
            self.origins.iter().partition(|cell| cell.key.refused.iter().all(Option::is_some));
        let refused = refused.into_iter().filter_map(move |cell| {
            let (_, ask) = self.senders.first()?;
            Some((Key::Refused(cell.key.refused.clone()), at(cell, ask)))
        });
        let seen = seen.into_iter().flat_map(move |cell| {
            self.senders.iter().map(move |(sender, ask)| {
                (Key::Seen { origin: Some(cell.key.clone()), sender: *sender }, at(cell, ask))
            })
        });
        let anywhere = self
            .anywhere
            .iter()
            .map(|(sender, ask)| (Key::Seen { origin: None, sender: *sender }, ask.clone()));
        refused.chain(seen).chain(anywhere)
    }
}

/// The users whose passwords count under `settings` for any path, as patterns, and the paths for any user.
fn exceptions(settings: &Settings) -> (TextSet, TextSet) {
    match &settings.password_authentication {
        PasswordAuthentication::Allowed => {
            let all = TextSet { patterns: vec!["*".to_owned()] };
            (all.clone(), all)
        }
        PasswordAuthentication::Disabled(except) => (
            TextSet { patterns: except.users.iter().map(|user| user.folded().to_owned()).collect() },
            TextSet { patterns: except.paths.iter().cloned().collect() },
        ),
    }
}

/// What is decided on `ask` under each of `views`.
#[must_use]
pub fn decisions(views: &[&Settings], ask: &Ask) -> Vec<Option<DenialReason>> {
    views.iter().map(|settings| ask.denied(settings)).collect()
}
