//! Requests of one kind that two policies decide on differently: a product of places, people, credentials and wants.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    access::{
        Credentials, Held, Operation, TokenOwner,
        cells::{Ask, CallerKey, PersonAspects, SenderKey, Want},
    },
    model::{AddressSet, Question},
};

/// What comes along with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum With {
    /// A person's token.
    Token,
    /// A token of a project or repository.
    ProjectToken,
    /// A password.
    Password,
    /// What the server behind a gateway verifies.
    Passed,
    /// Nothing, or nothing that makes a difference.
    Nothing,
}

/// People by what they hold, and whether they are administrators: `holds` of
/// [`GroupClass`](crate::access::cells::GroupClass), and beside it the bit of administrators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeopleSet([u64; 8]);

impl PeopleSet {
    /// The people for whom `is_one` holds, by what they hold and whether they are administrators.
    pub(super) fn of(people: impl IntoIterator<Item = (u8, bool)>) -> Self {
        let mut set = Self::default();
        for (holds, administrator) in people {
            let index = usize::from(holds) | usize::from(administrator) << 8;
            if let Some(word) = set.0.get_mut(index / 64) {
                *word |= 1 << (index % 64);
            }
        }
        set
    }

    /// Whether it has those who hold `holds`.
    #[must_use]
    pub fn has(&self, holds: u8, administrator: bool) -> bool {
        let index = usize::from(holds) | usize::from(administrator) << 8;
        self.0.get(index / 64).is_some_and(|word| word & 1 << (index % 64) != 0)
    }

    fn and(self, other: Self) -> Self {
        let mut both = self;
        both.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        both
    }

    /// How many kinds of people it has.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether it has nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Requests that differ in nothing that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where they come from, by the number of the cell.
    pub origins: BTreeSet<usize>,
    /// The addresses of their clients, where both sides find those alike.
    pub clients: Option<AddressSet>,
    /// Who sends them, for what a person sends; nobody where no person is known.
    pub people: PeopleSet,
    /// What comes along.
    pub with: BTreeSet<With>,
    /// What they want.
    pub wants: BTreeSet<Want>,
    /// One of them.
    pub example: Ask,
}

/// How well people can make something of `ask`: the least is what says most with the fewest words.
fn rank(ask: &Ask) -> u8 {
    let by = match &ask.credentials {
        Credentials::Token(Held { owner: TokenOwner::User(_), .. }) => 0,
        Credentials::Password(_) => 1,
        Credentials::Token(_) => 2,
        _ => return NO_QUESTION,
    };
    match &ask.operation {
        Operation::Enter => by,
        Operation::CreateOwn { .. } => 10 + by,
        Operation::CreateFor { owner: Some(TokenOwner::Project(_)), .. } => 20 + by,
        _ => NO_QUESTION,
    }
}

/// The rank of what cannot be asked as a [`Question`].
const NO_QUESTION: u8 = u8::MAX;

/// `ask` as a question for `explain`; `None` when it cannot be asked so.
#[must_use]
pub fn question(ask: &Ask) -> Option<Question> {
    let (creates, creates_for) = match &ask.operation {
        Operation::CreateOwn { scope } => (Some(*scope), None),
        Operation::CreateFor { owner, scope } => (Some(*scope), Some(owner.as_ref()?.name())),
        _ => (None, None),
    };
    let (owner, token) = match &ask.credentials {
        Credentials::Token(held) => (held.owner.clone(), Some(held.scope.effective())),
        Credentials::Password(person) => (person.clone().into(), None),
        _ => return None,
    };
    (rank(ask) != NO_QUESTION).then(|| Question {
        sender: owner.name(),
        token,
        method: ask.method.clone(),
        path: ask.path.clone(),
        from: ask.peer,
        headers: ask.headers.clone(),
        creates,
        creates_for,
        groups: owner.person().map(|person| person.groups.iter().cloned().collect()),
    })
}

impl Region {
    /// One of its requests as a question for `explain`; `None` when it has none that can be asked so.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        question(&self.example)
    }

    /// How much it holds, for showing the largest first.
    #[must_use]
    pub fn size(&self) -> usize {
        let people = usize::try_from(self.people.len().max(1)).unwrap_or(1);
        self.origins.len() * people * self.with.len() * self.wants.len()
    }
}

/// What a cell is as a region: who is in it of the people that there can be, with what and for what; `None` for those of
/// which no two settings think differently.
pub(super) fn sent(sender: SenderKey, ask: &Ask, people: &[(u8, bool)]) -> Option<(PeopleSet, With, Want)> {
    let looks_at = PersonAspects::of(&ask.operation);
    let like = |caller: Option<CallerKey>, uses: Option<u8>| match caller {
        None => PeopleSet::default(),
        Some(caller) => PeopleSet::of(people.iter().copied().filter(|(holds, administrator)| {
            holds & looks_at.everywhere() == caller.holds
                && (!looks_at.administrator || *administrator == caller.administrator)
                && uses.is_none_or(|uses| (holds & 1) | (holds >> 3 & 2) == uses)
        })),
    };
    match sender {
        SenderKey::Open => Some((PeopleSet::default(), With::Nothing, Want::ReadOpen)),
        SenderKey::Token { usable, want, caller } => {
            let with = if caller.is_some() { With::Token } else { With::ProjectToken };
            Some((like(caller, Some(usable)), with, want))
        }
        SenderKey::Password { counts: _, want, caller } => {
            Some((like(Some(caller), None), With::Password, want))
        }
        SenderKey::Passed { counts: _, want, caller } => Some((like(caller, None), With::Passed, want)),
        SenderKey::Nobody
        | SenderKey::Invalid
        | SenderKey::NoPassword
        | SenderKey::Ended(_)
        | SenderKey::NoUse
        | SenderKey::TooShort { .. }
        | SenderKey::Operator(_) => None,
    }
}

/// The regions of `cells` joined as far as they differ in one respect only, the largest first.
pub(super) fn joined(cells: Vec<Region>) -> Vec<Region> {
    let regions = join_by(
        cells,
        |region| (region.origins.clone(), region.with.clone(), region.wants.clone()),
        |all, one| all.people = all.people.and(one.people),
    );
    let regions = join_by(
        regions,
        |region| (region.origins.clone(), region.with.clone(), region.people),
        |all, one| all.wants.extend(&one.wants),
    );
    let regions = join_by(
        regions,
        |region| (region.origins.clone(), region.wants.clone(), region.people),
        |all, one| all.with.extend(&one.with),
    );
    let mut regions = join_by(
        regions,
        |region| (region.with.clone(), region.wants.clone(), region.people),
        |all, one| {
            all.origins.extend(&one.origins);
            all.clients = match (all.clients.take(), &one.clients) {
                (Some(all), Some(one)) => Some(all.union(one)),
                _ => None,
            };
        },
    );
    regions.sort_by_key(|region| std::cmp::Reverse(region.size()));
    regions
}

/// Joins the regions with the same `key`; the example that says most stays.
fn join_by<K: Ord>(
    regions: Vec<Region>,
    key: impl Fn(&Region) -> K,
    join: impl Fn(&mut Region, &Region),
) -> Vec<Region> {
    let mut order: Vec<Region> = Vec::new();
    let mut known: BTreeMap<K, usize> = BTreeMap::new();
    for region in regions {
        if let Some(all) = known.get(&key(&region)).and_then(|index| order.get_mut(*index)) {
            join(all, &region);
            if rank(&region.example) < rank(&all.example) {
                all.example = region.example;
            }
        } else {
            known.insert(key(&region), order.len());
            order.push(region);
        }
    }
    order
}
