//! Addresses that programs read in different ways, wherever one is read: refused with what they can mean.

use std::fs;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    SETTINGS, TestServer, answer,
    program::{Quickstart, Run},
};

/// What every refusal of `text` says.
fn words(text: &str, decimal: &str, octal: &str) -> String {
    format!(
        "`{text}` has a number with a leading zero; write `{decimal}` (read as decimal) or `{octal}` (read as octal)"
    )
}

fn assert_invalid(run: &Run, words: &str) {
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains(words), "{words}\n{said}");
}

#[test]
fn a_policy_with_a_leading_zero_in_an_address_or_a_length_is_invalid() {
    for (line, words) in [
        ("allow: [010.0.0.0/8]", words("010.0.0.0/8", "10.0.0.0/8", "8.0.0.0/8")),
        ("allow: [{name: office, ranges: ['010.0.0.1']}]", words("010.0.0.1", "10.0.0.1", "8.0.0.1")),
        (
            "allow: [10.0.0.010-10.0.0.020]",
            words("10.0.0.010-10.0.0.020", "10.0.0.10-10.0.0.20", "10.0.0.8-10.0.0.16"),
        ),
        ("allow: ['::ffff:010.0.0.1']", words("::ffff:010.0.0.1", "::ffff:10.0.0.1", "::ffff:8.0.0.1")),
        (
            "allow: [10.0.0.0/08]",
            "`10.0.0.0/08` has a number with a leading zero; write `10.0.0.0/8`".to_owned(),
        ),
        (
            "client_address: {header: X-Forwarded-For, trusted_proxies: [010.0.0.5/32]}",
            words("010.0.0.5/32", "10.0.0.5/32", "8.0.0.5/32"),
        ),
    ] {
        let quickstart = Quickstart::new();
        fs::write(quickstart.path("policy/odd.yaml"), format!("version: 1\nnetwork:\n  {line}\n")).unwrap();
        let run = quickstart.run(&["validate", "policy/odd.yaml"]);
        assert_eq!(run.code, Some(3), "{line}: {}", run.stdout);
        assert_invalid(&run, &words);
        assert!(run.stdout.contains("policy/odd.yaml:3:"), "the place is named: {}", run.stdout);
    }
}

#[test]
fn a_policy_test_the_config_file_and_the_command_line_refuse_a_leading_zero_too() {
    let quickstart = Quickstart::new();
    let case = "version: 1\nnow: 2026-12-01T00:00:00Z\ntarget: quickstart\nowners: {mary: {groups: [developers]}}\ncases:\n  \
                - name: the office\n    request: {owner: mary, method: GET, path: /, from: 010.0.0.1}\n    expect: permit\n";
    fs::create_dir_all(quickstart.path("tests")).unwrap();
    fs::write(quickstart.path("tests/odd.yaml"), case).unwrap();
    let tested = quickstart.run(&["test"]);
    assert_eq!(tested.code, Some(3), "{}", tested.stdout);
    assert_invalid(&tested, &words("010.0.0.1", "10.0.0.1", "8.0.0.1"));

    let asked = quickstart.run(&["explain", "--owner", "mary", "--from", "010.0.0.1"]);
    assert_eq!(asked.code, Some(64), "{}", asked.stderr);
    assert_invalid(&asked, &words("010.0.0.1", "10.0.0.1", "8.0.0.1"));

    for (of_target, words) in [
        (
            "url: https://bb.example.com, self: {address: 010.0.0.9}",
            words("010.0.0.9", "10.0.0.9", "8.0.0.9"),
        ),
        ("url: 'https://010.0.0.9:7990'", words("010.0.0.9", "10.0.0.9", "8.0.0.9")),
    ] {
        let auth = "auth: {user: warden, password_env: BB_PASSWORD}, policy: [policy/base.yaml]";
        let settings = format!("version: 1\ntargets:\n  prod: {{kind: bitbucket, {of_target}, {auth}}}\n");
        fs::write(quickstart.path("tokenwarden.yaml"), settings).unwrap();
        let run = quickstart.run(&["validate"]);
        assert_eq!(run.code, Some(3), "{of_target}: {}", run.stdout);
        assert_invalid(&run, &words);
    }
}

#[tokio::test]
async fn the_settings_of_the_server_take_no_leading_zero() {
    let server = TestServer::new().await;
    let (document, etag) = server.settings().await;
    let header = json!({"header": "X-Forwarded-For", "trusted_proxies": ["010.0.0.5"]});
    for (pointer, value, expected) in [
        ("/network/allow", json!(["010.0.0.0/8"]), words("010.0.0.0/8", "10.0.0.0/8", "8.0.0.0/8")),
        ("/network/allow", json!(["10.0.0.0/010"]), words("10.0.0.0/010", "10.0.0.0/10", "10.0.0.0/8")),
        ("/network/client_address", header, words("010.0.0.5", "10.0.0.5", "8.0.0.5")),
    ] {
        let mut wrong = document.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        let request = server.as_operator(Method::PUT, SETTINGS).header("if-match", &etag).json(&wrong);
        let told = answer(request, StatusCode::BAD_REQUEST).await;
        assert!(told["errorMessage"].as_str().unwrap().ends_with(&expected), "{told}");
    }
    assert_eq!(server.settings().await, (document, etag));
}

#[test]
fn settings_that_are_imported_take_no_leading_zero() {
    let quickstart = Quickstart::new();
    assert_eq!(quickstart.run(&["plan"]).code, Some(0));
    let store = format!("sqlite:{}", quickstart.store().display());
    let exported = quickstart.run(&["settings", "export", "--store", &store]);
    let mut settings: Value = serde_json::from_str(&exported.stdout).unwrap();
    settings["network"]["allow"] = json!(["010.0.0.0/8"]);
    let file = quickstart.path("odd.json");
    fs::write(&file, settings.to_string()).unwrap();
    let run = quickstart.run(&["settings", "import", &file.display().to_string(), "--store", &store]);
    assert_ne!(run.code, Some(0), "{}", run.stderr);
    assert_invalid(&run, &words("010.0.0.0/8", "10.0.0.0/8", "8.0.0.0/8"));
}
