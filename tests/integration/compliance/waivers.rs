//! Declared exceptions: what they hold, until when, and what is said of them.

use std::{fmt::Write as _, sync::Arc};

use tokenwarden::{
    compliance::{Compliance, Findings},
    inventory::People,
    model::{GroupName, LastUse, Owner, Scope, Token, TokenId, TokenScope},
    plan::Plan,
    policy,
    report::{Paint, text, warning},
};

use crate::support::world::{self, NOW, State, World, time, token};

fn world(tokens: impl IntoIterator<Item = Token>) -> World {
    let mut state = State::default();
    for (user, active) in [("mary", true), ("sam", true), ("gone", false)] {
        state.users.insert(user.into(), active);
    }
    state.groups.insert(GroupName::new("developers"), ["mary".into()].into());
    state.tokens = tokens.into_iter().map(|token| (token.id.clone(), token)).collect();
    World::new(state)
}

fn plan(yaml: &str, tokens: impl IntoIterator<Item = Token>) -> Plan {
    world(tokens).plan(&world::policy(&format!("version: 1\n{yaml}")), time(NOW))
}

/// What is waived, as `id rule`.
fn waived(plan: &Plan) -> Vec<String> {
    let of = |found: &tokenwarden::compliance::TokenFindings| {
        let id = found.token.id.clone();
        found.findings.iter().map(move |finding| format!("{id} {}", finding.rule)).collect::<Vec<_>>()
    };
    plan.waived.iter().flat_map(of).collect()
}

/// What would be done, as `id action`.
fn done(plan: &Plan) -> Vec<String> {
    let tokens = plan.changes.iter().filter_map(|planned| match planned.change.object() {
        tokenwarden::plan::Object::Token(token) => {
            Some(format!("{} {}", token.id, planned.change.verb().word()))
        }
        tokenwarden::plan::Object::Setting(_) => None,
    });
    tokens.collect()
}

fn said(plan: &Plan) -> Vec<String> {
    plan.waiver_warnings.iter().map(warning::line).collect()
}

const REVOKE_LIFETIME: &str = "tokens: {limits: [{max_lifetime: 7d}], enforcement: {lifetime: revoke}}\n";

#[test]
fn a_waiver_for_an_owner_holds_the_tokens_with_the_right_description_alone() {
    let with = |id, owner: Owner, description: &str| Token {
        owner,
        description: description.to_owned(),
        ..token(id, "")
    };
    let tokens = [
        with("1", Owner::User("Mary".into()), "nightly build"),
        with("2", Owner::User("mary".into()), "laptop"),
        with("3", Owner::User("sam".into()), "nightly build"),
        with("4", Owner::Project("PLAT".into()), "x"),
        with("5", Owner::Repository { project: "PLAT".into(), slug: "app".into() }, "x"),
        with("6", Owner::User("project plat".into()), "x"),
    ];
    let limits = "tokens: {limits: [{owner_kind: [user, project, repository], max_lifetime: 7d}], \
                  enforcement: {lifetime: revoke}}\n";
    let waivers = "waivers:\n  - {owner: mary, description: nightly *, rules: [lifetime], reason: r, until: 2027-01-31}\n  \
                   - {owner: project plat, rules: [lifetime], reason: r, until: 2027-01-31}\n  \
                   - {owner: repository PLAT/app, rules: [lifetime], reason: r, until: 2027-01-31}\n";
    let plan = plan(&format!("{limits}{waivers}"), tokens);
    assert_eq!(waived(&plan), ["1 lifetime", "4 lifetime", "5 lifetime"]);
    assert_eq!(done(&plan), ["2 revoke", "3 revoke", "6 revoke"]);
}

#[test]
fn a_user_who_is_called_like_a_project_is_addressed_by_the_word_user() {
    let owned = |id, owner| Token { owner, ..token(id, "") };
    let (user, project) = (Owner::User("project PLAT".into()), Owner::Project("PLAT".into()));
    let limits = "tokens: {limits: [{owner_kind: [user, project], max_lifetime: 7d}], \
                  enforcement: {lifetime: revoke}}\n";
    let waivers = "waivers: [{owner: user project PLAT, rules: [lifetime], reason: r, until: 2027-01-31}]\n";
    let plan = plan(&format!("{limits}{waivers}"), [owned("1", user), owned("2", project)]);
    assert_eq!((waived(&plan), done(&plan)), (vec!["1 lifetime".to_owned()], vec!["2 revoke".to_owned()]));
}

#[test]
fn a_waiver_holds_its_rules_alone() {
    let yaml = "tokens: {limits: [{max_lifetime: 7d, max_scope: read-only}], enforcement: {lifetime: expire, scope: narrow}}\n\
                waivers: [{token: 1, rules: [lifetime], reason: r, until: 2027-01-31}]\n";
    let writing = Token { scope: TokenScope::Set(Scope::ReadWrite), ..token("1", "mary") };
    let plan = plan(yaml, [writing]);
    assert_eq!((done(&plan), waived(&plan)), (vec!["1 narrow".to_owned()], vec!["1 lifetime".to_owned()]));
    assert_eq!((plan.tokens.complying, plan.tokens.waived), (0, 0), "it is not waived as a whole");
}

#[test]
fn an_identifier_with_leading_zeros_is_not_the_number() {
    let yaml = format!(
        "{REVOKE_LIFETIME}waivers: [{{token: 007, rules: [lifetime], reason: r, until: 2027-01-31}}]\n"
    );
    let plan = plan(&yaml, [token("007", "mary"), token("7", "mary")]);
    assert_eq!(waived(&plan), ["007 lifetime"]);
}

#[test]
fn a_waiver_for_somebody_who_may_have_another_name_by_now_leaves_two_weeks() {
    let waiver = |owner: &str, more: &str| {
        format!(
            "{REVOKE_LIFETIME}waivers: [{{owner: {owner}, {more}rules: [lifetime], reason: r, until: 2027-01-31}}]\n"
        )
    };
    let reason = |yaml: &str| {
        let plan = plan(
            yaml,
            [token("1", "mary"), Token { owner: Owner::Project("PLAT".into()), ..token("2", "") }],
        );
        let of_token = plan.changes.iter().find(|planned| planned.change.token().is_some()).unwrap();
        (done(&plan), of_token.reasons[0].text.clone())
    };
    let (changes, why) = reason(&waiver("maria", ""));
    assert_eq!(changes, ["1 expire"]);
    assert!(why.ends_with("; the waiver for maria may be meant for it"), "{why}");
    assert_eq!(reason(&waiver("maria", "description: 'OPS-*', ")).0, ["1 expire"]);
    for other in [waiver("maria", "description: laptop, "), waiver("sam", ""), waiver("gone", "")] {
        let (changes, why) = reason(&other);
        assert_eq!(changes, ["1 revoke"], "{other}");
        assert!(!why.contains("waiver"), "{why}");
    }
    let other_rule = waiver("maria", "").replace("[lifetime]", "[scope]");
    assert_eq!(reason(&other_rule).0, ["1 revoke"]);

    let yaml = format!("version: 1\n{}", waiver("maria", ""));
    let (world, policy) = (world([token("1", "mary")]), world::policy(&yaml));
    world.apply(&policy, time(NOW));
    let expires = world.state().tokens[&TokenId::new("1")].expires;
    assert_eq!(expires, Some(time("2026-12-08T00:00:00Z")));
    let again = world.plan(&policy, time("2026-11-24T12:00:00Z"));
    assert_eq!(done(&again), Vec::<String>::new(), "its end is set");
}

#[test]
fn a_waiver_that_ended_last_night_no_longer_holds_and_leaves_two_weeks() {
    let yaml = format!(
        "{REVOKE_LIFETIME}waivers: [{{token: 1, rules: [lifetime], reason: r, until: 2026-11-22}}]\n"
    );
    let world = world([token("1", "mary"), token("2", "mary")]);
    let policy = world::policy(&format!("version: 1\n{yaml}"));
    let (plan, _) = world.apply(&policy, time(NOW));
    assert_eq!(done(&plan), ["1 expire", "2 revoke"]);
    assert_eq!(waived(&plan), [""; 0]);
    assert_eq!(
        said(&plan),
        ["warning[waiver-ended]: the waiver for token 1 ended on 2026-11-22 (policy.yaml:3)"]
    );
    let expiry = plan.changes.iter().find(|planned| planned.change.verb().word() == "expire").unwrap();
    let reason = &expiry.reasons[0].text;
    assert!(reason.ends_with("limit 7d; its waiver ended on 2026-11-22"), "{reason}");
    let expires = world.state().tokens[&TokenId::new("1")].expires.unwrap();
    assert_eq!(expires, time("2026-12-08T00:00:00Z"));
    let next_day = world.plan(&policy, time("2026-11-24T12:00:00Z"));
    assert_eq!(done(&next_day), [""; 0], "the deadline does not creep");
    assert_eq!(next_day.pending.len(), 1);
}

#[test]
fn a_waiver_is_warned_of_when_it_ends_soon_and_when_it_holds_nothing() {
    let yaml = |warn: &str| {
        format!(
            "{REVOKE_LIFETIME}{warn}waivers:\n  - {{token: 1, rules: [lifetime], reason: r, until: 2026-12-10}}\n  \
             - {{token: 1, rules: [idle], reason: r, until: 2027-01-31}}\n  \
             - {{token: 99, rules: [lifetime], reason: r, until: 2026-12-01}}\n"
        )
    };
    let nothing = "holds nothing: no token that it is for breaks one of its rules";
    let unused = [
        format!("warning[waiver-holds-nothing]: the waiver for token 1 {nothing} (policy.yaml:LINE)"),
        format!("warning[waiver-holds-nothing]: the waiver for token 99 {nothing} (policy.yaml:LINE)"),
    ];
    let lines = |plan: &Plan, first: usize| {
        let said = said(plan);
        said.iter()
            .enumerate()
            .map(|(index, line)| line.replace(&format!(":{}", first + index), ":LINE"))
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&plan(&yaml(""), [token("1", "mary")]), 5), unused);
    let early = said(&plan(&yaml("waivers_warn: 30d\n"), [token("1", "mary")]));
    assert_eq!(
        early[0],
        "warning[waiver-ends-soon]: the waiver for token 1 ends on 2026-12-10 (policy.yaml:5)"
    );
}

#[test]
fn of_several_waivers_the_one_that_ends_last_counts() {
    let yaml = format!(
        "{REVOKE_LIFETIME}waivers:\n  - {{token: 1, rules: [lifetime], reason: r, until: 2026-11-01}}\n  \
         - {{owner: mary, rules: [lifetime], reason: r, until: 2027-01-31}}\n"
    );
    let plan = plan(&yaml, [token("1", "mary")]);
    assert_eq!((done(&plan), waived(&plan)), (vec![], vec!["1 lifetime".to_owned()]));
}

#[test]
fn the_waiver_of_one_token_costs_no_other_token_its_place_beside_too_many() {
    let yaml = |waivers: &str| {
        format!(
            "version: 1\ntokens: {{limits: [{{max_per_owner: 1}}], enforcement: {{per-owner: revoke}}}}\n{waivers}"
        )
    };
    let used = |id: &str, at: &str| Token {
        last_used: Some(LastUse { at: time(at), from: None }),
        ..token(id, "mary")
    };
    let tokens = [used("1", "2026-11-02T00:00:00Z"), used("2", "2026-11-03T00:00:00Z")];
    let world = world(tokens);
    let policy =
        world::policy(&yaml("waivers: [{token: 1, rules: [per-owner], reason: r, until: 2027-01-31}]\n"));
    let (plan, _) = world.apply(&policy, time(NOW));
    assert_eq!((done(&plan), waived(&plan)), (vec![], vec!["1 per-owner".to_owned()]));
}

#[test]
fn a_token_that_a_waiver_keeps_alive_counts_among_the_tokens_of_its_owner() {
    let yaml = "tokens: {limits: [{max_per_owner: 1, max_lifetime: 60d}], enforcement: {lifetime: revoke, per-owner: revoke}}\n\
                waivers: [{token: 1, rules: [lifetime], reason: r, until: 2027-01-31}]\n";
    let endless = Token { expires: None, ..token("1", "mary") };
    let older = Token { last_used: None, ..token("2", "mary") };
    assert_eq!(done(&plan(yaml, [endless, older])), ["2 revoke"]);
}

#[test]
fn the_plan_counts_and_lists_what_is_waived() {
    let yaml = format!(
        "{REVOKE_LIFETIME}waivers:\n  - token: 1\n    rules: [lifetime]\n    reason: \"vendor \\e[31mintegration\"\n    \
         approved_by: security\n    until: 2027-01-31\n"
    );
    let short = Token { expires: Some(time("2026-11-05T00:00:00Z")), ..token("2", "mary") };
    let mut shown = String::new();
    text::plan(&plan(&yaml, [token("1", "mary"), short]), Paint { colour: false }, &mut shown).unwrap();
    insta::assert_snapshot!(shown, @r#"
    tokenwarden will make these changes on world (memory):

      ~ tokens.limits                                                    policy.yaml:2
          + - max_lifetime: 7d

    Waived:

      - token 1 "OPS-1 nightly" of mary                                  policy.yaml:4
          lifetime: lives from 2026-11-01 to 2026-12-24, limit 7d
              until 2027-01-31: vendor \u{1b}[31mintegration, approved by security

    Plan: 1 setting to change.
    1 of 2 tokens comply; 1 is waived.
    "#);
}

/// The codes that are found in policy files at `NOW`, with their places.
fn found(layers: &[&str]) -> Vec<String> {
    let files: Vec<_> = layers
        .iter()
        .zip(["a.yaml", "b.yaml"])
        .map(|(text, name)| (Arc::from(name), format!("version: 1\n{text}").into_bytes()))
        .collect();
    let reading = policy::read(&files).judged_at(time(NOW));
    assert_eq!(reading.policy.is_some(), !reading.diagnostics.have_errors());
    reading
        .diagnostics
        .iter()
        .map(|found| format!("{} {} {}", found.span.place, found.code, found.path))
        .collect()
}

#[test]
fn mistakes_in_waivers_are_found_at_their_places() {
    let waiver = |keys: &str| found(&[&format!("waivers:\n  - {{{keys}, reason: r}}\n")]);
    let end = "rules: [idle], until: 2027-01-31";
    for (keys, expected) in [
        (format!("token: 1, {end}"), None),
        (format!("token: '0x1', {end}"), None),
        (format!("token: 1, owner: mary, {end}"), Some("conflicting-keys waivers[0].token")),
        (format!("token: 1, description: x, {end}"), Some("conflicting-keys waivers[0].description")),
        (end.to_owned(), Some("missing-key waivers[0]")),
        (format!("token: 1.5, {end}"), Some("wrong-type waivers[0].token")),
        (format!("token: 0x1F, {end}"), Some("out-of-range waivers[0].token")),
        (format!("token: 1e3, {end}"), Some("out-of-range waivers[0].token")),
        (format!("token: -1, {end}"), Some("out-of-range waivers[0].token")),
        (format!("owner: '', {end}"), Some("blank-name waivers[0].owner")),
        (format!("owner: repository PLAT, {end}"), Some("blank-name waivers[0].owner")),
        ("token: 1, rules: [idle]".to_owned(), Some("missing-key waivers[0]")),
        ("token: 1, until: 2027-01-31".to_owned(), Some("missing-key waivers[0]")),
        ("token: 1, rules: [], until: 2027-01-31".to_owned(), Some("empty-list waivers[0].rules")),
        ("token: 1, rules: [idel], until: 2027-01-31".to_owned(), Some("unknown-rule waivers[0].rules[0]")),
        (
            "token: 1, rules: [idle, idle], until: 2027-01-31".to_owned(),
            Some("duplicate-entry waivers[0].rules[1]"),
        ),
        ("token: 1, rules: [idle], until: 2027-02-30".to_owned(), Some("bad-date waivers[0].until")),
        ("token: 1, rules: [idle], until: 2027".to_owned(), Some("bad-date waivers[0].until")),
        ("token: 1, rules: [idle], until: 2027-01-31T00:00".to_owned(), Some("bad-date waivers[0].until")),
        ("token: 1, rules: [idle], until: 2026-11-22".to_owned(), Some("waiver-ended waivers[0].until")),
        ("token: 1, rules: [idle], until: 2026-12-01".to_owned(), Some("waiver-ends-soon waivers[0].until")),
    ] {
        let expected: Vec<_> = expected.iter().map(|code| format!("a.yaml:3 {code}")).collect();
        assert_eq!(waiver(&keys), expected, "{keys}");
    }
    assert_eq!(found(&["waivers: []\n"]), ["a.yaml:2 empty-list waivers"]);
    assert_eq!(found(&["waivers_warn: 14\n"]), ["a.yaml:2 bad-duration waivers_warn"]);
}

#[test]
fn waivers_of_all_layers_hold_and_a_mistake_is_told_once_with_the_place_in_its_own_file() {
    let waiver = |id: u32, rule: &str| {
        format!("waivers: [{{token: {id}, rules: [{rule}], reason: r, until: 2027-01-31}}]\n")
    };
    let (one, two) = (waiver(1, "idle"), waiver(2, "idle"));
    let files = [("a.yaml", &one), ("b.yaml", &two)]
        .map(|(name, text)| (Arc::from(name), format!("version: 1\n{text}").into_bytes()));
    let places: Vec<_> = policy::read(&files)
        .policy
        .unwrap()
        .waivers
        .entries
        .iter()
        .map(|waiver| waiver.place.to_string())
        .collect();
    assert_eq!(places, ["a.yaml:2", "b.yaml:2"]);
    assert_eq!(found(&[&one, &waiver(2, "idel")]), ["b.yaml:2 unknown-rule waivers[0].rules[0]"]);
    assert_eq!(found(&[&one, "waivers: unmanaged\n"]), [""; 0]);
    assert_eq!(found(&[&waiver(1, "idle"), "waivers: [{token: 1}]\n"]).len(), 3, "rules, reason and until");
}

#[test]
fn a_policy_full_of_waivers_is_matched_in_no_time() {
    let mut yaml = format!("version: 1\n{REVOKE_LIFETIME}waivers:\n");
    for id in 0..8_000 {
        let _ = writeln!(yaml, "  - {{token: {id}, rules: [lifetime], reason: r, until: 2027-01-31}}");
    }
    let policy = world::policy(&yaml);
    let mut people = People::default();
    people.add_user("mary".into(), true);
    let mut compliance = Compliance::new(&policy, &people, time(NOW));
    for id in 0..50_000 {
        compliance.observe(&token(&id.to_string(), "mary"));
    }
    let findings: Findings = compliance.finish();
    assert_eq!(findings.waived(), 8_000);
}
