//! Answers of which each can be true, and not all together: a list of users without somebody whom the server names
//! elsewhere, and a token that is listed in two ways.

use std::io::Cursor;

use serde_json::{Value, json};
use tokenwarden::{
    inventory::{
        InventoryReader, Presence,
        snapshot::{self, About, GroupSelection, Snapshot},
    },
    model::{Owner, TokenId},
    plan::{Criteria, History, Incident, Plan, Purpose, Selection, Terms},
    targets::{Sight, calls_of},
};

use super::{
    actions, plan,
    stub::{self, Stub, token},
};
use crate::support::world::{NOW, policy, terms, time};

const USERS: &str = "/rest/api/latest/admin/users";

/// Every token is too old.
const STRICT: &str = "version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke, owner-inactive: revoke}}\n";

fn missing(plan: &Plan) -> Vec<String> {
    plan.coverage.unseen().map(ToString::to_string).collect()
}

async fn planned(stub: &Stub, yaml: &str) -> Plan {
    plan(&stub.target(), &policy(yaml), &History::default(), NOW).await
}

fn old(id: &str, name: &str) -> Value {
    token(id, name, "2025-01-01T00:00:00Z", &["REPO_READ"])
}

/// A server whose list of users is one without `hidden` that does not contradict itself.
async fn hiding(hidden: &'static [&'static str]) -> Stub {
    let stub = Stub::start().await;
    {
        let mut contents = stub.contents();
        contents.users = ["warden", "root", "mary", "sam"].map(|name| (name, name, true)).into();
        contents.administrators = vec!["warden", "root"];
        contents.groups.insert("ci-bots", vec!["mary", "sam"]);
    }
    stub.rewrite(USERS, move |page, _| {
        let all = ["warden", "root", "mary", "sam"].into_iter().filter(|name| !hidden.contains(name));
        let listed: Vec<_> = all.map(|name| json!({"name": name, "slug": name, "active": true})).collect();
        *page = json!({"values": listed, "size": listed.len(), "limit": 25, "start": 0, "isLastPage": true});
    });
    stub
}

#[tokio::test]
async fn a_list_of_users_without_somebody_whom_the_server_names_elsewhere_is_not_whole() {
    let of_bots = "version: 1\ntokens: {limits: [{groups: [ci-bots]}, {max_lifetime: 90d}]}\n";
    for (hidden, said) in [
        (
            &["warden"][..],
            Some(
                "it lacks `warden`, whom the server takes this run for; and `warden`, whom the server calls administrators",
            ),
        ),
        (&["root"], Some("it lacks `root`, whom the server calls administrators")),
        (&["mary"], Some("it lacks `mary`, whom groups have as members")),
        (&["mary", "sam"], Some("it lacks `mary` and `sam`, whom groups have as members")),
        (&[], None),
    ] {
        let stub = hiding(hidden).await;
        let plan = planned(&stub, of_bots).await;
        let expected = said.map(|said| format!("the list of users is not whole: {said}"));
        assert_eq!(missing(&plan), expected.into_iter().collect::<Vec<_>>(), "{hidden:?}");
        assert_eq!(plan.is_whole(), said.is_none(), "{hidden:?}");
    }
}

#[tokio::test]
async fn nobody_is_unknown_who_is_not_on_a_list_that_lacks_somebody_else() {
    let stub = hiding(&["warden"]).await;
    let target = stub.target();
    target.overview().await.unwrap();
    let people = target.people(&["ci-bots".into()].into()).await.unwrap();
    assert_eq!(people.presence(&"lost".into()), Presence::NotSeen);
    assert_eq!(people.presence(&"mary".into()), Presence::Active);
}

#[tokio::test]
async fn of_many_who_are_not_listed_three_are_named() {
    let stub = hiding(&[]).await;
    {
        let mut contents = stub.contents();
        contents.users.extend(["u1", "u2", "u3", "u4", "u5"].map(|name| (name, name, true)));
        contents.groups.insert("ci-bots", vec!["u1", "u2", "u3", "u4", "u5", "mary"]);
    }
    let people = stub.target().people(&["ci-bots".into()].into()).await.unwrap();
    let said: Vec<_> = people.missing().map(|missing| missing.to_string()).collect();
    assert_eq!(
        said,
        [
            "the list of users is not whole: it lacks `u1`, `u2`, `u3` and 2 others, whom groups have as members"
        ]
    );
}

#[tokio::test]
async fn a_user_who_is_listed_as_active_and_as_not_is_not_taken_for_inactive() {
    let stub = Stub::start().await;
    stub.contents().users.push(("gone", "gone", true));
    stub.add("users/gone", token("3", "x", "2026-11-01T00:00:00Z", &["REPO_READ"]));
    let plan = planned(&stub, "version: 1\ntokens: {enforcement: {owner-inactive: revoke}}\n").await;
    assert_eq!(actions(&plan), Vec::<String>::new());
    let said = missing(&plan).join("\n");
    assert!(said.contains("does not say whether 1 users, such as gone, are active"), "{said}");
}

#[tokio::test]
async fn a_token_that_is_listed_in_two_ways_is_named_and_left_alone_whichever_comes_first() {
    let (harmless, harmful) = (token("7", "x", "2026-11-01T00:00:00Z", &["REPO_READ"]), old("7", "x"));
    let (renamed, other) = (old("7", "y"), old("8", "z"));
    for versions in [
        vec![harmless.clone(), harmful.clone(), other.clone()],
        vec![harmful.clone(), harmless, other.clone()],
        vec![harmful.clone(), other.clone(), renamed],
        // Of one version something cannot be read.
        vec![harmful.clone(), other.clone(), json!({"id": "7", "createdDate": "soon", "name": "x"})],
        vec![harmful.clone(), other.clone(), json!({"id": "7", "name": 5})],
    ] {
        let stub = Stub::start().await;
        for version in &versions {
            stub.add("users/warden", version.clone());
        }
        let plan = planned(&stub, STRICT).await;
        assert_eq!(actions(&plan), ["revoke 8"], "{versions:?}");
        let said = missing(&plan).join("\n");
        let disputed =
            "the server lists token 7 more than once, with different content: nothing is done about it";
        assert!(said.contains(disputed), "{versions:?}: {said}");
        assert!(!plan.is_whole());
    }
    // The same words on two pages are one token that moved.
    let stub = Stub::start().await;
    for version in [&harmful, &other, &harmful] {
        stub.add("users/warden", version.clone());
    }
    let plan = planned(&stub, STRICT).await;
    assert_eq!(
        (actions(&plan), missing(&plan)),
        (vec!["revoke 7".to_owned(), "revoke 8".to_owned()], vec![])
    );
}

#[tokio::test]
async fn a_plan_from_a_snapshot_leaves_a_token_alone_that_was_listed_in_two_ways() {
    let stub = Stub::start().await;
    for version in [old("7", "x"), old("8", "z"), old("7", "y")] {
        stub.add("users/warden", version);
    }
    let about = About { target: stub::TARGET, kind: "bitbucket", seen_at: time(NOW), budget: None };
    let mut lines = Vec::new();
    snapshot::write(&about, &GroupSelection::Named([].into()), &stub.target(), &mut lines).await.unwrap();
    let calls = |_: &str, kind: &str| calls_of(kind, Sight::default());
    let snapshot = Snapshot::open("a file", Cursor::new(lines), calls).unwrap();
    let (policy, history) = (policy(STRICT), History::default());
    let terms = Terms { target: stub::TARGET, history: &history, ..terms(&policy, time(NOW)) };
    let plan = Plan::make(&terms, &snapshot).await.unwrap();
    assert_eq!(actions(&plan), ["revoke 8"]);
    let said = missing(&plan).into_iter().filter(|said| said.contains("lists token 7 more than once"));
    assert_eq!(said.count(), 1);
}

#[tokio::test]
async fn a_token_that_two_owners_have_is_nobodys_and_is_revoked_by_its_identifier_alone() {
    let stub = Stub::start().await;
    stub.add("users/warden", old("7", "x"));
    stub.add("users/gone", old("7", "x"));
    stub.add("users/gone", old("8", "x"));
    assert_eq!(actions(&planned(&stub, STRICT).await), ["revoke 8"]);
    let gone = Owner::User("gone".into());
    for (tokens, expected) in [
        (Selection::Tokens([TokenId::new("7")].into()), &["revoke 7"][..]),
        (Selection::Fitting(Criteria::of_owner(gone)), &["revoke 7", "revoke 8"]),
    ] {
        let incident = Incident { tokens, leaks: Vec::new(), reason: "a laptop was stolen".to_owned() };
        let (policy, history) = (policy("version: 1\n"), History::default());
        let terms = Terms { target: stub::TARGET, history: &history, ..terms(&policy, time(NOW)) };
        let revoked = Plan::make_for(&Purpose::Revoke(incident), &terms, &stub.target()).await.unwrap();
        assert_eq!(actions(&revoked), expected);
    }
}

#[tokio::test]
async fn an_owner_without_a_name_is_an_odd_record_that_is_named_by_its_number() {
    for name in ["", " ", "\u{200b}"] {
        let stub = Stub::start().await;
        stub.contents().users.push((name, "nameless", true));
        stub.contents().projects = vec!["PLAT", name];
        let plan = planned(&stub, STRICT).await;
        let said = missing(&plan).join("\n");
        assert!(said.contains("the list of users is not whole: the page from 0 begins a list with an entry that cannot be read: `52`"), "{said}");
        assert!(said.contains("the list of projects is not whole: the page from 0 begins a list with an entry that cannot be read: `1`"), "{said}");
        assert!(!said.contains("of :") && !said.contains("`` "), "{said}");
    }
}
