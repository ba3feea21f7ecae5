//! Whether all requests of a kind pass, or none of them does: every cell of them is asked about. And whether nobody holds
//! a token of a kind.

use jiff::Timestamp;

use crate::{
    access::{
        Credentials, DenialReason, Held, Operation, Person, TokenOwner,
        cells::{Ask, GroupClass, TooManyPatterns, group_classes, logins, origin_cells},
    },
    compare::question,
    model::{
        GroupName, Holders, Permission, Restriction, Scope, SettingKey, Settings, TokenId, TokenScope,
        UserName,
    },
    policy::Policy,
    policy_tests::{Because, CaseResult, file::Statement},
};

use super::{holding, paper::ADMINISTRATORS};

/// Says in `result` whether `statement` holds under `policy`; when it does not, with a request that shows it.
pub(super) fn run(statement: &Statement, policy: &Policy, at: Timestamp, result: &mut CaseResult) {
    let word = match (statement.holds, statement.always) {
        (Some(_), _) => "never held",
        (None, true) => "always permitted",
        (None, false) => "never permitted",
    };
    result.expected = vec![word.to_owned()];
    if let Some(least) = statement.holds {
        if let Err(NotProved(why)) = holding::run(statement, least, policy, at, result) {
            result.actual = vec!["not proved".to_owned()];
            result.because = vec![Because { text: why, place: None }];
        }
        return;
    }
    let settings = settings(policy);
    let found = asks(statement, &settings, at).map(|asks| {
        let mut answers = asks.into_iter().map(|ask| (ask.denied(&settings), ask));
        answers.find(|(denied, _)| denied.is_none() != statement.always)
    });
    match found {
        Ok(None) => result.actual.clone_from(&result.expected),
        Ok(Some((denied, ask))) => {
            let denied = denied.map(|reason| (reason, format!("denied, {reason}")));
            result.actual = vec![denied.as_ref().map_or("permitted".to_owned(), |(_, text)| text.clone())];
            let example =
                question(&ask).map(|question| Because { text: question.command_line(), place: None });
            result.because =
                example.into_iter().chain(denied.map(|(reason, _)| cause(reason, policy))).collect();
        }
        Err(error) => {
            result.actual = vec!["not proved".to_owned()];
            result.because = vec![Because { text: error.to_string(), place: None }];
        }
    }
}

/// Why a statement is not proved.
pub(super) struct NotProved(pub(super) String);

impl From<TooManyPatterns> for NotProved {
    fn from(error: TooManyPatterns) -> Self {
        Self(error.to_string())
    }
}

/// What the policy wants, on a new server.
pub(super) fn settings(policy: &Policy) -> Settings {
    let mut settings = Settings::initial(GroupName::new(ADMINISTRATORS));
    for set in SettingKey::ALL.into_iter().filter_map(|key| policy.wanted(key)) {
        settings.set(set.value);
    }
    settings
}

/// The setting that requests are denied by for `reason`.
fn cause(reason: DenialReason, policy: &Policy) -> Because {
    let set = reason.settings().iter().find_map(|key| Some((*key, policy.wanted(*key)?.place)));
    match set {
        Some((key, place)) => Because { text: key.path().to_owned(), place: Some(place) },
        None => Because { text: reason.to_string(), place: None },
    }
}

/// A request of each kind that `statement` is about and `settings` tell from others.
fn asks(statement: &Statement, settings: &Settings, at: Timestamp) -> Result<Vec<Ask>, TooManyPatterns> {
    // Where no client can be made out there is none that would be inside or outside of anything.
    let origins = origin_cells(&[settings], std::slice::from_ref(&statement.clients));
    let origins = origins.into_iter().filter(|origin| origin.key.within == 1);
    let people = people(statement, settings);
    let mut senders =
        senders(&people, (statement.with_token, statement.with_password), statement.scope, settings)?;
    // A project is in no group, and creates no tokens.
    let is_of_all =
        [&statement.in_groups, &statement.not_in_groups] == [&Holders::Everyone, &Holders::Nobody];
    if statement.with_token && is_of_all && statement.creates.is_none() {
        senders.push(with_token(TokenOwner::Project("PROJECT".to_owned()), statement.scope));
    }
    let operation = statement.creates.map_or(Operation::Enter, |scope| Operation::CreateOwn { scope });
    let methods = [(false, "GET"), (true, "POST")];
    let methods = methods.into_iter().filter(|(writes, _)| statement.writes.is_none_or(|is| is == *writes));
    let mut asks = Vec::new();
    for (origin, (_, method)) in
        origins.flat_map(|origin| methods.clone().map(move |one| (origin.clone(), one)))
    {
        asks.extend(senders.iter().map(|(path, credentials)| Ask {
            peer: origin.peer,
            headers: origin.headers.clone(),
            method: method.to_owned(),
            path: path.clone(),
            credentials: credentials.clone(),
            operation: operation.clone(),
            at,
        }));
    }
    Ok(asks)
}

/// The people whom `statement` is about, as far as `settings` tell them apart.
fn people(statement: &Statement, settings: &Settings) -> Vec<Person> {
    let permissions = Permission::ALL.map(|permission| settings.permissions.of(permission));
    let chosen = [&statement.in_groups, &statement.not_in_groups];
    let lists: Vec<&Holders> = permissions.into_iter().chain(chosen).collect();
    // The bits behind those of the permissions.
    let (inside, outside) = (1 << permissions.len(), 2 << permissions.len());
    let people = group_classes(&lists);
    let people = people.into_iter().filter(|class| class.holds & inside != 0 && class.holds & outside == 0);
    let person = |class: GroupClass| Person {
        name: UserName::new("somebody"),
        groups: class.groups.into(),
        active: true,
        administrator: false,
    };
    people.map(person).collect()
}

/// What `people` send: a token of `scope`, a password, or each of them, and to which path.
pub(super) fn senders(
    people: &[Person],
    (with_a_token, with_a_password): (bool, bool),
    scope: Scope,
    settings: &Settings,
) -> Result<Vec<(String, Credentials)>, TooManyPatterns> {
    let mut senders = Vec::new();
    if with_a_token {
        senders.extend(people.iter().map(|person| with_token(person.clone().into(), scope)));
    }
    if with_a_password {
        for (user, path) in logins(&[settings])? {
            senders.extend(people.iter().map(|person| {
                let person = Person { name: user.clone(), ..person.clone() };
                (path.clone(), Credentials::Password(person))
            }));
        }
    }
    Ok(senders)
}

fn with_token(owner: TokenOwner, scope: Scope) -> (String, Credentials) {
    let scope = TokenScope::Set(scope);
    let (id, restriction) = (TokenId::new("1"), Restriction::default());
    ("/".to_owned(), Credentials::Token(Held { id, owner, scope, expires: None, restriction }))
}
