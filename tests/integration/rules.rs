//! Every rule: when it fires, when it does not, and what it says.

use tokenwarden::{
    compliance::{Compliance, Findings},
    inventory::People,
    model::{LastUse, Owner, Scope, Token, TokenId, TokenScope},
};

use crate::world::{policy, time};

const NOW: &str = "2026-11-23T12:00:00Z";

fn people() -> People {
    let mut people = People::default();
    for (user, active) in [("mary", true), ("sam", true), ("bot", true), ("gone", false)] {
        people.add_user(user.into(), active);
    }
    people.add_group(&"developers".into(), ["mary".into(), "sam".into()]);
    people.add_group(&"ci-bots".into(), ["bot".into()]);
    people.add_unknown_group("ghosts".into());
    people
}

/// A token that every policy here is content with, but for what a test changes.
fn token() -> Token {
    Token {
        id: TokenId::new("1"),
        owner: Owner::User("mary".into()),
        description: "OPS-1 nightly".to_owned(),
        scope: TokenScope::Set(Scope::ReadOnly),
        created: time("2026-11-01T00:00:00Z"),
        created_by: Some("mary".into()),
        last_used: Some(LastUse { at: time("2026-11-22T00:00:00Z"), from: None }),
        expires: Some(time("2026-12-24T00:00:00Z")),
        mark: None,
    }
}

fn judge(yaml: &str, tokens: &[Token]) -> Findings {
    let (policy, people) = (policy(&format!("version: 1\n{yaml}")), people());
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

fn limits(entry: &str) -> String {
    format!("tokens: {{limits: [{{{entry}}}]}}")
}

fn used(at: &str) -> LastUse {
    LastUse { at: time(at), from: None }
}

const NOTHING: &[&str] = &[];

#[test]
fn owner_inactive_fires_for_users_whom_the_directory_calls_inactive() {
    let of_gone = Token { owner: Owner::User("Gone".into()), ..token() };
    assert_eq!(found("", &[of_gone]), ["1 owner-inactive: Gone is not active"]);
    assert_eq!(found("", &[token()]), NOTHING);
    let of_project = Token { owner: Owner::Project("gone".into()), ..token() };
    assert_eq!(found("", &[of_project]), NOTHING);
}

#[test]
fn owner_unknown_fires_for_users_who_are_not_listed_and_is_never_taken_for_inactive() {
    let of_stranger = Token { owner: Owner::User("stranger".into()), ..token() };
    assert_eq!(
        found("", std::slice::from_ref(&of_stranger)),
        ["1 owner-unknown: stranger is not in the directory"]
    );
    let findings = judge("tokens: {enforcement: {default: revoke}}", &[of_stranger]);
    assert_eq!(findings.tokens[0].findings[0].action.word(), "report");
}

#[test]
fn owner_not_permitted_fires_outside_the_groups_of_use() {
    let yaml = "permissions: {use: [developers]}";
    let of_bot = Token { owner: Owner::User("bot".into()), ..token() };
    assert_eq!(found(yaml, &[of_bot]), ["1 owner-not-permitted: bot is outside `permissions.use`"]);
    assert_eq!(found(yaml, &[token()]), NOTHING);
    assert_eq!(found("permissions: {use: everyone}", &[token()]), NOTHING);
}

#[test]
fn scope_fires_over_the_limit_and_counts_a_missing_scope_as_read_write() {
    let yaml = limits("max_scope: read-only");
    let writing = Token { scope: TokenScope::Set(Scope::ReadWrite), ..token() };
    assert_eq!(found(&yaml, std::slice::from_ref(&writing)), ["1 scope: read-write, limit read-only"]);
    assert_eq!(found(&yaml, &[token()]), NOTHING);
    assert_eq!(found(&limits("max_scope: read-write"), &[writing]), NOTHING);
    let unset = Token { scope: TokenScope::Unset, ..token() };
    let both = found(&yaml, &[unset]);
    assert_eq!(
        both,
        ["1 scope: unset, limit read-only", "1 scope-unset: older than scopes, counts as read-write"]
    );
}

#[test]
fn scope_unset_fires_whatever_the_limit() {
    let unset = Token { scope: TokenScope::Unset, ..token() };
    assert_eq!(found("", &[unset]), ["1 scope-unset: older than scopes, counts as read-write"]);
}

#[test]
fn lifetime_fires_without_expiry_and_more_than_a_day_over_the_limit() {
    let yaml = limits("max_lifetime: 1mo");
    let endless = Token { expires: None, ..token() };
    assert_eq!(found(&yaml, &[endless]), ["1 lifetime: no expiry, limit 1mo"]);
    let exactly = Token { expires: Some(time("2026-12-02T00:00:00Z")), ..token() };
    assert_eq!(found(&yaml, &[exactly]), NOTHING);
    let over = Token { expires: Some(time("2026-12-02T00:00:01Z")), ..token() };
    assert_eq!(found(&yaml, &[over]), ["1 lifetime: lives from 2026-11-01 to 2026-12-02, limit 1mo"]);
}

#[test]
fn idle_fires_after_the_last_use_and_never_without_one() {
    let yaml = limits("max_idle: 30d");
    let idle = Token { last_used: Some(used("2026-10-24T11:59:59Z")), ..token() };
    assert_eq!(found(&yaml, &[idle]), ["1 idle: last used 2026-10-24, limit 30d"]);
    let just = Token { last_used: Some(used("2026-10-24T12:00:00Z")), ..token() };
    assert_eq!(found(&yaml, &[just]), NOTHING);
    let unused = Token { last_used: None, created: time("2020-01-01T00:00:00Z"), ..token() };
    assert_eq!(found(&yaml, &[unused]), NOTHING);
}

#[test]
fn never_used_fires_on_old_tokens_without_any_use() {
    let yaml = limits("max_unused: 10d");
    let unused = Token { last_used: None, ..token() };
    assert_eq!(found(&yaml, &[unused]), ["1 never-used: never used since 2026-11-01, limit 10d"]);
    let fresh = Token { last_used: None, created: time("2026-11-20T00:00:00Z"), ..token() };
    assert_eq!(found(&yaml, &[fresh]), NOTHING);
    assert_eq!(found(&yaml, &[token()]), NOTHING);
}

#[test]
fn per_owner_fires_on_the_least_recently_used_beyond_the_limit() {
    let yaml = limits("max_per_owner: 2");
    let with = |id: &str, owner: &str, at: &str| Token {
        id: TokenId::new(id),
        owner: Owner::User(owner.into()),
        last_used: Some(used(at)),
        ..token()
    };
    let tokens = [
        with("1", "mary", "2026-11-20T00:00:00Z"),
        with("2", "mary", "2026-11-10T00:00:00Z"),
        with("3", "MARY", "2026-11-22T00:00:00Z"),
        with("4", "sam", "2026-11-01T00:00:00Z"),
        with("5", "sam", "2026-11-02T00:00:00Z"),
    ];
    let expected = ["2 per-owner: more tokens than the limit of 2, this one used least recently"];
    assert_eq!(found(&yaml, &tokens), expected);
    let reversed: Vec<_> = tokens.iter().rev().cloned().collect();
    assert_eq!(found(&yaml, &reversed), expected, "the order of the pages does not matter");
}

#[test]
fn per_owner_does_not_count_tokens_that_are_revoked_anyway_or_have_expired() {
    let yaml = "tokens: {limits: [{max_per_owner: 1, max_lifetime: 1y}], enforcement: {lifetime: revoke}}";
    let endless = Token { id: TokenId::new("2"), expires: None, ..token() };
    assert_eq!(found(yaml, &[token(), endless]), ["2 lifetime: no expiry, limit 1y"]);
    let expired = Token { id: TokenId::new("3"), expires: Some(time("2026-11-20T00:00:00Z")), ..token() };
    assert_eq!(found(yaml, &[token(), expired]), NOTHING);
}

#[test]
fn per_owner_stays_with_the_token_that_it_chose_first() {
    let yaml =
        "tokens: {limits: [{max_per_owner: 1}], enforcement: {per-owner: {action: expire, grace: 14d}}}";
    let ending = Token { id: TokenId::new("2"), expires: Some(time("2026-12-01T00:00:00Z")), ..token() };
    let used_less = Token { last_used: Some(used("2026-11-02T00:00:00Z")), ..token() };
    let expected = ["2 per-owner: more tokens than the limit of 1, this one used least recently"];
    assert_eq!(found(yaml, &[used_less, ending]), expected);
}

#[test]
fn description_fires_when_the_pattern_does_not_match() {
    let yaml = limits("description: '^[A-Z]+-[0-9]+ '");
    let other = Token { description: "laptop".to_owned(), ..token() };
    assert_eq!(found(&yaml, &[other]), ["1 description: the description does not match `^[A-Z]+-[0-9]+ `"]);
    assert_eq!(found(&yaml, &[token()]), NOTHING);
}

#[test]
fn creator_not_permitted_fires_on_tokens_made_for_others_without_the_permission() {
    let yaml = "permissions: {manage_others: [ci-bots]}";
    let by_sam = Token { created_by: Some("sam".into()), ..token() };
    assert_eq!(
        found(yaml, std::slice::from_ref(&by_sam)),
        ["1 creator-not-permitted: made by sam, who is outside `permissions.manage_others`"]
    );
    assert_eq!(found("", &[by_sam]), NOTHING, "without a parameter the rule does not run");
    for created_by in [Some("bot".into()), Some("MARY".into()), None] {
        assert_eq!(found(yaml, &[Token { created_by, ..token() }]), NOTHING);
    }
}

#[test]
fn expired_fires_a_month_later_and_an_expired_token_matches_no_other_rule() {
    let yaml = limits("max_lifetime: 1d, max_scope: read-only, description: never");
    let expired = |at_text: &str| Token {
        owner: Owner::User("gone".into()),
        scope: TokenScope::Unset,
        created: time("2020-01-01T00:00:00Z"),
        expires: Some(time(at_text)),
        ..token()
    };
    assert_eq!(found(&yaml, &[expired("2026-10-24T11:59:59Z")]), ["1 expired: expired on 2026-10-24"]);
    assert_eq!(found(&yaml, &[expired("2026-10-24T12:00:00Z")]), NOTHING);
    assert_eq!(found(&yaml, &[expired(NOW)]), NOTHING);
}

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
