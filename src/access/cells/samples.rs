//! One request for each thing that a decision can be asked, wherever it comes from.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use crate::{
    access::{
        Credentials, Held, Operation, Passed, PassedKind, Person, TokenOwner, TokenOwnership,
        looks_at_password,
    },
    model::{Restriction, Scope, Settings, TokenId, TokenScope, UserName},
};

use super::{Ask, GroupClass, PersonAspects, SenderKey, TooManyPatterns, exceptions, texts::text_classes};

/// A user and a path for every answer to whether a password counts.
type Logins = Vec<(UserName, String)>;

/// A user and a path for every answer of `views` to whether a password counts.
///
/// # Errors
///
/// When there are too many patterns to tell.
pub fn logins(views: &[&Settings]) -> Result<Logins, TooManyPatterns> {
    let (users, paths): (Vec<_>, Vec<_>) = views.iter().map(|settings| exceptions(settings)).unzip();
    let users = text_classes(&users, "").ok_or(TooManyPatterns)?;
    let paths = text_classes(&paths, "/").ok_or(TooManyPatterns)?;
    let mut logins = BTreeMap::new();
    for user in users.into_values().map(UserName::new) {
        for path in paths.values() {
            let counts: Vec<_> =
                views.iter().map(|settings| looks_at_password(settings, &user, path)).collect();
            logins.entry(counts).or_insert_with(|| (user.clone(), path.clone()));
        }
    }
    Ok(logins.into_values().collect())
}

/// What the requests are made from.
pub(super) struct Samples<'a> {
    pub(super) views: &'a [&'a Settings],
    pub(super) people: &'a [GroupClass],
    pub(super) logins: Logins,
}

/// The bits of `permissions.use` under two settings.
const USE: u8 = 0b0001_0001;
/// The bits of `permissions.create_read_write` under two settings.
const CREATE_READ_WRITE: u8 = 0b0100_0100;
/// When all requests are decided on.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

impl Samples<'_> {
    /// A request for each answer of one whose address matters.
    pub(super) fn senders(&self) -> Vec<(SenderKey, Ask)> {
        let mut asks = vec![
            ask(Credentials::None, Operation::ReadOpen),
            ask(Credentials::None, Operation::Enter),
            ask(Credentials::Invalid, Operation::Enter),
            ask(Credentials::UnverifiedPassword { user: UserName::new(SOMEBODY) }, Operation::Enter),
        ];
        let somebody =
            || self.people_by(0xff, true).into_iter().last().unwrap_or_else(|| person(None, false));
        asks.extend([
            ask(token(somebody().into(), |held| held.expires = Some(NOW)), Operation::Enter),
            ask(token(somebody().into(), |held| held.restriction.not_after = Some(NOW)), Operation::Enter),
            ask(token(Person { active: false, ..somebody() }.into(), |_| {}), Operation::Enter),
        ]);
        let read_only = |held: &mut Held| held.scope = TokenScope::Set(Scope::ReadOnly);
        let restricted = |held: &mut Held| held.restriction.max_scope = Some(Scope::ReadOnly);
        for owner in self.people_by(USE, false).into_iter().map(TokenOwner::from).chain([project()]) {
            asks.push(ask(token(owner.clone(), read_only), Operation::Enter));
            asks.push(ask(token(owner, restricted), Operation::Enter));
        }
        for operation in self.operations() {
            let looks_at = PersonAspects::of(&operation);
            let by = |mask| self.people_by(mask | looks_at.everywhere(), looks_at.administrator);
            let owners = by(USE).into_iter().map(TokenOwner::from).chain([project()]);
            asks.extend(owners.map(|owner| ask(token(owner, |_| {}), operation.clone())));
            for (user, path) in &self.logins {
                let mut with = |credentials| {
                    let path = path.clone();
                    asks.push(Ask { path, ..ask(credentials, operation.clone()) });
                };
                let passed = |person| {
                    let kind = PassedKind::Password { user: user.clone() };
                    Credentials::Passed(Passed { kind, person })
                };
                with(passed(None));
                for person in by(0) {
                    let person = Person { name: user.clone(), ..person };
                    with(Credentials::Password(person.clone()));
                    with(passed(Some(person)));
                }
            }
            let bearers = by(0).into_iter().map(Some).chain([None]);
            asks.extend(bearers.map(|person| {
                ask(Credentials::Passed(Passed { kind: PassedKind::Bearer, person }), operation.clone())
            }));
        }
        self.told_apart(asks)
    }

    /// A request for each answer of one that may come from anywhere.
    pub(super) fn anywhere(&self) -> Vec<(SenderKey, Ask)> {
        let mut asks = Vec::new();
        for operation in self.operations() {
            let looks_at = PersonAspects::of(&operation);
            let people = self.people_by(looks_at.everywhere(), looks_at.administrator);
            let kind = PassedKind::Browser { anywhere: true };
            asks.extend(people.into_iter().map(Some).chain([None]).map(|person| {
                ask(Credentials::Passed(Passed { kind: kind.clone(), person }), operation.clone())
            }));
            asks.push(ask(Credentials::Operator, operation));
        }
        self.told_apart(asks)
    }

    /// The first of `asks` for each answer.
    fn told_apart(&self, asks: Vec<Ask>) -> Vec<(SenderKey, Ask)> {
        let mut seen = HashSet::new();
        let told = asks.into_iter().map(|ask| (SenderKey::of(self.views, &ask), ask));
        told.filter(|(sender, _)| seen.insert(*sender)).collect()
    }

    /// One person for each answer to who holds the permissions in `mask`; once more as an administrator where that
    /// matters.
    fn people_by(&self, mask: u8, administrator: bool) -> Vec<Person> {
        let mut seen = BTreeSet::new();
        let classes = self.people.iter().filter(|class| seen.insert(class.holds & u64::from(mask)));
        let is_one = if administrator { &[false, true][..] } else { &[false] };
        classes.flat_map(|class| is_one.iter().map(|is_one| person(Some(class), *is_one))).collect()
    }

    fn operations(&self) -> Vec<Operation> {
        const SCOPES: [Scope; 2] = [Scope::ReadOnly, Scope::ReadWrite];
        let others = |owner_is_administrator| TokenOwnership::Others { owner_is_administrator };
        let targets = [TokenOwnership::Own, others(false), others(true)];
        let owners = |administrator| {
            let people = self.people_by(CREATE_READ_WRITE, administrator).into_iter().map(TokenOwner::from);
            people.chain([project()]).map(Some).chain([None]).collect::<Vec<_>>()
        };
        let mut operations = vec![
            Operation::Enter,
            Operation::ReadOpen,
            Operation::WhoAmI,
            Operation::ReadDirectory,
            Operation::ListOwn,
            Operation::ListAll,
            Operation::RevokeAllFor,
            Operation::ReadSettings,
            Operation::WriteSettings,
        ];
        for scope in SCOPES {
            operations.extend([Operation::Git { needs: scope }, Operation::CreateOwn { scope }]);
            operations.extend(owners(true).into_iter().map(|owner| Operation::CreateFor { owner, scope }));
        }
        for target in targets {
            operations.extend([Operation::Narrow(target), Operation::Revoke(target)]);
            for scope in SCOPES {
                operations.extend(owners(false).into_iter().map(|owner| Operation::Rescope {
                    target,
                    owner,
                    scope,
                }));
            }
        }
        operations
    }
}

/// The name of somebody of whom nothing but the groups matters.
const SOMEBODY: &str = "somebody";

fn person(class: Option<&GroupClass>, administrator: bool) -> Person {
    Person {
        name: UserName::new(SOMEBODY),
        groups: class.map(|class| class.groups.clone().into()).unwrap_or_default(),
        active: true,
        administrator,
    }
}

fn project() -> TokenOwner {
    TokenOwner::Project("PROJECT".to_owned())
}

fn token(owner: TokenOwner, change: impl FnOnce(&mut Held)) -> Credentials {
    let mut held = Held {
        id: TokenId::new("1"),
        owner,
        scope: TokenScope::Set(Scope::ReadWrite),
        expires: None,
        restriction: Restriction::default(),
    };
    change(&mut held);
    Credentials::Token(held)
}

fn ask(credentials: Credentials, operation: Operation) -> Ask {
    let path = match &operation {
        Operation::Git { needs: Scope::ReadOnly } => "/scm/project/repository.git/git-upload-pack",
        Operation::Git { needs: Scope::ReadWrite } => "/scm/project/repository.git/git-receive-pack",
        _ => "/",
    };
    Ask {
        peer: [192, 0, 2, 7].into(),
        headers: Vec::new(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        credentials,
        operation,
        at: NOW,
    }
}
