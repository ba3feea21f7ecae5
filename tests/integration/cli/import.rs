//! Policies that are drafted from what is there.

use std::{collections::BTreeSet, fs};

use proptest::{collection, prelude::*};
use tokenwarden::{
    inventory::{Inventory, InventoryReader},
    model::{
        GroupName, Holders, Limit, PasswordAuthentication, Pattern, Permission, SettingKey, Settings,
        UserName, settings::password::PasswordExceptions,
    },
    plan::{Object, Plan, waive_existing},
    policy::{
        Layer, Policy,
        draft::{self, Drafted},
    },
};

use crate::{
    plan::laws::{NOW, policies, states},
    support::{
        program::{self, Quickstart},
        world::{State, World, block_on, policy, time},
    },
};

/// What `import` writes of `world`.
fn drafted(world: &World) -> String {
    let named = block_on(world.overview()).unwrap().settings.groups().cloned().collect();
    let Inventory { settings, server, people, .. } =
        block_on(Inventory::read(world, &named, time(NOW))).unwrap();
    let unknown = people.unknown_groups().cloned().collect();
    draft::settings(&Drafted {
        heading: "what there was",
        settings: &settings,
        manageable: &server.manageable,
        unknown: &unknown,
    })
}

/// A draft of settings alone, on a server that knows every group.
fn draft_of(settings: &Settings) -> String {
    draft::settings(&Drafted {
        heading: "a heading\nwith\u{2028}line ends",
        settings,
        manageable: &SettingKey::ALL.into(),
        unknown: &BTreeSet::new(),
    })
}

fn waived(base: &[&Layer], own: &str, world: &World) -> String {
    let until = "2027-02-21".parse().unwrap();
    block_on(waive_existing(base, own, until, time(NOW), world)).unwrap()
}

/// What would be done to tokens. A mark that an earlier policy left and nothing asks for any more is taken
/// off whatever the policy says: that costs its owner nothing.
fn changes_of_tokens(plan: &Plan) -> Vec<&'static str> {
    let of_token = |object| matches!(object, Object::Token(_));
    let changes = plan.changes.iter().filter(|planned| of_token(planned.change.object()));
    changes.map(|planned| planned.change.verb().word()).filter(|action| *action != "unmark").collect()
}

proptest! {
    #![proptest_config(crate::support::world::cases(128))]

    #[test]
    fn what_is_imported_plans_to_nothing(state in states()) {
        let world = World::new(state);
        let text = drafted(&world);
        let plan = world.plan(&policy(&text), time(NOW));
        prop_assert!(plan.is_whole(), "{text}\n{:#?}", plan.held_back);
        prop_assert!(plan.changes.iter().all(|planned| planned.change.token().is_some()), "{}", text);
        prop_assert_eq!(changes_of_tokens(&plan), Vec::<&str>::new(), "{}", text);
    }

    #[test]
    fn under_imported_waivers_no_token_of_today_is_touched_however_strict_the_policy_becomes(
        state in states(), action in prop::sample::select(&["revoke", "expire", "narrow"][..])
    ) {
        let world = World::new(state);
        let text = waived(&[], &drafted(&world), &world);
        let strict = text.replacen("default: report ", &format!("default: {action} "), 1)
            .replacen("  enforcement:\n", "  enforcement:\n    owner-unknown: revoke\n    expired: revoke\n", 1);
        let plan = world.plan(&policy(&strict), time(NOW));
        prop_assert_eq!(changes_of_tokens(&plan), Vec::<&str>::new(), "{}", strict);
        prop_assert!(plan.reported.is_empty(), "today is green");
    }

    #[test]
    fn waivers_behind_any_policy_keep_it_from_touching_a_token_of_today(text in policies(), state in states()) {
        let world = World::new(state);
        let base = Layer::read("base.yaml".into(), text.as_bytes());
        let waivers = waived(&[&base], "version: 1\n", &world);
        let layer = Layer::read("waivers.yaml".into(), waivers.as_bytes());
        let policy: Policy = tokenwarden::policy::read_layers(&[&base, &layer]).policy.unwrap();
        let plan = world.plan(&policy, time(NOW));
        prop_assert_eq!(changes_of_tokens(&plan), Vec::<&str>::new(), "{}\n{}", text, waivers);
    }

    #[test]
    fn hostile_names_are_asked_for_as_they_are(
        names in collection::btree_set("\\PC{0,8}[a-z:#&*!|>'\"%@`\\\\\u{1b}\u{202e}\n\t\u{1f5ff}\u{feff}-]\\PC{0,8}", 1..5),
        text in ".{0,20}",
    ) {
        prop_assume!(names.iter().all(|name| !name.trim().is_empty()));
        let mut settings = Settings::initial("administrators".into());
        let groups = || names.iter().map(|name| GroupName::new(name.as_str()));
        for permission in Permission::ALL {
            *settings.permissions.of_mut(permission) = Holders::of(groups());
        }
        settings.password_authentication = PasswordAuthentication::Disabled(PasswordExceptions {
            users: names.iter().map(|name| UserName::new(name.as_str())).collect(),
            paths: BTreeSet::from([format!("/{text}")]),
        });
        let description = Pattern::new(&names.iter().map(|name| regex_escape(name)).collect::<String>()).ok();
        settings.limits = vec![Limit { description, ..Limit::default() }];
        let world = World::new(State {
            groups: groups().map(|group| (group, BTreeSet::new())).chain(State::default().groups).collect(),
            settings: settings.clone(),
            ..State::default()
        });
        let written = draft_of(&settings);
        let policy = policy(&written);
        for key in SettingKey::ALL {
            prop_assert!(policy.wanted(key).is_some(), "{key}\n{written}");
        }
        prop_assert_eq!(world.plan(&policy, time(NOW)).view.changes, vec![], "{}", written);
    }
}

/// `text` as a pattern that matches it.
fn regex_escape(text: &str) -> String {
    text.chars().fold(String::new(), |pattern, c| {
        if c.is_alphanumeric() {
            format!("{pattern}{c}")
        } else {
            format!("{pattern}\\x{{{:x}}}", u32::from(c))
        }
    })
}

#[test]
fn what_a_policy_cannot_ask_for_stands_in_a_comment() {
    let mut settings = Settings::initial("administrators".into());
    settings.permissions.create = Holders::of(["developers".into(), "ghosts\n".into()]);
    settings.password_authentication = PasswordAuthentication::Disabled(PasswordExceptions {
        users: BTreeSet::new(),
        paths: BTreeSet::from(["no/path".to_owned()]),
    });
    let text = draft::settings(&Drafted {
        heading: "what there was",
        settings: &settings,
        manageable: &SettingKey::ALL.into_iter().filter(|key| *key != SettingKey::Limits).collect(),
        unknown: &BTreeSet::from(["ghosts\n".into()]),
    });
    insta::assert_snapshot!(text, @r#"
    # what there was
    version: 1

    permissions:
      use: everyone
      # The server does not know the group "ghosts\u000A":
      # create: [developers, "ghosts\u000A"]
      create_read_write: everyone
      manage_others: [administrators]

    network:
      allow: anywhere
      client_address: peer

    # A policy cannot express this:
    # password_authentication:
    #   state: disabled
    #   except_paths: [no/path]

    tokens:
      enforcement:
        default: report                 # findings are reported, nothing is changed
    "#);
    let policy = policy(&text);
    assert!(policy.wanted(SettingKey::Permission(Permission::Create)).is_none());
    assert!(policy.wanted(SettingKey::PasswordAuthentication).is_none());
    assert!(policy.wanted(SettingKey::Networks).is_some());
}

#[test]
fn when_waivers_for_single_tokens_would_not_fit_owners_are_waived() {
    use tokenwarden::model::{Owner, Scope, Token, TokenId, TokenScope};
    let token = |number: u32| Token {
        mark: None,
        id: TokenId::new(number.to_string()),
        owner: Owner::User("mary".into()),
        description: "x".repeat(80),
        scope: TokenScope::Set(Scope::ReadWrite),
        created: time("2026-01-01T00:00:00Z"),
        created_by: None,
        last_used: None,
        expires: None,
    };
    let world = World::new(State {
        tokens: (0..7_000).map(token).map(|token| (token.id.clone(), token)).collect(),
        users: [("mary".into(), true)].into(),
        ..State::default()
    });
    let base = "version: 1\ntokens: {limits: [{max_scope: read-only}], enforcement: {scope: revoke}}\n";
    let base = Layer::read("base.yaml".into(), base.as_bytes());
    let waivers = waived(&[&base], "version: 1\n", &world);
    assert!(waivers.contains("  - { owner: mary, rules: [scope], "), "{}", &waivers[..400]);
    assert_eq!(waivers.matches("rules:").count(), 1);
}

#[test]
fn the_live_state_of_the_quickstart_reads_like_this_as_a_policy() {
    let quickstart = Quickstart::new();
    let now = ["--now", program::NOW];
    assert_eq!(quickstart.run(&["apply", "--auto-approve", now[0], now[1]]).code, Some(0));
    let imported = quickstart.run(&["import", "--waive-existing", "90d", now[0], now[1]]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    insta::assert_snapshot!(imported.stdout);
    fs::write(quickstart.path("policy/imported.yaml"), &imported.stdout).unwrap();
    quickstart.edit("tokenwarden.yaml", "- policy/base.yaml ", "- policy/imported.yaml ");
    quickstart.edit("tokenwarden.yaml", "- policy/platform.yaml", "");
    let validated = quickstart.run(&["validate", now[0], now[1]]);
    assert_eq!(
        (validated.code, validated.stderr.contains("warning")),
        (Some(0), false),
        "{}",
        validated.stderr
    );
    let plan = quickstart.run(&["plan", "--detailed-exitcode", now[0], now[1]]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(plan.stdout.starts_with("No changes."), "{}", plan.stdout);
    assert!(!plan.stdout.contains("Reported"), "{}", plan.stdout);
}

#[test]
fn waivers_are_a_layer_that_can_be_put_behind_the_policy() {
    let quickstart = Quickstart::new();
    let now = ["--now", program::NOW];
    let layer = quickstart.run(&["import", "--only-waivers", "--waive-existing", "90d", now[0], now[1]]);
    assert_eq!(layer.code, Some(0), "{}", layer.stderr);
    fs::write(quickstart.path("policy/existing.yaml"), &layer.stdout).unwrap();
    quickstart.edit(
        "tokenwarden.yaml",
        "- policy/platform.yaml",
        "- policy/platform.yaml\n      - policy/existing.yaml",
    );
    let plan = quickstart.run(&["plan", now[0], now[1]]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(plan.stdout.contains("\nPlan: 8 settings to change.\n"), "{}", plan.stdout);
    let over = quickstart.run(&["plan", "--now", "2027-03-30T00:00:00Z"]);
    assert!(over.stderr.contains("warning[waiver-ended]"), "{}", over.stderr);
}

#[test]
fn a_policy_that_is_still_to_be_written_is_no_obstacle() {
    let quickstart = Quickstart::new();
    fs::remove_dir_all(quickstart.path("policy")).unwrap();
    let imported = quickstart.run(&["import", "--now", program::NOW]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert!(imported.stdout.contains("  create: everyone\n"), "{}", imported.stdout);
    let layer = quickstart.run(&["import", "--only-waivers", "--waive-existing", "90d"]);
    assert_eq!(layer.code, Some(3), "there is no policy to waive anything of");
    assert_eq!(quickstart.run(&["import", "--only-waivers"]).code, Some(64));
}

#[test]
fn limits_are_proposed_by_what_they_would_touch_and_the_policy_stays_what_it_was() {
    let quickstart = Quickstart::new();
    let run = |arguments: &[&str]| {
        let run = quickstart.run(&[arguments, &["--now", program::NOW]].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    let (plain, suggested) = (run(&["import"]), run(&["import", "--suggest"]));
    let more = suggested.strip_prefix(&plain).unwrap();
    assert!(more.lines().all(|line| line.is_empty() || line.starts_with("# ")), "{more}");
    for key in ["max_lifetime", "max_idle", "max_unused", "max_per_owner", "max_scope"] {
        let line = more.lines().find(|line| line.starts_with(&format!("#   {key}: "))).unwrap();
        let counts: Vec<usize> = line
            .split(" would touch ")
            .skip(1)
            .map(|rest| rest.split([',', ' ']).next().unwrap().parse().unwrap())
            .collect();
        assert!(counts.is_sorted_by(|stricter, laxer| stricter >= laxer), "{line}");
        assert!(counts[0] > 0 && counts[0] < 37 && line.ends_with(" of 37 tokens"), "{line}");
    }
    // What is proposed can be written as it stands.
    let limits = more.split_once("#   limits:\n").unwrap().1.replace('#', " ");
    assert!(limits.contains("    - max_"), "{more}");
    policy(&format!("version: 1\ntokens:\n  limits:\n{}", limits.replace("would touch", "# would touch")));
}
