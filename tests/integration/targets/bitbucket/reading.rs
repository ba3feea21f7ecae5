//! What is read of Bitbucket, with how many calls, and what is said of the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokenwarden::{
    apply::one_line,
    http::HttpCredential,
    inventory::{InventoryReader, LeftOut, Membership},
    model::{GroupName, OwnerKind, TokenId, permission::Groups},
    plan::{History, Remark},
    targets::bitbucket::BitbucketOptions,
};

use super::{
    actions, plan,
    stub::{PASSWORD, Stub, token},
};
use crate::support::world::{NOW, policy};

async fn tokens(target: &impl InventoryReader) -> Vec<String> {
    let mut seen = Vec::new();
    target.tokens(&mut |token| seen.push(format!("{} of {}", token.id, token.owner))).await.unwrap();
    seen.sort();
    seen
}

async fn filled() -> Stub {
    let stub = Stub::start().await;
    let add = |owner: &str, id: &str| stub.add(owner, token(id, "x", "2026-11-01T00:00:00Z", &["REPO_READ"]));
    for id in ["001", "002", "003", "004", "005"] {
        add("users/mary_example.com", id);
    }
    add("projects/PLAT", "006");
    add("projects/PLAT/repos/app", "007");
    add("projects/DOCS/repos/site", "008");
    add("projects/~mary/repos/dotfiles", "009");
    stub
}

#[tokio::test]
async fn the_tokens_of_users_projects_and_repositories_are_seen_once_whatever_the_pages() {
    let stub = filled().await;
    assert_eq!(
        tokens(&stub.target()).await,
        [
            "001 of mary@example.com",
            "002 of mary@example.com",
            "003 of mary@example.com",
            "004 of mary@example.com",
            "005 of mary@example.com",
            "006 of project PLAT",
            "007 of repository PLAT/app",
            "008 of repository DOCS/site",
            "009 of repository ~mary/dotfiles",
        ]
    );
}

#[tokio::test]
async fn a_plan_makes_one_call_for_each_page_and_a_few_more() {
    let stub = filled().await;
    let nothing = policy("version: 1\n");
    plan(&stub.target(), &nothing, &History::default(), NOW).await;
    // Pages hold two values. Probe, properties, passwords, administrators, rate limit; three users, whose two pages are read
    // twice; two projects; three repositories; and of tokens three pages for one user, one for everybody else who can
    // have any.
    let pages = 2 * 2 + 1 + 2 + (3 + 2 + 2 + 3);
    let asked = stub.contents().calls.clone();
    assert_eq!(asked.len(), 5 + pages, "{asked:#?}");
}

#[tokio::test]
async fn what_a_rate_limit_makes_of_a_walk_is_said_when_it_matters() {
    let stub = filled().await;
    let nothing = policy("version: 1\n");
    // Eight owners: three users, two projects, three repositories.
    let said = async |settings: &[(&'static str, Value)]| {
        stub.contents().rate_limits = settings.iter().cloned().collect();
        let plan = plan(&stub.target(), &nothing, &History::default(), NOW).await;
        let remarks = plan.remarks.iter().filter(|remark| **remark != Remark::DeletedUsers);
        remarks.map(ToString::to_string).collect::<Vec<_>>()
    };
    let bucket = |capacity: u64, rate: u64| json!({"capacity": capacity, "fillRate": rate});
    let all = |enabled: bool, bucket: Value| ("", json!({"enabled": enabled, "defaultSettings": bucket}));
    let ours = |settings: Value| ("/users/warden", settings);
    let slow = said(&[all(true, bucket(3, 2))]).await;
    insta::assert_snapshot!(slow.join("\n"), @"reading asks 8 users, projects and repositories for their tokens, and the server answers 3 calls at once and 2 a second: that takes at least 3 s unless `warden` is exempt from rate limiting there; see to that, or look at fewer `areas` and `projects`");
    assert_eq!(said(&[all(true, bucket(3, 2))]).await, slow, "the same state says the same");
    let exempt = ours(json!({"user": {"name": "warden"}, "whitelisted": true}));
    let roomier = ours(json!({"settings": bucket(8, 1), "whitelisted": false}));
    let tighter = ours(json!({"settings": {"capacity": "1", "fillRate": "1"}}));
    assert!(said(&[all(true, bucket(60, 5)), tighter]).await[0].contains("at least 7 s"));
    for quiet in [
        vec![],
        vec![all(false, bucket(3, 2))],
        vec![all(true, bucket(8, 1))],
        vec![all(true, bucket(3, 2)), exempt],
        vec![all(true, bucket(3, 2)), roomier],
        vec![all(true, json!({}))],
        vec![all(true, bucket(3, 0))],
    ] {
        assert_eq!(said(&quiet).await, Vec::<String>::new(), "{quiet:?}");
    }
    stub.contents().refused = vec!["/rest/api/latest/admin/rate-limit"];
    assert_eq!(said(&[all(true, bucket(3, 2))]).await, Vec::<String>::new());
}

#[tokio::test]
async fn areas_and_projects_that_are_left_out_are_not_asked_for_and_said() {
    let stub = filled().await;
    let options = BitbucketOptions {
        areas: vec![OwnerKind::Project, OwnerKind::Repository],
        projects: vec!["pl*".to_owned()],
        ..BitbucketOptions::default()
    };
    let target = stub.target_with(options);
    assert_eq!(tokens(&target).await, ["006 of project PLAT", "007 of repository PLAT/app"]);
    let waiving =
        policy("version: 1\nwaivers: [{token: '001', rules: [lifetime], reason: r, until: 2099-12-31}]\n");
    let plan = plan(&target, &waiving, &History::default(), NOW).await;
    assert!(plan.is_converged(), "it was chosen: no run fails for it");
    assert_eq!(plan.waiver_warnings, [], "the waived token may be there");
    let left_out = [LeftOut::TokensOf(OwnerKind::User), LeftOut::ProjectsOtherThan(vec!["pl*".to_owned()])];
    assert_eq!(plan.coverage.left_out().cloned().collect::<Vec<_>>(), left_out, "it is partial all the same");
    assert_eq!(plan.remarks, left_out.map(Remark::LeftOut));
}

#[tokio::test]
async fn what_the_credential_may_not_see_is_missing_and_everything_else_is_judged() {
    let stub = filled().await;
    stub.contents().refused = vec!["/rest/access-tokens/latest/users/", "/rest/basicauth/"];
    let strict = policy(
        "version: 1\npassword_authentication: disabled\n\
         tokens: {limits: [{owner_kind: [project, repository], max_lifetime: 90d}], enforcement: {lifetime: expire}}\n",
    );
    let plan = plan(&stub.target(), &strict, &History::default(), NOW).await;
    assert_eq!(actions(&plan), ["mark 006", "mark 007", "mark 008", "mark 009"]);
    assert!(!plan.is_whole());
    let missing: Vec<_> = plan.coverage.missing().map(ToString::to_string).collect();
    insta::assert_snapshot!(missing.join("\n"), @"the tokens of 3 users, such as gone, could not be seen: 401 Unauthorized");
    insta::assert_snapshot!(plan.held_back[0].reason, @"it could not be read: 401 Unauthorized");
}

#[tokio::test]
async fn who_is_not_known_to_administer_the_server_may_not_see_every_project() {
    let stub = filled().await;
    let missing = async |areas: Vec<OwnerKind>| -> Vec<String> {
        let target = stub.target_with(BitbucketOptions { areas, ..BitbucketOptions::default() });
        let plan = plan(&target, &policy("version: 1\n"), &History::default(), NOW).await;
        plan.coverage.unseen().map(ToString::to_string).collect()
    };
    assert_eq!(missing(vec![]).await, Vec::<String>::new());
    stub.contents().administrators.clear();
    assert_eq!(missing(vec![]).await, Vec::<String>::new(), "who reads the switch for passwords administers");
    stub.contents().refused = vec!["/rest/basicauth"];
    insta::assert_snapshot!(missing(vec![]).await.join("\n"), @"
    the server lists the projects that the credential may see: it is not known to be an administrator's, so that there may be others
    the server lists the repositories that the credential may see: it is not known to be an administrator's, so that there may be others
    ");
    assert_eq!(missing(vec![OwnerKind::User]).await, Vec::<String>::new());
    assert_eq!(missing(vec![OwnerKind::Project]).await.len(), 1);

    // Whoever it is, with a token of the server one administers nothing.
    stub.contents().administrators = vec!["warden"];
    let bearer = HttpCredential::Bearer("MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ".into());
    let target = stub.target_as(
        bearer,
        BitbucketOptions { areas: vec![OwnerKind::Project], ..BitbucketOptions::default() },
    );
    let by_token = plan(&target, &policy("version: 1\n"), &History::default(), NOW).await;
    assert_eq!(by_token.coverage.unseen().count(), 1);
}

#[tokio::test]
async fn an_owner_who_is_moved_to_the_next_page_meanwhile_is_asked_once() {
    let stub = filled().await;
    // Somebody is made while the lists are read: the last one of a page stands again on the next.
    for _ in 0..2 {
        stub.after("/rest/api/latest/admin/users", |now| now.users.insert(0, ("new", "new", true)));
    }
    stub.after("/rest/api/latest/repos", |now| now.repositories.insert(0, ("DOCS", "new")));
    let limited = policy(
        "version: 1\ntokens: {limits: [{owner_kind: [user, repository], max_per_owner: 5}], \
         enforcement: {per-owner: revoke}}\n",
    );
    let plan = plan(&stub.target(), &limited, &History::default(), NOW).await;
    assert_eq!((actions(&plan), plan.tokens.seen), (Vec::new(), 9), "mary has five tokens, and may");
}

#[tokio::test]
async fn a_member_of_a_group_is_not_lost_when_another_one_leaves_while_the_pages_are_read() {
    let stub = Stub::start().await;
    let everybody = ["warden", "mary@example.com", "gone"];
    stub.contents().groups.insert("everybody", everybody.into());
    stub.after("/rest/api/latest/admin/groups/more-members", |now| {
        now.groups.get_mut("everybody").unwrap().remove(0);
    });
    let group = GroupName::from("everybody");
    let people = stub.target().people(&BTreeSet::from([group.clone()])).await.unwrap();
    let group = Groups::new([group]).unwrap();
    assert_eq!(people.membership(&"mary@example.com".into(), &group), Membership::Member);
    assert_eq!(people.membership(&"gone".into(), &group), Membership::Member);
}

#[tokio::test]
async fn tokens_of_archived_repositories_are_seen() {
    let stub = filled().await;
    stub.contents().archived.push(("DOCS", "old"));
    let old = token("010", "x", "2026-11-01T00:00:00Z", &["REPO_WRITE"]);
    stub.add("projects/DOCS/repos/old", old);
    assert!(tokens(&stub.target()).await.contains(&"010 of repository DOCS/old".to_owned()));
}

#[tokio::test]
async fn an_owner_whose_tokens_cannot_be_read_is_missing_and_the_others_are_judged() {
    let stub = filled().await;
    stub.contents().failing = BTreeMap::from([
        ("/rest/access-tokens/latest/projects/PLAT/repos/app", 500),
        ("/rest/access-tokens/latest/projects/DOCS/repos/site", 500),
    ]);
    stub.contents().projects.push("..");
    let mut odd = token("010", "x", "2026-11-01T00:00:00Z", &["REPO_READ"]);
    odd["createdDate"] = "soon".into();
    stub.add("users/warden", odd);
    let endless = policy(
        "version: 1\ntokens: {limits: [{owner_kind: [user, project, repository], max_lifetime: 90d}], \
         enforcement: {lifetime: expire}}\n",
    );
    let plan = plan(&stub.target(), &endless, &History::default(), NOW).await;
    let expected = ["001", "002", "003", "004", "005", "006", "009"].map(|id| format!("mark {id}"));
    assert_eq!(actions(&plan), expected);
    assert!(!plan.is_whole());
    let missing: Vec<_> = plan.coverage.missing().map(ToString::to_string).collect();
    insta::assert_snapshot!(missing.join("\n"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_any_more_is_not_asked_for_every_owner() {
    for status in [429, 503] {
        let stub = Stub::start().await;
        let names = (0..40).map(|number| &*format!("user{number}").leak());
        stub.contents().users = names.map(|name| (name, name, true)).collect();
        stub.contents().failing = BTreeMap::from([("/rest/access-tokens/", status)]);
        let error = stub.target().tokens(&mut |_| {}).await.unwrap_err();
        assert!(one_line(&error).contains(&status.to_string()), "{}", one_line(&error));
        let mut asked = stub.contents().calls.clone();
        asked.retain(|call| call.contains("/rest/access-tokens/"));
        let owners: BTreeSet<_> = asked.into_iter().collect();
        assert!((1..=8).contains(&owners.len()), "{owners:?}");
    }
}

#[tokio::test]
async fn a_group_that_looks_empty_and_is_not_there_is_not_known() {
    let stub = Stub::start().await;
    let groups = ["ci-bots", "empty", "ghosts"].map(GroupName::from);
    let people = stub.target().people(&BTreeSet::from(groups)).await.unwrap();
    let unknown: Vec<_> = people.unknown_groups().map(ToString::to_string).collect();
    assert_eq!(unknown, ["ghosts"]);
    let bots = Groups::new(["ci-bots".into()]).unwrap();
    assert_eq!(people.membership(&"gone".into(), &bots), Membership::Member);
}

#[tokio::test]
async fn a_credential_that_is_refused_is_told_apart_from_basic_that_is_disabled() {
    let stub = Stub::start().await;
    let said = async |credential: HttpCredential| {
        let error = stub.target_as(credential, BitbucketOptions::default()).overview().await.unwrap_err();
        one_line(&error)
    };
    // An open page would have answered it.
    let revoked = said(HttpCredential::Bearer("revoked".into())).await;
    assert!(revoked.contains("does not accept the credential"), "{revoked}");
    stub.contents().passwords["block-requests"] = true.into();
    let basic = said(HttpCredential::Basic { user: "warden".to_owned(), secret: PASSWORD.into() }).await;
    assert!(basic.contains("use a bearer credential"), "{basic}");
    assert!(!basic.contains(PASSWORD) && !basic.contains("revoked"));
}

#[tokio::test]
async fn the_token_of_the_run_is_known_by_its_secret_or_by_the_config_file_and_never_touched() {
    let stub = Stub::start().await;
    stub.add("users/warden", token("252973515069", "tool", "2025-01-01T00:00:00Z", &["REPO_ADMIN"]));
    stub.add("users/warden", token("000000000002", "other", "2025-01-01T00:00:00Z", &["REPO_ADMIN"]));
    let revoking =
        policy("version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n");
    let secret = "MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ";
    let bearer = |secret: &str| HttpCredential::Bearer(secret.into());
    let basic = HttpCredential::Basic { user: "warden".to_owned(), secret: PASSWORD.into() };
    let named =
        || BitbucketOptions { token_id: Some(TokenId::new("252973515069")), ..BitbucketOptions::default() };
    let prefixed = bearer(&format!("BBDC-{secret}"));
    for (credential, options) in [
        (bearer(secret), BitbucketOptions::default()),
        (prefixed, BitbucketOptions::default()),
        (bearer("opaque"), named()),
        (basic, named()),
    ] {
        let target = stub.target_as(credential, options);
        let plan = plan(&target, &revoking, &History::default(), NOW).await;
        assert_eq!(actions(&plan), ["revoke 000000000002"]);
        assert!(plan.held_back[0].reason.contains("rotate it"));
    }
    // No token may read the switch for passwords.
    stub.contents().refused = vec!["/rest/basicauth"];
    let sent_as_password = HttpCredential::Basic { user: "warden".to_owned(), secret: PASSWORD.into() };
    for unknown in [bearer("opaque"), sent_as_password] {
        let target = stub.target_as(unknown, BitbucketOptions::default());
        let plan = plan(&target, &revoking, &History::default(), NOW).await;
        assert_eq!(actions(&plan), Vec::<String>::new());
        assert!(
            plan.held_back.iter().all(|held| held.reason.contains("self: { token_id")),
            "{:?}",
            plan.held_back
        );
    }
    let by_password = plan(&stub.target(), &revoking, &History::default(), NOW).await;
    assert_eq!(actions(&by_password), ["revoke 000000000002", "revoke 252973515069"]);
}

#[tokio::test]
async fn the_run_knows_itself_by_a_name_that_the_server_encodes() {
    let stub = Stub::start().await;
    for name in ["mary@example.com", "Ann Lee", "a+b", "J\u{fc}rgen", "100%"] {
        stub.contents().bearer = name;
        let target = stub.target_as(HttpCredential::Bearer("opaque".into()), BitbucketOptions::default());
        assert_eq!(target.overview().await.unwrap().server.caller.user, Some(name.into()));
    }
}

#[tokio::test]
async fn a_bearer_that_nobody_knows_may_be_a_token_of_a_project_whomever_the_server_takes_us_for() {
    let stub = Stub::start().await;
    let old = |id: &str| token(id, "x", "2025-01-01T00:00:00Z", &["REPO_READ"]);
    stub.add("projects/PLAT", old("1"));
    stub.add("projects/PLAT/repos/app", old("2"));
    stub.add("users/gone", old("3"));
    let revoking = policy(
        "version: 1\ntokens: {limits: [{owner_kind: [user, project, repository], max_lifetime: 90d}], \
         enforcement: {lifetime: revoke}}\n",
    );
    let target = stub.target_as(HttpCredential::Bearer("opaque".into()), BitbucketOptions::default());
    let revoked = async || actions(&plan(&target, &revoking, &History::default(), NOW).await);
    assert_eq!(revoked().await, ["revoke 1", "revoke 2", "revoke 3"], "an administrator, and so no token");
    stub.contents().refused = vec!["/rest/basicauth"];
    assert_eq!(revoked().await, ["revoke 3"]);
    let sent_as_password = HttpCredential::Basic { user: "warden".to_owned(), secret: PASSWORD.into() };
    let target = stub.target_as(sent_as_password, BitbucketOptions::default());
    let all = plan(&target, &revoking, &History::default(), NOW).await;
    assert_eq!(actions(&all).len(), 3, "tokens of projects are not accepted as passwords");
}

#[tokio::test]
async fn nothing_is_decided_on_the_scope_of_a_token_whose_permissions_are_not_shown() {
    let stub = Stub::start().await;
    let mut silent = token("1", "x", "2026-11-01T00:00:00Z", &[]);
    silent.as_object_mut().unwrap().remove("permissions");
    stub.add("users/warden", silent);
    let narrowing = policy(
        "version: 1\ntokens: {limits: [{max_scope: read-only}], enforcement: {scope: revoke, scope-unset: revoke}}\n",
    );
    let plan = plan(&stub.target(), &narrowing, &History::default(), NOW).await;
    assert_eq!((actions(&plan), plan.tokens.unjudged), (Vec::new(), 1));
}
