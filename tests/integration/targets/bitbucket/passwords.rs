//! The switch for passwords.

use std::time::{Duration, Instant};

use serde_json::json;
use tokenwarden::{
    apply::ChangeResult,
    http::HttpCredential,
    model::{
        OwnerKind, TokenId,
        rails::{Lockout, Rails},
    },
    plan::{Allowed, History, Lack, Plan, Remark, Terms, Who},
    targets::{Sight, bitbucket::BitbucketOptions, calls_of},
};

use super::{
    actions, apply, plan,
    stub::{PASSWORD, Stub, TARGET, token},
};
use crate::{
    plan::calls::lists,
    support::world::{NOW, policy, terms, time},
};

const EXCEPTED: &str = "version: 1\npassword_authentication: {state: disabled, except_users: [warden], except_paths: [/rest/x/*]}\n";

#[tokio::test]
async fn passwords_are_disabled_with_exceptions_and_fields_that_nobody_knows_survive() {
    let stub = Stub::start().await;
    let (before, outcome, after) = apply(&stub.target(), &policy(EXCEPTED), NOW).await;
    assert_eq!(before.remarks, [Remark::DeletedUsers, Remark::TokensSentAsPasswords]);
    assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}");
    let expected = json!({"block-requests": true, "allowed-paths": ["/rest/x/*"], "allowed-users": ["warden"],
                          "show-warning-message": true});
    assert_eq!(stub.contents().passwords, expected);
}

#[tokio::test]
async fn an_exception_that_nobody_declared_is_a_change() {
    let stub = Stub::start().await;
    stub.contents().passwords =
        json!({"block-requests": true, "allowed-paths": ["*"], "allowed-users": ["warden", "eve"]});
    let (before, outcome, _) = apply(&stub.target(), &policy(EXCEPTED), NOW).await;
    assert_eq!(actions(&before), ["set settings", "set settings"], "first both, then what is wanted alone");
    assert!(outcome.is_whole());
    let passwords = stub.contents().passwords.clone();
    assert_eq!(
        (&passwords["allowed-paths"], &passwords["allowed-users"]),
        (&json!(["/rest/x/*"]), &json!(["warden"]))
    );
}

#[tokio::test]
async fn passwords_that_are_allowed_keep_the_exceptions_for_another_day() {
    let stub = Stub::start().await;
    stub.contents().passwords =
        json!({"block-requests": true, "allowed-paths": [], "allowed-users": ["warden"], "new": [1]});
    apply(&stub.target(), &policy("version: 1\npassword_authentication: allowed\n"), NOW).await;
    let expected =
        json!({"block-requests": false, "allowed-paths": [], "allowed-users": ["warden"], "new": [1]});
    assert_eq!(stub.contents().passwords, expected);
}

#[tokio::test]
async fn an_update_that_meets_another_one_is_begun_anew_after_a_while() {
    let stub = Stub::start().await;
    stub.contents().conflicts = 4;
    let began = Instant::now();
    let (_, outcome, after) = apply(&stub.target(), &policy(EXCEPTED), NOW).await;
    assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}");
    // At least half of 20, 40, 80 and 160 milliseconds.
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    stub.contents().conflicts = 5;
    let open = policy("version: 1\npassword_authentication: allowed\n");
    let (_, outcome, _) = apply(&stub.target(), &open, NOW).await;
    let [ref change] = outcome.changes[..] else { panic!("{outcome:?}") };
    assert!(matches!(&change.result, ChangeResult::Failed(why) if why.contains("5 times in a row")));
}

#[tokio::test]
async fn an_exception_that_leaves_out_a_call_of_the_run_is_no_way_in() {
    let stub = Stub::start().await;
    // Enough for what is called of users, and not for the lists of projects and repositories.
    let paths = "[/rest/api/1.0/users, /rest/api/latest/admin/*, /rest/api/latest/application-properties, \
                 /rest/access-tokens/*, /rest/basicauth/*]";
    let yaml = format!("version: 1\npassword_authentication: {{state: disabled, except_paths: {paths}}}\n");
    let refused = async |areas: Vec<OwnerKind>| {
        let options = BitbucketOptions { areas, ..BitbucketOptions::default() };
        let plan = plan(&stub.target_with(options), &policy(&yaml), &History::default(), NOW).await;
        plan.approve(&Rails::default(), &Allowed::new()).is_err()
    };
    assert!(refused(vec![]).await);
    assert!(refused(vec![OwnerKind::User, OwnerKind::Repository]).await);
    assert!(!refused(vec![OwnerKind::User]).await);
}

#[tokio::test]
async fn disabling_is_refused_while_it_would_shut_us_out() {
    let stub = Stub::start().await;
    let disabled = policy("version: 1\npassword_authentication: disabled\n");
    let refused = |plan: Plan| plan.approve(&Rails::default(), &Allowed::new()).is_err();
    let by_password = plan(&stub.target(), &disabled, &History::default(), NOW).await;
    assert!(by_password.shut_out[0].to_string().contains("except_users"), "{:?}", by_password.shut_out);
    assert!(refused(by_password));
    let secret = "MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ";
    let named =
        BitbucketOptions { token_id: Some(TokenId::new("252973515069")), ..BitbucketOptions::default() };
    let basic = || HttpCredential::Basic { user: "warden".to_owned(), secret: PASSWORD.into() };
    for options in [named, BitbucketOptions::default()] {
        let as_password = plan(&stub.target_as(basic(), options), &disabled, &History::default(), NOW).await;
        assert!(refused(as_password), "a token that is sent as a password stops as well");
    }
    stub.add("users/warden", token("252973515069", "tool", "2026-11-01T00:00:00Z", &["REPO_ADMIN"]));
    let bearer = stub.target_as(HttpCredential::Bearer(secret.into()), BitbucketOptions::default());
    assert!(!refused(plan(&bearer, &disabled, &History::default(), NOW).await));
    assert!(!refused(plan(&stub.target(), &policy(EXCEPTED), &History::default(), NOW).await));
    assert_eq!(stub.contents().writes, []);
}

#[tokio::test]
async fn disabling_is_refused_while_too_few_administrators_would_be_left() {
    let stub = Stub::start().await;
    stub.contents().administrators = vec!["warden", "mary@example.com", "gone"];
    let refusals = async |credential: HttpCredential, policy_text: &str, min_admins: u64| {
        let (policy, history) = (policy(policy_text), History::default());
        let lockout = Lockout { min_admins, ..Lockout::default() };
        let terms =
            Terms { target: TARGET, history: &history, lockout: &lockout, ..terms(&policy, time(NOW)) };
        let plan =
            Plan::make(&terms, &stub.target_as(credential, BitbucketOptions::default())).await.unwrap();
        plan.shut_out.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let basic = || HttpCredential::Basic { user: "warden".to_owned(), secret: PASSWORD.into() };
    let bearer = || HttpCredential::Bearer("from the login of an administrator".into());
    let disabled = "version: 1\npassword_authentication: disabled\n";
    let both =
        "version: 1\npassword_authentication: {state: disabled, except_users: [warden, mary@example.com]}\n";
    assert_eq!(refusals(basic(), EXCEPTED, 1).await, Vec::<String>::new());
    let one_left = refusals(basic(), EXCEPTED, 2).await;
    insta::assert_snapshot!(one_left.join("\n"), @r"
    lockout: 1 of the 2 administrators who can apply a policy now would be left, `min_admins` is 2
        password: it would no longer be accepted: use a bearer credential, or add the user to `except_users` of `password_authentication` at policy.yaml:2
    ");
    assert_eq!(refusals(basic(), both, 2).await, Vec::<String>::new());
    // The one who is not active never counts, and we do, by a credential that is no token.
    assert_eq!(refusals(bearer(), disabled, 1).await, Vec::<String>::new());
    assert!(refusals(bearer(), disabled, 2).await[0].contains("1 of the 2 administrators"));
    stub.contents().administrators = vec!["mary@example.com"];
    assert!(refusals(bearer(), disabled, 1).await[0].contains("0 of the 1 administrators"));
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_administrators_is_planned_for_and_that_is_said() {
    let stub = Stub::start().await;
    stub.contents().refused = vec!["/rest/api/latest/users"];
    let plan = plan(&stub.target(), &policy(EXCEPTED), &History::default(), NOW).await;
    assert_eq!((actions(&plan), plan.shut_out.clone()), (vec!["set settings".to_owned()], vec![]));
    assert!(plan.remarks.contains(&Remark::AdministratorsUnknown), "{:?}", plan.remarks);
}

#[tokio::test]
async fn a_token_of_somebody_who_must_keep_a_way_in_is_none() {
    let stub = Stub::start().await;
    let bearer = "MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ";
    stub.add(
        "users/warden",
        token("000000000002", "x", "2026-11-01T00:00:00Z", &["REPO_ADMIN", "PROJECT_ADMIN"]),
    );
    let target = stub.target_as(HttpCredential::Bearer(bearer.into()), BitbucketOptions::default());
    let lockout = Lockout { break_glass: vec!["warden".into()], ..Lockout::default() };
    let shut_out = async |policy| {
        let terms = Terms { target: TARGET, lockout: &lockout, ..terms(policy, time(NOW)) };
        Plan::make(&terms, &target).await.unwrap().shut_out
    };
    let disabled = policy("version: 1\npassword_authentication: disabled\n");
    let [one] = &shut_out(&disabled).await[..] else { panic!("`warden` is shut out") };
    assert_eq!(one.who, Who::BreakGlass("warden".into()));
    assert_eq!(shut_out(&policy(EXCEPTED)).await, []);
}

#[tokio::test]
async fn a_credential_that_cannot_administer_is_said_before_the_server_refuses() {
    let stub = Stub::start().await;
    let remarks = async |credential: HttpCredential, yaml: &str| {
        let target = stub.target_as(credential, BitbucketOptions::default());
        plan(&target, &policy(yaml), &History::default(), NOW).await.view.remarks
    };
    let bearer = || HttpCredential::Bearer("MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ".into());
    let token = Remark::CannotAdminister(Lack::Token);
    assert!(remarks(bearer(), EXCEPTED).await.contains(&token));
    assert!(!remarks(bearer(), "version: 1\n").await.contains(&token), "nothing is to be changed");
    let told = async || {
        let target = stub.target_with(BitbucketOptions::default());
        plan(&target, &policy(EXCEPTED), &History::default(), NOW).await.view.remarks
    };
    let lacks =
        |remarks: &[Remark]| remarks.iter().any(|remark| matches!(remark, Remark::CannotAdminister(_)));
    assert!(!lacks(&told().await), "the password of an administrator");
    stub.contents().administrators = vec!["mary"];
    let lack = Remark::CannotAdminister(Lack::User("warden".into()));
    assert!(told().await.contains(&lack));
    insta::assert_snapshot!(format!("{token}\n{lack}"), @"
    the credential is a token, and those of this server administer nothing: it will refuse what concerns others; use the password of an administrator, or a bearer credential of OAuth 2.0
    `warden` does not administer the server: it will refuse what concerns others
    ");
}

#[tokio::test]
async fn every_call_of_a_run_is_one_that_is_looked_at() {
    let stub = Stub::start().await;
    for (owner, id) in
        [("users/mary_example.com", "1"), ("projects/PLAT", "2"), ("projects/PLAT/repos/app", "3")]
    {
        stub.add(owner, token(id, "endless", "2025-01-01T00:00:00Z", &["REPO_ADMIN"]));
    }
    let policy = policy(&format!(
        "{EXCEPTED}permissions: {{use: [devs]}}\ntokens: {{limits: [{{max_scope: read-only, max_lifetime: 90d}}], enforcement: \
         {{lifetime: {{action: expire, grace: 7d}}, scope: narrow}}}}\n"
    ));
    for now in [NOW, "2026-12-24T12:00:00Z"] {
        let (before, outcome, _) = apply(&stub.target(), &policy, now).await;
        assert!(outcome.is_whole() && !before.changes.is_empty(), "{outcome:?}");
    }
    let calls = calls_of("bitbucket", Sight::default()).unwrap();
    for made in &stub.contents().calls {
        let (method, path) = made.split_once(' ').unwrap();
        // A run does without knowing administrators and the limits of the rate.
        let is_needless =
            path == "/rest/api/latest/users" || path.starts_with("/rest/api/latest/admin/rate-limit/");
        assert!(is_needless || lists(&calls, method, path), "{made}");
    }
}

#[tokio::test]
async fn passwords_that_are_left_for_the_tokens_of_one_user_or_project_alone_are_no_way_in() {
    let stub = Stub::start().await;
    let most = "/rest/api/*, /rest/basicauth/*";
    let refused = async |paths: &str, options: BitbucketOptions| {
        let yaml = format!(
            "version: 1\npassword_authentication: {{state: disabled, except_paths: [{most}, {paths}]}}\n"
        );
        let plan = plan(&stub.target_with(options), &policy(&yaml), &History::default(), NOW).await;
        plan.approve(&Rails::default(), &Allowed::new()).is_err()
    };
    let projects = |areas: &[OwnerKind], keys: &[&str]| BitbucketOptions {
        areas: areas.to_vec(),
        projects: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..BitbucketOptions::default()
    };
    let users = projects(&[OwnerKind::User], &[]);
    assert!(refused("/rest/access-tokens/latest/users/0*", users).await);
    assert!(!refused("/rest/access-tokens/latest/users/*", projects(&[OwnerKind::User], &[])).await);
    let plat = "'/rest/access-tokens/latest/projects/PLAT*'";
    assert!(refused(plat, projects(&[OwnerKind::Project], &[])).await);
    assert!(refused(plat, projects(&[OwnerKind::Project], &["PLAT", "DOCS"])).await);
    assert!(!refused(plat, projects(&[OwnerKind::Project, OwnerKind::Repository], &["PLAT*"])).await);
}
