//! `explain`: it says what the plan does and why, and never anything else.

use std::{collections::BTreeSet, fs};

use jiff::{Span, Timestamp};
use proptest::prelude::*;
use serde_json::Value;
use tokenwarden::{
    compliance::Trial,
    inventory::{Caller, Credential},
    model::{LastUse, Rule, Scope, Token, TokenId, TokenScope, rails::Lockout},
    plan::{ExplainedToken, History, Plan, Terms, TokenEvent},
    policy::Policy,
    report::{Paint, explain},
};

use crate::{
    plan::laws,
    support::{
        program::{NOW, Quickstart, Run},
        world::{self, State, World, block_on, policy, time},
    },
};

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

fn explained(world: &World, policy: &Policy, id: &TokenId, now: Timestamp) -> ExplainedToken {
    let (lockout, history) = (Lockout::default(), History::default());
    let terms = Terms {
        unsupported: tokenwarden::model::rails::Unsupported::Error,
        target: "world",
        policy,
        lockout: &lockout,
        history: &history,
        now,
    };
    block_on(Plan::explain(&terms, world, id)).unwrap().expect("a token that is there is explained")
}

fn rules<'a>(trials: impl Iterator<Item = &'a Trial>) -> BTreeSet<Rule> {
    trials.map(|trial| trial.rule.clone()).collect()
}

/// What `plan` says of the token is what `explained` says of it.
fn agrees(explained: &ExplainedToken, plan: &Plan) {
    let id = &explained.explanation.token.id;
    let changes: Vec<_> = plan
        .changes
        .iter()
        .filter(|planned| planned.change.token().is_some_and(|token| token.id == *id))
        .cloned()
        .collect();
    assert_eq!(explained.changes, changes, "token {id}");
    let pending = plan.pending.iter().find(|pending| pending.token.id == *id);
    assert_eq!(explained.pending.as_ref(), pending, "token {id}");
    let reported = plan.reported.iter().filter(|found| found.token.id == *id);
    let reported: Vec<_> = reported.flat_map(|found| found.findings.clone()).collect();
    assert_eq!(explained.reported, reported, "token {id}");

    let reasons = changes.iter().flat_map(|planned| &planned.reasons);
    let reasons = reasons.chain(pending.into_iter().flat_map(|pending| &pending.reasons));
    let mut acted_on: BTreeSet<_> = reasons.filter_map(|reason| reason.rule.clone()).collect();
    acted_on.extend(reported.iter().map(|finding| finding.rule.clone()));
    let waived = plan.waived.iter().filter(|found| found.token.id == *id);
    let waived: BTreeSet<_> =
        waived.flat_map(|found| &found.findings).map(|finding| finding.rule.clone()).collect();
    let failing = || explained.explanation.trials.iter().filter(|trial| trial.fails());
    let is_waived = |trial: &&Trial| trial.holding_waiver(plan.made_for).is_some();
    assert_eq!(rules(failing().filter(is_waived)), waived, "token {id}");
    if explained.held_back.is_empty() {
        assert_eq!(rules(failing().filter(|trial| !is_waived(trial))), acted_on, "token {id}");
    }
}

proptest! {
    #![proptest_config(world::cases(128))]

    #[test]
    fn what_is_explained_is_what_the_plan_does(text in laws::policies(), state in laws::states()) {
        let (policy, now, world) = (policy(&text), time(laws::NOW), World::new(state.clone()));
        let plan = world.plan(&policy, now);
        for id in state.tokens.keys() {
            agrees(&explained(&world, &policy, id, now), &plan);
        }
    }

}

proptest! {
    #![proptest_config(world::cases(64))]

    #[test]
    fn a_rule_fails_from_the_very_second_that_was_foretold(text in laws::policies(), state in laws::states()) {
        let (policy, now, world) = (policy(&text), time(laws::NOW), World::new(state.clone()));
        for id in state.tokens.keys() {
            for trial in explained(&world, &policy, id, now).explanation.trials {
                let Some(from) = trial.fails_from else { continue };
                prop_assert!(from > now && !trial.fails());
                let fails_at = |at| {
                    let later = explained(&world, &policy, id, at);
                    later.explanation.trials.iter().any(|later| later.rule == trial.rule && later.fails())
                };
                prop_assert!(fails_at(from), "{} {}", id, trial.rule);
                prop_assert!(!fails_at(from - Span::new().seconds(1)), "{} {}", id, trial.rule);
            }
        }
    }
}

#[test]
fn what_waits_after_the_end_of_a_waiver_is_foretold_to_the_second() {
    let text = "version: 1
tokens: { limits: [{max_scope: read-only}], enforcement: {scope: narrow} }
waivers: [{token: 1, rules: [scope], reason: r, until: 2026-11-20}]
";
    let (policy, world) = (policy(text), World::new(world([token("1", "mary")])));
    let action = |now: &str| {
        let explained = explained(&world, &policy, &TokenId::new("1"), time(now));
        let trials = explained.explanation.trials.iter();
        let scope = trials.filter(|trial| trial.rule.code() == "scope").map(|trial| trial.action.word());
        let narrows = explained.upcoming.iter().find(|next| matches!(next.event, TokenEvent::Narrows { .. }));
        (scope.collect::<String>(), narrows.map(|next| next.at))
    };
    assert_eq!(action("2026-11-20T23:59:59Z"), ("narrow".to_owned(), None), "the waiver still holds");
    let then = Some(time("2026-12-05T00:00:00Z"));
    assert_eq!(action("2026-11-21T00:00:00Z"), ("report".to_owned(), then));
    assert_eq!(action("2026-12-04T23:59:59Z"), ("report".to_owned(), then));
    assert_eq!(action("2026-12-05T00:00:00Z"), ("narrow".to_owned(), None));
}

#[test]
fn where_no_expiry_can_be_set_the_day_of_the_mark_is_foretold_before_it_is_made_and_after() {
    let policy = policy(
        "version: 1\ntokens: { limits: [{max_lifetime: 30d}], enforcement: {lifetime: {action: expire, grace: 14d}} }\n",
    );
    let world = World::new(world([token("1", "mary")]).with_marks());
    let next = |now: &str| {
        let explained = explained(&world, &policy, &TokenId::new("1"), time(now));
        explained.upcoming.into_iter().map(|next| (next.at, next.event)).collect::<Vec<_>>()
    };
    let due = time("2026-12-08T00:00:00Z");
    assert_eq!(next(NOW), [(due, TokenEvent::WouldBeRevoked)]);
    world.apply(&policy, time(NOW));
    assert_eq!(next("2026-11-30T12:00:00Z"), [(due, TokenEvent::Revoked)]);
    assert_eq!(next("2026-12-08T00:00:00Z"), [], "the plan revokes it");
}

#[test]
fn each_target_that_has_the_token_has_a_section_of_its_own() {
    let quickstart = Quickstart::new();
    let lab = "targets:\n  lab:\n    kind: embedded\n    store: .tokenwarden/lab.db\n    directory: directory.yaml\n    \
               policy: [policy/base.yaml]\n  other:\n    kind: embedded\n    store: .tokenwarden/other.db\n    \
               directory: directory.yaml\n    seed: tokens.yaml\n    policy: [policy/base.yaml]\n";
    quickstart.edit("tokenwarden.yaml", "targets:\n", lab);
    let import = ["directory", "import", "none.yaml", "--store", "sqlite:.tokenwarden/lab.db"];
    fs::create_dir(quickstart.path(".tokenwarden")).unwrap();
    fs::write(quickstart.path("none.yaml"), "users: []\n").unwrap();
    assert_eq!(quickstart.run(&import).code, Some(0));
    let sections = |arguments: &[&str]| {
        let run = quickstart.run(&[&["explain", "13", "--format", "json", "--now", NOW], arguments].concat());
        let addresses: Vec<_> = match run.code {
            Some(0) => json(&run)["tokens"]
                .as_array()
                .unwrap()
                .iter()
                .map(|token| token["address"].clone())
                .collect(),
            _ => Vec::new(),
        };
        (run.code, addresses)
    };
    assert_eq!(sections(&[]), (Some(0), vec!["other/token/13".into(), "quickstart/token/13".into()]));
    assert_eq!(sections(&["--target", "other"]), (Some(0), vec!["other/token/13".into()]));
    assert_eq!(sections(&["--target", "lab"]).0, Some(1), "it has no token at all");
}

#[test]
fn explain_agrees_with_plan_on_every_token_of_the_quickstart() {
    let quickstart = Quickstart::new();
    let plan = json(&quickstart.run(&["plan", "--format", "json", "--now", NOW]));
    let about = |list: &str, address: &Value| -> Vec<Value> {
        let entries = plan[list].as_array().unwrap().iter();
        entries.filter(|entry| entry["address"] == *address).cloned().collect()
    };
    let mut seen = 0;
    for id in 1..=plan["targets"][0]["tokens_seen"].as_u64().unwrap() {
        let run = quickstart.run(&["explain", &id.to_string(), "--format", "json", "--now", NOW]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let document = json(&run);
        let token = &document["tokens"][0];
        let address = &token["address"];
        assert_eq!(token["resource_changes"], Value::from(about("resource_changes", address)));

        let of_rules = |value: &Value| -> BTreeSet<String> {
            let findings = value["findings"].as_array().unwrap().iter();
            findings.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
        };
        let mut acted_on: BTreeSet<String> = about("resource_changes", address)
            .iter()
            .flat_map(|change| change["rules"].as_array().unwrap().clone())
            .map(|rule| rule.as_str().unwrap().to_owned())
            .collect();
        for list in ["pending", "reported"] {
            acted_on.extend(about(list, address).iter().flat_map(of_rules));
        }
        let waived: BTreeSet<String> = about("waived", address).iter().flat_map(of_rules).collect();
        let failing = |waived: bool| -> BTreeSet<String> {
            let rules = token["rules"].as_array().unwrap().iter();
            rules
                .filter(|rule| rule["verdict"] == "fails" && rule["waived"] == waived)
                .map(|rule| rule["rule"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(failing(false), acted_on, "token {id}");
        assert_eq!(failing(true), waived, "token {id}");
        assert_eq!(token["pending_until"].is_null(), about("pending", address).is_empty(), "token {id}");
        seen += 1;
    }
    assert_eq!(seen, 37);
}

#[test]
fn a_token_is_explained_like_this() {
    let quickstart = Quickstart::new();
    let texts: Vec<_> = ["22", "19", "29", "37"]
        .iter()
        .map(|id| {
            let run = quickstart.run(&["explain", id, "--now", NOW]);
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            run.stdout
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_token_that_no_target_has_is_an_error_that_names_the_targets() {
    let quickstart = Quickstart::new();
    let run = quickstart.run(&["explain", "4711", "--now", NOW]);
    assert_eq!(run.code, Some(1));
    assert_eq!(
        run.stderr,
        "error: no token `4711` on quickstart; `plan` shows tokens with their identifiers\n"
    );
    assert_eq!(run.stdout, "");
}

#[test]
fn both_forms_keep_to_their_schemas() {
    let quickstart = Quickstart::new();
    for (document, arguments) in [
        ("explanation", &["explain", "19"][..]),
        ("decision", &["explain", "--owner", "mary", "--from", "203.0.113.9"][..]),
    ] {
        let schema = json(&quickstart.run(&["schema", document]));
        let validator = jsonschema::validator_for(&schema).unwrap();
        let run = quickstart.run(&[arguments, &["--format", "json", "--now", NOW]].concat());
        let errors: Vec<_> = validator.iter_errors(&json(&run)).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
    }
}

fn token(id: &str, owner: &str) -> Token {
    Token {
        description: "red \u{1b}[31m\u{202e}".to_owned(),
        scope: TokenScope::Set(Scope::ReadWrite),
        expires: None,
        ..world::token(id, owner)
    }
}

fn world(tokens: impl IntoIterator<Item = Token>) -> State {
    State {
        users: [("mary".into(), true)].into(),
        tokens: tokens.into_iter().map(|token| (token.id.clone(), token)).collect(),
        ..State::default()
    }
}

const STRICT: &str = "version: 1
tokens:
  limits: [{max_scope: read-only, max_lifetime: 30d, max_per_owner: 1}]
  enforcement: {scope: narrow, lifetime: expire, per-owner: revoke}
";

fn text(explained: &ExplainedToken) -> String {
    let mut text = String::new();
    explain::token(explained, Paint { colour: false }, &mut text).unwrap();
    text
}

#[test]
fn text_from_a_server_cannot_steer_a_terminal() {
    let world = World::new(world([token("1", "mary\u{1b}[2J")]));
    let shown = text(&explained(&world, &policy(STRICT), &TokenId::new("1"), time(NOW)));
    assert!(shown.starts_with("token 1 \"red \\u{1b}[31m\\u{202e}\" of mary\\u{1b}[2J on world"), "{shown}");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
}

#[test]
fn the_credential_of_the_run_is_held_back_and_so_it_is_explained() {
    let mut state = world([token("1", "mary")]);
    let credential =
        Credential::Token { id: TokenId::new("1"), scope: TokenScope::Set(Scope::ReadWrite), expires: None };
    state.caller = Caller { user: Some("mary".into()), credential, ..Caller::operator() };
    let explained = explained(&World::new(state), &policy(STRICT), &TokenId::new("1"), time(NOW));
    assert_eq!(explained.changes, []);
    let shown = text(&explained);
    assert!(shown.contains("held back: it is the credential of this run: rotate it"), "{shown}");
}

#[test]
fn one_token_too_many_is_known_only_when_all_were_seen() {
    let older = Token {
        last_used: Some(LastUse { at: time("2026-11-20T00:00:00Z"), from: None }),
        ..token("1", "mary")
    };
    let world = World::new(world([older, token("2", "mary")]));
    let verdict = |id: &str| {
        let explained = explained(&world, &policy(STRICT), &TokenId::new(id), time(NOW));
        let trials = explained.explanation.trials;
        trials.iter().any(|trial| trial.rule.code() == "per-owner" && trial.fails())
    };
    assert_eq!(["1", "2"].map(verdict), [true, false]);
}

#[test]
fn a_decision_is_explained_with_its_line_and_with_what_the_server_answers_today() {
    let quickstart = Quickstart::new();
    let proxied = ["--from", "10.0.0.5", "--header", "X-Forwarded-For: 203.0.113.9, 10.0.0.6"];
    let texts: Vec<_> = [
        &["--owner", "mary", "--method", "POST", "--from", "192.0.2.11"][..],
        &[&["--owner", "mary"][..], &proxied].concat(),
        &["--owner", "mary", "--method", "post", "--scope", "read-only", "--from", "10.1.2.3"],
        &["--owner", "mary", "--creates", "read-write", "--from", "10.1.2.3"],
        &["--owner", "carl", "--from", "10.1.2.3"],
        &["--owner", "olga", "--from", "10.1.2.3"],
        &["--owner", "mary", "--password", "--from", "10.1.2.3"],
        &["--owner", "project PLAT", "--method", "POST", "--from", "10.1.2.3"],
        &["--owner", "repository PLAT/app", "--password", "--from", "10.1.2.3"],
    ]
    .into_iter()
    .map(|arguments| {
        let run = quickstart.run(&[&["explain"], arguments, &["--now", NOW]].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        format!("$ explain {}\n{}", arguments.join(" "), run.stdout)
    })
    .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_setting_that_is_not_managed_or_held_back_is_said_to_be_the_servers() {
    let quickstart = Quickstart::new();
    quickstart.edit("policy/base.yaml", "password_authentication: disabled\n", "");
    quickstart.edit("policy/platform.yaml", "use: [developers, ci-bots", "use: [develpers, ci-bots");
    let explain = |arguments: &[&str]| {
        let from = ["--owner", "mary", "--from", "10.1.2.3", "--now", NOW];
        quickstart.run(&[&["explain"], arguments, &from].concat()).stdout
    };
    let password = explain(&["--password"]);
    assert!(
        password.contains("password_authentication lets it pass (not managed: as the server has it)\n"),
        "{password}"
    );
    let token = explain(&[]);
    assert!(token.contains("permissions.use lets it pass (as the server has it)\n"), "{token}");
    assert!(token.contains("held back: group `develpers` is not known to the server\n"), "{token}");
}

#[test]
fn a_user_whom_no_directory_knows_is_an_error() {
    let quickstart = Quickstart::new();
    let run = quickstart.run(&["explain", "--owner", "nobody", "--from", "10.1.2.3", "--now", NOW]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("unknown user `nobody`: not in the directory of the target"),
        "{}",
        run.stderr
    );
    for arguments in [&["explain"][..], &["explain", "1", "--owner", "mary"], &["explain", "--owner", "mary"]]
    {
        assert_eq!(quickstart.run(arguments).code, Some(64), "{arguments:?}");
    }
}
