//! What two settings decide differently, of all requests there can be.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    access::{
        DenialReason,
        cells::{Cells, Key, TooManyPatterns},
    },
    model::{AddressSet, GroupName, Permission, Question, SettingKey, Settings, Shift},
};

use super::region::{PeopleSet, Region, joined, sent};

/// Requests that one side lets pass and the other one does not, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestChange {
    /// Whether the new side lets them pass, or stops them.
    pub shift: Shift,
    /// Why the other side does not.
    pub reason: DenialReason,
    /// The setting that makes the difference, where one does.
    pub key: Option<SettingKey>,
    /// The requests, the largest region first; never none.
    pub regions: Vec<Region>,
}

/// Everything that two settings decide differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestChanges {
    /// Each difference, in the order of the reasons.
    pub changes: Vec<RequestChange>,
    /// Who there can be.
    pub people: Everybody,
}

/// The people there can be, as far as the permissions of two settings tell them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Everybody {
    /// What each kind of people holds, four bits for each side in the order of [`Permission::ALL`], and whether they are
    /// administrators.
    pub kinds: Vec<(u8, bool)>,
    /// The groups that each permission is given to, on both sides; empty for everyone and nobody.
    pub groups: Vec<BTreeSet<GroupName>>,
}

/// Everything that `after` decides differently from `before`.
///
/// # Errors
///
/// When there are too many exceptions for passwords to compare.
pub(super) fn request_changes(
    before: &Settings,
    after: &Settings,
) -> Result<RequestChanges, TooManyPatterns> {
    let views = [before, after];
    let same =
        Settings { limits: Vec::new(), ..before.clone() } == Settings { limits: Vec::new(), ..after.clone() };
    if same {
        return Ok(RequestChanges::default());
    }
    let cells = Cells::of(&views)?;
    let kinds: Vec<(u8, bool)> = cells
        .people
        .iter()
        .filter_map(|class| u8::try_from(class.holds).ok())
        .flat_map(|holds| [(holds, false), (holds, true)])
        .collect();
    let origins: BTreeMap<_, usize> =
        cells.origins.iter().enumerate().map(|(index, cell)| (&cell.key, index)).collect();

    let mut found: BTreeMap<(bool, DenialReason), Vec<Region>> = BTreeMap::new();
    for (key, ask) in cells.iter() {
        let Key::Seen { origin, sender } = key else { continue };
        let (now, then) = (ask.denied(after), ask.denied(before));
        let (looser, reason) = match (then, now) {
            (Some(reason), None) => (true, reason),
            (None, Some(reason)) => (false, reason),
            _ => continue,
        };
        let Some((people, with, want)) = sent(sender, &ask, &kinds) else { continue };
        let at = origin.and_then(|origin| origins.get(&origin).copied());
        let clients = match at {
            Some(at) => cells.origins.get(at).and_then(|cell| cell.clients.clone()),
            None => Some(AddressSet::everything()),
        };
        found.entry((!looser, reason)).or_default().push(Region {
            origins: at.into_iter().collect(),
            clients,
            people,
            with: BTreeSet::from([with]),
            wants: BTreeSet::from([want]),
            example: ask,
        });
    }
    let changes = found.into_iter().map(|((stricter, reason), regions)| RequestChange {
        shift: if stricter { Shift::STRICTER } else { Shift::LOOSER },
        reason,
        key: cause(reason, before, after),
        regions: joined(regions),
    });
    let groups = views
        .iter()
        .flat_map(|settings| Permission::ALL.map(|permission| settings.permissions.of(permission)))
        .map(|holders| holders.groups().cloned().collect())
        .collect();
    Ok(RequestChanges { changes: changes.collect(), people: Everybody { kinds, groups } })
}

/// The setting that makes the difference when one side denies for `reason`: the likeliest one that differs.
fn cause(reason: DenialReason, before: &Settings, after: &Settings) -> Option<SettingKey> {
    reason.settings().iter().copied().find(|key| before.value(*key) != after.value(*key))
}

/// Some people, as what they hold and do not hold: every one of these literals is true of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cube {
    /// Each bit of what people hold, the eighth for administrators, that is told, and whether it is set.
    pub literals: BTreeMap<u8, bool>,
}

impl Cube {
    fn has(&self, (holds, administrator): (u8, bool)) -> bool {
        self.literals.iter().all(|(bit, set)| is_set(*bit, holds, administrator) == *set)
    }
}

fn is_set(bit: u8, holds: u8, administrator: bool) -> bool {
    if bit == 8 { administrator } else { holds >> bit & 1 == 1 }
}

impl RequestChange {
    /// One of the requests as a question for `explain`, from the largest region that has one.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        self.regions.iter().find_map(Region::question)
    }
}

impl Everybody {
    /// `people` as few cubes that together are exactly they; an empty cube is everybody.
    #[must_use]
    pub fn told(&self, people: &PeopleSet) -> Vec<Cube> {
        let mut left: Vec<(u8, bool)> = self
            .kinds
            .iter()
            .copied()
            .filter(|(holds, administrator)| people.has(*holds, *administrator))
            .collect();
        let inside =
            |cube: &Cube| self.kinds.iter().all(|kind| !cube.has(*kind) || people.has(kind.0, kind.1));
        let mut cubes = Vec::new();
        while let Some(&(holds, administrator)) = left.first() {
            let mut cube =
                Cube { literals: (0..=8).map(|bit| (bit, is_set(bit, holds, administrator))).collect() };
            // What is not needed goes, first whether somebody is an administrator, then what people do not hold.
            let order = [8].into_iter().chain(self.by_use());
            for bit in order {
                let without = Cube {
                    literals: cube
                        .literals
                        .iter()
                        .filter(|(b, _)| **b != bit)
                        .map(|(b, s)| (*b, *s))
                        .collect(),
                };
                if inside(&without) {
                    cube = without;
                }
            }
            left.retain(|kind| !cube.has(*kind));
            cubes.push(cube);
        }
        cubes
    }

    /// The bits in the order in which they are tried to be left out: those that are about more groups first, so that what
    /// stays names few.
    fn by_use(&self) -> Vec<u8> {
        let mut bits: Vec<u8> = (0..8).collect();
        bits.sort_by_key(|bit| {
            std::cmp::Reverse(self.groups.get(usize::from(*bit)).map_or(usize::MAX, BTreeSet::len))
        });
        bits
    }
}
