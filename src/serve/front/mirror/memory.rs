//! What a mirror holds: tokens, users and groups as they were read last, and when. Pure: the time is an argument.
//!
//! There may be a million tokens: an entry has what a decision needs, in 16 bytes.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    access::Person,
    inventory::People,
    model::{GroupName, Owner, Scope, Token, TokenId, TokenScope, UserName},
    targets::bitbucket::Found,
};

/// The seconds that stand for an end that never comes.
const NEVER: u32 = u32::MAX;

/// So many tokens are remembered that no user has.
const REMEMBERED: usize = 10_000;

/// What is held.
pub(super) struct Memory {
    /// The moment from which seconds are counted.
    epoch: Timestamp,
    tokens: HashMap<u64, Entry>,
    owners: Vec<Owner>,
    places: HashMap<Owner, u32>,
    people: People,
    /// Those who administer the server, as far as it tells.
    administrators: BTreeSet<UserName>,
    /// The groups whose members are known.
    groups: BTreeSet<GroupName>,
    /// When people were read; `None` before the first time.
    people_at: Option<Timestamp>,
    /// Users who came after that, and when each was read.
    newcomers: HashMap<UserName, (Person, Timestamp)>,
    /// Those that were forgotten since the reading of tokens that is under way began.
    forgotten: HashSet<u64>,
    /// Those that no user has whose credential they are, and when each was asked for first.
    elsewhere: HashMap<u64, Timestamp>,
    /// When the last reading that ended began.
    read_at: Option<Timestamp>,
    /// Whether that one saw everything.
    is_whole: bool,
}

/// A token.
#[derive(Clone, Copy)]
struct Entry {
    owner: u32,
    /// The end, in seconds after the epoch of Unix, rounded up: until then its own server decides.
    expires: u32,
    /// When it was read, in seconds after the epoch of the memory.
    seen: u32,
    /// The number of its scope.
    scope: u8,
}

/// A token as it was read last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its identifier.
    pub(super) id: TokenId,
    /// Whose it is.
    pub(super) owner: Owner,
    /// How far it reaches.
    pub(super) scope: TokenScope,
    /// The moment from which on it is refused, UTC.
    pub(super) expires: Option<Timestamp>,
}

/// How much is held, and how old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorStatus {
    /// How many tokens.
    pub tokens: usize,
    /// When the last reading that ended began, UTC; `None` before the first one.
    pub read_at: Option<Timestamp>,
    /// Whether that one saw everything.
    pub is_whole: bool,
}

/// The number of the token `id`; `None` when it is none that a secret could name.
#[must_use]
pub fn number(id: &TokenId) -> Option<u64> {
    let text = id.as_str();
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The identifier of the token with this number, as Bitbucket writes it: twelve digits.
#[must_use]
pub fn identifier(number: u64) -> TokenId {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    TokenId::new(["000000000000".get(digits.len()..).unwrap_or_default(), digits].concat())
}

impl Memory {
    /// Nothing yet; seconds are counted from `epoch`.
    pub(super) fn new(epoch: Timestamp) -> Self {
        Self {
            epoch,
            tokens: HashMap::new(),
            owners: Vec::new(),
            places: HashMap::new(),
            people: People::default(),
            administrators: BTreeSet::new(),
            groups: BTreeSet::new(),
            people_at: None,
            newcomers: HashMap::new(),
            forgotten: HashSet::new(),
            elsewhere: HashMap::new(),
            read_at: None,
            is_whole: false,
        }
    }

    /// The token with this number, unless it was read more than `max_age` before `now`.
    pub(super) fn token(&self, number: u64, now: Timestamp, max_age: SignedDuration) -> Option<Known> {
        let entry = self.tokens.get(&number)?;
        if self.seconds(now).saturating_sub(entry.seen) > u32::try_from(max_age.as_secs()).unwrap_or(NEVER) {
            return None;
        }
        let expires = (entry.expires != NEVER).then(|| Timestamp::from_second(entry.expires.into()).ok());
        Some(Known {
            id: identifier(number),
            owner: self.owners.get(usize::try_from(entry.owner).ok()?)?.clone(),
            // How far it reaches is its own server's to say where that is not told.
            scope: Scope::from_number(entry.scope.into()).map_or(TokenScope::Unset, TokenScope::Set),
            expires: expires.flatten(),
        })
    }

    /// Whether the token with this number is held, however old that is.
    pub(super) fn holds(&self, number: u64) -> bool {
        self.tokens.contains_key(&number)
    }

    /// Whose the token with this number is, however old that is.
    pub(super) fn owner(&self, number: u64) -> Option<&Owner> {
        let entry = self.tokens.get(&number)?;
        self.owners.get(usize::try_from(entry.owner).ok()?)
    }

    /// Holds `token`, which was read at `now`.
    pub(super) fn keep(&mut self, token: &Token, now: Timestamp) {
        let Some(number) = number(&token.id).filter(|number| !self.forgotten.contains(number)) else {
            return;
        };
        let end = |expires: Timestamp| {
            let ms = expires.as_millisecond();
            u32::try_from(ms.div_euclid(1000) + i64::from(ms.rem_euclid(1000) > 0)).unwrap_or(if ms < 0 {
                0
            } else {
                NEVER
            })
        };
        let entry = Entry {
            owner: self.place(&token.owner),
            expires: token.expires.map_or(NEVER, end),
            seen: self.seconds(now),
            scope: token.scope.number(),
        };
        self.elsewhere.remove(&number);
        self.tokens.insert(number, entry);
    }

    /// Holds `token`, which was asked for at `now`, whatever was forgotten before.
    pub(super) fn remember(&mut self, token: &Token, now: Timestamp) {
        if let Some(number) = number(&token.id) {
            self.forgotten.remove(&number);
        }
        self.keep(token, now);
    }

    /// Whether a reading that ended began after the token with this number was asked for first, which no user has.
    pub(super) fn was_read_since(&mut self, number: u64, now: Timestamp) -> bool {
        if self.elsewhere.len() >= REMEMBERED {
            self.elsewhere.clear();
        }
        let first = *self.elsewhere.entry(number).or_insert(now);
        self.read_at.is_some_and(|read_at| read_at > first)
    }

    /// Holds the token with this number no longer. Returns whether it was held.
    pub(super) fn forget(&mut self, number: u64) -> bool {
        self.forgotten.insert(number);
        self.tokens.remove(&number).is_some()
    }

    /// A reading of all tokens begins.
    pub(super) fn begin(&mut self) {
        self.forgotten.clear();
    }

    /// The reading that began at `began` has ended. What it did not show is gone, if it was whole.
    pub(super) fn end(&mut self, began: Timestamp, is_whole: bool) {
        if is_whole {
            let began = self.seconds(began);
            self.tokens.retain(|_, entry| entry.seen >= began);
            self.tokens.shrink_to_fit();
        }
        self.read_at = Some(began);
        self.is_whole = is_whole;
    }

    /// Holds people as they were read at `now`, with the members of `groups`.
    pub(super) fn keep_people(
        &mut self,
        people: People,
        administrators: BTreeSet<UserName>,
        groups: &BTreeSet<GroupName>,
        now: Timestamp,
    ) {
        (self.people, self.administrators, self.groups) = (people, administrators, groups.clone());
        self.people_at = Some(now);
        self.newcomers.clear();
    }

    /// Holds a user who was read alone, at `now`.
    pub(super) fn keep_person(&mut self, found: Found, now: Timestamp) {
        let person = Person {
            administrator: self.administrators.contains(&found.name),
            active: found.active.unwrap_or(true),
            groups: found.groups.into_iter().collect(),
            name: found.name.clone(),
        };
        self.newcomers.insert(found.name, (person, now));
    }

    /// Whether the members of all of `groups` are known, and were read `max_age` before `now` at most.
    pub(super) fn knows_groups<'a>(
        &self,
        mut groups: impl Iterator<Item = &'a GroupName>,
        now: Timestamp,
        max_age: SignedDuration,
    ) -> bool {
        let is_recent = self.people_at.is_some_and(|at| now.duration_since(at) <= max_age);
        is_recent && groups.all(|group| self.groups.contains(group))
    }

    /// The user `name`, with those of the known groups that one is in; `None` for a stranger.
    pub(super) fn person(&self, name: &UserName, now: Timestamp, max_age: SignedDuration) -> Option<Person> {
        let Some((written, active)) = self.people.find(name) else {
            let (person, at) = self.newcomers.get(name)?;
            return (now.duration_since(*at) <= max_age).then(|| person.clone());
        };
        Some(Person {
            name: written.clone(),
            groups: self.people.groups_of(name).cloned().collect(),
            active,
            administrator: self.administrators.contains(name),
        })
    }

    /// How much is held.
    pub(super) fn status(&self) -> MirrorStatus {
        MirrorStatus { tokens: self.tokens.len(), read_at: self.read_at, is_whole: self.is_whole }
    }

    fn place(&mut self, owner: &Owner) -> u32 {
        if let Some(place) = self.places.get(owner) {
            return *place;
        }
        let place = u32::try_from(self.owners.len()).unwrap_or(NEVER);
        self.owners.push(owner.clone());
        self.places.insert(owner.clone(), place);
        place
    }

    fn seconds(&self, moment: Timestamp) -> u32 {
        u32::try_from(moment.duration_since(self.epoch).as_secs().max(0)).unwrap_or(NEVER)
    }
}
