//! Revoking after an incident: at once, whatever the policy says, and not without the rails.

use std::fs;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{
    support::{
        TestServer, WHOAMI, answer,
        program::{NOW, Quickstart, Run, dump},
        status,
    },
    targets::reconcile::{self, Repository},
};

const REASON: [&str; 2] = ["--reason", "laptop stolen"];

fn revoke<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["revoke"], arguments, &REASON[..]].concat()
}

async fn works(server: &TestServer, secret: &str) -> bool {
    status(server.with_token(secret, Method::GET, WHOAMI)).await == StatusCode::OK
}

#[tokio::test(flavor = "multi_thread")]
async fn every_token_of_the_owner_stops_working_and_no_other_one_whatever_the_policy_says() {
    let server = reconcile::server().await;
    let warden = reconcile::token(&server, "root", "warden").await;
    let (one, two) =
        (reconcile::token(&server, "mary", "one").await, reconcile::token(&server, "mary", "two").await);
    let other = reconcile::token(&server, "sam", "other").await;
    // A waiver, and a policy that cannot even be read.
    for policy in
        ["version: 1\nwaivers: [{owner: mary, rules: [idle], reason: r, until: 2099-01-01}]\n", "{{{"]
    {
        let repository = Repository::new(&server, &warden.secret, policy);
        let revoked = repository.run(&revoke(&["--owner", "MARY", "--auto-approve"])).await;
        assert_eq!(revoked.code, Some(0), "{}{}", revoked.stdout, revoked.stderr);
        assert!(!works(&server, &one.secret).await && !works(&server, &two.secret).await);
        assert!(works(&server, &other.secret).await && works(&server, &warden.secret).await);
    }
}

#[test]
fn it_reads_like_this() {
    let quickstart = Quickstart::new();
    let run = quickstart.run(&revoke(&["--token", "1,999", "--token", "3", "--auto-approve", "--now", NOW]));
    assert_eq!(run.code, Some(1), "one of them is not there: {}", run.stderr);
    insta::assert_snapshot!(run.stdout, @r#"
    tokenwarden will make these changes on quickstart (embedded .tokenwarden/quickstart.db):

      x token 1 "OPS-101 deploy to staging" of ci-deploy
          revoke, cannot be undone                       incident: laptop stolen
              read-write, created 2026-10-14 (40 days ago), last used 2026-11-23 10:00 UTC from 10.20.0.4
      x token 3 "OPS-140 nightly build" of ci-nightly
          revoke, cannot be undone                       incident: laptop stolen
              read-write, created 2026-11-03 (20 days ago), last used 2026-11-23 03:00 UTC from 192.0.2.12

    Held back:

      ? token 999
          there is no such token

    Plan: 2 tokens to revoke.
    37 tokens seen.

    Applied on quickstart: 2 tokens revoked.
    Not converged: quickstart was read back: all that can be done is done, the rest is held back.
    24 API calls.
    "#);
    let again = quickstart.run(&revoke(&["--owner", "carl", "--auto-approve", "--now", NOW]));
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let done = quickstart.run(&revoke(&["--owner", "carl", "--auto-approve", "--now", NOW]));
    assert_eq!(done.code, Some(0));
    insta::assert_snapshot!(done.stdout, @r"
    No changes. carl has no token on quickstart (embedded .tokenwarden/quickstart.db).
    0 tokens seen.
    ");
    let misspelt = quickstart.run(&revoke(&["--owner", "crl", "--now", NOW]));
    assert_eq!(misspelt.code, Some(1));
    insta::assert_snapshot!(misspelt.stdout, @r"
    Nothing can be revoked on quickstart (embedded .tokenwarden/quickstart.db).

    Held back:

      ? owner crl
          there is no token of this owner, and the directory does not know the name

    0 tokens seen.
    ");
}

#[test]
fn nothing_is_revoked_without_a_yes() {
    let quickstart = Quickstart::new();
    quickstart.run(&["plan", "--now", NOW]);
    let before = dump(&quickstart.store());
    let refused = quickstart.run(&revoke(&["--owner", "carl", "--now", NOW]));
    assert_eq!(refused.code, Some(4));
    assert!(refused.stdout.contains("incident: laptop stolen"), "the plan is shown: {}", refused.stdout);
    assert_eq!(dump(&quickstart.store()), before);
}

#[test]
fn the_rails_hold_and_let_exactly_so_many_pass_as_are_allowed() {
    let quickstart = Quickstart::new();
    // Of what share of all tokens an owner has, nobody asks in an incident.
    quickstart.edit("tokenwarden.yaml", "amount: 10, percent: 25", "amount: 4, percent: 1");
    let run = |more: &[&str]| {
        let arguments = revoke(&["--owner", "sam", "--auto-approve", "--now", NOW]);
        quickstart.run(&[&arguments, more].concat())
    };
    let refused = run(&[]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("--allow revocations=5"), "{}", refused.stderr);
    assert_eq!(run(&["--allow", "revocations=4"]).code, Some(4));
    assert_eq!(run(&["--allow", "revocations=5"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_the_run_itself_is_never_revoked() {
    let server = reconcile::server().await;
    let warden = reconcile::token(&server, "root", "warden").await;
    let other = reconcile::token(&server, "root", "other").await;
    let repository = Repository::new(&server, &warden.secret, "version: 1\n");
    let (own, other_id) = (warden.id.to_string(), other.id.to_string());
    let both = repository.run(&revoke(&["--token", &own, "--token", &other_id, "--auto-approve"])).await;
    assert_eq!(both.code, Some(4), "{}{}", both.stdout, both.stderr);
    assert!(both.stderr.contains("rotate it"), "{}", both.stderr);
    assert!(works(&server, &warden.secret).await && works(&server, &other.secret).await);
    let owner = repository.run(&revoke(&["--owner", "root", "--auto-approve"])).await;
    assert_eq!(owner.code, Some(1), "{}{}", owner.stdout, owner.stderr);
    assert!(owner.stdout.contains("it is the credential of this run: rotate it"), "{}", owner.stdout);
    assert!(works(&server, &warden.secret).await && !works(&server, &other.secret).await);
}

#[test]
fn an_owner_is_looked_for_on_every_target_and_an_identifier_on_one() {
    let quickstart = Quickstart::new();
    let text = fs::read_to_string(quickstart.path("tokenwarden.yaml")).unwrap();
    let (head, target) = text.split_once("  quickstart:\n").unwrap();
    let second = target.replace(".tokenwarden/quickstart.db", ".tokenwarden/second.db");
    fs::write(
        quickstart.path("tokenwarden.yaml"),
        format!("{head}  quickstart:\n{target}\n  second:\n{second}"),
    )
    .unwrap();
    let token = quickstart.run(&revoke(&["--token", "1", "--auto-approve", "--now", NOW]));
    assert_eq!(token.code, Some(64), "{}", token.stderr);
    assert!(token.stderr.contains("--target"), "{}", token.stderr);
    let arguments = revoke(&["--owner", "carl", "--auto-approve", "--format", "json", "--now", NOW]);
    let run = quickstart.run(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let revoked: Vec<_> =
        document["outcomes"].as_array().unwrap().iter().map(|one| &one["address"]).collect();
    assert_eq!(revoked, ["quickstart/token/30", "second/token/30"]);
    assert_eq!(document["resource_changes"][0]["action_reason"], "incident: laptop stolen");
}

#[test]
fn why_and_which_must_be_said() {
    let quickstart = Quickstart::new();
    for arguments in [
        &["revoke", "--owner", "mary"][..],
        &["revoke", "--owner", "mary", "--reason", " "],
        &["revoke", "--reason", "x"],
        &["revoke", "--reason", "x", "--owner", "mary", "--token", "1"],
        &["revoke", "--reason", "x", "--owner", "repository PLAT"],
        &["revoke", "--reason", "x", "--created-after", "1d", "--leaked", "x"],
        &["revoke", "--reason", "x", "--description", "("],
        &["revoke", "--reason", "x", "--last-used-from", "here"],
    ] {
        assert_eq!(quickstart.run(arguments).code, Some(64), "{arguments:?}");
    }
}

/// The identifiers of the tokens that `run` would revoke.
fn chosen(run: &Run) -> Vec<&str> {
    let changes = run.stdout.lines().filter_map(|line| line.strip_prefix("  x token "));
    changes.filter_map(|token| token.split(' ').next()).collect()
}

/// A file with the secret of a token, and one of another server.
type Form = fn(&str, &str) -> String;

#[tokio::test(flavor = "multi_thread")]
async fn leaked_secrets_lead_to_their_tokens_in_every_form_of_a_report_and_are_never_shown() {
    let server = reconcile::server().await;
    let warden = reconcile::token(&server, "root", "warden").await;
    let foreign = tokenwarden::model::TokenSecret::from_random([3; 32]);
    let forms: [(&str, Form); 4] = [
        ("--secret-file", |secret, _| format!("{secret}\n")),
        ("--leaked", |secret, foreign| {
            format!("a log: Bearer {secret}!\nAKIA\nhttps://sam:{foreign}@git/x\n")
        }),
        ("--leaked", |secret, foreign| {
            format!(
                r#"[{{"RuleID": "x", "Secret": "{secret}"}}, {{"Secret": "k"}}, {{"Secret": "{foreign}"}}]"#
            )
        }),
        ("--leaked", |secret, foreign| {
            let result = |text| format!(r#"{{"message": {{"text": "{text}"}}}}"#);
            format!(r#"{{"runs": [{{"results": [{}, {}]}}]}}"#, result(secret), result(foreign))
        }),
    ];
    for (option, form) in forms {
        let leaked = reconcile::token(&server, "mary", "leaked").await;
        let other = reconcile::token(&server, "mary", "other").await;
        let repository = Repository::new(&server, &warden.secret, "{{{");
        fs::write(repository.folder.path().join("leaks"), form(&leaked.secret, foreign.expose())).unwrap();
        let run = repository.run(&revoke(&[option, "leaks", "--auto-approve"])).await;
        assert!(
            !works(&server, &leaked.secret).await && works(&server, &other.secret).await,
            "{}",
            run.stderr
        );
        // The other secret is of no token here.
        let is_foreign = option == "--leaked";
        assert_eq!(run.code, Some(i32::from(is_foreign)), "{}{}", run.stdout, run.stderr);
        assert_eq!(
            run.stdout.contains("no token of this server has this secret"),
            is_foreign,
            "{}",
            run.stdout
        );
        for secret in [leaked.secret.as_str(), foreign.expose(), &leaked.secret[3..20]] {
            assert!(
                !run.stdout.contains(secret) && !run.stderr.contains(secret),
                "{}{}",
                run.stdout,
                run.stderr
            );
        }
    }
    // Of Bitbucket: the secret says which one; and nothing at all, and nothing that can be read.
    let repository = Repository::new(&server, &warden.secret, "{{{");
    for (text, said) in [
        (
            "BBDC-MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ",
            "? token 252973515069\n      there is no such token",
        ),
        (r#"[{"Secret": "REDACTED"}]"#, "? finding 1 of leaks\n      the secret is hidden, cut or mistyped"),
        ("AKIA", "no secret of a token was found"),
        ("", "no secret of a token was found"),
    ] {
        fs::write(repository.folder.path().join("leaks"), text).unwrap();
        let run = repository.run(&revoke(&["--leaked", "leaks", "--auto-approve"])).await;
        assert_eq!(run.code, Some(1), "{text}: {}{}", run.stdout, run.stderr);
        assert!(format!("{}{}", run.stdout, run.stderr).contains(said), "{}{}", run.stdout, run.stderr);
    }
    let missing = repository.run(&revoke(&["--leaked", "nowhere"])).await;
    assert_eq!(missing.code, Some(64), "{}", missing.stderr);
    assert!(works(&server, &warden.secret).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_administrator_learns_nothing_of_whose_a_secret_is() {
    let server = reconcile::server().await;
    let token = reconcile::token(&server, "mary", "one").await;
    let hash = tokenwarden::model::TokenSecret::parse(&token.secret).unwrap().hash().hex();
    let path = format!("/rest/tokenwarden/1/tokens/by-hash?sha256={hash}");
    assert_eq!(status(server.with_token(&token.secret, Method::GET, &path)).await, StatusCode::FORBIDDEN);
    let root = reconcile::token(&server, "root", "warden").await;
    let told = answer(server.with_token(&root.secret, Method::GET, &path), StatusCode::OK).await;
    assert_eq!(told["values"], serde_json::json!([{"sha256": hash, "id": token.id}]));
    for bad in [
        "",
        "?sha256=",
        "?sha256=12",
        &format!("?sha256={hash}&sha256=x"),
        &format!("?{}", "sha256=ab&".repeat(51)),
    ] {
        let path = format!("/rest/tokenwarden/1/tokens/by-hash{bad}");
        assert_eq!(
            status(server.with_token(&root.secret, Method::GET, &path)).await,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
}

#[test]
fn tokens_are_chosen_by_owners_description_creation_and_last_use_together() {
    let quickstart = Quickstart::new();
    for (criteria, ids) in [
        (&["--owner", "CI-deploy", "--owner", "ci-nightly"][..], &["1", "2", "3", "17", "18", "19"][..]),
        (&["--description", "(?i)^ops-1.. DEPLOY"], &["1", "2"]),
        (&["--description", "deploy", "--created-after", "41d"], &["1"]),
        (&["--created-after", "10d", "--owner", "jonas"], &["9"]),
        (
            &["--last-used-from", "198.51.100.40", "--last-used-from", "10.20.0.0/16", "--owner", "jonas"],
            &["9", "15"],
        ),
    ] {
        let run = quickstart.run(&revoke(&[criteria, &["--now", NOW]].concat()));
        assert_eq!(run.code, Some(4), "nobody says yes: {}", run.stderr);
        let mut found = chosen(&run);
        found.retain(|id| id.parse::<u32>().is_ok_and(|id| id < 20));
        assert_eq!(found, ids, "{criteria:?}: {}", run.stderr);
    }
    let none = quickstart.run(&revoke(&["--last-used-from", "203.0.113.1", "--now", NOW]));
    assert_eq!(none.code, Some(0), "{}", none.stderr);
    assert!(
        none.stdout.contains("No token on quickstart (embedded .tokenwarden/quickstart.db) fits."),
        "{}",
        none.stdout
    );
    let misspelt = quickstart.run(&revoke(&["--owner", "carl", "--owner", "crl", "--now", NOW]));
    assert!(
        misspelt.stdout.contains("? owner crl\n") && !misspelt.stdout.contains("? owner carl"),
        "{}",
        misspelt.stdout
    );
}
