//! Every rule: when it fires, when it does not, what it says, and that a waiver holds it. One rule, one
//! file, of the same name as the file that has the rule.

use std::{fs, path::Path, sync::Arc};

use tokenwarden::{
    compliance::{Compliance, Findings},
    inventory::People,
    model::{LastUse, Owner, RuleCode, Scope, Token, TokenId, TokenScope},
    plan::{Object, Plan},
    policy::{self, Policy},
};

pub(crate) use crate::support::world::NOW;
use crate::support::world::{self, State, World, time};

mod creator_not_permitted;
mod description;
mod expired;
mod idle;
mod lifetime;
mod never_used;
mod own;
mod owner_inactive;
mod owner_not_permitted;
mod owner_unknown;
mod per_owner;
mod rule_error;
mod scope;
mod scope_unset;

const USERS: [(&str, bool); 4] = [("mary", true), ("sam", true), ("bot", true), ("gone", false)];
const GROUPS: [(&str, &[&str]); 2] = [("developers", &["mary", "sam"]), ("ci-bots", &["bot"])];

fn people() -> People {
    let mut people = People::default();
    for (user, active) in USERS {
        people.add_user(user.into(), active);
    }
    for (group, members) in GROUPS {
        people.add_group(&group.into(), members.iter().map(|member| (*member).into()));
    }
    people.add_unknown_group("ghosts".into());
    people
}

/// A target with these users and groups, and `tokens`.
pub(crate) fn world(tokens: &[Token]) -> World {
    let users = USERS.map(|(user, active)| (user.into(), active)).into();
    let mut state = State { users, ..State::default() };
    for (group, members) in GROUPS {
        state.groups.insert(group.into(), members.iter().map(|member| (*member).into()).collect());
    }
    state.tokens = tokens.iter().map(|token| (token.id.clone(), token.clone())).collect();
    World::new(state)
}

/// A token that every policy here is content with, but for what a test changes.
pub(crate) fn token() -> Token {
    Token { created_by: Some("mary".into()), ..world::token("1", "mary") }
}

/// That token, of `user` and made by this user.
fn of(user: &str) -> Token {
    Token { owner: Owner::User(user.into()), created_by: Some(user.into()), ..token() }
}

/// The policy of `layers`, which leave out the version.
fn layered(layers: &[&str]) -> Policy {
    let names = ["policy.yaml", "more.yaml", "most.yaml"];
    let file =
        |(layer, name): (&&str, &str)| (Arc::from(name), format!("version: 1\n{layer}\n").into_bytes());
    let reading = policy::read(&layers.iter().zip(names).map(file).collect::<Vec<_>>());
    reading.policy.unwrap_or_else(|| panic!("{:#?}\n{layers:?}", reading.diagnostics))
}

fn judge(yaml: &str, tokens: &[Token]) -> Findings {
    let (policy, people) = (layered(&[yaml]), people());
    let mut compliance = Compliance::new(&policy, &people, time(NOW));
    for token in tokens {
        compliance.observe(token);
    }
    compliance.finish()
}

/// What is found, as `id rule: message`.
fn found(yaml: &str, tokens: &[Token]) -> Vec<String> {
    judge(yaml, tokens)
        .tokens
        .iter()
        .flat_map(|found| {
            found
                .findings
                .iter()
                .map(|finding| format!("{} {}: {}", found.token.id, finding.rule, finding.message))
        })
        .collect()
}

fn plan(layers: &[&str], tokens: &[Token]) -> Plan {
    world(tokens).plan(&layered(layers), time(NOW))
}

/// What is done about tokens, as `id action`.
fn done(plan: &Plan) -> Vec<String> {
    let changes = plan.changes.iter().filter_map(|planned| match planned.change.object() {
        Object::Token(token) => Some(format!("{} {}", token.id, planned.change.verb().word())),
        Object::Setting(_) => None,
    });
    changes.collect()
}

/// Asserts that `rule` finds token 1 of `tokens` alone: that it is revoked without a waiver, that a
/// waiver holds it, and that this is counted.
fn held_by_a_waiver(rule: &str, yaml: &str, tokens: &[Token]) {
    let enforcement = format!("tokens: {{enforcement: {{{rule}: revoke}}}}");
    assert_eq!(done(&plan(&[yaml, &enforcement], tokens)), ["1 revoke"]);

    let waiver = format!("waivers: [{{token: 1, rules: [{rule}], reason: r, until: 2027-01-31}}]");
    let held = plan(&[yaml, &enforcement, &waiver], tokens);
    let findings = held.waived.iter().flat_map(|found| {
        found.findings.iter().map(|finding| format!("{} {}", found.token.id, finding.rule))
    });
    assert_eq!(findings.collect::<Vec<_>>(), [format!("1 {rule}")]);
    assert_eq!(done(&held), NOTHING);
    assert_eq!(held.waiver_warnings, []);
    assert_eq!((held.tokens.complying, held.tokens.waived), (tokens.len() as u64 - 1, 1));
}

fn limits(entry: &str) -> String {
    format!("tokens: {{limits: [{{{entry}}}]}}")
}

fn used(at: &str) -> LastUse {
    LastUse { at: time(at), from: None }
}

#[test]
fn every_rule_has_a_file_of_tests_with_a_waiver_in_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/compliance/rules");
    for rule in RuleCode::ALL {
        let file = folder.join(rule.code().replace('-', "_")).with_extension("rs");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(text.contains(&format!("held_by_a_waiver(\"{rule}\"")), "{}", file.display());
    }
}

const NOTHING: &[&str] = &[];

#[test]
fn the_first_matching_entry_of_the_limits_counts() {
    let yaml = "tokens:\n  limits:\n    - {groups: [ci-bots], max_scope: read-write}\n    \
                - {owner_kind: [project], projects: ['PLAT*'], max_lifetime: 10d}\n    - max_scope: read-only\n";
    let writing = |owner| Token { owner, scope: TokenScope::Set(Scope::ReadWrite), ..token() };
    assert_eq!(found(yaml, &[writing(Owner::User("bot".into()))]), NOTHING);
    assert_eq!(found(yaml, &[writing(Owner::User("sam".into()))]), ["1 scope: read-write, limit read-only"]);
    assert_eq!(
        found(yaml, &[writing(Owner::Project("plat2".into()))]),
        ["1 lifetime: lives from 2026-11-01 to 2026-12-24, limit 10d"]
    );
    assert_eq!(found(yaml, &[writing(Owner::Project("OTHER".into()))]), NOTHING);
}

#[test]
fn a_group_that_the_server_does_not_know_leaves_the_limits_undecided_for_those_it_could_be_for() {
    let yaml = "tokens: {limits: [{groups: [ci-bots], max_scope: read-only}, {groups: [ghosts], max_scope: read-write}, \
                {max_scope: read-only}]}";
    let writing = |owner: &str| Token {
        owner: Owner::User(owner.into()),
        scope: TokenScope::Set(Scope::ReadWrite),
        ..token()
    };
    let findings = judge(yaml, &[writing("mary"), writing("sam"), writing("bot")]);
    assert_eq!(findings.tokens.len(), 1, "an earlier entry decides for the bot");
    let undecided: Vec<_> = findings
        .undecided
        .iter()
        .map(|((rule, reason), count)| format!("{rule}: {reason}: {count}"))
        .collect();
    assert_eq!(undecided, ["scope: group `ghosts` is not known to the server: 2"]);
}

#[test]
fn a_token_of_which_something_could_not_be_judged_is_neither_complying_nor_counted_twice() {
    let yaml = "permissions: {use: [ghosts]}\ntokens: {limits: [{max_per_owner: 1}]}";
    let other = Token { id: TokenId::new("2"), last_used: Some(used("2026-11-10T00:00:00Z")), ..token() };
    let findings = judge(yaml, &[token(), other]);
    assert_eq!(findings.tokens.len(), 1);
    assert_eq!((findings.unjudged, findings.complying()), (1, 0));
}

#[test]
fn a_finding_points_at_the_line_of_the_policy_that_demands_it() {
    let yaml = "tokens:\n  limits:\n    - max_scope: read-only\n      max_lifetime: 7d\n  enforcement:\n    owner-inactive: revoke\n";
    let findings = judge(yaml, &[Token { owner: Owner::User("gone".into()), ..token() }]);
    let lines: Vec<_> = findings.tokens[0]
        .findings
        .iter()
        .map(|finding| (finding.rule.code(), finding.place.as_ref().unwrap().line))
        .collect();
    assert_eq!(lines, [("owner-inactive", 7), ("lifetime", 5)]);
}
