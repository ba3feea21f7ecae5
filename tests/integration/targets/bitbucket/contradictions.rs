//! Lists that contradict themselves, and records that cannot be read: what was not seen is not absent.

use serde_json::{Value, json};
use tokenwarden::{
    inventory::{InventoryReader, Presence},
    model::{Owner, TokenId, rails::Lockout},
    plan::{Axis, History, Incident, Plan, Purpose, Selection, ShutOut, Terms, Who},
};

use super::{
    actions, plan,
    program::Repository,
    stub::{self, Rewriting, Stub, token},
};
use crate::support::world::{NOW, policy, terms, time};

const MEMBERS: &str = "/rest/api/latest/admin/groups/more-members";
const USERS: &str = "/rest/api/latest/admin/users";

/// Members of the group keep their tokens, all others lose theirs.
const FOR_THE_REST: &str = "version: 1\ntokens: {limits: [{groups: [ci-bots]}, {max_lifetime: 90d}], \
                            enforcement: {lifetime: revoke, owner-unknown: revoke}}\n";

/// Ways in which the first page of a list of three, with two of them on it, says that it cannot be whole.
fn lies() -> Vec<(&'static str, Rewriting)> {
    fn set(changes: Value) -> Rewriting {
        Box::new(move |page, start| {
            if start == 0 {
                page.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            }
        })
    }
    fn without(field: &'static str) -> Rewriting {
        Box::new(move |page, _| {
            page.as_object_mut().unwrap().remove(field);
        })
    }
    vec![
        ("last, and leads on", set(json!({"isLastPage": true}))),
        ("begins elsewhere", set(json!({"start": 5, "isLastPage": true, "nextPageStart": null}))),
        ("holds more", set(json!({"size": 3, "isLastPage": true, "nextPageStart": null}))),
        ("holds fewer", set(json!({"size": 1, "isLastPage": true, "nextPageStart": null}))),
        ("has no number", set(json!({"size": "many", "isLastPage": true, "nextPageStart": null}))),
        ("errors", set(json!({"errors": [{"message": "x"}], "isLastPage": true, "nextPageStart": null}))),
        ("no room", set(json!({"limit": 0, "isLastPage": true, "nextPageStart": null}))),
        ("less room", set(json!({"limit": 1, "isLastPage": true, "nextPageStart": null}))),
        ("leads nowhere", set(json!({"nextPageStart": null}))),
        ("leads back", set(json!({"nextPageStart": 0}))),
        ("does not say", set(json!({"isLastPage": null, "nextPageStart": null}))),
        ("says it in words", set(json!({"isLastPage": "true", "nextPageStart": null}))),
        ("begins at a text", set(json!({"start": "0", "isLastPage": true, "nextPageStart": null}))),
        ("holds no number", set(json!({"size": null, "isLastPage": true, "nextPageStart": null}))),
        ("has room for no number", set(json!({"limit": null, "isLastPage": true, "nextPageStart": null}))),
        ("has room in words", set(json!({"limit": "2", "isLastPage": true, "nextPageStart": null}))),
        ("leads on in words", set(json!({"nextPageStart": "10"}))),
        ("is one of more", set(json!({"total": 9, "isLastPage": true, "nextPageStart": null}))),
        ("is one of fewer", set(json!({"totalCount": 1, "isLastPage": true, "nextPageStart": null}))),
        ("does not say where it begins", without("start")),
        ("does not say how much it holds", without("size")),
        ("does not say how much room it has", without("limit")),
        (
            "holds one twice",
            Box::new(|page, start| {
                if start == 0 {
                    page["values"][1] = page["values"][0].clone();
                    page["isLastPage"] = true.into();
                    page["nextPageStart"] = Value::Null;
                }
            }),
        ),
        (
            "promised more",
            Box::new(|page, start| {
                if start > 0 {
                    let empty = json!({"values": [], "size": 0, "isLastPage": true, "nextPageStart": null});
                    page.as_object_mut().unwrap().extend(empty.as_object().unwrap().clone());
                }
            }),
        ),
        ("holds what cannot be read", Box::new(|page, _| page["values"][0] = json!({"name": null}))),
    ]
}

fn missing(plan: &Plan) -> String {
    plan.coverage.unseen().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn old(id: &str) -> Value {
    token(id, "x", "2025-01-01T00:00:00Z", &["REPO_READ"])
}

async fn with_members() -> Stub {
    let stub = Stub::start().await;
    let everybody = ["warden", "mary@example.com", "gone"];
    stub.contents().groups.insert("ci-bots", everybody.into());
    for (owner, id) in [("users/warden", "1"), ("users/mary_example.com", "2"), ("users/gone", "3")] {
        stub.add(owner, old(id));
    }
    stub
}

async fn planned(stub: &Stub, yaml: &str) -> Plan {
    plan(&stub.target(), &policy(yaml), &History::default(), NOW).await
}

#[tokio::test]
async fn members_that_a_page_may_have_left_out_lose_nothing() {
    assert_eq!(actions(&planned(&with_members().await, FOR_THE_REST).await), Vec::<String>::new());
    for (lie, rewriting) in lies() {
        let stub = with_members().await;
        stub.rewrite(MEMBERS, rewriting);
        let plan = planned(&stub, FOR_THE_REST).await;
        assert_eq!(actions(&plan), Vec::<String>::new(), "{lie}");
        assert!(missing(&plan).contains("the list of members of group `ci-bots` is not whole"), "{lie}");
        assert!(!plan.is_whole(), "{lie}");
    }
}

#[tokio::test]
async fn an_answer_of_another_form_hides_the_members_of_its_group_alone() {
    for answer in [json!([{"name": "gone"}]), json!({"values": null}), json!({"values": {}}), json!({})] {
        let stub = with_members().await;
        stub.rewrite(MEMBERS, move |page, _| *page = answer.clone());
        let plan = planned(&stub, FOR_THE_REST).await;
        assert_eq!((actions(&plan), plan.tokens.seen), (Vec::new(), 3));
        assert!(!plan.is_whole());
    }
}

#[tokio::test]
async fn users_projects_repositories_and_tokens_that_a_page_may_have_left_out_are_missing() {
    for (path, said) in [
        (USERS, "the list of users is not whole"),
        ("/rest/api/latest/projects", "the list of projects is not whole"),
        ("/rest/api/latest/repos", "the list of repositories is not whole"),
        ("/rest/access-tokens/latest/projects/PLAT", "the tokens of project PLAT could not be seen"),
    ] {
        for (lie, rewriting) in lies() {
            let stub = with_members().await;
            stub.contents().projects = vec!["PLAT", "DOCS", "OPS"];
            for id in ["4", "5", "6"] {
                stub.add("projects/PLAT", old(id));
            }
            stub.rewrite(path, rewriting);
            let plan = planned(&stub, "version: 1\n").await;
            let is_of_an_odd_token = path.ends_with("projects/PLAT") && lie == "holds what cannot be read";
            let said = if is_of_an_odd_token { "cannot be read: it is not looked at" } else { said };
            assert!(missing(&plan).contains(said), "{path}: {lie}: {}", missing(&plan));
        }
    }
}

#[tokio::test]
async fn an_owner_whom_the_list_of_users_may_have_left_out_is_not_unknown() {
    let stub = with_members().await;
    stub.rewrite(USERS, |page, _| {
        for user in page["values"].as_array_mut().unwrap().iter_mut().filter(|user| user["name"] == "gone") {
            user["name"] = Value::Null;
        }
    });
    let people = stub.target().people(&[].into()).await.unwrap();
    let said: Vec<_> = people.missing().map(|missing| missing.to_string()).collect();
    insta::assert_snapshot!(said.join("\n"), @"the list of users is not whole: the page from 0 begins a list with an entry that cannot be read: `52`");
    let presence = ["mary@example.com", "gone"].map(|name| people.presence(&name.into()));
    assert_eq!(presence, [Presence::Active, Presence::NotSeen]);
}

#[tokio::test]
async fn a_user_without_a_slug_or_an_activity_costs_nobody_else_anything() {
    let stub = with_members().await;
    stub.rewrite(USERS, |page, _| {
        for user in page["values"].as_array_mut().unwrap().iter_mut().filter(|user| user["name"] == "gone") {
            user["slug"] = Value::Null;
            user["id"] = json!({});
            user.as_object_mut().unwrap().remove("active");
        }
    });
    let plan = planned(&stub, "version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke, owner-inactive: revoke}}\n").await;
    assert_eq!(actions(&plan), ["revoke 1", "revoke 2", "revoke 3"]);
    insta::assert_snapshot!(missing(&plan), @"the server does not say whether 1 users, such as gone, are active: they are taken to be");
}

#[tokio::test]
async fn an_odd_token_costs_itself_alone_and_is_named() {
    let revoking = "version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke, expired: revoke}}\n";
    for (field, value) in [
        ("createdDate", Value::Null),
        ("createdDate", json!("soon")),
        ("createdDate", json!(-1)),
        ("createdDate", json!(253_402_300_800_000_i64)),
        ("lastAuthenticated", json!(-1)),
        ("lastAuthenticated", json!(u64::MAX)),
        ("expiryDate", json!(-1)),
        ("expiryDate", json!({})),
        ("expiryDays", json!("many")),
        ("id", json!(-7)),
        ("id", Value::Null),
        ("id", json!(1.5)),
        ("name", json!(5)),
    ] {
        let stub = with_members().await;
        let mut odd = old("009");
        odd[field] = value.clone();
        stub.add("users/warden", odd);
        let plan = planned(&stub, revoking).await;
        assert_eq!(actions(&plan), ["revoke 1", "revoke 2", "revoke 3"], "{field}: {value}");
        let said = missing(&plan);
        assert!(said.contains("of warden cannot be read: it is not looked at"), "{field}: {value}: {said}");
        assert!(field == "id" || said.contains("token 009 of warden"), "{field}: {value}: {said}");
        // After an incident, too.
        let incident = Incident {
            tokens: Selection::Tokens([TokenId::new("2")].into()),
            leaks: Vec::new(),
            reason: "a laptop was stolen".to_owned(),
        };
        let (policy, history) = (policy("version: 1\n"), History::default());
        let terms = Terms { target: stub::TARGET, history: &history, ..terms(&policy, time(NOW)) };
        let revoked = Plan::make_for(&Purpose::Revoke(incident), &terms, &stub.target()).await.unwrap();
        assert_eq!(actions(&revoked), ["revoke 2"], "{field}: {value}");
    }
}

#[tokio::test]
async fn a_token_with_a_permission_that_nobody_knows_is_held_back() {
    let narrow = "version: 1\ntokens: {limits: [{max_scope: read-only}], enforcement: {scope: revoke}}\n";
    for (permissions, expected) in [
        (&["REPO_SUPER"][..], &[][..]),
        (&["PROJECT_READ", "repo_read"], &[]),
        (&[""], &[]),
        (&["REPO_SUPER", "REPO_WRITE"], &["revoke 7"]),
    ] {
        let stub = Stub::start().await;
        stub.add("users/warden", token("7", "x", "2025-01-01T00:00:00Z", permissions));
        let plan = planned(&stub, narrow).await;
        assert_eq!(actions(&plan), expected, "{permissions:?}");
        assert_eq!(plan.is_whole(), !expected.is_empty(), "{permissions:?}");
    }
}

#[tokio::test]
async fn an_end_behind_the_calendar_is_beyond_every_limit() {
    for late in [json!(253_402_300_799_999_i64), json!(9_999_999_999_999_999_i64), json!("253402300799999")] {
        let stub = Stub::start().await;
        let mut endless = token("7", "x", "2026-11-01T00:00:00Z", &["REPO_READ"]);
        endless["expiryDate"] = late.clone();
        stub.add("users/warden", endless);
        let limited =
            "version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: expire}}\n";
        let plan = planned(&stub, limited).await;
        assert_eq!(actions(&plan), ["mark 7"], "{late}");
        assert!(plan.is_whole(), "{late}: {}", missing(&plan));
    }
}

#[tokio::test]
async fn of_users_with_one_slug_the_tokens_of_one_are_seen_once_and_the_other_is_missing() {
    let stub = Stub::start().await;
    stub.contents().users.push(("mary_example.com", "Mary_example.com", true));
    for id in ["1", "2"] {
        let mut told = old(id);
        told["user"] = json!({"name": "mary@example.com", "slug": "mary_example.com"});
        stub.add("users/mary_example.com", told.clone());
        stub.add("users/Mary_example.com", told);
    }
    let mut seen = Vec::new();
    let coverage = stub.target().tokens(&mut |token| seen.push((token.id, token.owner))).await.unwrap();
    seen.sort();
    let mary = Owner::User("mary@example.com".into());
    assert_eq!(seen, ["1", "2"].map(|id| (TokenId::new(id), mary.clone())));
    let said: Vec<_> = coverage.missing().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @"the users `mary@example.com` and `mary_example.com` have one slug, `mary_example.com`, and the server answers for one of them alone: tokens of the others could not be seen");
}

#[tokio::test]
async fn of_users_with_one_slug_no_token_is_anybodys_that_does_not_say_whose_it_is() {
    let stub = Stub::start().await;
    stub.contents().users.push(("mary_example.com", "mary_example.com", true));
    stub.add("users/mary_example.com", old("1"));
    let strict = "version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n";
    let plan = planned(&stub, strict).await;
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert!(missing(&plan).contains("the `user` of token 1 cannot be read"), "{}", missing(&plan));
}

/// A server whose list of users says that it has more than it shows, which is all but `hidden`.
async fn hiding(hidden: &'static str) -> Stub {
    let stub = Stub::start().await;
    stub.contents().users.retain(|(name, ..)| *name != "gone");
    stub.contents().users.push(("root", "root", true));
    stub.contents().administrators.push("root");
    stub.rewrite(USERS, move |page, _| {
        let users = page["values"].as_array_mut().unwrap();
        let before = users.len();
        users.retain(|user| user["name"] != hidden);
        if users.len() < before {
            page["size"] = 3.into();
        }
    });
    stub
}

/// Closes the way in of everybody but `warden`, with whose password runs are made.
const CLOSING: &str = "version: 1\npassword_authentication: {state: disabled, except_users: [warden]}\n";

#[tokio::test]
async fn nobody_whom_the_list_of_users_left_out_is_locked_out() {
    let least = |min_admins| Lockout { min_admins, ..Lockout::default() };
    let root = || Lockout { break_glass: vec!["root".into()], ..Lockout::default() };
    let lost = Who::BreakGlass("root".into());
    let sparing = "version: 1\npassword_authentication: {state: disabled, except_users: [warden, root]}\n";
    let two = Who::Administrators { before: 2, after: 1, least: 2 };
    for (hidden, lockout, yaml, who) in [
        ("root", root(), CLOSING, vec![lost]),
        ("root", root(), sparing, vec![]),
        ("root", root(), "version: 1\n", vec![]),
        ("root", least(2), CLOSING, vec![two]),
        ("root", least(2), "version: 1\n", vec![]),
        ("root", least(1), CLOSING, vec![]),
        // The run shows that its own user is there.
        ("warden", least(1), CLOSING, vec![]),
    ] {
        let (stub, policy, history) = (hiding(hidden).await, policy(yaml), History::default());
        let terms =
            Terms { target: stub::TARGET, history: &history, lockout: &lockout, ..terms(&policy, time(NOW)) };
        let plan = Plan::make(&terms, &stub.target()).await.unwrap();
        let said: Vec<_> = plan.shut_out.iter().map(|shut_out| shut_out.who.clone()).collect();
        assert_eq!(said, who, "{hidden}: {lockout:?}: {yaml}");
        let is_unseen = |shut_out: &ShutOut| shut_out.losses.iter().any(|loss| loss.axis == Axis::Unseen);
        assert!(plan.shut_out.iter().all(is_unseen), "{:?}", plan.shut_out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_may_lock_out_somebody_not_seen_is_refused_and_says_what_to_do() {
    for (hidden, yaml, code) in [("root", CLOSING, 4), ("nobody", CLOSING, 4), ("root", "version: 1\n", 1)] {
        let stub = hiding(hidden).await;
        let repository = Repository::new(&stub, "    lockout: { break_glass: [root] }\n");
        std::fs::write(repository.path().join("policy.yaml"), yaml).unwrap();
        let applied = repository.run(&["apply", "--auto-approve"]).await;
        assert_eq!(applied.code, Some(code), "{}{}", applied.stdout, applied.stderr);
        assert!(applied.stderr.contains("`root` of `break_glass`"), "{}", applied.stderr);
        let is_unseen = applied.stderr.contains("unseen: not everybody whom this is about could be seen");
        assert_eq!(is_unseen, code == 4 && hidden == "root", "{}", applied.stderr);
        assert_eq!(stub.contents().writes, []);
    }
    // A list that is whole and has no such user warns alone.
    let stub = Stub::start().await;
    let repository = Repository::new(&stub, "    lockout: { break_glass: [root] }\n");
    std::fs::write(repository.path().join("policy.yaml"), CLOSING).unwrap();
    let planned = repository.run(&["plan"]).await;
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    assert!(!planned.stderr.contains("refused"), "{}", planned.stderr);
    assert!(
        planned.stderr.contains("`root` of `break_glass` has no way in to prod even now\n"),
        "{}",
        planned.stderr
    );
}
