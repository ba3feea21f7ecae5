//! In: the people who must keep a way in, and every token. Out: which of them a plan would shut out. It
//! refuses to keep tokens: it counts ways in.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
};

use jiff::Timestamp;

use crate::{
    access::{Credentials, Held, Person},
    inventory::{Caller, Capabilities, Credential, Inventory, Presence},
    model::{Token, TokenId, TokenScope, UserName},
    policy::settings_file::Lockout,
};

use super::{
    super::{Change, Object, PlannedChange},
    Axis, Loss, ShutOut, Who, axis_of, settings_after,
    way_in::{Gate, Level, Way},
};

/// The fold over all tokens.
pub(in crate::plan) struct PeopleFold<'a> {
    lockout: &'a Lockout,
    now: Timestamp,
    /// Whether a token can be a way in at all.
    tokens_administer: bool,
    before: Gate,
    after: Gate,
    /// Administrators who cannot be shut out.
    operators: u64,
    /// We, when the credential of the run is one more way in. Whether that is lost is judged by itself.
    ours: Option<UserName>,
    watched: HashMap<UserName, Watched>,
}

/// One of the people who must keep a way in.
struct Watched {
    person: Person,
    /// The best way in that there is now.
    before: Level,
    /// How many ways in there would be, by level.
    after: BTreeMap<Level, u64>,
    /// What is lost, with the lowest address that would be refused.
    lost: BTreeMap<Axis, Option<IpAddr>>,
}

impl<'a> PeopleFold<'a> {
    /// Begins a fold for the changes of settings of a plan.
    pub(in crate::plan) fn new(
        inventory: &Inventory,
        changes: &[PlannedChange],
        lockout: &'a Lockout,
    ) -> Self {
        let Inventory { seen_at, server, settings, people, .. } = inventory;
        let administrators = server.administrators.as_ref();
        let all = administrators.map(|administrators| administrators.names(people)).unwrap_or_default();
        let names: HashSet<&UserName> = all.into_iter().chain(&lockout.break_glass).collect();
        let mut fold = Self {
            lockout,
            now: *seen_at,
            tokens_administer: server.capabilities.tokens_administer,
            before: Gate::new(settings.clone(), &server.calls),
            after: Gate::new(settings_after(settings, changes), &server.calls),
            operators: u64::from(server.caller.credential == Credential::Operator),
            ours: server.caller.user.clone().filter(|_| is_another_way(&server.caller, &server.capabilities)),
            watched: HashMap::with_capacity(names.len()),
        };
        for name in names {
            let person = Person {
                name: name.clone(),
                groups: people.groups_of(name).cloned().collect(),
                active: people.presence(name) == Presence::Active,
                administrator: administrators.is_some_and(|these| these.include(name, people)),
            };
            let password = Credentials::Password(person.clone());
            let mut watched =
                Watched { person, before: Level::Shut, after: BTreeMap::new(), lost: BTreeMap::new() };
            watched.add(fold.before.way_in(password.clone(), None), fold.after.way_in(password, None), None);
            fold.watched.insert(name.clone(), watched);
        }
        fold
    }

    /// The people whose tokens may be ways in that must be kept, in no order.
    pub(in crate::plan) fn holders(&self) -> impl Iterator<Item = &UserName> {
        let holding = |watched: &&Watched| self.tokens_administer && watched.person.active;
        self.watched.values().filter(holding).map(|watched| &watched.person.name)
    }

    /// Looks at one token.
    pub(in crate::plan) fn observe(&mut self, token: &Token) {
        if self.is_way_in(token)
            && let Some(watched) = token.owner.user().and_then(|owner| self.watched.get_mut(owner))
        {
            let from = last_address(token, &self.before, &self.after);
            let credentials = watched.holding(token, token.scope);
            let before = self.before.way_in(credentials.clone(), from);
            watched.add(before, self.after.way_in(credentials, from), from);
        }
    }

    /// Whether somebody could mend the policy with `token`, for all that is known of it by itself.
    fn is_way_in(&self, token: &Token) -> bool {
        self.tokens_administer && !token.is_expired(self.now)
    }

    /// Those of `break_glass` who have no way in now.
    pub(in crate::plan) fn without_way_in(&self) -> Vec<UserName> {
        let shut =
            |name: &&UserName| self.watched.get(*name).is_none_or(|watched| watched.before == Level::Shut);
        self.lockout.break_glass.iter().filter(shut).cloned().collect()
    }

    /// Everybody whom the plan with `changes` would shut out: users in the order of the settings file,
    /// then the administrators.
    pub(in crate::plan) fn finish(mut self, changes: &[PlannedChange]) -> Vec<ShutOut> {
        self.withdraw(changes);
        let mut shut_out = Vec::new();
        for name in &self.lockout.break_glass {
            let Some(watched) = self.watched.get(name).filter(|watched| watched.loses()) else { continue };
            let losses = losses(&[watched], changes);
            shut_out.push(ShutOut { who: Who::BreakGlass(name.clone()), losses });
        }
        shut_out.extend(self.administrators(changes));
        shut_out
    }

    /// Takes back what was counted for tokens that `changes` touch, and counts what is left of them.
    fn withdraw(&mut self, changes: &[PlannedChange]) {
        let mut touched: BTreeMap<&TokenId, Vec<&Change>> = BTreeMap::new();
        for planned in changes {
            if let Object::Token(token) = planned.change.object() {
                touched.entry(&token.id).or_default().push(&planned.change);
            }
        }
        for changes in touched.values() {
            let Some(Object::Token(token)) = changes.first().map(|change| change.object()) else { continue };
            if !self.is_way_in(token) {
                continue;
            }
            let Some(watched) = token.owner.user().and_then(|owner| self.watched.get_mut(owner)) else {
                continue;
            };
            let from = last_address(token, &self.before, &self.after);
            let untouched = self.after.way_in(watched.holding(token, token.scope), from).level;
            let left = match scope_left(token.scope, changes) {
                Some(scope) => self.after.way_in(watched.holding(token, scope), from).level,
                None => Level::Shut,
            };
            if left < untouched {
                watched.replace(untouched, left);
                watched
                    .lost
                    .extend(changes.iter().filter_map(|change| axis_of(change)).map(|axis| (axis, None)));
            }
        }
    }

    fn administrators(&self, changes: &[PlannedChange]) -> Option<ShutOut> {
        let all = || self.watched.values().filter(|watched| watched.person.administrator);
        let is_ours = |watched: &Watched| self.ours.as_ref() == Some(&watched.person.name);
        let count = |level: fn(&Watched) -> Level| {
            let getting_in = |watched: &&Watched| is_ours(watched) || level(watched) == Level::Writing;
            self.operators + all().filter(getting_in).count() as u64
        };
        let (before, after) = (count(|watched| watched.before), count(Watched::best_after));
        let least = self.lockout.min_admins;
        let losing: Vec<_> = all().filter(|watched| watched.loses() && !is_ours(watched)).collect();
        (after < before && after < least).then(|| ShutOut {
            who: Who::Administrators { before, after, least },
            losses: losses(&losing, changes),
        })
    }
}

impl Watched {
    /// Counts a way in.
    fn add(&mut self, before: Way, after: Way, from: Option<IpAddr>) {
        self.before = self.before.max(before.level);
        *self.after.entry(after.level).or_default() += 1;
        if after.level < before.level
            && let Some(reason) = after.obstacle
        {
            let lowest = self.lost.entry(Axis::Refused(reason)).or_insert(from);
            *lowest = lowest.iter().copied().chain(from).min();
        }
    }

    /// Counts a way in as one of another level.
    fn replace(&mut self, counted: Level, level: Level) {
        let count = self.after.entry(counted).or_default();
        *count = count.saturating_sub(1);
        *self.after.entry(level).or_default() += 1;
    }

    fn best_after(&self) -> Level {
        let best = self.after.iter().rev().find(|(_, count)| **count > 0);
        best.map_or(Level::Shut, |(level, _)| *level)
    }

    fn loses(&self) -> bool {
        self.best_after() < self.before
    }

    fn holding(&self, token: &Token, scope: TokenScope) -> Credentials {
        let owner = self.person.clone().into();
        Credentials::Token(Held { id: token.id.clone(), owner, scope, expires: token.expires })
    }
}

/// Whether the credential of a run is a way in that is neither a password nor one of the tokens that are
/// looked at. A run that can apply by it shows by that very deed that it is one.
fn is_another_way(caller: &Caller, server: &Capabilities) -> bool {
    match caller.credential {
        Credential::Unidentified | Credential::NoToken => true,
        Credential::Token { .. } => !server.tokens_administer,
        Credential::TokenAsPassword { .. } | Credential::Password | Credential::Operator => false,
    }
}

/// The address that `token` is judged from. Once addresses are found elsewhere, the last one says nothing.
fn last_address(token: &Token, before: &Gate, after: &Gate) -> Option<IpAddr> {
    let comparable = before.settings.client_address == after.settings.client_address;
    token.last_used.and_then(|last| last.from).filter(|_| comparable)
}

/// What is left of the scope of a token that `changes` touch; nothing when they end it. A marked token
/// is a way in until its mark is due.
fn scope_left(scope: TokenScope, changes: &[&Change]) -> Option<TokenScope> {
    changes.iter().try_fold(scope, |scope, change| match change {
        Change::Narrow { to, .. } => Some(TokenScope::Set(*to)),
        Change::Mark { .. } | Change::Unmark { .. } => Some(scope),
        _ => None,
    })
}

/// What all of `people` lose.
fn losses(people: &[&Watched], changes: &[PlannedChange]) -> Vec<Loss> {
    let mut lost: BTreeMap<Axis, Option<IpAddr>> = BTreeMap::new();
    for (axis, address) in people.iter().flat_map(|watched| &watched.lost) {
        let lowest = lost.entry(*axis).or_insert(*address);
        *lowest = lowest.iter().copied().chain(*address).min();
    }
    let names: HashSet<_> = people.iter().map(|watched| &watched.person.name).collect();
    let of_theirs = |change: &Change, axis| {
        let owned = matches!(change.object(), Object::Token(token)
            if token.owner.user().is_some_and(|owner| names.contains(owner)));
        owned && axis_of(change) == Some(axis)
    };
    lost.into_iter().map(|(axis, address)| Loss::new(axis, address, changes, &of_theirs)).collect()
}
