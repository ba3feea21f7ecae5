//! Whether some owners never hold tokens that reach so far: none can be made, and none that there is stays as it is.

use std::{collections::BTreeSet, slice, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    access::{
        Memberships, Operation, Person, TokenOwner, TokenOwnership,
        cells::{Ask, GroupClass, TooManyPatterns, group_classes, origin_cells},
        limits::rescope,
    },
    compare::{finds_all, project_examples, question},
    compliance::{
        LimitChoice, OwnerBook,
        rules::{RuleVerdict, Subject, check},
    },
    inventory::People,
    model::{
        Action, AddressSet, GroupName, Holders, LastUse, Owner, Permission, Rule, RuleCode, Scope, Settings,
        Token, TokenId, TokenScope, UserName,
        expression::{Expression, NeededFacts},
    },
    policy::{OwnRule, Policy, WaiverSubject},
    policy_tests::{Because, CaseResult, file::Statement},
};

use super::statement::{NotProved, senders, settings};

/// The rules that find a token for how far it reaches and whose it is, whatever else it is.
const RULES: [RuleCode; 3] = [RuleCode::Scope, RuleCode::ScopeUnset, RuleCode::OwnerNotPermitted];

/// Says in `result` whether nobody whom `statement` is about ever holds a token that reaches as far as `least`.
pub(super) fn run(
    statement: &Statement,
    least: Scope,
    policy: &Policy,
    at: Timestamp,
    result: &mut CaseResult,
) -> Result<(), NotProved> {
    let settings = settings(policy);
    let owners = owners(statement, policy, &settings)?;
    for owner in &owners {
        for scope in [Scope::ReadOnly, Scope::ReadWrite].into_iter().filter(|scope| *scope >= least) {
            if let Some(ask) = made(owner, scope, &settings, at)? {
                result.actual = vec![format!("{} can be made", token(owner, TokenScope::Set(scope)))];
                let command = question(&ask).map(|question| question.command_line());
                let by = command
                    .unwrap_or_else(|| "somebody who manages the tokens of others makes it".to_owned());
                result.because = vec![Because { text: by, place: None }];
                return Ok(());
            }
        }
        let scopes = [TokenScope::Set(Scope::ReadOnly), TokenScope::Set(Scope::ReadWrite), TokenScope::Unset];
        for scope in scopes.into_iter().filter(|scope| scope.effective() >= least) {
            let standing = Standing { owner, scope, least, policy, at };
            if let Some(because) = standing.stays(result) {
                result.actual = vec![format!("{} stays", token(owner, scope))];
                result.because = because;
                return Ok(());
            }
        }
    }
    result.actual.clone_from(&result.expected);
    Ok(())
}

/// A token in words.
fn token(owner: &TokenOwner, scope: TokenScope) -> String {
    let of = match owner {
        TokenOwner::User(person) if person.groups.is_empty() => "a user in no group".to_owned(),
        TokenOwner::User(person) => {
            let groups: Vec<String> = person.groups.iter().map(ToString::to_string).collect();
            format!("a user in {}", groups.join(", "))
        }
        other => other.name().to_string(),
    };
    format!("a token of {of} with the scope {scope}")
}

/// An owner of each kind whom `statement` is about and the policy tells from others.
fn owners(statement: &Statement, policy: &Policy, settings: &Settings) -> Result<Vec<TokenOwner>, NotProved> {
    let chosen = [&statement.in_groups, &statement.not_in_groups];
    let of_limits: Vec<Holders> =
        settings.limits.iter().filter_map(|limit| limit.groups.clone()).map(Holders::Groups).collect();
    let permissions = Permission::ALL.map(|permission| settings.permissions.of(permission));
    let of_rules: BTreeSet<&GroupName> = policy.rules.iter().flat_map(|own| own.when.groups()).collect();
    let of_rules: Vec<Holders> = of_rules.into_iter().map(|group| Holders::of([group.clone()])).collect();
    let lists: Vec<&Holders> =
        chosen.into_iter().chain(permissions).chain(&of_limits).chain(&of_rules).collect();
    if lists.len() > 64 {
        return Err(NotProved("there are too many limits to tell people apart".to_owned()));
    }
    // In one of the groups that are meant, and in none of those that are not.
    let people = group_classes(&lists).into_iter().filter(|class| class.holds & 0b11 == 0b01);
    let person = |class: GroupClass| person("somebody", class.groups.into(), false);
    let mut owners: Vec<TokenOwner> = people.map(person).map(TokenOwner::from).collect();
    // A project is in no group.
    if chosen == [&Holders::Everyone, &Holders::Nobody] {
        let examples = project_examples(&settings.limits)
            .ok_or_else(|| NotProved("the limits have too many patterns of projects".to_owned()))?;
        owners.extend(examples.into_iter().filter_map(|owner| match owner {
            Owner::Project(key) => Some(TokenOwner::Project(key)),
            Owner::Repository { project, slug } => Some(TokenOwner::Repository { project, slug }),
            Owner::User(_) => None,
        }));
    }
    Ok(owners)
}

fn person(name: &str, groups: Memberships, administrator: bool) -> Person {
    Person { name: UserName::new(name), groups, active: true, administrator }
}

/// A request that gets `owner` a token of `scope`; `None` when none does.
fn made(
    owner: &TokenOwner,
    scope: Scope,
    settings: &Settings,
    at: Timestamp,
) -> Result<Option<Ask>, TooManyPatterns> {
    if rescope(&settings.limits, owner, scope).is_err() {
        return Ok(None);
    }
    let own = [
        Operation::CreateOwn { scope },
        Operation::Rescope { target: TokenOwnership::Own, owner: Some(owner.clone()), scope },
    ];
    let others =
        [false, true].map(|owner_is_administrator| TokenOwnership::Others { owner_is_administrator });
    let others =
        others.into_iter().map(|target| Operation::Rescope { target, owner: Some(owner.clone()), scope });
    let others: Vec<Operation> =
        others.chain([Operation::CreateFor { owner: Some(owner.clone()), scope }]).collect();
    let lists = Permission::ALL.map(|permission| settings.permissions.of(permission));
    let managers: Vec<Person> = group_classes(&lists)
        .into_iter()
        .flat_map(|class| {
            let groups = Memberships::from(class.groups);
            [false, true].map(|administrator| person("manager", groups.clone(), administrator))
        })
        .collect();
    let themselves: Vec<Person> = owner.person().cloned().into_iter().collect();
    let origins = origin_cells(&[settings], slice::from_ref(&AddressSet::everything()));
    for (people, operations) in [(&themselves, &own[..]), (&managers, &others[..])] {
        let senders = senders(people, (true, true), Scope::ReadWrite, settings)?;
        for (path, credentials) in &senders {
            for (operation, origin) in
                operations.iter().flat_map(|operation| origins.iter().map(move |origin| (operation, origin)))
            {
                let ask = Ask {
                    peer: origin.peer,
                    headers: origin.headers.clone(),
                    method: "POST".to_owned(),
                    path: path.clone(),
                    credentials: credentials.clone(),
                    operation: operation.clone(),
                    at,
                };
                if ask.denied(settings).is_none() {
                    return Ok(Some(ask));
                }
            }
        }
    }
    Ok(None)
}

/// A token that there is.
struct Standing<'a> {
    owner: &'a TokenOwner,
    scope: TokenScope,
    least: Scope,
    policy: &'a Policy,
    at: Timestamp,
}

impl Standing<'_> {
    /// Why it may stay as it is; `None` when some rule takes it away or narrows it, whatever else it is. Notes in `result`
    /// what was gone by.
    fn stays(&self, result: &mut CaseResult) -> Option<Vec<Because>> {
        let name = self.owner.name();
        let mut people = People::default();
        if let Some(person) = self.owner.person() {
            people.add_user(person.name.clone(), true);
            for group in self.policy.groups().iter().chain(person.groups.iter()) {
                let members = person.groups.contains(group).then(|| person.name.clone());
                people.add_group(group, members);
            }
        }
        let token = Token {
            id: TokenId::new("1"),
            owner: name.clone(),
            description: String::new(),
            scope: self.scope,
            created: self.at,
            created_by: name.user().cloned(),
            last_used: Some(LastUse { at: self.at, from: None }),
            expires: None,
            mark: None,
        };
        let subject = Subject {
            token: &token,
            owner: OwnerBook::new(self.policy, &people).standing(&name),
            policy: self.policy,
            people: &people,
            now: self.at,
            is_cut: false,
            asked: Arc::new(NeededFacts::by([])),
        };
        if let LimitChoice::Entry(index) = subject.owner.limit {
            result.limits.insert(index);
        }
        let narrow_to = subject.narrow_to();
        let mut because = Vec::new();
        let built_in = RULES.into_iter().map(|code| (Rule::from(code), check(code, &subject)));
        for (rule, verdict) in built_in {
            let RuleVerdict::Fails { message, place } = verdict else { continue };
            match self.kept(&rule, narrow_to) {
                None => {
                    result.rules.insert(rule);
                    return None;
                }
                Some(why) => because.push(Because {
                    text: format!("{rule}: {message}: {why}"),
                    place: self.policy.enforcement.place_of(&rule).cloned().or(place),
                }),
            }
        }
        // Without a condition for these tokens nothing is known of what own rules find.
        let guard = self.guard();
        let finds =
            |own: &&Arc<OwnRule>| guard.as_ref().is_some_and(|guard| finds_all(guard, &own.when, self.at));
        for own in self.policy.rules.iter().filter(finds) {
            match self.kept(&own.rule(), narrow_to) {
                None => {
                    result.rules.insert(own.rule());
                    return None;
                }
                Some(why) => because
                    .push(Because { text: format!("{}: {why}", own.name), place: Some(own.place.clone()) }),
            }
        }
        if because.is_empty() {
            because.push(Because { text: "no rule finds it whatever else it is".to_owned(), place: None });
        }
        Some(because)
    }

    /// Why a finding of `rule` leaves it as it is; `None` when it does not.
    fn kept(&self, rule: &Rule, narrow_to: Option<Scope>) -> Option<String> {
        let action = self.policy.enforcement.action(rule);
        let acts = action.ends_the_token()
            || action == Action::Narrow && narrow_to.is_some_and(|scope| scope < self.least);
        if !acts {
            return Some(format!("the action is {action}"));
        }
        let holds = |subject: &WaiverSubject| match subject {
            WaiverSubject::Token(_) => true,
            WaiverSubject::Owner { owner, .. } => match self.owner {
                // Anybody may be in these groups.
                TokenOwner::User(_) => owner.user().is_some(),
                other => other.name().kind() == owner.kind(),
            },
        };
        let waivers = self.policy.waivers.entries.iter();
        let waiver = waivers
            .filter(|waiver| waiver.rules.contains(rule) && waiver.holds(self.at))
            .find(|waiver| holds(&waiver.subject));
        waiver.map(|waiver| format!("the waiver for {} may hold it", waiver.subject))
    }

    /// The condition that is true of exactly such tokens, as far as groups go that own rules ask for.
    fn guard(&self) -> Option<Expression> {
        let scope = format!("token.scope == \"{}\"", self.scope);
        let kind = format!("owner.kind == \"{}\"", self.owner.name().kind().word());
        let groups: BTreeSet<&GroupName> =
            self.policy.rules.iter().flat_map(|own| own.when.groups()).collect();
        let is_in =
            |group: &GroupName| self.owner.person().is_some_and(|person| person.groups.contains(group));
        let groups = groups.into_iter().map(|group| {
            let not = if is_in(group) { "" } else { "!" };
            // A text in JSON is one in CEL.
            format!("{not}({} in owner.groups)", Value::from(group.folded()))
        });
        let known = self.owner.person().map(|_| "owner.active == true".to_owned());
        let parts: Vec<String> = [scope, kind].into_iter().chain(known).chain(groups).collect();
        Expression::new(&parts.join(" && ")).ok()
    }
}
