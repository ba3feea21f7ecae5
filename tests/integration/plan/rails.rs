//! What the rails count, and what passes them.

use std::collections::BTreeMap;

use tokenwarden::{
    model::{
        AllowedNetworks, LastUse, Owner, Token, TokenId,
        rails::{RailClass, Rails},
    },
    plan::{Allowed, count_together},
};

use crate::support::world::{NOW, State, World, policy, time, token};

/// Ten users with a token each, used yesterday from the office.
fn state() -> State {
    let mut state = State::default();
    for index in 1..=10 {
        let user = format!("user-{index}");
        state.users.insert(user.as_str().into(), true);
        let token = Token {
            last_used: Some(LastUse { at: time("2026-11-22T00:00:00Z"), from: "10.0.0.5".parse().ok() }),
            expires: Some(time("2027-01-01T00:00:00Z")),
            ..token(&index.to_string(), &user)
        };
        state.tokens.insert(token.id.clone(), token);
    }
    state
}

/// What the default rails refuse, as `class: count of live`.
fn refused(state: State, yaml: &str) -> Vec<String> {
    let plan = World::new(state).plan(&policy(yaml), time(NOW));
    let refusals = plan.refusals(&Rails::default(), &Allowed::new());
    refusals
        .iter()
        .map(|refusal| format!("{}: {} of {}", refusal.class, refusal.count, refusal.live))
        .collect()
}

#[test]
fn expired_tokens_have_a_rail_of_their_own_and_are_not_among_the_live_ones() {
    let mut state = state();
    let expired: BTreeMap<_, _> = (100..200)
        .map(|index| {
            let id = TokenId::new(index.to_string());
            let expires = Some(time("2026-10-01T00:00:00Z"));
            (id.clone(), Token { id, expires, ..state.tokens[&TokenId::new("1")].clone() })
        })
        .collect();
    state.tokens.extend(expired);
    for user in ["user-1", "user-2", "user-3", "user-4"] {
        state.users.insert(user.into(), false);
    }
    let yaml = "version: 1\ntokens: {enforcement: {owner-inactive: revoke, expired: revoke}}\n";
    assert_eq!(refused(state, yaml), ["revocations: 4 of 10", "cleanups: 100 of 110"]);
}

#[test]
fn a_target_keeps_its_own_share_however_large_the_others_on_its_server_are() {
    let policy = policy("version: 1\ntokens: {enforcement: {owner-inactive: revoke}}\n");
    let plan = |tokens: usize, gone: usize| {
        let mut state = state();
        let sample = state.tokens[&TokenId::new("1")].clone();
        state.users.insert("gone".into(), false);
        state.tokens = (0..tokens)
            .map(|index| {
                let id = TokenId::new(index.to_string());
                let owner = if index < gone { "gone" } else { "user-1" };
                (id.clone(), Token { id, owner: Owner::User(owner.into()), ..sample.clone() })
            })
            .collect();
        World::new(state).plan(&policy, time(NOW))
    };
    let (mut small, mut large) = (plan(40, 9), plan(1_000, 1));
    count_together(&mut [&mut small, &mut large], |_, _| false);
    let refused = |plan: &tokenwarden::plan::Plan| -> Vec<_> {
        let refusals = plan.refusals(&Rails::default(), &Allowed::new());
        refusals.iter().map(|refusal| (refusal.class, refusal.count, refusal.live)).collect()
    };
    assert_eq!(refused(&small), [(RailClass::Revocations, 9, 40)]);
    assert_eq!(refused(&large), []);
    let (mut one, mut other) = (plan(1_000, 6), plan(1_000, 5));
    count_together(&mut [&mut one, &mut other], |_, _| false);
    for plan in [&one, &other] {
        assert_eq!(refused(plan), [(RailClass::Revocations, 11, 2_000)]);
    }
}

#[test]
fn taking_the_use_of_tokens_from_everybody_is_refused() {
    let yaml = "version: 1\npermissions: {use: nobody}\n";
    assert_eq!(refused(state(), yaml), ["refused_callers: 10 of 10"]);
}

#[test]
fn projects_lose_the_use_of_tokens_when_nobody_has_it_and_not_when_some_groups_have() {
    let mut state = State::default();
    let project = Token {
        owner: Owner::Project("PLAT".to_owned()),
        ..self::state().tokens.remove(&TokenId::new("1")).unwrap()
    };
    state.tokens.insert(project.id.clone(), project);
    let to = |holders: &str| format!("version: 1\npermissions: {{use: {holders}}}\n");
    assert_eq!(refused(state.clone(), &to("nobody")), ["refused_callers: 1 of 1"]);
    assert_eq!(refused(state, &to("[administrators]")), Vec::<String>::new());
}

#[test]
fn owners_whose_addresses_are_refused_are_counted() {
    let yaml = "version: 1\nnetwork: {allow: [192.0.2.0/24]}\n";
    assert_eq!(refused(state(), yaml), ["refused_callers: 10 of 10"]);
    assert_eq!(refused(state(), "version: 1\nnetwork: {allow: [10.0.0.0/8]}\n"), Vec::<String>::new());
}

#[test]
fn where_addresses_will_be_found_elsewhere_the_withdrawn_networks_are_counted() {
    let mut state = state();
    let networks = ["10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"];
    let addresses = networks.iter().map(|text| text.parse().unwrap()).collect();
    state.settings.networks = AllowedNetworks::only(addresses).unwrap();
    let yaml = "version: 1\nnetwork:\n  allow: [10.0.0.0/8]\n  \
                client_address: {header: X-Forwarded-For, trusted_proxies: [10.0.0.5]}\n";
    let elsewhere = ["refused_callers: 10 of 10", "withdrawn_networks: 3 of 4"];
    assert_eq!(refused(state.clone(), yaml), elsewhere, "the proxies were clients");
    for token in state.tokens.values_mut() {
        token.last_used = token.last_used.map(|last| LastUse { from: "10.0.0.6".parse().ok(), ..last });
    }
    assert_eq!(refused(state, yaml), Vec::<String>::new(), "they stay where they are, which is in the list");
}

/// Ten callers who are seen at `from` by a server that lets in `networks` alone and finds them by `source`.
fn seen(from: &str, networks: &str, source: &str) -> State {
    let mut state = state();
    let written = policy(&format!("version: 1\nnetwork: {{allow: {networks}, client_address: {source}}}\n"));
    for set in written.settings.into_values() {
        state.settings.set(set.value);
    }
    for token in state.tokens.values_mut() {
        token.last_used = token.last_used.map(|last| LastUse { from: from.parse().ok(), ..last });
    }
    state
}

fn source(text: &str) -> String {
    format!("version: 1\nnetwork: {{client_address: {text}}}\n")
}

#[test]
fn everybody_whose_address_is_found_elsewhere_then_counts_as_refused_unless_it_is_let_in_wherever_that_is() {
    const HEADER: &str = "{header: X-Forwarded-For, trusted_proxies: [10.0.0.5]}";
    const OTHER_HEADER: &str = "{header: X-Real-IP, trusted_proxies: [10.0.0.5]}";
    const OTHER_PROXY: &str = "{header: X-Forwarded-For, trusted_proxies: [10.0.0.6]}";
    const BOTH_PROXIES: &str = "{header: X-Forwarded-For, trusted_proxies: [10.0.0.5, 10.0.0.6]}";
    let all = ["refused_callers: 10 of 10"];
    for (from, networks, before, after, expected) in [
        ("192.0.2.9", "[192.0.2.0/24]", HEADER, "peer", &all[..]),
        ("10.0.0.5", "[10.0.0.0/24]", "peer", HEADER, &all),
        ("192.0.2.9", "[192.0.2.0/24]", HEADER, OTHER_HEADER, &all),
        ("192.0.2.9", "[192.0.2.0/24]", HEADER, OTHER_PROXY, &all),
        ("10.0.0.6", "[10.0.0.0/24]", HEADER, BOTH_PROXIES, &all),
        // Nobody comes through the proxy, and nobody is seen elsewhere when one more is believed.
        ("10.0.0.7", "[10.0.0.0/24]", "peer", HEADER, &[]),
        ("192.0.2.9", "[192.0.2.0/24]", HEADER, BOTH_PROXIES, &[]),
        // The proxies are let in as well, so that everybody is.
        ("192.0.2.9", "[192.0.2.0/24, 10.0.0.5]", HEADER, "peer", &[]),
        ("192.0.2.9", "anywhere", HEADER, "peer", &[]),
        ("10.0.0.5", "anywhere", "peer", HEADER, &[]),
    ] {
        let state = seen(from, networks, before);
        assert_eq!(refused(state, &source(after)), expected, "{from} in {networks}: {before} -> {after}");
    }
}

#[test]
fn the_change_of_the_source_has_the_count_in_the_journal() {
    let world =
        World::new(seen("192.0.2.9", "[192.0.2.0/24]", "{header: X-Real-IP, trusted_proxies: [10.0.0.5]}"));
    let plan = world.plan(&policy(&source("peer")), time(NOW));
    assert_eq!(plan.notes().next().unwrap().counts, BTreeMap::from([(RailClass::RefusedCallers, 10)]));
    let allowed = Allowed::from([(RailClass::RefusedCallers, 10)]);
    assert_eq!(plan.refusals(&Rails::default(), &allowed), [], "one flag lets it pass");
}

#[test]
fn where_the_addresses_of_uses_are_not_told_a_first_list_of_networks_is_refused() {
    let yaml = "version: 1\nnetwork: {allow: [10.0.0.0/8]}\n";
    let mut unknown = state();
    for token in unknown.tokens.values_mut() {
        token.last_used = token.last_used.map(|last| LastUse { from: None, ..last });
    }
    let expected = ["refused_callers: 10 of 10", "withdrawn_networks: 4 of 5"];
    assert_eq!(refused(unknown.clone(), yaml), expected);
    let disjoint =
        State { settings: seen("192.0.2.9", "[192.0.2.0/24]", "peer").settings, ..unknown.clone() };
    assert_eq!(
        refused(disjoint.clone(), yaml),
        ["refused_callers: 10 of 10"],
        "one network of one is the floor"
    );
    for lifted in ["anywhere", "[192.0.2.0/24, 10.0.0.0/8]"] {
        let yaml = format!("version: 1\nnetwork: {{allow: {lifted}}}\n");
        assert_eq!(refused(disjoint.clone(), &yaml), Vec::<String>::new(), "nothing is withdrawn");
    }
    let mut unused = unknown;
    for token in unused.tokens.values_mut() {
        token.last_used = None;
    }
    assert_eq!(refused(unused, yaml), Vec::<String>::new(), "nobody calls with them");
}

#[test]
fn every_kind_of_change_that_closes_something_has_a_rail() {
    // A class without a default that refuses something would be none.
    for class in RailClass::ALL {
        assert!(!class.default_rail().admits(1_000, 1_000), "{class}");
    }
}

#[test]
fn a_plan_without_any_record_says_that_there_is_no_budget_over_time() {
    let plan = World::new(state()).plan(&policy("version: 1\npermissions: {use: nobody}\n"), time(NOW));
    let mut text = String::new();
    tokenwarden::report::text::plan(&plan, tokenwarden::report::Paint { colour: false }, &mut text).unwrap();
    assert!(text.contains("\nNo budget over time: "), "{text}");
    let mut document = tokenwarden::saved::document::PlanDocument::new();
    document.add_plan(&plan);
    assert_eq!(document.targets.iter().filter(|target| target.budget.is_none()).count(), 1);
}

#[test]
fn where_the_addresses_of_uses_are_not_told_the_withdrawn_networks_are_counted() {
    let mut state = state();
    let networks = ["10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"];
    let addresses = networks.iter().map(|text| text.parse().unwrap()).collect();
    state.settings.networks = AllowedNetworks::only(addresses).unwrap();
    let yaml = "version: 1\nnetwork: {allow: [10.0.0.0/8]}\n";
    assert_eq!(refused(state.clone(), yaml), Vec::<String>::new(), "everybody comes from there");
    let forget = |state: &mut State, id: &str, at: &str| {
        state.tokens.get_mut(&TokenId::new(id)).unwrap().last_used =
            Some(LastUse { at: time(at), from: None });
    };
    forget(&mut state, "1", "2026-10-01T00:00:00Z");
    assert_eq!(refused(state.clone(), yaml), Vec::<String>::new(), "that was long ago");
    forget(&mut state, "2", "2026-11-22T00:00:00Z");
    assert_eq!(refused(state.clone(), yaml), ["refused_callers: 1 of 9", "withdrawn_networks: 3 of 4"]);
    let plan = World::new(state).plan(&policy(yaml), time(NOW));
    let mut text = String::new();
    tokenwarden::report::text::plan(&plan, tokenwarden::report::Paint { colour: false }, &mut text).unwrap();
    assert!(text.contains("does not tell where every token was used from"), "{text}");
    assert_eq!(
        plan.notes().next().unwrap().counts.get(&RailClass::WithdrawnNetworks),
        Some(&3),
        "a journal counts it too"
    );
}
