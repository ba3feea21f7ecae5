//! What the config file says not to look at: no failure, and never taken for seen.

use serde_json::{Value, json};

use super::program::{Repository, server};

const KEYS: &str = "    unsupported: warn\n    areas: [personal, project]\n    projects: [PLAT]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_it_looked_at_and_succeeds() {
    let stub = server().await;
    let repository = Repository::new(&stub, KEYS);
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    let converged = "\nConverged: prod was read back: nothing is left to do in the settings and the tokens of users and \
                     projects (projects: only PLAT), and the rest was not looked at.\n";
    assert!(applied.stdout.contains(converged), "{}", applied.stdout);
    let planned = repository.run(&["plan", "--out", "plan.json"]).await;
    assert_eq!(planned.code, Some(0), "{}{}", planned.stdout, planned.stderr);
    let lines = planned.stdout.replace(&stub.url(), "URL");
    // The day that the token is marked with is another one tomorrow.
    let lines = lines.lines().filter(|line| line.contains("looked at")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(lines, @"
    No changes in the settings and the tokens of users and projects (projects: only PLAT). The rest of prod (URL) was not looked at.
    Note: not looked at, as the config file says: tokens of repositories
    Note: not looked at, as the config file says: tokens of projects other than PLAT
    0 of 1 token looked at complies.
    ");
    let explained = repository.run(&["explain", "4711"]).await;
    assert!(explained.stderr.contains("on prod, within `areas` and `projects`"), "{}", explained.stderr);
    let shown = repository.run(&["show", "plan.json"]).await;
    assert!(shown.stdout.contains(planned.stdout.trim_end()), "{}", shown.stdout);
    let tokens = repository.run(&["plan", "--only", "tokens"]).await;
    assert!(tokens.stdout.starts_with("No changes in the tokens of users"), "{}", tokens.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_report_tells_what_was_left_out_by_choice_from_what_could_not_be_seen() {
    let stub = server().await;
    stub.contents().refused = vec!["/rest/access-tokens/latest/projects/"];
    let repository = Repository::new(&stub, KEYS);
    let partial = repository.run(&["plan", "--format", "json"]).await;
    assert_eq!(partial.code, Some(1), "{}", partial.stderr);
    let document: Value = serde_json::from_str(&partial.stdout).unwrap();
    let target = &document["targets"][0];
    assert_eq!(target["coverage"], "partial");
    assert_eq!(
        target["not_looked_at"],
        json!([{"tokens_of": "repository"}, {"projects_other_than": ["PLAT"]}])
    );
    let unseen = "the tokens of project PLAT could not be seen: 401 Unauthorized";
    assert_eq!(target["missing"], json!([unseen]));
    let left_out = ["tokens of repositories", "tokens of projects other than PLAT"];
    for format in ["markdown", "html", "text"] {
        let report = repository.run(&["plan", "--format", format]).await.stdout;
        for words in left_out.iter().chain([&unseen]) {
            assert!(report.contains(words), "{words} is not in the {format}:\n{report}");
        }
    }
    stub.contents().refused.clear();
    stub.contents().tokens.clear();
    let chosen = repository.run(&["plan", "--format", "json"]).await;
    let document: Value = serde_json::from_str(&chosen.stdout).unwrap();
    assert_eq!((chosen.code, &document["targets"][0]["coverage"]), (Some(0), &json!("partial")));
    assert_eq!(document["targets"][0]["missing"], json!([]));
    let markdown = repository.run(&["plan", "--format", "markdown"]).await.stdout;
    assert!(
        markdown.starts_with("**tokenwarden on prod: no changes in what was looked at; 1 held back.** "),
        "{markdown}"
    );
    let all = Repository::new(&stub, "    unsupported: warn\n").run(&["plan", "--format", "json"]).await;
    let document: Value = serde_json::from_str(&all.stdout).unwrap();
    assert_eq!(document["targets"][0]["coverage"], "complete");
}
