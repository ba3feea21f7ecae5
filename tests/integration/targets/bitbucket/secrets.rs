//! A server that repeats what we prove ourselves with, wherever it can: nothing of that is written anywhere.

use std::{fs, path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::{
    program::Repository,
    stub::{KEY, PASSWORD, Stub, token},
};
use crate::support::{
    program::Run,
    proxy::{Decide, Fate, Proxy},
};

/// Every form in which the server repeats the password and the key for marks.
fn forms() -> Vec<String> {
    let each = |secret: &str| {
        let percent: Vec<_> = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        [
            secret.to_owned(),
            secret.replace(' ', "%20"),
            secret.replace(' ', "+"),
            secret.replace(' ', "\\u0020"),
            percent.concat(),
            STANDARD.encode(secret),
            STANDARD.encode(format!("warden:{secret}")),
        ]
    };
    [PASSWORD, KEY].iter().flat_map(|secret| each(secret)).collect()
}

fn assert_clean(place: &str, text: &str) {
    for form in forms() {
        assert!(!text.contains(&form), "{place} has `{form}`: {text}");
    }
    // Where a text was cut.
    assert!(!text.contains("correct horse"), "{place}: {text}");
}

/// Neither what was said nor any file of the repository, but the config file, has a secret.
fn assert_nothing_is_written(repository: &Repository, run: &Run) {
    assert_clean("standard output", &run.stdout);
    assert_clean("standard error", &run.stderr);
    assert_files_are_clean(repository.path());
}

fn assert_files_are_clean(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_files_are_clean(&path);
        } else if !path.ends_with("tokenwarden.yaml") {
            assert_clean(&path.display().to_string(), &fs::read_to_string(path).unwrap());
        }
    }
}

/// A proxy before `stub` that `decide` is asked about.
async fn proxy(stub: &Stub, decide: Arc<Decide>) -> Proxy {
    let address = stub.url().strip_prefix("http://").unwrap().parse().unwrap();
    Proxy::start(address, decide).await
}

fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
        .into_bytes()
}

const REPORTS: &[&str] = &["text", "json", "markdown", "sarif", "junit", "html", "metrics"];

fn with_reports(arguments: &[&str]) -> Vec<String> {
    let reports = REPORTS.iter().map(|kind| format!("--report={kind}={kind}.report"));
    let owners = "--report=owners=notices".to_owned();
    arguments.iter().map(ToString::to_string).chain(reports).chain([owners]).collect()
}

async fn run(repository: &Repository, arguments: &[String]) -> Run {
    repository.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_repeats_the_credential_in_any_form_is_shown_without_it() {
    let stub = Stub::start().await;
    let all = forms().join(" and ");
    let message = json!({"errors": [{"message": all}]}).to_string();
    // Cut in the middle of the secret.
    let long = json!({"errors": [{"message": format!("{}{PASSWORD}", "x".repeat(290))}]}).to_string();
    let path = forms().join("/").replace(' ', "%20").replace('\\', "%5C");
    let location = format!("location: /{path}?p={path}#{path}\r\n");
    let elsewhere = format!("location: https://elsewhere.example.com/{}{path}\r\n", "y".repeat(250));
    let json_type = "content-type: application/json\r\n";
    let challenge = format!("{json_type}www-authenticate: Basic realm=\"{}\"\r\n", forms()[0]);
    for answer in [
        response("401 Unauthorized", &challenge, &message),
        response("403 Forbidden", json_type, &message),
        response("403 Forbidden", json_type, &long),
        response("400 Bad Request", json_type, &json!({"message": all}).to_string()),
        response("302 Found", &location, ""),
        response("302 Found", &elsewhere, ""),
        response("200 OK", &format!("content-type: text/{}\r\n", forms()[3]), "<html>"),
        response("200 OK", json_type, &json!({"values": all, "version": [all]}).to_string()),
        response("200 OK", json_type, &json!({"values": [{"name": [all]}]}).to_string()),
    ] {
        let said = answer.clone();
        let decide = move |_: &str, _: &str| {
            let said = said.clone();
            async { Fate::Instead(said) }.boxed()
        };
        let proxy = proxy(&stub, Arc::new(decide)).await;
        let repository = Repository::new(&stub, "");
        repository.edit(&stub.url(), &proxy.url());
        repository.edit("targets:", "journal: { directory: journal }\ntargets:");
        for arguments in [
            &["-vv", "plan"][..],
            &["-vv", "--log-format", "json", "plan", "--format", "json", "--out", "saved.json"],
            &["-vv", "apply", "--auto-approve"],
            &["inventory", "--out", "taken.jsonl"],
            &["explain", "1", "--format", "json"],
            &["journal", "show", "--format", "json"],
        ] {
            let told = if arguments.contains(&"plan") || arguments.contains(&"apply") {
                run(&repository, &with_reports(arguments)).await
            } else {
                repository.run(arguments).await
            };
            assert_nothing_is_written(&repository, &told);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_descriptions_that_hold_the_credential_are_shown_without_it_in_every_report() {
    let stub = Stub::start().await;
    stub.contents().users.push((PASSWORD, "odd", false));
    for (index, form) in forms().into_iter().enumerate() {
        let name = format!("script {form} and {}{form}", "z".repeat(100 - form.len().min(90)));
        stub.add(
            "users/mary_example.com",
            token(&format!("{index}"), &name, "2025-01-01T00:00:00Z", &["REPO_ADMIN"]),
        );
        stub.add("users/odd", token(&format!("9{index}"), &name, "2025-01-01T00:00:00Z", &["REPO_ADMIN"]));
    }
    let repository = Repository::new(
        &stub,
        "    unsupported: warn\n    rails: { revocations: { percent: 100, amount: 99 } }\n",
    );
    for format in REPORTS {
        let arguments = with_reports(&["-vv", "plan", "--format", format, "--out", "saved.json"]);
        let planned = run(&repository, &arguments).await;
        assert_eq!(planned.code, Some(0), "{}", planned.stderr);
        assert!(planned.stdout.contains("[redacted]") || *format == "metrics", "{}", planned.stdout);
        assert_nothing_is_written(&repository, &planned);
    }
    let shown = repository.run(&["show", "saved.json"]).await;
    assert_eq!(shown.code, Some(0), "its digest is that of what is in the file: {}", shown.stderr);
    let taken = repository.run(&["inventory", "--out", "taken.jsonl"]).await;
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    assert_nothing_is_written(&repository, &taken);
    let piped = repository.run(&["inventory", "--out", "-"]).await;
    assert_clean("standard output", &piped.stdout);
    assert_eq!(
        piped.stdout.lines().count(),
        fs::read_to_string(repository.path().join("taken.jsonl")).unwrap().lines().count()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn journal_and_documents_keep_the_status_of_a_failure_and_people_are_shown_the_rest() {
    let stub = Stub::start().await;
    stub.add("users/gone", token("000000000002", "laptop", "2026-11-01T00:00:00Z", &["REPO_READ"]));
    let message = format!("no, {PASSWORD} of mary-in-the-words does not do it");
    let body = json!({"errors": [{"message": message}]}).to_string();
    let refusal = response("409 Conflict", "content-type: application/json\r\n", &body);
    let decide = move |method: &str, _: &str| {
        let fate = if method == "DELETE" { Fate::Instead(refusal.clone()) } else { Fate::Whole };
        async { fate }.boxed()
    };
    let proxy = proxy(&stub, Arc::new(decide)).await;
    let repository = Repository::new(&stub, "    unsupported: warn\n");
    repository.edit(&stub.url(), &proxy.url());
    repository.edit("targets:", "journal: { directory: journal }\ntargets:");
    let failed = run(&repository, &with_reports(&["apply", "--auto-approve"])).await;
    assert_eq!(failed.code, Some(1), "{}{}", failed.stdout, failed.stderr);
    assert!(failed.stdout.contains("409 Conflict"), "{}", failed.stdout);
    assert_nothing_is_written(&repository, &failed);
    let document = fs::read_to_string(repository.path().join("json.report")).unwrap();
    let outcomes: Value = serde_json::from_str::<Value>(&document).unwrap()["outcomes"].clone();
    assert_eq!(outcomes[0]["reason"], "the server did not do it: 409 Conflict", "{document}");
    let journal = repository.run(&["journal", "show", "--format", "json"]).await.stdout;
    let reason =
        &serde_json::from_str::<Value>(&journal).unwrap()["runs"][0]["changes"][0]["result"]["reason"];
    assert_eq!(reason, "the server did not do it: 409 Conflict");
    for kept in [&document, &journal] {
        assert!(!kept.contains("mary-in-the-words") && !kept.contains("/rest/access-tokens"), "{kept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_owners_whom_the_server_refuses_by_name_are_one_line() {
    let stub = Stub::start().await;
    for index in 0..60 {
        let name: &'static str = format!("user-{index:02}").leak();
        stub.contents().users.push((name, name, true));
    }
    let decide = |_: &str, path: &str| {
        let of = path.strip_prefix("/rest/access-tokens/latest/users/").unwrap_or_default().to_owned();
        let fate = if of.starts_with("user-") {
            let body = json!({"errors": [{"message": format!("the tokens of {of} are not yours to see")}]});
            Fate::Instead(response("403 Forbidden", "content-type: application/json\r\n", &body.to_string()))
        } else {
            Fate::Whole
        };
        async { fate }.boxed()
    };
    let proxy = proxy(&stub, Arc::new(decide)).await;
    let repository = Repository::new(&stub, "    unsupported: warn\n");
    repository.edit(&stub.url(), &proxy.url());
    let line = "the tokens of 60 users, such as user-00, could not be seen: 403 Forbidden";
    let plan = repository.run(&["plan"]).await;
    assert_eq!(
        (plan.code, plan.stdout.matches("could not be seen").count()),
        (Some(1), 1),
        "{}",
        plan.stdout
    );
    assert!(plan.stdout.contains(line), "{}", plan.stdout);
    let taken = repository.run(&["inventory", "--out", "taken.jsonl"]).await;
    assert_eq!(
        (taken.code, taken.stderr.matches("could not be seen").count()),
        (Some(1), 1),
        "{}",
        taken.stderr
    );
    assert!(taken.stderr.contains(&format!("prod: not seen: {line}\n")), "{}", taken.stderr);
}
