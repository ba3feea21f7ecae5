//! The look at the people whose tokens a run revokes, right before it revokes them.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokenwarden::{
    apply::{ChangeResult, Outcome, execute},
    inventory::{Coverage, InventoryReader, Overview, People, ReadError},
    model::{GroupName, Token, TokenId, UserName, Verb},
    plan::{Incident, Plan, Purpose, Selection},
};

use crate::{
    apply::signals::Gate,
    support::{
        DIRECTORY,
        world::{self, State, World, approve, block_on, policy, terms, time},
    },
    targets::reconcile::{Repository, server, token},
};

/// The moment of the plans.
const NOW: &str = "2026-06-01T12:00:00Z";

const POLICY: &str = "version: 1
permissions: {use: [developers, operators], manage_others: [operators]}
tokens:
  enforcement: {owner-inactive: revoke, owner-not-permitted: revoke, creator-not-permitted: revoke, owner-unknown: report}
";

fn office() -> State {
    let owned = |id: &str, owner: &str, maker: &str| Token {
        created: time(NOW),
        created_by: Some(maker.into()),
        last_used: None,
        expires: None,
        ..world::token(id, owner)
    };
    let tokens = [
        owned("1", "mary", "mary"),
        owned("2", "gone", "gone"),
        owned("3", "sam", "bob"),
        owned("4", "ann", "ann"),
    ];
    let group = |name: &str, members: &[&str]| {
        (GroupName::from(name), members.iter().map(|member| UserName::from(*member)).collect())
    };
    State {
        users: [("mary", true), ("gone", false), ("sam", true), ("bob", true), ("ann", false)]
            .map(|(user, active)| (user.into(), active))
            .into(),
        groups: [
            group("administrators", &[]),
            group("developers", &["mary", "gone", "sam", "ann"]),
            group("operators", &[]),
            group("chess", &[]),
        ]
        .into(),
        tokens: tokens.map(|token| (token.id.clone(), token)).into(),
        ..State::default()
    }
}

fn join(state: &mut State, user: &str, group: &str) {
    state.groups.get_mut(&GroupName::from(group)).unwrap().insert(user.into());
}

fn leave(state: &mut State, user: &str, group: &str) {
    state.groups.get_mut(&GroupName::from(group)).unwrap().remove(&UserName::from(user));
}

/// A reader of the world that can be slow or away.
struct Reader<'a> {
    world: &'a World,
    /// What happens once all groups but the operators were read.
    meanwhile: Option<fn(&mut State)>,
    is_away: bool,
    asked: AtomicUsize,
}

impl<'a> Reader<'a> {
    fn slow(world: &'a World, meanwhile: fn(&mut State)) -> Self {
        Self { world, meanwhile: Some(meanwhile), is_away: false, asked: AtomicUsize::new(0) }
    }

    fn away(world: &'a World) -> Self {
        Self { world, meanwhile: None, is_away: true, asked: AtomicUsize::new(0) }
    }
}

impl InventoryReader for Reader<'_> {
    async fn overview(&self) -> Result<Overview, ReadError> {
        self.world.overview().await
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_away {
            return Err(ReadError { what: "users", server: "memory".to_owned(), cause: "it is away".into() });
        }
        let before = self.world.people(groups).await?;
        self.meanwhile.into_iter().for_each(|meanwhile| self.world.change(meanwhile));
        let after = self.world.people(groups).await?;
        let mut seen = People::default();
        before.users().into_iter().for_each(|(user, active)| seen.add_user(user.clone(), active));
        for group in groups {
            let read = if *group == GroupName::from("operators") { &after } else { &before };
            seen.add_group(group, read.members_of(group).cloned());
        }
        Ok(seen)
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        self.world.tokens(each).await
    }
}

fn left(world: &World) -> Vec<String> {
    world.state().tokens.keys().map(|id| id.as_str().to_owned()).collect()
}

/// Why the changes were not tried that were not.
fn untried(outcome: &Outcome) -> Vec<&str> {
    let results = outcome.changes.iter().map(|change| &change.result);
    results
        .filter_map(|result| match result {
            ChangeResult::NotTried(why) => Some(&**why),
            ChangeResult::Done(_) | ChangeResult::Failed(_) => None,
        })
        .collect()
}

fn revoked(plan: &Plan) -> Vec<&str> {
    let changes = plan.changes.iter().map(|planned| &planned.change);
    changes
        .filter(|change| change.verb() == Verb::Revoke)
        .filter_map(|change| change.token())
        .map(|token| token.id.as_str())
        .collect()
}

#[test]
fn who_moves_between_two_groups_while_they_are_read_keeps_the_token() {
    let mut state = office();
    leave(&mut state, "mary", "developers");
    join(&mut state, "mary", "operators");
    let world = World::new(state);
    let reader = Reader::slow(&world, |state| {
        leave(state, "mary", "operators");
        join(state, "mary", "developers");
    });
    let plan = block_on(Plan::make(&terms(&policy(POLICY), time(NOW)), &reader)).unwrap();
    assert_eq!(revoked(&plan), ["1", "2", "3", "4"], "it looks as if mary were in no group");
    let outcome = block_on(execute(&approve(plan), &world, &world, &|_| {}));
    assert_eq!(untried(&outcome), ["the groups or the state of mary changed since the plan was made"]);
    assert_eq!(left(&world), ["1"], "the others are revoked all the same");
    assert_eq!(world.plan(&policy(POLICY), time(NOW)).changes, [], "the next run finds nothing wrong");
}

/// What happens between a plan and its application, the tokens that are there afterwards, and why.
type Case = (&'static str, fn(&mut State), &'static [&'static str], Vec<String>);

#[test]
fn who_stands_otherwise_once_apply_goes_on_keeps_the_token_and_no_one_else_does() {
    let moved = |name: &str| format!("the groups or the state of {name} changed since the plan was made");
    let unseen = |name: &str| format!("the groups and the state of {name} could not be seen again");
    let cases: [Case; 7] = [
        ("active again", |state| state.users.extend([("ann".into(), true)]), &["1", "4"], vec![moved("ann")]),
        ("its maker may again", |state| join(state, "bob", "operators"), &["1", "3"], vec![moved("bob")]),
        ("in a group too", |state| join(state, "gone", "operators"), &["1", "2"], vec![moved("gone")]),
        (
            "not listed",
            |state| state.users.retain(|user, _| *user != "gone".into()),
            &["1", "2"],
            vec![moved("gone")],
        ),
        ("in a group of no concern", |state| join(state, "gone", "chess"), &["1"], vec![]),
        ("somebody else", |state| leave(state, "mary", "developers"), &["1"], vec![]),
        (
            "a group that is not there",
            |state| drop(state.groups.remove(&"operators".into())),
            &["1", "2", "3", "4"],
            ["gone", "sam", "ann"].map(unseen).into(),
        ),
    ];
    for (what, meanwhile, kept, why) in cases {
        let world = World::new(office());
        let plan = world.plan(&policy(POLICY), time(NOW));
        assert_eq!(revoked(&plan), ["2", "3", "4"], "{what}");
        let approved = approve(plan);
        world.change(meanwhile);
        let outcome = block_on(execute(&approved, &world, &world, &|_| {}));
        assert_eq!(untried(&outcome), why, "{what}");
        assert_eq!(left(&world), kept, "{what}");
    }
}

#[test]
fn nothing_is_revoked_for_people_who_cannot_be_read_again_and_all_else_is_done() {
    let world = World::new(office());
    let approved = approve(world.plan(&policy(POLICY), time(NOW)));
    let away = Reader::away(&world);
    let outcome = block_on(execute(&approved, &away, &world, &|_| {}));
    let why = "it cannot be seen how its owner stands now: cannot read users of memory: it is away";
    assert_eq!(untried(&outcome), [why; 3]);
    assert_eq!(left(&world).len(), 4);
    assert!(outcome.done() > 0, "settings were changed: {outcome:#?}");
    assert_eq!(away.asked.into_inner(), 1, "they are read once for all");
}

#[test]
fn nobody_is_looked_at_again_without_a_revocation_or_for_an_incident() {
    let world = World::new(office());
    let incident = Incident {
        tokens: Selection::Tokens([TokenId::new("2")].into()),
        leaks: Vec::new(),
        reason: "a laptop was stolen".to_owned(),
    };
    let (policy, stolen) = (policy("version: 1\n"), Purpose::Revoke(incident));
    for purpose in [Purpose::Comply, stolen] {
        let plan = block_on(Plan::make_for(&purpose, &terms(&policy, time(NOW)), &world)).unwrap();
        let away = Reader::away(&world);
        assert!(block_on(execute(&approve(plan), &away, &world, &|_| {})).is_whole());
        assert_eq!(away.asked.into_inner(), 0);
    }
    assert_eq!(left(&world), ["1", "3", "4"]);
}

fn records_a_run(method: &str, path: &str) -> bool {
    method == "POST" && path.ends_with("/runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_is_activated_again_while_apply_waits_keeps_the_token() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    let [mary, sam] = [token(&server, "mary", "script").await, token(&server, "sam", "script").await];
    let inactive = DIRECTORY
        .replace("password_env: mary,", "password_env: mary, active: false,")
        .replace("password_env: sam}", "password_env: sam, active: false}");
    let active_again = inactive.replace("password_env: mary, active: false,", "password_env: mary,");
    server.import(&inactive).await.unwrap();
    let mut gate = Gate::start(server.address(), records_a_run).await;
    let policy = "version: 1\ntokens: {enforcement: {owner-inactive: revoke}}\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    repository.edit_settings(&server.url(""), &gate.proxy.url());
    let come_back = async {
        gate.arrived.recv().await.unwrap();
        server.import(&active_again).await.unwrap();
        gate.open.send_replace(true);
    };
    let (applied, ()) = tokio::join!(repository.run(&["apply", "--auto-approve"]), come_back);
    let told = "the groups or the state of mary changed since the plan was made";
    assert!(applied.stdout.contains(told), "{}{}", applied.stdout, applied.stderr);
    assert_eq!(applied.code, Some(5), "a part is left: {}{}", applied.stdout, applied.stderr);
    assert!(server.token(mary.id).await.is_some() && server.token(sam.id).await.is_none());
    let next = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(next.code, Some(0), "{}{}", next.stdout, next.stderr);
    assert!(server.token(mary.id).await.is_some());
}
