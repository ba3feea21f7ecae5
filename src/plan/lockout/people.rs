//! Which of the people who must keep a way in a plan would shut out: a fold over all tokens that counts ways
//! in, and keeps no token.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
};

use jiff::Timestamp;

use crate::{
    access::{Credentials, DenialReason, Held, Memberships, Person, Relocation},
    inventory::{Caller, Capabilities, Credential, Inventory, People, Presence, Unsure},
    model::{AddressSet, GroupName, Mark, Restriction, Token, TokenId, TokenScope, UserName, rails::Lockout},
    plan::TokenStep,
};

use super::{
    super::{Change, Object, PlannedChange},
    Axis, Loss, ShutOut, Who, axis_of, settings_after,
    way_in::{Gate, Level, Way},
    ways::{MOMENTS, Watched, WaysIn},
};

/// The fold over all tokens.
pub(in crate::plan) struct PeopleFold<'a> {
    lockout: &'a Lockout,
    /// Now, and the end of `lockout.horizon`.
    moments: [Timestamp; MOMENTS],
    /// Whether a token can be a way in at all.
    tokens_administer: bool,
    before: Gate,
    after: Gate,
    /// What becomes of the addresses at which people are seen now.
    relocation: Relocation,
    /// Administrators who cannot be shut out.
    operators: u64,
    /// We, and at which moments the credential of the run is one more way in. Whether that is lost is judged
    /// by itself.
    ours: (Option<UserName>, [bool; MOMENTS]),
    watched: HashMap<UserName, Watched>,
    /// The one who stands for the administrators who may not have been seen, without tokens.
    unseen: Option<Watched>,
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
        let after = settings_after(settings, changes);
        let moments = [*seen_at, lockout.horizon.after(*seen_at)];
        let mut fold = Self {
            lockout,
            moments,
            tokens_administer: server.capabilities.tokens_administer,
            relocation: Relocation::between(&settings.client_address, &after.client_address),
            before: Gate::new(settings.clone(), &server.calls),
            after: Gate::new(after, &server.calls),
            operators: u64::from(server.caller.credential == Credential::Operator),
            ours: (
                server.caller.user.clone(),
                moments.map(|moment| is_another_way(&server.caller, &server.capabilities, moment)),
            ),
            watched: HashMap::with_capacity(names.len()),
            unseen: None,
        };
        for name in names {
            let is_us = server.caller.user.as_ref() == Some(name);
            // That we read the server has just shown that we are there.
            let is_seen = is_us || people.presence(name) != Presence::NotSeen;
            let person = Person {
                name: name.clone(),
                groups: people.groups_of(name).cloned().collect(),
                active: !is_seen || is_us || people.presence(name) == Presence::Active,
                administrator: administrators.is_some_and(|these| these.include(name, people)),
            };
            let watched = fold.watch(person, is_seen, people);
            fold.watched.insert(name.clone(), watched);
        }
        if administrators.is_some_and(|these| these.may_be_more(people)) {
            let (name, groups) = (UserName::new(""), Memberships::default());
            let person = Person { name, groups, active: true, administrator: true };
            fold.unseen = Some(fold.watch(person, false, people));
        }
        fold
    }

    /// Begins to look at `person`, with the password that everybody is taken to have.
    fn watch(&self, mut person: Person, is_seen: bool, people: &People) -> Watched {
        let unsure = self.unsure_groups(&person, is_seen, people);
        let is_unsure = !unsure.is_empty();
        person.groups = person.groups.with(unsure);
        let password = Credentials::Password(person.clone());
        let (before, then) =
            (self.before.way_in(password.clone(), None), self.way_then(password.clone(), None));
        let rests_on_tokens = self.tokens_administer && before.level.min(then.0.level) < Level::Writing;
        let is_doubtful = !is_seen || is_unsure && rests_on_tokens;
        let counts_tokens = self.tokens_administer && (is_doubtful || rests_on_tokens);
        let mut watched = Watched::new(person, is_doubtful, counts_tokens);
        watched.add([true; MOMENTS], before, then);
        watched
    }

    /// Of the groups that may use tokens now and that `person` may be in, unseen, those that no longer may
    /// after the plan, or all when there are none: anyone who is only in these loses most.
    fn unsure_groups(&self, person: &Person, is_seen: bool, people: &People) -> Vec<GroupName> {
        let is_partial = |group: &GroupName| matches!(people.unsure_about(group), Unsure::Members(_));
        let is_unsure =
            |group: &&GroupName| !person.groups.contains(group) && (!is_seen || is_partial(group));
        let now = self.before.settings.permissions.use_tokens.groups();
        let then = &self.after.settings.permissions.use_tokens;
        let (kept, lost): (Vec<_>, Vec<_>) =
            now.filter(is_unsure).cloned().partition(|group| then.include(|of| of == group));
        if lost.is_empty() { kept } else { lost }
    }

    /// The people whose tokens may be ways in that must be kept, in no order.
    pub(in crate::plan) fn holders(&self) -> impl Iterator<Item = &UserName> {
        let holding = |watched: &&Watched| watched.counts_tokens && watched.person.active;
        self.watched.values().filter(holding).map(|watched| &watched.person.name)
    }

    /// Looks at one token.
    pub(in crate::plan) fn observe(&mut self, token: &Token) {
        let Some(watched) = self.holder(token) else { return };
        let open = self.is_open(token);
        let (credentials, from) = (holding(&watched.person, token, token.scope), last_address(token));
        let before = self.before.way_in(credentials.clone(), from);
        let then = self.way_then(credentials, from);
        if let Some(watched) = token.owner.user().and_then(|owner| self.watched.get_mut(owner)) {
            watched.add(open, before, then);
        }
    }

    /// Whose way in `token` may be, where it makes a difference.
    fn holder(&self, token: &Token) -> Option<&Watched> {
        self.watched.get(token.owner.user()?).filter(|watched| watched.counts_tokens)
    }

    /// At which moments somebody could mend the policy with `token`, for all that is known of it by itself.
    /// A mark ends a token once a run finds it due.
    fn is_open(&self, token: &Token) -> [bool; MOMENTS] {
        let [now, horizon] = self.moments;
        let is_open = self.tokens_administer && !token.is_expired(now);
        [is_open, is_open && token.ends().is_none_or(|end| end > horizon)]
    }

    /// How far one gets with `credentials` after the plan when one is seen at `from` now, and the address from
    /// which that is judged. Where it is not known from where somebody comes, the network does not count,
    /// unless addresses are found in another way then.
    fn way_then(&self, credentials: Credentials, from: Option<IpAddr>) -> (Way, Option<IpAddr>) {
        let (networks, networks_then) = (&self.before.settings.networks, &self.after.settings.networks);
        let seen = from.map_or_else(|| networks.addresses(), |from| [from.into()].into_iter().collect());
        let elsewhere = self.relocation.elsewhere(&seen);
        match elsewhere.difference(&networks_then.addresses()).pieces().first() {
            None => (self.after.way_in(credentials, from), from),
            Some(_) if elsewhere == AddressSet::everything() => {
                (Way { level: Level::Shut, obstacle: Some(DenialReason::ClientAddress) }, None)
            }
            Some(refused) => {
                let at = Some(refused.first());
                (self.after.way_in(credentials, at), at)
            }
        }
    }

    /// Those of `break_glass` who have no way in now.
    pub(in crate::plan) fn without_way_in(&self) -> Vec<UserName> {
        self.those(|[now, _]| now == Level::Shut)
    }

    /// Those of `break_glass` who have a way in now, and none at the end of the horizon.
    pub(in crate::plan) fn without_lasting_way_in(&self) -> Vec<UserName> {
        self.those(|[now, horizon]| now > Level::Shut && horizon == Level::Shut)
    }

    fn those(&self, chosen: impl Fn([Level; MOMENTS]) -> bool) -> Vec<UserName> {
        let levels = |name| self.watched.get(name).map_or([Level::Shut; MOMENTS], Watched::surely_before);
        self.lockout.break_glass.iter().filter(|name| chosen(levels(*name))).cloned().collect()
    }

    /// Who has which way in now.
    pub(in crate::plan) fn ways_in(&self) -> WaysIn {
        let way = |watched: &Watched| (watched.surely_before(), watched.person.administrator);
        WaysIn {
            lockout: self.lockout.clone(),
            people: self.watched.iter().map(|(name, watched)| (name.clone(), way(watched))).collect(),
            administrators: self.count(Watched::surely_before),
        }
    }

    /// As [`Self::finish`], and with everybody who lost a way in that there was when a plan was made.
    pub(in crate::plan) fn finish_since(mut self, made: &WaysIn, changes: &[PlannedChange]) -> Vec<ShutOut> {
        for (name, (levels, administered)) in &made.people {
            if let Some(watched) = self.watched.get_mut(name) {
                watched.compare(*levels, *administered);
            }
        }
        self.shut_out(changes, made.administrators)
    }

    /// Everybody whom the plan with `changes` would shut out: users in the order of the config file,
    /// then the administrators.
    pub(in crate::plan) fn finish(self, changes: &[PlannedChange]) -> Vec<ShutOut> {
        self.shut_out(changes, [0; MOMENTS])
    }

    fn shut_out(mut self, changes: &[PlannedChange], administrators: [u64; MOMENTS]) -> Vec<ShutOut> {
        self.withdraw(changes);
        let mut shut_out = Vec::new();
        for name in &self.lockout.break_glass {
            let Some(watched) = self.watched.get(name).filter(|watched| watched.loses()) else { continue };
            let losses = losses(&[watched], changes);
            shut_out.push(ShutOut { who: Who::BreakGlass(name.clone()), losses });
        }
        shut_out.extend(self.administrators(changes, administrators));
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
            let Some(watched) = self.holder(token) else { continue };
            let from = last_address(token);
            let level =
                |token: &Token| self.way_then(holding(&watched.person, token, token.scope), from).0.level;
            let counted = self.is_open(token).map(|open| open.then(|| level(token)));
            let left = match left_of(token, changes) {
                Some(left) => self.is_open(&left).map(|open| open.then(|| level(&left))),
                None => [None; MOMENTS],
            };
            let axes = changes.iter().filter_map(|change| axis_of(change));
            if let Some(watched) = token.owner.user().and_then(|owner| self.watched.get_mut(owner)) {
                watched.replace(counted, left, axes);
            }
        }
    }

    /// Every administrator, and the one who stands for those not seen.
    fn all_administrators(&self) -> impl Iterator<Item = &Watched> {
        self.watched.values().chain(&self.unseen).filter(|watched| watched.person.administrator)
    }

    /// How many administrators can apply a policy at each moment, by the `levels` of each.
    fn count(&self, levels: fn(&Watched) -> [Level; MOMENTS]) -> [u64; MOMENTS] {
        let (user, is_open) = &self.ours;
        let mut count = [self.operators; MOMENTS];
        for watched in self.all_administrators() {
            let is_us = user.as_ref() == Some(&watched.person.name);
            for ((count, level), is_open) in count.iter_mut().zip(levels(watched)).zip(is_open) {
                *count += u64::from(level == Level::Writing || is_us && *is_open);
            }
        }
        count
    }

    /// The administrators, when too few are left at some moment of those that there are now, or that there
    /// were at `earlier` counts.
    fn administrators(&self, changes: &[PlannedChange], earlier: [u64; MOMENTS]) -> Option<ShutOut> {
        let least = self.lockout.min_admins;
        let befores = self.count(Watched::before).into_iter().zip(earlier);
        let afters = self.count(Watched::after).into_iter().zip(self.count(Watched::surely_after));
        let (before, after) = befores.zip(afters).find_map(|((before, earlier), (after, surely))| {
            let is_less = after < before || surely < earlier;
            (is_less && surely < least).then_some((before.max(earlier), surely))
        })?;
        let is_ours = |watched: &Watched| {
            self.ours.1 == [true; MOMENTS] && self.ours.0.as_ref() == Some(&watched.person.name)
        };
        let losing: Vec<_> =
            self.all_administrators().filter(|watched| watched.may_lose() && !is_ours(watched)).collect();
        Some(ShutOut { who: Who::Administrators { before, after, least }, losses: losses(&losing, changes) })
    }
}

/// What somebody is for the server with `token`, were its scope `scope`.
fn holding(person: &Person, token: &Token, scope: TokenScope) -> Credentials {
    let owner = person.clone().into();
    Credentials::Token(Held {
        id: token.id.clone(),
        owner,
        scope,
        expires: token.expires,
        restriction: Restriction::default(),
    })
}

/// Whether the credential of a run is a way in at `moment` that is neither a password nor one of the tokens
/// that are looked at. A run that can apply by it shows by that very deed that it is one.
fn is_another_way(caller: &Caller, server: &Capabilities, moment: Timestamp) -> bool {
    match caller.credential {
        Credential::Unidentified | Credential::NoToken => true,
        Credential::Token { expires, .. } => {
            !server.tokens_administer && expires.is_none_or(|expires| expires > moment)
        }
        Credential::TokenAsPassword { .. } | Credential::Password | Credential::Operator => false,
    }
}

fn last_address(token: &Token) -> Option<IpAddr> {
    token.last_used.and_then(|last| last.from)
}

/// What is left of a token that `changes` touch; `None` when they end it.
fn left_of(token: &Token, changes: &[&Change]) -> Option<Token> {
    let steps = changes.iter().filter_map(|change| change.token_step());
    steps.into_iter().try_fold(token.clone(), |token, (_, step)| match step {
        TokenStep::Narrow { to } => Some(Token { scope: TokenScope::Set(to), ..token }),
        TokenStep::Mark { until } => Some(Token { mark: Some(Mark { until, shown: None }), ..token }),
        TokenStep::Unmark => Some(Token { mark: None, ..token }),
        // However far away its expiry is: it does not count as a way in that lasts.
        TokenStep::Expire { .. } | TokenStep::Revoke => None,
    })
}

/// What all of `people` lose; what cannot be said of them is gone.
fn losses(people: &[&Watched], changes: &[PlannedChange]) -> Vec<Loss> {
    let mut lost: BTreeMap<Axis, Option<IpAddr>> = BTreeMap::new();
    for (axis, address) in people.iter().flat_map(|watched| watched.lost()) {
        let lowest = lost.entry(axis).or_insert(address);
        *lowest = lowest.iter().copied().chain(address).min();
    }
    if lost.is_empty() {
        lost.insert(Axis::Gone, None);
    }
    let names: HashSet<_> = people.iter().map(|watched| &watched.person.name).collect();
    let of_theirs = |change: &Change, axis| {
        let owned = matches!(change.object(), Object::Token(token)
            if token.owner.user().is_some_and(|owner| names.contains(owner)));
        owned && axis_of(change) == Some(axis)
    };
    lost.into_iter().map(|(axis, address)| Loss::new(axis, address, changes, &of_theirs)).collect()
}
