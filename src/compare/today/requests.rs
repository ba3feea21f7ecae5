//! Whether a difference of requests hits a token, or somebody with a password: the function that decides on real
//! requests is asked, with what the inventory shows of the owner.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use crate::{
    access::{
        Credentials, Held, Operation, Person, TokenOwner,
        cells::{Ask, GroupClass, group_classes, logins},
    },
    inventory::{Administrators, Inventory, Membership, Presence},
    model::{Holders, Owner, Permission, Restriction, Scope, Settings, Token, TokenId, TokenScope, UserName},
};

use super::{
    super::{RequestChange, With},
    Hit,
};

/// What matters of an owner: of which lists the owner is a holder for certain and at most, and whether the owner is
/// active and an administrator; `None` where that could not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    certain: u64,
    possible: u64,
    active: Option<bool>,
    administrator: Option<bool>,
}

/// Those who send requests, as an inventory shows them.
pub(super) struct Senders<'a> {
    settings: &'a (Settings, Settings),
    inventory: &'a Inventory,
    now: Timestamp,
    lists: Vec<&'a Holders>,
    classes: Vec<GroupClass>,
    /// A path of each kind that passwords count for.
    paths: BTreeSet<String>,
    kinds: HashMap<UserName, Kind>,
    /// What was found out, by the number of the difference.
    known: HashMap<(usize, Option<Kind>, TokenScope), Hit>,
}

/// Whether some of the requests of `change` come with a password.
pub(super) fn has_passwords(change: &RequestChange) -> bool {
    change.regions.iter().any(|region| region.with.contains(&With::Password))
}

impl<'a> Senders<'a> {
    pub(super) fn new(settings: &'a (Settings, Settings), inventory: &'a Inventory, now: Timestamp) -> Self {
        let views = [&settings.0, &settings.1];
        let lists: Vec<&Holders> = views
            .iter()
            .flat_map(|settings| Permission::ALL.map(|permission| settings.permissions.of(permission)))
            .collect();
        let paths = logins(&views).unwrap_or_default().into_iter().map(|(_, path)| path).collect();
        Self {
            classes: group_classes(&lists),
            settings,
            inventory,
            now,
            lists,
            paths,
            kinds: HashMap::new(),
            known: HashMap::new(),
        }
    }

    /// Whether `change`, the difference of this `number`, is about requests with `token`.
    pub(super) fn with_token(&mut self, number: usize, change: &RequestChange, token: &Token) -> Hit {
        let kind = token.owner.user().map(|user| self.kind(user));
        let key = (number, kind, token.scope);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let scopes = match token.scope {
            TokenScope::Unknown => vec![Scope::ReadOnly, Scope::ReadWrite],
            scope => vec![scope.effective()],
        };
        let owners: Vec<TokenOwner> = match (kind, &token.owner) {
            (Some(kind), Owner::User(user)) => {
                self.people(kind, user).into_iter().map(TokenOwner::from).collect()
            }
            (_, Owner::Repository { project, slug }) => {
                vec![TokenOwner::Repository { project: project.clone(), slug: slug.clone() }]
            }
            (_, owner) => vec![TokenOwner::Project(owner.project().unwrap_or_default().to_owned())],
        };
        let hits =
            owners.into_iter().flat_map(|owner| scopes.iter().map(move |scope| (owner.clone(), *scope)));
        let hit = all(hits.map(|(owner, scope)| {
            let held = Held {
                id: TokenId::new("1"),
                owner,
                scope: TokenScope::Set(scope),
                expires: None,
                restriction: Restriction::default(),
            };
            self.is_hit(change, &Credentials::Token(held), None)
        }));
        self.known.insert(key, hit);
        hit
    }

    /// Whether `change` is about requests with the password of `user`.
    pub(super) fn with_password(&mut self, change: &RequestChange, user: &UserName) -> Hit {
        let kind = self.kind(user);
        let people = self.people(kind, user);
        all(people.into_iter().map(|person| {
            let credentials = Credentials::Password(person);
            self.paths.iter().any(|path| self.is_hit(change, &credentials, Some(path)))
        }))
    }

    /// Whether both sides decide differently, as `change` says, on one of its requests with other credentials.
    fn is_hit(&self, change: &RequestChange, credentials: &Credentials, path: Option<&String>) -> bool {
        change.regions.iter().any(|region| {
            let example = &region.example;
            // Who merely gets in need not write.
            let method = if example.operation == Operation::Enter { "GET" } else { example.method.as_str() };
            let ask = Ask {
                method: method.to_owned(),
                path: path.unwrap_or(&example.path).clone(),
                credentials: credentials.clone(),
                at: self.now,
                ..example.clone()
            };
            let (was, is) = (ask.denied(&self.settings.0), ask.denied(&self.settings.1));
            if change.shift.looser { was.is_some() && is.is_none() } else { was.is_none() && is.is_some() }
        })
    }

    /// Everybody who `user` may be, as far as could be seen.
    fn people(&self, kind: Kind, user: &UserName) -> Vec<Person> {
        let either = |known: Option<bool>| known.map_or(vec![true, false], |known| vec![known]);
        let classes = self
            .classes
            .iter()
            .filter(|class| class.holds & kind.certain == kind.certain && class.holds & !kind.possible == 0);
        let people = classes.flat_map(|class| {
            either(kind.active).into_iter().flat_map(move |active| {
                either(kind.administrator).into_iter().map(move |administrator| Person {
                    name: user.clone(),
                    groups: class.groups.clone().into(),
                    active,
                    administrator,
                })
            })
        });
        people.collect()
    }

    fn kind(&mut self, user: &UserName) -> Kind {
        if let Some(known) = self.kinds.get(user) {
            return *known;
        }
        let people = &self.inventory.people;
        let (mut certain, mut possible) = (0, 0);
        for (index, list) in self.lists.iter().enumerate() {
            let membership = match list {
                Holders::Everyone => Membership::Member,
                Holders::Nobody => Membership::NotMember,
                Holders::Groups(groups) => people.membership(user, groups),
            };
            match membership {
                Membership::Member => certain |= 1 << index,
                Membership::NotMember => {}
                Membership::Unsure(_) => possible |= 1 << index,
            }
        }
        let active = match people.presence(user) {
            Presence::Active => Some(true),
            Presence::Inactive => Some(false),
            Presence::Unknown | Presence::NotSeen => None,
        };
        let administrators = self.inventory.server.administrators.as_ref();
        let administrator = administrators.and_then(|administrators| {
            let is_unsure = match administrators {
                Administrators::Group(group) => people.is_unknown(group) || people.unsure_of(user).is_some(),
                Administrators::Users(_) => false,
            };
            let is_one = administrators.include(user, people);
            (is_one || !is_unsure).then_some(is_one)
        });
        let kind = Kind { certain, possible: certain | possible, active, administrator };
        self.kinds.insert(user.clone(), kind);
        kind
    }
}

/// What is so for all that there may be, or only for some.
fn all(hits: impl IntoIterator<Item = bool>) -> Hit {
    let hits: BTreeSet<bool> = hits.into_iter().collect();
    match (hits.contains(&true), hits.contains(&false)) {
        (true, false) => Hit::Yes,
        (true, true) => Hit::Unsure,
        (false, _) => Hit::No,
    }
}
