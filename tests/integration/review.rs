//! A plan published into a pull request, and a week in the life of a policy repository.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    program::{NOW, Quickstart, Run},
    pull_request::{HEAD, PullRequests, WE},
};

const TOKEN: &str = "a-token-that-may-read";

/// Publishes `plan.json` of `quickstart`.
async fn publish(quickstart: &Quickstart, server: &PullRequests) -> Run {
    let url = server.url();
    let arguments = [
        "review",
        "--plan",
        "plan.json",
        "--url",
        &url,
        "--project",
        "OPS",
        "--repo",
        "policies",
        "--pull-request",
        "7",
    ];
    let mut command = quickstart.command(&arguments);
    command.env("BITBUCKET_TOKEN", TOKEN);
    tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
}

fn planned(more: &[&str]) -> Quickstart {
    let quickstart = Quickstart::new();
    let run = quickstart.run(&[&["plan", "--now", NOW, "--out", "plan.json"], more].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    quickstart
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_published_as_one_comment_a_report_on_the_lines_of_the_policy_and_a_build_status() {
    let (server, quickstart) = (PullRequests::start().await, planned(&[]));
    server
        .kept
        .lock()
        .unwrap()
        .comment("mary", "looks good\n\n[tokenwarden-plan]: # (kept up to date by tokenwarden)");
    let run = publish(&quickstart, &server).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("a new comment") && run.stdout.contains(HEAD), "{}", run.stdout);

    let comments = server.comments();
    assert_eq!(comments.len(), 2, "that of mary is hers");
    let text = comments[1]["text"].as_str().unwrap();
    assert!(text.starts_with("**tokenwarden on quickstart: 8 settings to change"), "{text}");
    assert!(text.encode_utf16().count() <= 32_768);

    let kept = server.kept.lock().unwrap();
    let (report, annotations) = &kept.reports["tokenwarden.plan"];
    assert_eq!(report["result"], "PASS");
    assert_eq!(report["title"], "tokenwarden: 6 changes cannot be undone");
    assert_eq!(report["data"].as_array().unwrap().len(), 6);
    assert!(
        report["data"]
            .as_array()
            .unwrap()
            .contains(&json!({"title": "Tokens", "type": "NUMBER", "value": 37}))
    );
    let of_line =
        |path: &str, line: u32| annotations.iter().find(|one| one["path"] == path && one["line"] == line);
    let inactive = of_line("policy/base.yaml", 38).expect("the line that revokes the tokens of the inactive");
    assert_eq!(inactive["severity"], "HIGH");
    assert!(inactive["message"].as_str().unwrap().contains("revoke, cannot be undone"), "{inactive}");
    assert!(of_line("policy/base.yaml", 17).is_some(), "passwords");
    let build = &kept.builds[0];
    assert_eq!((&build["state"], &build["ref"]), (&json!("SUCCESSFUL"), &json!("refs/heads/edit")));
    assert!(build["url"].as_str().unwrap().ends_with("/projects/OPS/repos/policies/pull-requests/7"));
    assert!(kept.authorizations.iter().all(|sent| *sent == format!("Bearer {TOKEN}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn published_again_it_is_still_one_comment_whoever_writes_meanwhile() {
    let (server, quickstart) = (PullRequests::start().await, planned(&[]));
    publish(&quickstart, &server).await;
    let again = publish(&quickstart, &server).await;
    assert!(again.stdout.contains("the comment is up to date"), "{}{}", again.stdout, again.stderr);

    quickstart.edit("policy/base.yaml", "\npassword_authentication: disabled", "\n");
    quickstart.run(&["plan", "--now", NOW, "--out", "plan.json"]);
    {
        let mut kept = server.kept.lock().unwrap();
        kept.conflicts = 2;
        let twin = kept.comments.values().next().unwrap()["text"].as_str().unwrap().to_owned();
        kept.comment(WE, &twin);
    }
    let updated = publish(&quickstart, &server).await;
    assert_eq!(updated.code, Some(0), "{}", updated.stderr);
    assert!(updated.stdout.contains("the comment was updated"), "{}", updated.stdout);
    let comments = server.comments();
    assert_eq!(comments.len(), 1, "the twin of a run at the same time is gone: {comments:#?}");
    assert!(comments[0]["text"].as_str().unwrap().contains("7 settings to change"));
    let kept = server.kept.lock().unwrap();
    assert_eq!(kept.reports.len(), 1);
    let (_, annotations) = &kept.reports["tokenwarden.plan"];
    let places: Vec<_> = annotations.iter().map(|one| (&one["path"], &one["line"])).collect();
    let mut once = places.clone();
    once.dedup();
    assert_eq!(places, once, "the annotations of the first time are replaced, not added to");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_apply_would_refuse_fails_the_report_and_the_build() {
    let server = PullRequests::start().await;
    let quickstart = Quickstart::new();
    quickstart.edit("policy/platform.yaml", "  use: [", "  use: [developrs, ");
    quickstart.run(&["plan", "--now", NOW, "--out", "plan.json"]);
    let run = publish(&quickstart, &server).await;
    assert_eq!(run.code, Some(0), "what failed is the plan, not the publishing: {}", run.stderr);
    let kept = server.kept.lock().unwrap();
    let (report, annotations) = &kept.reports["tokenwarden.plan"];
    assert_eq!(report["result"], "FAIL");
    assert_eq!(kept.builds[0]["state"], "FAILED");
    let held = annotations.iter().find(|one| one["message"].as_str().unwrap().contains("`developrs`"));
    assert_eq!(held.unwrap()["path"], "policy/platform.yaml");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_on_the_policy_leads_the_comment_and_the_report_and_a_missed_requirement_fails_them() {
    let server = PullRequests::start().await;
    let quickstart = Quickstart::in_git(".tokenwarden/\nplan.json\n");
    quickstart.edit("policy/platform.yaml", "use: [developers, ci-bots, token-admins]", "use: everyone");
    let plan = ["plan", "--baseline", "main", "--out", "plan.json", "--now", NOW];
    for (require, code, result, said) in [
        (None, 0, "PASS", ""),
        (Some("no-looser"), 2, "FAIL", "; `no-looser` is required, and not met"),
        (Some("stricter"), 2, "FAIL", "; `stricter` is required, and not met"),
    ] {
        let require: Vec<&str> = require.into_iter().flat_map(|word| ["--require", word]).collect();
        let planned = quickstart.run(&[&plan[..], &require].concat());
        assert_eq!(planned.code, Some(code), "{}", planned.stderr);
        let line = format!("Compared with main: looser: 1 difference permits more{said}.");
        assert!(planned.stdout.replace("\n    ", " ").starts_with(&line), "{}", planned.stdout);
        let shown = quickstart.run(&["show", "plan.json"]);
        assert!(shown.stdout.replace("\n    ", " ").starts_with(&line), "{}", shown.stdout);
        assert_eq!(publish(&quickstart, &server).await.code, Some(0));

        let comment = server.comments()[0]["text"].as_str().unwrap().replace(['\\', '`'], "");
        let line = line.replace('`', "");
        assert!(comment.starts_with(&format!("**{line}**\n\n**tokenwarden on quickstart:")), "{comment}");
        let kept = server.kept.lock().unwrap();
        let (report, _) = &kept.reports["tokenwarden.plan"];
        assert_eq!(report["result"], result);
        assert!(report["details"].as_str().unwrap().starts_with(&line), "{report}");
        let data = report["data"].as_array().unwrap();
        assert_eq!(data[0], json!({"title": "Policy", "type": "TEXT", "value": "looser"}));
        assert_eq!(data.len(), 6, "Bitbucket takes no more: {report}");
        let build = kept.builds.last().unwrap();
        assert_eq!(build["state"], if code == 0 { "SUCCESSFUL" } else { "FAILED" });
        assert!(build["description"].as_str().unwrap().starts_with(&line), "{build}");
    }
    let without = quickstart.run(&["plan", "--require", "no-looser", "--now", NOW]);
    assert_eq!(without.code, Some(64), "there is nothing to compare with: {}", without.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_credential_or_an_answer_nothing_is_called_published() {
    let (server, quickstart) = (PullRequests::start().await, planned(&[]));
    let url = server.url();
    let arguments = [
        "review",
        "--plan",
        "plan.json",
        "--url",
        &url,
        "--project",
        "OPS",
        "--repo",
        "policies",
        "--pull-request",
        "7",
    ];
    let mut command = quickstart.command(&arguments);
    command.env_remove("BITBUCKET_TOKEN");
    let nobody = tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap();
    assert_eq!(nobody.code, Some(1), "{}", nobody.stderr);
    assert!(nobody.stderr.contains("BITBUCKET_TOKEN"), "{}", nobody.stderr);
    let mut command = quickstart.command(&[&arguments[..10], &["8"]].concat());
    command.env("BITBUCKET_TOKEN", TOKEN);
    let missing = tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap();
    assert_eq!(missing.code, Some(1), "{}", missing.stderr);
    assert!(
        missing.stderr.contains("pull-requests/8") && !missing.stderr.contains(TOKEN),
        "{}",
        missing.stderr
    );
    assert_eq!(server.comments(), Vec::<Value>::new());
}

fn addresses(run: &Run, origin: &str) -> Vec<String> {
    let plan: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
    let changes = plan["resource_changes"].as_array().unwrap().iter();
    let of = changes.filter(|change| change["origin"] == origin);
    of.map(|change| change["address"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_a_policy_repository_goes_as_its_users_expect() {
    let server = PullRequests::start().await;
    let quickstart = Quickstart::in_git(".tokenwarden/\nplan.json\n*.prom\n");

    // Monday: the first apply.
    let monday = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(monday.code, Some(0), "{}", monday.stderr);

    // Tuesday: a pull request, reviewed, and pushed to once more.
    let tuesday = "2026-11-24T09:00:00Z";
    quickstart.git(&["checkout", "--quiet", "-b", "edit"]);
    quickstart.edit("policy/base.yaml", "  create: [developers, ci-bots]", "  create: [developers]");
    quickstart.commit("bots create no tokens");
    let plan = ["plan", "--baseline", "main", "--out", "plan.json", "--format", "json", "--now", tuesday];
    let planned = quickstart.run(&plan);
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    assert_eq!(addresses(&planned, "policy"), ["quickstart/settings/permissions.create"]);
    assert_eq!(publish(&quickstart, &server).await.code, Some(0));
    quickstart.edit("policy/base.yaml", "  create_read_write: [ci-bots]", "  create_read_write: nobody");
    quickstart.commit("nor may they write");
    let planned = quickstart.run(&plan);
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    assert_eq!(publish(&quickstart, &server).await.code, Some(0));
    let comments = server.comments();
    assert_eq!(comments.len(), 1, "still one comment");
    let text = comments[0]["text"].as_str().unwrap();
    assert!(text.starts_with("**Compared with main: stricter: 2 differences permit less.**"), "{text}");
    assert!(text.contains("2 settings to change"), "{text}");

    // Wednesday: merged, and the reviewed plan is applied.
    let wednesday = "2026-11-25T09:00:00Z";
    quickstart.git(&["checkout", "--quiet", "main"]);
    quickstart.git(&["merge", "--quiet", "--no-ff", "--message", "merge", "edit"]);
    let merged = quickstart.run(&["apply", "plan.json", "--now", wednesday]);
    assert_eq!(merged.code, Some(0), "{}{}", merged.stdout, merged.stderr);
    assert!(merged.stdout.contains("2 settings changed"), "{}", merged.stdout);

    // Thursday: nobody did anything, until somebody changes the server by hand.
    let thursday = "2026-11-26T09:00:00Z";
    let drift = ["drift", "--format", "json", "--report", "metrics=drift.prom", "--now", thursday];
    let quiet = quickstart.run(&drift);
    assert_eq!(quiet.code, Some(0), "{}{}", quiet.stdout, quiet.stderr);
    let store = format!("sqlite:{}", quickstart.store().display());
    let exported = quickstart.run(&["settings", "export", "--store", &store]);
    let mut settings: Value = serde_json::from_str(&exported.stdout).unwrap();
    settings["password_authentication"] = "allowed".into();
    fs::write(quickstart.path(".tokenwarden/by-hand.json"), settings.to_string()).unwrap();
    let file = quickstart.path(".tokenwarden/by-hand.json").display().to_string();
    assert_eq!(quickstart.run(&["settings", "import", &file, "--store", &store]).code, Some(0));
    let changed = quickstart.run(&drift);
    assert_eq!(changed.code, Some(2), "{}", changed.stderr);
    assert_eq!(addresses(&changed, "drift"), ["quickstart/settings/password_authentication"], "only that");
    let metrics = fs::read_to_string(quickstart.path("drift.prom")).unwrap();
    let of_drift = r#"tokenwarden_pending_changes{target="quickstart",action="set",origin="drift"} 1"#;
    assert!(metrics.contains(of_drift), "{metrics}");
    let mended = quickstart.run(&["apply", "--auto-approve", "--now", thursday]);
    assert_eq!(mended.code, Some(0), "{}", mended.stderr);

    // Months later: dates were reached, and that is no drift.
    let later = "2027-02-24T09:00:00Z";
    let reached = quickstart.run(&["drift", "--format", "json", "--now", later]);
    assert_eq!(reached.code, Some(0), "{}", reached.stderr);
    assert!(!addresses(&reached, "time").is_empty(), "{}", reached.stdout);
    assert_eq!(addresses(&reached, "drift"), Vec::<String>::new());
}
