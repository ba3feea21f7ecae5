//! Tokens of a target that cannot set an expiry are marked and revoked when the mark is due.

use std::collections::BTreeMap;

use jiff::{Span, Timestamp, tz::TimeZone};
use proptest::prelude::*;
use tokenwarden::{
    model::{
        Owner, PasswordAuthentication, Period, Scope, Token, TokenId, TokenScope, UserName,
        rails::{Lockout, RailClass, Rails},
    },
    plan::{Allowed, History, Plan, PlanView, Remark, Spent, Terms},
    policy::Policy,
    report::{Paint, text},
    saved::{self, SavedPlan, document::PlanDocument},
};

use crate::{
    plan::laws,
    support::world::{self, NOW, State, World, approve, block_on, marker, policy, terms, time},
};

const POLICY: &str = "version: 1
tokens:
  limits: [{max_lifetime: 90d}]
  enforcement: {lifetime: {action: expire, grace: 14d}}
";

fn id() -> TokenId {
    TokenId::new("075905477751")
}

fn token() -> Token {
    Token {
        description: "nightly build".to_owned(),
        created: time("2025-01-01T00:00:00Z"),
        last_used: None,
        expires: None,
        ..world::token(id().as_str(), "mary")
    }
}

/// A target that has `token` and cannot set an expiry.
fn target(token: Token) -> World {
    let state = State {
        users: BTreeMap::from([(UserName::new("mary"), true)]),
        tokens: BTreeMap::from([(token.id.clone(), token)]),
        ..State::default()
    };
    World::new(state.with_marks())
}

fn description(world: &World) -> String {
    world.state().tokens[&id()].description.clone()
}

fn actions(plan: &Plan) -> Vec<&'static str> {
    plan.changes.iter().map(|planned| planned.change.verb().word()).collect()
}

fn days_later(days: i32) -> Timestamp {
    let now = time(NOW).to_zoned_datetime(TimeZone::UTC);
    now.checked_add(Span::new().days(days)).unwrap().timestamp()
}

fn shown(plan: &PlanView) -> String {
    let mut shown = String::new();
    text::plan(plan, Paint { colour: false }, &mut shown).unwrap();
    shown
}

/// What a journal tells of a token whose first deadline is `deadline`.
fn recorded(deadline: &str) -> History {
    let spent = Spent::nothing(Period::days(1));
    History { open: Vec::new(), deadlines: BTreeMap::from([(id(), time(deadline))]), spent: Some(spent) }
}

fn plan_with(world: &World, policy: &Policy, history: &History, now: Timestamp) -> Plan {
    world.plan_on(&Terms { history, ..terms(policy, now) })
}

#[test]
fn a_token_is_marked_keeps_its_day_over_ten_runs_and_is_revoked_on_the_first_one_past_it() {
    let (world, policy) = (target(token()), policy(POLICY));
    let (plan, outcome) = world.apply(&policy, time(NOW));
    assert!(outcome.is_whole());
    insta::assert_snapshot!(shown(&plan), @r#"
    tokenwarden will make these changes on world (memory):

      ~ token 075905477751 "nightly build" of mary                       policy.yaml:3
          mark, to be revoked on 2026-12-08              lifetime: no expiry, limit 90d

    Note: no journal is kept: a token whose owner takes the mark off is marked anew, and wins that time

    Plan: 1 token to mark.
    No budget over time: without a journal, each run is judged on its own.
    0 of 1 token complies.
    "#);
    let marked = description(&world);
    assert_eq!(marked, marker().write("nightly build", &id(), time("2026-12-08T00:00:00Z")));
    for day in 1..=10 {
        let (plan, _) = world.apply(&policy, days_later(day));
        assert_eq!(actions(&plan), Vec::<&str>::new(), "day {day}");
        assert_eq!(plan.pending[0].until, time("2026-12-08T00:00:00Z"));
        assert_eq!(description(&world), marked);
    }
    let last_moment = world.plan(&policy, time("2026-12-07T23:59:59Z"));
    insta::assert_snapshot!(shown(&last_moment), @r#"
    No changes. world (memory) is as the policy says.

    Already scheduled to end:

        token 075905477751 "nightly build" of mary                       policy.yaml:3
          pending until 2026-12-08, then revoked         lifetime: no expiry, limit 90d

    Note: no journal is kept: a token whose owner takes the mark off is marked anew, and wins that time

    0 of 1 token complies.
    "#);
    let (plan, _) = world.apply(&policy, time("2026-12-08T00:00:00Z"));
    insta::assert_snapshot!(shown(&plan), @r#"
    tokenwarden will make these changes on world (memory):

      x token 075905477751 "nightly build" of mary                       policy.yaml:3
          revoke, cannot be undone                       lifetime: no expiry, limit 90d; it was marked to end on 2026-12-08

    Plan: 1 token to revoke.
    No budget over time: without a journal, each run is judged on its own.
    0 of 1 token complies.
    "#);
    assert!(world.state().tokens.is_empty());
}

#[test]
fn a_token_that_complies_again_loses_its_mark_and_nothing_else() {
    let (world, policy) = (target(token()), policy(POLICY));
    world.apply(&policy, time(NOW));
    world.change(|state| {
        for token in state.tokens.values_mut() {
            token.expires = Some(token.created);
        }
    });
    assert_eq!(actions(&world.plan(&policy, days_later(1))), Vec::<&str>::new(), "it is refused by itself");
    world.change(|state| {
        for token in state.tokens.values_mut() {
            token.created = time("2026-11-01T00:00:00Z");
            token.expires = Some(time("2026-12-20T00:00:00Z"));
        }
    });
    let plan = world.plan(&policy, days_later(1));
    insta::assert_snapshot!(shown(&plan), @r#"
    tokenwarden will make these changes on world (memory):

      ~ token 075905477751 "nightly build" of mary
          unmark, was to end on 2026-12-08               nothing asks for its end any more

    Plan: 1 token to unmark.
    1 of 1 token complies.
    "#);
    world.apply(&policy, days_later(1));
    assert_eq!(description(&world), "nightly build");
    assert_eq!(actions(&world.plan(&policy, days_later(1))), Vec::<&str>::new());
}

#[test]
fn a_mark_goes_when_a_waiver_holds_the_finding_or_the_policy_only_reports_it() {
    let waived = format!(
        "{POLICY}waivers: [{{token: '075905477751', rules: [lifetime], reason: r, until: 2027-06-30}}]\n"
    );
    let reported = "version: 1\ntokens: {limits: [{max_lifetime: 90d}]}\n";
    for text in [&*waived, reported] {
        let world = target(token());
        world.apply(&policy(POLICY), time(NOW));
        assert_eq!(actions(&world.plan(&policy(text), days_later(30))), ["unmark"], "{text}");
    }
}

#[test]
fn a_mark_stays_while_a_rule_cannot_be_decided() {
    let world = target(token());
    world.apply(&policy(POLICY), time(NOW));
    let unsure = policy(
        "version: 1\ntokens: {limits: [{groups: [ghosts], max_lifetime: 90d}, {max_lifetime: 9y}], \
         enforcement: {lifetime: expire}}\n",
    );
    assert_eq!(actions(&world.plan(&unsure, days_later(1))), Vec::<&str>::new());
}

#[test]
fn a_forged_mark_wins_no_time() {
    let forged = "nightly build [tokenwarden: ends 2026-12-20 00000000000000000000]";
    let world = target(Token { description: forged.to_owned(), ..token() });
    let (plan, _) = world.apply(&policy(POLICY), time(NOW));
    assert_eq!(actions(&plan), ["mark"]);
    assert_eq!(description(&world), marker().write(forged, &id(), time("2026-12-08T00:00:00Z")));
}

#[test]
fn a_mark_of_ours_that_lies_beyond_the_grace_counts_as_none() {
    let later = marker().write("nightly build", &id(), time("2027-06-01T00:00:00Z"));
    let world = target(Token { description: later, ..token() });
    world.apply(&policy(POLICY), time(NOW));
    assert_eq!(description(&world), marker().write("nightly build", &id(), time("2026-12-08T00:00:00Z")));
}

#[test]
fn a_longer_grace_moves_no_deadline_and_a_shorter_one_brings_it_nearer() {
    let world = target(token());
    world.apply(&policy(POLICY), time(NOW));
    let longer = policy(&POLICY.replace("14d", "60d"));
    assert_eq!(actions(&world.plan(&longer, days_later(1))), Vec::<&str>::new());
    let shorter = policy(&POLICY.replace("14d", "2d"));
    world.apply(&shorter, days_later(1));
    assert!(description(&world).contains("2026-11-27"), "{}", description(&world));
}

#[test]
fn with_a_record_a_deleted_mark_wins_no_time() {
    let (world, policy, history) = (target(token()), policy(POLICY), recorded("2026-12-08T00:00:00Z"));
    world.apply(&policy, time(NOW));
    world.change(|state| state.tokens.values_mut().for_each(|token| token.description = "mine".to_owned()));
    let again = plan_with(&world, &policy, &history, days_later(10));
    assert_eq!(actions(&again), ["mark"]);
    block_on(tokenwarden::apply::execute(&approve(again), &world, &world, &|_| {}));
    assert!(description(&world).contains("2026-12-08"), "the first day is back: {}", description(&world));
    world.change(|state| state.tokens.values_mut().for_each(|token| token.description = "mine".to_owned()));
    assert_eq!(actions(&plan_with(&world, &policy, &history, days_later(15))), ["revoke"]);

    let without = world.plan(&policy, days_later(15));
    assert_eq!(actions(&without), ["mark"]);
    assert_eq!(without.remarks, [Remark::MarksAreNotRecorded]);
    assert_eq!(plan_with(&world, &policy, &history, days_later(1)).remarks, []);
}

#[test]
fn a_recorded_deadline_keeps_the_choice_among_too_many_tokens() {
    let text = "version: 1\ntokens: {limits: [{max_per_owner: 1}], enforcement: {per-owner: expire}}\n";
    let world = target(token());
    let newer = Token { id: TokenId::new("2"), created: time("2026-01-01T00:00:00Z"), ..token() };
    world.change(|state| drop(state.tokens.insert(newer.id.clone(), newer)));
    world.apply(&policy(text), time(NOW));
    // Its owner takes the mark off and uses the token: the other one must not be chosen instead.
    world.change(|state| {
        let marked = state.tokens.get_mut(&id()).unwrap();
        marked.description = "mine".to_owned();
        marked.last_used = Some(tokenwarden::model::LastUse { at: days_later(1), from: None });
    });
    let plan = plan_with(&world, &policy(text), &recorded("2026-12-08T00:00:00Z"), days_later(2));
    let changed: Vec<_> = plan.changes.iter().filter_map(|planned| planned.change.token()).collect();
    assert_eq!(changed.iter().map(|token| token.id.clone()).collect::<Vec<_>>(), [id()]);
}

#[test]
fn words_without_room_are_cut_and_the_plan_says_so() {
    let world = target(Token { description: "x".repeat(250), ..token() });
    let (plan, _) = world.apply(&policy(POLICY), time(NOW));
    assert!(plan.remarks.contains(&Remark::WordsAreCut(id())), "{:?}", plan.remarks);
    let marked = description(&world);
    assert_eq!(marked.chars().count(), 255);
    assert!(marker().read(&marked, &id()).1.is_some());
}

/// A waiver for the tokens of `owner` that are on a laptop, as their descriptions say.
fn waived_by_words(owner: &str, until: &str) -> Policy {
    policy(&format!(
        "{POLICY}waivers: [{{owner: {owner}, description: '*laptop', rules: [lifetime], reason: r, until: {until}}}]\n"
    ))
}

fn held_back(plan: &Plan) -> Vec<&str> {
    plan.held_back.iter().map(|held| held.reason.as_str()).collect()
}

#[test]
fn a_description_that_something_looks_at_is_never_cut_and_the_plan_says_what_looks_at_it() {
    let long = format!("OPS-1 {} laptop", "\u{1f511}".repeat(110));
    let by_limit = policy(&POLICY.replace("max_lifetime: 90d", "max_lifetime: 90d, description: '^OPS-'"));
    let by_rule = policy(&POLICY.replace(
        "  limits",
        "  rules: [{name: no-laptops, when: 'token.description == \"x\"', message: m}]\n  limits",
    ));
    let by_waiver = waived_by_words("Mary", "2026-11-01");
    for (policy, looks) in [
        (by_limit, "the rule `description`"),
        (by_rule, "the rule `no-laptops`"),
        (by_waiver, "the waiver at policy.yaml:5"),
    ] {
        let world = target(Token { description: long.clone(), ..token() });
        let (plan, _) = world.apply(&policy, time(NOW));
        assert_eq!(actions(&plan), [""; 0]);
        let reason = format!(
            "its description is too long for a mark behind it, and {looks} looks at descriptions: shorten it, or \
             revoke the token by hand"
        );
        assert_eq!(held_back(&plan), [reason]);
        assert_eq!(description(&world), long);
        assert!(!plan.is_whole());

        // A day that is on record counts without a mark.
        let history = recorded("2026-12-08T00:00:00Z");
        let waiting = plan_with(&world, &policy, &history, days_later(1));
        assert_eq!((actions(&waiting), held_back(&waiting)), (vec![], vec![]));
        assert_eq!(waiting.pending[0].until, time("2026-12-08T00:00:00Z"));
        assert_eq!(actions(&plan_with(&world, &policy, &history, days_later(30))), ["revoke"]);
    }
    let world = target(Token { description: long, ..token() });
    let of_another = waived_by_words("sam", "2026-11-01");
    assert_eq!(actions(&world.plan(&of_another, time(NOW))), ["mark"]);
}

#[test]
fn what_looks_at_a_description_that_was_cut_before_is_not_decided() {
    let world = target(Token { description: format!("OPS-1 {} laptop", "x".repeat(240)), ..token() });
    world.apply(&policy(POLICY), time(NOW));
    assert!(description(&world).contains('…'));
    let by_limit = policy(
        "version: 1\ntokens: {limits: [{description: 'laptop$'}], enforcement: {description: revoke}}\n",
    );
    let by_rule = policy(
        "version: 1\ntokens:\n  rules: [{name: own, when: '!token.description.endsWith(\"laptop\")', message: m}]\n  \
         enforcement: {own: revoke}\n",
    );
    // The mark is due.
    for policy in
        [waived_by_words("mary", "2027-06-30"), waived_by_words("mary", "2026-11-20"), by_limit, by_rule]
    {
        let plan = world.plan(&policy, days_later(40));
        assert_eq!(actions(&plan), [""; 0]);
        assert_eq!(
            held_back(&plan),
            ["its description was cut, so that its mark had room: write it anew, in fewer words"]
        );
    }
    let of_another = waived_by_words("sam", "2026-11-01");
    assert_eq!(actions(&world.plan(&of_another, days_later(40))), ["revoke"]);
}

#[test]
fn a_token_that_was_waived_gets_its_two_weeks_whatever_an_older_mark_says() {
    let waived = policy(&format!(
        "{POLICY}waivers: [{{token: '075905477751', rules: [lifetime], reason: r, until: 2026-12-20}}]\n"
    ));
    let old = "2026-12-08T00:00:00Z";
    for (run, deadline) in
        [("2026-12-21T12:00:00Z", "2027-01-05T00:00:00Z"), ("2027-02-01T00:00:00Z", "2027-02-15T00:00:00Z")]
    {
        for history in [History::default(), recorded(old)] {
            let world = target(token());
            world.apply(&policy(POLICY), time(NOW));
            // No run came while the waiver held.
            let plan = plan_with(&world, &waived, &history, time(run));
            assert_eq!(actions(&plan), ["mark"]);
            block_on(tokenwarden::apply::execute(&approve(plan), &world, &world, &|_| {}));
            assert_eq!(description(&world), marker().write("nightly build", &id(), time(deadline)));

            // Neither an older mark that is put back nor one that is taken off moves the day that is on record.
            let known = recorded(deadline);
            for words in [marker().write("nightly build", &id(), time(old)), "nightly build".to_owned()] {
                world.change(|state| state.tokens.get_mut(&id()).unwrap().description = words);
                let again = plan_with(&world, &waived, &known, time(run));
                assert_eq!(actions(&again), ["mark"]);
                block_on(tokenwarden::apply::execute(&approve(again), &world, &world, &|_| {}));
                assert_eq!(description(&world), marker().write("nightly build", &id(), time(deadline)));
            }
            for known in [&History::default(), &known] {
                let before = time(deadline).checked_sub(jiff::SignedDuration::from_secs(1)).unwrap();
                let waiting = plan_with(&world, &waived, known, before);
                assert_eq!((actions(&waiting), waiting.pending.len()), (vec![], 1));
                assert_eq!(actions(&plan_with(&world, &waived, known, time(deadline))), ["revoke"]);
            }
        }
    }
}

#[test]
fn an_old_mark_that_is_put_back_takes_nothing_of_the_two_weeks_after_a_waiver() {
    let waived = policy(&format!(
        "{POLICY}waivers: [{{token: '075905477751', rules: [lifetime], reason: r, until: 2026-12-20}}]\n"
    ));
    for day in ["2026-10-01T00:00:00Z", "2026-12-22T00:00:00Z"] {
        let marked = marker().write("nightly build", &id(), time(day));
        let world = target(Token { description: marked, ..token() });
        world.apply(&waived, time("2026-12-22T12:00:00Z"));
        assert_eq!(description(&world), marker().write("nightly build", &id(), time("2027-01-06T00:00:00Z")));
    }
}

#[test]
fn a_mark_that_is_due_counts_for_what_no_waiver_held() {
    let yaml = "version: 1
tokens:
  limits: [{max_lifetime: 90d, max_unused: 30d}]
  enforcement: {lifetime: {action: expire, grace: 14d}, never-used: {action: expire, grace: 14d}}
waivers: [{token: '075905477751', rules: [lifetime], reason: r, until: 2026-12-20}]
";
    let world = target(token());
    world.apply(&policy(yaml), time(NOW));
    assert!(description(&world).contains("2026-12-08"));
    assert_eq!(actions(&world.plan(&policy(yaml), time("2026-12-21T12:00:00Z"))), ["revoke"]);
}

#[test]
fn a_recorded_day_is_forgotten_once_nothing_asks_for_the_end_of_the_token() {
    let (world, history) = (target(token()), recorded("2026-12-08T00:00:00Z"));
    let plan = plan_with(&world, &policy(POLICY), &history, days_later(1));
    assert_eq!(plan.deadlines_left(&history), history.deadlines, "something asks for it");
    let marked = target(token());
    marked.apply(&policy(POLICY), time(NOW));
    let plan = plan_with(&marked, &policy(POLICY), &History::default(), days_later(1));
    assert_eq!(
        plan.deadlines_left(&History::default()),
        history.deadlines,
        "a mark that is found goes on record"
    );
    let waived = format!(
        "{POLICY}waivers: [{{token: '075905477751', rules: [lifetime], reason: r, until: 2027-06-30}}]\n"
    );
    let unsure = "version: 1\ntokens: {limits: [{groups: [ghosts], max_lifetime: 90d}, {max_lifetime: 9y}], \
                  enforcement: {lifetime: expire}}\n";
    for (text, left) in [(&*waived, 0), ("version: 1\n", 0), (unsure, 1)] {
        let plan = plan_with(&world, &policy(text), &history, days_later(1));
        assert_eq!((actions(&plan), plan.deadlines_left(&history).len()), (vec![], left), "{text}");
    }
}

#[test]
fn all_marks_go_at_once_where_somebody_put_a_second_one_behind_the_first() {
    let marked = marker().write("nightly build", &id(), time("2026-12-20T00:00:00Z"));
    let twice = marker().write(&marked, &id(), time("2026-12-08T00:00:00Z"));
    let world = target(Token { description: twice, ..token() });
    let reported = policy("version: 1\ntokens: {limits: [{max_lifetime: 90d}]}\n");
    let (plan, _) = world.apply(&reported, time(NOW));
    assert_eq!((actions(&plan), description(&world)), (vec!["unmark"], "nightly build".to_owned()));
    assert_eq!(actions(&world.plan(&reported, time(NOW))), [""; 0]);
}

#[test]
fn marks_count_as_expiries_and_due_ones_as_revocations() {
    let world = target(token());
    world.change(|state| {
        for index in 0..99 {
            let other = Token { id: TokenId::new(index.to_string()), ..token() };
            state.tokens.insert(other.id.clone(), other);
        }
    });
    let classes = |plan: &Plan| {
        let refusals = plan.refusals(&Rails::default(), &Allowed::new());
        refusals.iter().map(|refusal| (refusal.class, refusal.count)).collect::<Vec<_>>()
    };
    let (plan, _) = world.apply(&policy(POLICY), time(NOW));
    assert_eq!(classes(&plan), [(RailClass::Expiries, 100)]);
    assert_eq!(classes(&world.plan(&policy(POLICY), days_later(30))), [(RailClass::Revocations, 100)]);
}

#[test]
fn a_marked_token_is_a_way_in_until_it_is_revoked() {
    let own =
        Token { owner: Owner::User("root".into()), scope: TokenScope::Set(Scope::ReadWrite), ..token() };
    let mut state = State { users: BTreeMap::from([("root".into(), true)]), ..State::default() };
    state.settings.password_authentication = PasswordAuthentication::disabled();
    state.tokens.insert(own.id.clone(), own);
    let lockout = Lockout { break_glass: vec!["root".into()], ..Lockout::default() };
    let policy = policy(POLICY);
    let shut_out = |world: &World, now| world.plan_with(&policy, &lockout, now).shut_out.len();
    assert_eq!(shut_out(&World::new(state.clone()), time(NOW)), 1, "an expiry ends it");
    let world = World::new(state.with_marks());
    assert_eq!(shut_out(&world, time(NOW)), 0);
    world.apply(&policy, time(NOW));
    assert_eq!(shut_out(&world, days_later(30)), 1, "the mark is due");
}

#[test]
fn the_json_of_a_plan_tells_the_mark_before_and_after() {
    let world = target(token());
    let plan = world.plan(&policy(POLICY), time(NOW));
    let mut document = PlanDocument::new();
    document.add_plan(&plan);
    let json = serde_json::to_value(&document).unwrap();
    let change = &json["resource_changes"][0]["change"];
    assert_eq!(change["actions"], serde_json::json!(["mark"]));
    assert_eq!(change["before"]["marked_to_end"], serde_json::Value::Null);
    assert_eq!(change["after"]["marked_to_end"], "2026-12-08T00:00:00Z");
    assert!(json["remarks"][0]["message"].as_str().unwrap().contains("no journal is kept"));
}

#[test]
fn a_saved_plan_tells_when_a_token_ends_whose_mark_is_from_before_its_waiver_ended() {
    let policy = policy(
        "version: 1
tokens:
  rules: [{name: old, when: \"now - token.created > duration('4800h')\", message: too old}]
  enforcement: {old: revoke}
waivers: [{owner: mary, rules: [old], reason: r, until: 2026-11-22}]
",
    );
    let marked = marker().marked("nightly build", &token(), time("2026-11-24T00:00:00Z")).unwrap().unwrap();
    let expires = Some(time("2026-11-25T08:00:00Z"));
    let plan = target(Token { description: marked, expires, ..token() }).plan(&policy, time(NOW));
    let mut document = PlanDocument::new();
    document.add_plan(&plan);
    (document.made_at, document.valid_until) = (Some(time(NOW)), Some(days_later(1)));
    let saved = SavedPlan::read(saved::write(&document).unwrap().as_bytes()).unwrap();
    let read = &saved.shown().unwrap().plans[0];
    assert!(shown(&plan).contains("pending until 2026-11-25 08:00 UTC  "), "{}", shown(&plan));
    assert_eq!(shown(read), shown(&plan));
}

/// Plans and applies on the record, as `tokenwarden apply` does, and answers what the record tells the next run.
fn run_on_record(world: &World, policy: &Policy, history: &History, now: Timestamp) -> (Plan, History) {
    let plan = plan_with(world, policy, history, now);
    let mut deadlines = plan.deadlines_left(history);
    for note in plan.notes() {
        let id = TokenId::new(note.address.rsplit('/').next().unwrap());
        match (note.action.as_str(), note.deadline) {
            ("revoke" | "unmark", _) => drop(deadlines.remove(&id)),
            ("mark", Some(deadline)) => drop(deadlines.insert(id, deadline)),
            _ => {}
        }
    }
    block_on(tokenwarden::apply::execute(&approve(plan.clone()), world, world, &|_| {}));
    (plan, History { deadlines, ..recorded("2026-12-08T00:00:00Z") })
}

proptest! {
    #![proptest_config(world::cases(128))]

    #[test]
    fn on_the_record_no_owner_wins_or_loses_time_by_taking_marks_off_or_putting_old_ones_back(
        text in laws::policies(), state in laws::states(),
        days in proptest::collection::vec((0i32..9, proptest::collection::vec(0usize..4, 12)), 8),
    ) {
        // Every mark is made on the record.
        let mut state = state;
        for token in state.tokens.values_mut() {
            token.description = marker().read(&token.description, &token.id).0.to_owned();
        }
        let (quiet, busy, policy) = (World::new(state.clone().with_marks()), World::new(state.with_marks()), policy(&text));
        let (mut known, mut now) = ((History::default(), History::default()), 0);
        let mut earlier: BTreeMap<TokenId, Vec<String>> = BTreeMap::new();
        for (pause, moves) in days {
            now += pause;
            let (plan, history) = run_on_record(&quiet, &policy, &known.0, days_later(now));
            let (same, other) = run_on_record(&busy, &policy, &known.1, days_later(now));
            known = (history, other);
            let ends = |plan: &Plan| -> BTreeMap<_, _> {
                plan.pending.iter().map(|pending| (pending.token.id.clone(), pending.until)).collect()
            };
            let after = (plan_with(&quiet, &policy, &known.0, days_later(now)), plan_with(&busy, &policy, &known.1, days_later(now)));
            prop_assert_eq!(ends(&after.0), ends(&after.1), "{}\n{:#?}\n{:#?}", text, plan.changes, same.changes);
            prop_assert_eq!(&after.1.changes, &vec![]);
            let left = |world: &World| world.state().tokens.into_keys().collect::<Vec<_>>();
            prop_assert_eq!(left(&quiet), left(&busy), "{}", text);
            // The owners are at work.
            busy.change(|state| {
                for (token, choice) in state.tokens.values_mut().zip(moves) {
                    let written = earlier.entry(token.id.clone()).or_default();
                    // Words that were cut are known for it by their mark alone.
                    if token.description.contains('…') {
                        continue;
                    }
                    written.push(token.description.clone());
                    token.description = match choice {
                        0 => marker().read(&token.description, &token.id).0.to_owned(),
                        choice => written.get(written.len().saturating_sub(choice)).unwrap_or(&written[0]).clone(),
                    };
                }
            });
        }
    }
}

proptest! {
    #![proptest_config(world::cases(128))]

    #[test]
    fn no_run_ever_moves_a_deadline_later_or_leaves_one_that_is_due(
        text in laws::policies(), state in laws::states(), pauses in proptest::collection::vec(0i32..9, 10),
    ) {
        let (world, policy) = (World::new(state.with_marks()), policy(&text));
        let (mut now, mut until) = (0, BTreeMap::new());
        for pause in pauses {
            now += pause;
            let now = days_later(now);
            world.apply(&policy, now);
            let after = world.plan(&policy, now);
            for pending in &after.pending {
                prop_assert!(pending.until > now, "nothing that is due is left");
                let first = until.entry(pending.token.id.clone()).or_insert(pending.until);
                prop_assert!(pending.until <= *first, "{}: {} after {first}", pending.token.id, pending.until);
                *first = pending.until;
            }
            let waiting: Vec<_> = after.pending.iter().map(|pending| &pending.token.id).collect();
            until.retain(|id, _| waiting.contains(&id));
        }
    }
}
