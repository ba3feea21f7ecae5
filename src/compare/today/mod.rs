//! Whom the differences of two policies are about today: the owners and tokens of an inventory, counted in one pass.

mod found;
mod requests;

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::{
    compliance::{Compliance, LimitChoice, OwnerBook},
    inventory::{Coverage, Inventory, InventoryReader, ReadError},
    model::{AddressSet, Limit, Owner, Token},
    policy::Policy,
};

use super::{Comparison, Difference, DifferenceSubject, LimitChange, RequestChange};
use requests::Senders;

/// Whether something at this moment is one of the 30 days before `now`.
fn is_of_late(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) <= SignedDuration::from_hours(30 * 24)
}

/// Whom the differences of a comparison are about today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Today {
    /// The time that the inventory shows, UTC: "today" is seen from then.
    pub seen_at: Timestamp,
    /// Whether everything was seen; otherwise there may be more than is counted.
    pub is_whole: bool,
    /// For each difference in their order; `None` for what no owner can be told of.
    pub hits: Vec<Option<Hits>>,
}

/// The owners and tokens that one difference is about. Tokens that have expired are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// How many owners; those who are hit by a password alone too.
    pub owners: u64,
    /// How many tokens.
    pub tokens: u64,
    /// How many of the tokens were used in the last 30 days.
    pub used: u64,
    /// Of these, how many were used last from an address that the difference is about, and how many from one that is
    /// not recorded; `None` where it is not about addresses.
    pub used_from_there: Option<(u64, u64)>,
    /// Tokens, and people by a password alone, of which it could not be seen whether it is about them.
    pub unsure: u64,
    /// How many findings there are that were not, and how many are no longer; `None` where it is not about findings.
    pub findings: Option<(u64, u64)>,
}

/// Whether a difference is about somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Hit {
    #[default]
    No,
    /// It could not be seen.
    Unsure,
    Yes,
}

/// Counts whom `comparison`, that of `after` with `before`, is about on the target that `reader` shows at `now`.
///
/// # Errors
///
/// When the target cannot be read.
pub async fn today(
    comparison: &Comparison,
    (before, after): (&Policy, &Policy),
    reader: &impl InventoryReader,
    now: Timestamp,
) -> Result<Today, ReadError> {
    let groups: BTreeSet<_> = before.groups().union(&after.groups()).cloned().collect();
    let inventory = Inventory::read(reader, &groups, now).await?;
    let mut fold = Fold::new(comparison, (before, after), &inventory, now);
    let people = &inventory.people;
    let compliance =
        |policy| Compliance::new(policy, people, now).on(inventory.server.capabilities).over(reader);
    let (mut was, mut is) = (compliance(before), compliance(after));
    let latest = reader.latest_date();
    let seen = reader
        .tokens(&mut |token| {
            // Nothing is decided about a token of the future.
            if latest.is_some_and(|latest| token.made_or_used() > latest) {
                was.leave(&token);
                is.leave(&token);
            } else {
                was.observe(&token);
                is.observe(&token);
            }
            fold.observe(&token);
        })
        .await?;
    fold.observe_people();
    let is_whole = inventory.coverage == Coverage::Complete && seen == Coverage::Complete;
    let mut hits = fold.finish();
    found::count(comparison, &was.finish(), &is.finish(), &mut hits, now);
    let hits = hits.into_iter().map(|(hits, _)| hits).collect();
    Ok(Today { seen_at: now, is_whole, hits })
}

/// What is counted of one difference, and the owners that it is about.
type Counted = (Option<Hits>, BTreeSet<Owner>);

/// The fold over all tokens that counts those of requests and limits.
struct Fold<'a> {
    differences: &'a [Difference],
    /// The addresses that each of them is about, where it is about some.
    places: Vec<Option<AddressSet>>,
    senders: Option<Senders<'a>>,
    limits: (OwnerBook<'a>, OwnerBook<'a>),
    policies: (&'a Policy, &'a Policy),
    inventory: &'a Inventory,
    now: Timestamp,
    hits: Vec<Hits>,
    /// How each difference hits each owner who has tokens.
    owners: HashMap<Owner, Vec<Hit>>,
}

impl<'a> Fold<'a> {
    fn new(
        comparison: &'a Comparison,
        (before, after): (&'a Policy, &'a Policy),
        inventory: &'a Inventory,
        now: Timestamp,
    ) -> Self {
        let differences = comparison.differences.as_slice();
        let places: Vec<Option<AddressSet>> = differences
            .iter()
            .map(|difference| match &difference.subject {
                DifferenceSubject::Requests(change) => addresses(change),
                _ => None,
            })
            .collect();
        let hits = places
            .iter()
            .map(|place| Hits { used_from_there: place.as_ref().map(|_| (0, 0)), ..Hits::default() });
        let people = &inventory.people;
        Self {
            hits: hits.collect(),
            senders: comparison.settings.as_deref().map(|settings| Senders::new(settings, inventory, now)),
            limits: (OwnerBook::new(before, people), OwnerBook::new(after, people)),
            policies: (before, after),
            differences,
            places,
            inventory,
            now,
            owners: HashMap::new(),
        }
    }

    fn observe(&mut self, token: &Token) {
        if token.is_expired(self.now) {
            return;
        }
        let differences = self.differences.iter().enumerate();
        let of_owner: Vec<Hit> =
            differences.map(|(number, difference)| self.hit(number, &difference.subject, token)).collect();
        let last = token.last_used.filter(|last| is_of_late(last.at, self.now));
        for ((hits, hit), place) in self.hits.iter_mut().zip(&of_owner).zip(&self.places) {
            hits.unsure += u64::from(*hit == Hit::Unsure);
            if *hit != Hit::Yes {
                continue;
            }
            hits.tokens += 1;
            let Some(last) = last else { continue };
            hits.used += 1;
            if let (Some((there, unknown)), Some(place)) = (&mut hits.used_from_there, place) {
                *there += u64::from(last.from.is_some_and(|from| place.contains(from)));
                *unknown += u64::from(last.from.is_none());
            }
        }
        let known = self.owners.entry(token.owner.clone()).or_default();
        known.resize(of_owner.len(), Hit::No);
        for (known, hit) in known.iter_mut().zip(of_owner) {
            *known = hit.max(*known);
        }
    }

    /// How the difference of this `number`, which is about `subject`, hits `token`.
    fn hit(&mut self, number: usize, subject: &DifferenceSubject, token: &Token) -> Hit {
        match (subject, &mut self.senders) {
            (DifferenceSubject::Requests(change), Some(senders)) => senders.with_token(number, change, token),
            // That is the same for all tokens of an owner.
            (DifferenceSubject::Limit(change), _) => {
                match self.owners.get(&token.owner).and_then(|hits| hits.get(number)) {
                    Some(known) => *known,
                    None => self.limited(change, &token.owner),
                }
            }
            _ => Hit::No,
        }
    }

    /// Whether what `change` is about counts for `owner`.
    fn limited(&mut self, change: &LimitChange, owner: &Owner) -> Hit {
        let nothing = Limit::default();
        let text = |policy: &Policy, choice: &LimitChoice| {
            let entries = policy.limits.get().map_or(&[][..], |limits| &limits.value);
            match choice {
                LimitChoice::Undecided(_) => Err(()),
                LimitChoice::None => Ok(nothing.text(change.key)),
                LimitChoice::Entry(index) => {
                    Ok(entries.get(*index).and_then(|entry| entry.limit.text(change.key)))
                }
            }
        };
        let was = text(self.policies.0, &self.limits.0.standing(owner).limit);
        let is = text(self.policies.1, &self.limits.1.standing(owner).limit);
        match (was, is) {
            (Ok(was), Ok(is)) if was == change.before && is == change.after => Hit::Yes,
            (Ok(_), Ok(_)) => Hit::No,
            _ => Hit::Unsure,
        }
    }

    /// Counts the people whom a difference of requests hits with their password.
    fn observe_people(&mut self) {
        let Some(senders) = &mut self.senders else { return };
        let differences = self.differences.iter().enumerate();
        for (index, change) in differences.filter_map(|(index, difference)| match &difference.subject {
            DifferenceSubject::Requests(change) if requests::has_passwords(change) => Some((index, change)),
            _ => None,
        }) {
            for (user, active) in self.inventory.people.users() {
                let hit = if active { senders.with_password(change, user) } else { Hit::No };
                let owner = Owner::User(user.clone());
                let counted = self.owners.get(&owner).and_then(|hits| hits.get(index)).copied();
                if hit == Hit::Unsure && counted.unwrap_or_default() == Hit::No {
                    self.hits.get_mut(index).into_iter().for_each(|hits| hits.unsure += 1);
                }
                if hit > counted.unwrap_or_default() {
                    let known = self.owners.entry(owner).or_default();
                    known.resize(self.differences.len(), Hit::No);
                    known.get_mut(index).into_iter().for_each(|known| *known = hit);
                }
            }
        }
    }

    fn finish(self) -> Vec<Counted> {
        let all = self.hits.into_iter().zip(self.differences).enumerate();
        let counted = all.map(|(index, (hits, Difference { subject, .. }))| {
            let is_hit = |hits: &Vec<Hit>| hits.get(index) == Some(&Hit::Yes);
            let owners: BTreeSet<Owner> =
                self.owners.iter().filter(|(_, hits)| is_hit(hits)).map(|(owner, _)| owner.clone()).collect();
            let counts =
                !matches!(subject, DifferenceSubject::Unmanaged { .. } | DifferenceSubject::TooMuch(_));
            let hits = counts.then_some(Hits { owners: owners.len() as u64, ..hits });
            (hits, owners)
        });
        counted.collect()
    }
}

/// The addresses that `change` is about, where these are not all and both sides find them alike.
fn addresses(change: &RequestChange) -> Option<AddressSet> {
    let mut all = AddressSet::default();
    for region in &change.regions {
        all = all.union(region.clients.as_ref()?);
    }
    (all != AddressSet::everything()).then_some(all)
}
