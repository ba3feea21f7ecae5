//! Laws that hold for every policy and every state.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    net::IpAddr,
};

use jiff::{Span, Timestamp, tz::TimeZone};
use proptest::{collection, option, prelude::*, sample};
use tokenwarden::{
    apply::execute,
    inventory::Caller,
    model::{
        AllowedNetworks, GroupName, Holders, LastUse, Owner, PasswordAuthentication, Permission, Scope,
        SettingKey, Settings, Token, TokenId, TokenScope, UserName, Verb, digest::sha256,
        settings::SettingsDocument,
    },
    plan::{Change, Object, Plan, PlanView},
    report::{Paint, text},
    saved::{self, SavedPlan, document::PlanDocument},
};

use crate::support::world::{State, World, approve, block_on, marker, policy, time};

pub(crate) const USERS: [&str; 6] = ["mary", "sam", "bot", "ann", "gone", "Root"];
const GROUPS: [&str; 4] = ["developers", "ci-bots", "contractors", "administrators"];
const NETWORKS: [&str; 6] =
    ["10.0.0.0/8", "10.0.0.0/9", "192.0.2.10-192.0.2.20", "2001:db8::/32", "203.0.113.7", "0.0.0.0/0"];
/// A description without room for a mark.
const LONG: &str = concat!(
    "OPS-2 the token with which the nightly build of the whole platform reads what it needs, and \u{1f511}\u{1f511}, ",
    "which is said at such length that nothing more fits behind it, neither a mark nor anything else, ",
    "and that ends with the words that a waiver asks for: OPS-2 on the laptop"
);
pub(crate) const NOW: &str = "2026-11-23T15:04:05Z";

fn holders() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("everyone".to_owned()),
        Just("nobody".to_owned()),
        sample::subsequence(&GROUPS[..], 1..=3).prop_map(|groups| format!("[{}]", groups.join(", "))),
        // A group that no state has.
        Just("[developers, ghosts]".to_owned()),
    ]
}

fn list_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    sample::subsequence(words, 1..=3).prop_map(|chosen| format!("[{}]", chosen.join(", ")))
}

fn networks() -> impl Strategy<Value = String> {
    prop_oneof![Just("anywhere".to_owned()), list_of(&NETWORKS)]
}

fn limit(groups: Option<String>) -> impl Strategy<Value = String> {
    let scope = option::of(sample::select(&["read-only", "read-write"][..]));
    let lifetime = option::of(sample::select(&["30d", "6mo", "1y"][..]));
    let idle = option::of(sample::select(&["10d", "90d"][..]));
    let unused = option::of(sample::select(&["7d", "30d"][..]));
    let most = option::of(1u32..4);
    let description = option::of(Just("'^[A-Z]+-'"));
    (scope, lifetime, idle, unused, most, description).prop_map(
        move |(scope, lifetime, idle, unused, most, description)| {
            let mut keys: Vec<String> = Vec::new();
            keys.extend(groups.iter().map(|groups| format!("groups: {groups}")));
            keys.extend(scope.map(|value| format!("max_scope: {value}")));
            keys.extend(lifetime.map(|value| format!("max_lifetime: {value}")));
            keys.extend(idle.map(|value| format!("max_idle: {value}")));
            keys.extend(unused.map(|value| format!("max_unused: {value}")));
            keys.extend(most.map(|value| format!("max_per_owner: {value}")));
            keys.extend(description.map(|value| format!("description: {value}")));
            // An entry that says nothing is a mistake.
            if keys.is_empty() || keys.len() == groups.iter().len() {
                keys.push("max_lifetime: 2y".to_owned());
            }
            format!("{{{}}}", keys.join(", "))
        },
    )
}

fn limits() -> impl Strategy<Value = String> {
    let of_groups = list_of(&["developers", "ci-bots", "contractors", "ghosts"])
        .prop_flat_map(|groups| limit(Some(groups)));
    (collection::vec(of_groups, 0..2), limit(None)).prop_map(|(mut entries, rest)| {
        entries.push(rest);
        format!("[{}]", entries.join(", "))
    })
}

fn enforcement() -> impl Strategy<Value = String> {
    let action = |narrow: bool| {
        let mut actions = vec!["report", "revoke", "expire", "{action: expire, grace: 3d}"];
        if narrow {
            actions.push("narrow");
        }
        sample::select(actions)
    };
    let plain = sample::subsequence(
        &[
            "owner-inactive",
            "owner-unknown",
            "owner-not-permitted",
            "lifetime",
            "idle",
            "never-used",
            "per-owner",
            "description",
            "creator-not-permitted",
        ][..],
        0..=9,
    );
    (plain, collection::vec(action(false), 9), action(true), action(true), any::<bool>()).prop_map(
        |(rules, actions, scope, unset, expired)| {
            let mut text = format!("{{default: report, scope: {scope}, scope-unset: {unset}");
            for (rule, action) in rules.iter().zip(actions) {
                let _ = write!(text, ", {rule}: {action}");
            }
            if expired {
                text.push_str(", expired: revoke");
            }
            text.push('}');
            text
        },
    )
}

/// Waivers that hold, that ended lately or long ago, and that match nothing.
fn waivers() -> impl Strategy<Value = String> {
    let subject = sample::select(
        &[
            "token: 1",
            "token: 3",
            "token: 99",
            "owner: Mary",
            "owner: sam, description: 'OPS-*'",
            "owner: bot, description: '*laptop'",
            "owner: gone",
        ][..],
    );
    let rules = sample::subsequence(
        &["owner-inactive", "scope", "scope-unset", "lifetime", "idle", "never-used", "per-owner", "expired"]
            [..],
        1..=5,
    );
    let until = sample::select(&["2026-10-01", "2026-11-20", "2026-11-23", "2027-06-30"][..]);
    let waiver = (subject, rules, until).prop_map(|(subject, rules, until)| {
        format!("  - {{{subject}, rules: [{}], reason: r, until: {until}}}\n", rules.join(", "))
    });
    collection::vec(waiver, 0..4).prop_map(|waivers| match waivers.as_slice() {
        [] => String::new(),
        waivers => format!("waivers:\n{}", waivers.concat()),
    })
}

/// Own rules, also one that fails on some tokens, one that rests on a group that no state has, and some that
/// find a token only once the plan has narrowed it or brought its expiry nearer.
fn own_rules() -> impl Strategy<Value = (Vec<&'static str>, Vec<&'static str>)> {
    let rules = sample::subsequence(
        &[
            "{name: own-scope, when: token.scope != 'read-only' && 'contractors' in owner.groups, message: m}",
            "{name: own-description, when: token.description.contains('laptop') || owner.name == 'SAM', message: m}",
            "{name: own-age, when: now - token.created > duration('4800h'), message: m}",
            "{name: own-fails, when: token.description == 'OPS-1 nightly' && token.expires < now, message: m}",
            "{name: own-soon, when: token.expires != null && token.expires < now + duration('480h'), message: m}",
            "{name: own-narrow, when: token.scope == 'read-only' && token.expires != null, message: m}",
            "{name: own-short, when: token.scope == 'read-only' && token.expires != null && token.expires - token.created < duration('9000h'), message: m}",
            "{name: own-ghosts, when: \"'ghosts' in owner.groups || token.expires == null\", message: m}",
        ][..],
        0..=3,
    );
    let actions =
        sample::select(&["report", "narrow", "revoke", "expire", "{action: expire, grace: 3d}"][..]);
    (rules, collection::vec(actions, 3))
}

/// The name of a rule that is written as a mapping.
fn name_of(rule: &str) -> &str {
    rule.trim_start_matches("{name: ").split(',').next().unwrap()
}

/// The text of a policy with any of the keys.
pub(crate) fn policies() -> impl Strategy<Value = String> {
    (unwaived_policies(), own_rules(), waivers()).prop_map(|(policy, (rules, actions), waivers)| {
        if rules.is_empty() {
            return policy + &waivers;
        }
        let list = format!("tokens:\n  rules: [{}]\n", rules.join(", "));
        let enforced: Vec<_> =
            rules.iter().zip(actions).map(|(rule, action)| format!("{}: {action}", name_of(rule))).collect();
        let enforcement = format!("enforcement: {{{}, ", enforced.join(", "));
        let waivers = waivers.replace("rules: [", &format!("rules: [{}, ", name_of(rules[0])));
        policy.replace("tokens:\n", &list).replace("enforcement: {", &enforcement) + &waivers
    })
}

fn unwaived_policies() -> impl Strategy<Value = String> {
    let permissions = collection::vec(option::of(holders()), 4);
    let password =
        option::of(sample::select(&["allowed", "disabled", "{state: disabled, except_users: [Root]}"][..]));
    let sources = &[
        "peer",
        "{header: X-Forwarded-For, trusted_proxies: [10.0.0.5]}",
        "{header: X-Forwarded-For, trusted_proxies: [10.0.0.0/24]}",
    ];
    let client = option::of(sample::select(&sources[..]));
    (permissions, option::of(networks()), client, password, option::of(limits()), enforcement()).prop_map(
        |(permissions, networks, client, password, limits, enforcement)| {
            let mut text = "version: 1\n".to_owned();
            let lines: Vec<String> = Permission::ALL
                .into_iter()
                .zip(permissions)
                .filter_map(|(permission, holders)| {
                    let holders = holders?;
                    let forbidden = permission == Permission::ManageOthers && holders == "everyone";
                    (!forbidden).then(|| format!("  {}: {holders}\n", permission.key()))
                })
                .collect();
            if !lines.is_empty() {
                let _ = write!(text, "permissions:\n{}", lines.concat());
            }
            if networks.is_some() || client.is_some() {
                text.push_str("network:\n");
                networks.map(|allow| writeln!(text, "  allow: {allow}"));
                client.map(|client| writeln!(text, "  client_address: {client}"));
            }
            password.map(|password| writeln!(text, "password_authentication: {password}"));
            text.push_str("tokens:\n");
            limits.map(|limits| writeln!(text, "  limits: {limits}"));
            let _ = writeln!(text, "  enforcement: {enforcement}");
            text
        },
    )
}

fn days_from_now(days: i32) -> Timestamp {
    let now = time(NOW).to_zoned_datetime(TimeZone::UTC);
    now.checked_add(Span::new().days(days)).unwrap().timestamp()
}

/// The midnight `days` days after the one before the moment of the tests.
fn midnight(days: i64) -> Timestamp {
    let now = time(NOW).as_second();
    Timestamp::from_second(now - now.rem_euclid(86_400) + days * 86_400).unwrap()
}

fn tokens() -> impl Strategy<Value = Token> {
    (
        sample::select(&["mary", "sam", "bot", "ann", "gone", "stranger", "MARY"][..]),
        sample::select(&["OPS-1 nightly", "laptop", "\u{1b}[31mred\u{202e}", LONG][..]),
        prop_oneof![
            Just(TokenScope::Unset),
            Just(TokenScope::Set(Scope::ReadOnly)),
            Just(TokenScope::Set(Scope::ReadWrite))
        ],
        -900i32..0,
        option::of((
            -200i32..0,
            option::of(sample::select(&["10.1.2.3", "192.0.2.15", "198.51.100.1", "::ffff:10.0.0.1"][..])),
        )),
        option::of(-100i32..900),
        option::of(sample::select(&["mary", "sam", "Root"][..])),
    )
        .prop_map(|(owner, description, scope, created, used, expires, by)| Token {
            id: TokenId::new("0"),
            owner: Owner::User(owner.into()),
            description: description.to_owned(),
            scope,
            created: days_from_now(created),
            created_by: by.map(UserName::from),
            last_used: used.map(|(days, from)| LastUse {
                at: days_from_now(days),
                from: from.and_then(|from| from.parse().ok()),
            }),
            expires: expires.map(days_from_now),
            mark: None,
        })
}

pub(crate) fn states() -> impl Strategy<Value = State> {
    let settings = (policies(), any::<bool>()).prop_map(|(text, initial)| {
        let mut settings = Settings::initial("administrators".into());
        if !initial {
            let from = policy(&text);
            // Every state finds the addresses of clients alike.
            let keys = SettingKey::ALL.into_iter().filter(|key| *key != SettingKey::ClientAddress);
            for wanted in keys.filter_map(|key| from.wanted(key)) {
                settings.set(wanted.value);
            }
        }
        settings
    });
    let groups = collection::vec(sample::subsequence(&USERS[..], 0..=6), GROUPS.len());
    let tokens = (collection::vec(tokens(), 0..12), collection::vec(option::of(-20i64..20), 12));
    (settings, groups, any::<bool>(), tokens).prop_map(|(settings, groups, marks, (tokens, marked))| {
        let state = State {
            settings,
            users: USERS.iter().map(|user| (UserName::from(*user), *user != "gone")).collect(),
            groups: GROUPS
                .iter()
                .zip(groups)
                .map(|(group, members)| {
                    let members: BTreeSet<_> = members.into_iter().map(UserName::from).collect();
                    (GroupName::from(*group), members)
                })
                .collect(),
            tokens: tokens
                .into_iter()
                .enumerate()
                .map(|(index, mut token)| {
                    token.id = TokenId::new((index + 1).to_string());
                    if let Some(days) = marked[index].filter(|_| marks) {
                        token.description = marker().write(&token.description, &token.id, midnight(days));
                    }
                    (token.id.clone(), token)
                })
                .collect::<BTreeMap<_, _>>(),
            caller: Caller::operator(),
            ..State::default()
        };
        if marks { state.with_marks() } else { state }
    })
}

fn bytes(plan: &Plan) -> String {
    let mut document = PlanDocument::new();
    document.add_plan(plan);
    serde_json::to_string_pretty(&document).unwrap()
}

fn text_of(plan: &PlanView) -> String {
    let mut shown = String::new();
    text::plan(plan, Paint { colour: false }, &mut shown).unwrap();
    shown
}

proptest! {
    #![proptest_config(crate::support::world::cases(512))]

    #[test]
    fn applying_and_then_planning_gives_no_change(text in policies(), state in states()) {
        let (policy, now, world) = (policy(&text), time(NOW), World::new(state));
        let (plan, outcome) = world.apply(&policy, now);
        prop_assert!(outcome.is_whole(), "{outcome:#?}");
        let again = world.plan(&policy, now);
        prop_assert_eq!(&again.changes, &vec![], "{}", text);
        prop_assert_eq!(again.view.coverage, plan.view.coverage);
        // A later run on the same day has nothing to do either: deadlines do not creep.
        let later = world.plan(&policy, time("2026-11-23T23:59:59Z"));
        prop_assert!(
            later.changes.iter().all(|planned| planned.change.token().is_some()),
            "time alone changes no setting"
        );
    }

    #[test]
    fn planning_twice_gives_the_same_bytes(text in policies(), state in states()) {
        let (policy, now) = (policy(&text), time(NOW));
        let (one, two) = (World::new(state.clone()), World::new(state));
        prop_assert_eq!(bytes(&one.plan(&policy, now)), bytes(&two.plan(&policy, now)));
    }

    #[test]
    fn a_saved_plan_shows_what_the_plan_showed_and_has_every_change_of_it(text in policies(), state in states()) {
        let (policy, now) = (policy(&text), time(NOW));
        let plan = World::new(state).plan(&policy, now);
        let mut document = PlanDocument::new();
        document.add_plan(&plan);
        (document.made_at, document.valid_until) = (Some(now), Some(saved::VALID_FOR.after(now)));
        let read = SavedPlan::read(saved::write(&document).unwrap().as_bytes()).unwrap();
        let shown = read.shown().unwrap();
        prop_assert_eq!(text_of(&shown.plans[0]), text_of(&plan));
        for planned in &plan.changes {
            prop_assert!(read.review.has("world", &planned.change), "{:?}", planned.change);
        }
    }

    #[test]
    fn a_document_made_while_it_is_written_is_the_one_that_is_there_as_a_whole(text in policies(), state in states()) {
        let (policy, now) = (policy(&text), time(NOW));
        let plan = World::new(state).plan(&policy, now);
        let mut document = PlanDocument::new();
        (0..2).for_each(|_| document.add_plan(&plan));
        let json = serde_json::to_string_pretty(&document).unwrap();
        let whole: PlanDocument<'_> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(whole.resource_changes.read().len(), plan.changes.len() * 2);
        prop_assert_eq!(whole.reported.read().len(), plan.reported.len() * 2);
        prop_assert_eq!(&serde_json::to_string_pretty(&whole).unwrap(), &json);
        let body = json.strip_suffix("\n}").unwrap();
        let digest = sha256(body.as_bytes());
        prop_assert_eq!(saved::write(&whole).unwrap(), format!("{body},\n  \"digest\": \"sha256:{digest}\"\n}}\n"));
        prop_assert_eq!(saved::write(&document).unwrap(), saved::write(&whole).unwrap());
    }

    #[test]
    fn only_tokens_that_the_plan_names_are_touched(text in policies(), state in states()) {
        let (policy, now, world) = (policy(&text), time(NOW), World::new(state.clone()));
        let (plan, _) = world.apply(&policy, now);
        let named: BTreeSet<_> = plan.changes.iter().filter_map(|planned| match planned.change.object() {
            Object::Token(token) => Some(token.id.clone()),
            Object::Setting(_) => None,
        }).collect();
        let after = world.state();
        for (id, token) in &state.tokens {
            if !named.contains(id) {
                prop_assert_eq!(after.tokens.get(id), Some(token));
            }
        }
    }

    #[test]
    fn nobody_who_stays_in_is_shut_out_on_the_way(text in policies(), state in states()) {
        let (policy, now, world) = (policy(&text), time(NOW), World::new(state.clone()));
        let before = state.settings;
        let (_, outcome) = world.apply(&policy, now);
        prop_assert!(outcome.is_whole());
        let after = world.state().settings;
        let addresses: [IpAddr; 4] = ["10.1.2.3", "192.0.2.15", "203.0.113.7", "2001:db8::1"].map(|text| text.parse().unwrap());
        for seen in world.settings_seen.lock().unwrap().iter() {
            for address in addresses {
                if before.networks.contains(address) && after.networks.contains(address) {
                    prop_assert!(seen.networks.contains(address));
                }
            }
            for group in GROUPS {
                for permission in Permission::ALL {
                    let holds = |settings: &Settings| settings.permissions.of(permission).include(|held| held == &GroupName::from(group));
                    if holds(&before) && holds(&after) {
                        prop_assert!(holds(seen));
                    }
                }
            }
        }
    }

    #[test]
    fn a_run_that_broke_half_way_and_the_next_one_end_where_one_whole_run_does(
        text in policies(), state in states(), writes in 0usize..12,
    ) {
        let (policy, now) = (policy(&text), time(NOW));
        let (whole, broken) = (World::new(state.clone()), World::new(state));
        whole.apply(&policy, now);
        broken.fail_after(writes);
        broken.apply(&policy, now);
        broken.fail_after(usize::MAX);
        broken.apply(&policy, now);
        let (whole, broken) = (whole.state(), broken.state());
        prop_assert_eq!(whole.settings, broken.settings);
        prop_assert_eq!(whole.tokens, broken.tokens);
    }

    #[test]
    fn whoever_moves_while_apply_waits_loses_no_token_that_is_theirs_to_keep_now(
        text in policies(), state in states(), moved in states(), active in collection::vec(any::<bool>(), USERS.len()),
    ) {
        let (policy, now) = (policy(&text), time(NOW));
        let world = World::new(state.clone());
        let approved = approve(world.plan(&policy, now));
        world.change(|state| {
            state.groups = moved.groups;
            state.users = USERS.iter().map(|user| UserName::from(*user)).zip(active).collect();
        });
        let is_revocation = |change: &Change| change.verb() == Verb::Revoke;
        let anew = world.plan(&policy, now);
        let revoked_anew: BTreeSet<_> = anew.changes.iter().filter(|planned| is_revocation(&planned.change))
            .filter_map(|planned| planned.change.token()).map(|token| &token.id).collect();
        block_on(execute(&approved, &world, &world, &|_| {}));
        let left = world.state().tokens;
        for lost in state.tokens.keys().filter(|id| !left.contains_key(*id)) {
            prop_assert!(revoked_anew.contains(lost), "{lost:?}\n{text}");
        }
    }

    #[test]
    fn settings_survive_the_way_through_their_document(state in states()) {
        let document = SettingsDocument::from(&state.settings);
        let text = serde_json::to_string(&document).unwrap();
        let read: SettingsDocument = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(Settings::try_from(&read).unwrap(), state.settings);
    }

    #[test]
    fn a_group_that_the_server_does_not_know_changes_nothing_that_rests_on_it(state in states()) {
        let policy = policy(
            "version: 1\npermissions: {use: [ghosts], create: [ghosts, developers]}\n\
             tokens: {limits: [{groups: [ghosts], max_lifetime: 1d}], enforcement: {default: revoke}}\n",
        );
        let world = World::new(state.clone());
        let (plan, _) = world.apply(&policy, time(NOW));
        prop_assert!(!plan.is_whole());
        let after = world.state();
        prop_assert_eq!(after.settings, state.settings);
        for planned in &plan.changes {
            for reason in &planned.reasons {
                let rule = reason.rule.as_ref().unwrap().code();
                prop_assert!(["owner-inactive", "scope-unset", "expired"].contains(&rule), "{}", rule);
            }
        }
    }
}

#[test]
fn the_generated_policies_reach_every_action() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut seen, mut rules, mut waived, mut warned) =
        (BTreeSet::new(), BTreeSet::new(), 0, BTreeSet::new());
    for _ in 0..400 {
        let text = policies().new_tree(&mut runner).unwrap().current();
        let state = states().new_tree(&mut runner).unwrap().current();
        let plan = World::new(state).plan(&policy(&text), time(NOW));
        seen.extend(plan.changes.iter().map(|planned| planned.change.verb().word()));
        let reasons = plan.changes.iter().flat_map(|planned| &planned.reasons);
        rules.extend(reasons.filter_map(|reason| reason.rule.as_ref()).map(ToString::to_string));
        waived += plan.tokens.waived;
        warned.extend(plan.waiver_warnings.iter().map(|warning| format!("{:?}", warning.standing)));
    }
    let all = ["admit", "expire", "grant", "mark", "narrow", "refuse", "revoke", "set", "unmark", "withdraw"];
    assert_eq!(seen, all.into_iter().collect(), "a law that no case reaches proves nothing");
    assert!(rules.iter().any(|rule| rule.starts_with("own-")), "{rules:?}");
    assert!(waived > 10, "{waived} tokens are waived");
    assert_eq!(warned.len(), 3, "{warned:?}");
}

#[test]
fn opening_and_closing_are_two_steps_and_the_first_holds_both() {
    let mut state = State::default();
    state.settings.permissions.create = Holders::of(["contractors".into()]);
    state.settings.password_authentication = PasswordAuthentication::disabled();
    state.settings.networks =
        AllowedNetworks::only(["198.51.100.0/24".parse().unwrap()].into_iter().collect()).unwrap();
    state.groups.insert("ci-bots".into(), BTreeSet::new());
    let policy = policy(
        "version: 1\npermissions: {create: [ci-bots]}\nnetwork: {allow: [192.0.2.0/24]}\n\
         password_authentication: {state: disabled, except_users: [root]}\n",
    );
    let world = World::new(state);
    let (plan, outcome) = world.apply(&policy, time(NOW));
    let actions: Vec<_> = plan.changes.iter().map(|planned| planned.change.verb().word()).collect();
    assert_eq!(actions, ["grant", "admit", "set", "withdraw", "refuse"]);
    assert!(outcome.is_whole());
    let seen = world.settings_seen.lock().unwrap();
    assert!(
        seen.iter()
            .any(|settings| settings.permissions.create
                == Holders::of(["ci-bots".into(), "contractors".into()]))
    );
}
