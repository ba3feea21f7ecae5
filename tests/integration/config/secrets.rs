//! Secrets that somebody wrote into a config file or a gateway file by mistake: nothing that is said of the file shows
//! them.

use std::sync::Arc;

use tokenwarden::{
    config::{self, gateway},
    policy,
    policy_tests::file,
    report,
    yaml::{Diagnostics, Sources},
};

/// Everything that is said of a file, to people and to programs, with the mark of a secret in it.
fn said(diagnostics: &Diagnostics, sources: &Sources) -> String {
    let document = serde_json::to_string(&report::diagnostics::document(diagnostics, 1)).unwrap();
    report::diagnostics::text(diagnostics, sources, false) + &document
}

fn of_config(text: &str) -> String {
    let reading = config::read(&Arc::from("tokenwarden.yaml"), text.as_bytes());
    said(&reading.diagnostics, &reading.sources)
}

fn of_gateway(text: &str) -> String {
    let reading = gateway::read(&Arc::from("gateway.yaml"), text.as_bytes());
    said(&reading.diagnostics, &reading.sources)
}

/// Asserts that something is said, and no secret.
fn assert_hidden(said: &str, text: &str) {
    assert!(said.contains("error"), "nothing is wrong with\n{text}");
    assert!(!said.contains("hunter2"), "{text}\nis told as\n{said}");
}

#[test]
fn a_secret_at_a_wrong_place_of_a_config_file_is_not_shown() {
    for text in [
        // One level too far left or right.
        "targets:\n  kind: gateway\n  url: https://h\n  password: hunter2\n  policy: [p.yaml]\n",
        "targets:\n  kind: gateway\n  token_env: hunter2\n",
        "targets:\n  kind: gateway\n  auth: hunter2\n",
        "targets:\n  kind: [hunter2]\n",
        "targets:\n  prod: { kind: gateway, url: 'https://h', policy: [p] }\n  secret: 'hunter2'\n",
        "targets:\n    prod:\n    kind: gateway\n    password: hunter2\n",
        "targets:\n  prod: { kind: resolution, settings: { path: /x, fields: { password: hunter2 } } }\n",
        "targets: { fields: { kind: gateway, password: hunter2 } }\n",
        "targets: { targets: { kind: gateway, password: hunter2 } }\n",
        "password: hunter2\ntargets: hunter2\n",
        "self: { token_id: BBDC-hunter2, adress: 1 }\n",
    ] {
        assert_hidden(&of_config(&format!("version: 1\n{text}")), text);
    }
}

#[test]
fn a_secret_that_became_a_key_is_not_shown() {
    for auth in [
        "{ user: warden, password:hunter2 }",
        "{ user: warden, password=hunter2 }",
        "{ user: warden, password: abc,hunter2 }",
        "{ user: warden, hunter2 }",
        "{ user: warden, password_env:\"hunter2 x\" }",
        "{ user: warden, password_env: {hunter2} }",
        "{ command: [a, hunter2: x], user: 1 }",
    ] {
        let target = format!("prod: {{ kind: gateway, url: 'https://h', policy: [p], auth: {auth} }}");
        assert_hidden(&of_config(&format!("version: 1\ntargets:\n  {target}\n")), auth);
        let upstream = format!("upstream: {{ url: 'https://h', auth: {auth} }}");
        assert_hidden(&of_gateway(&format!("version: 1\n{upstream}\n")), auth);
    }
    let misspelt =
        "version: 1\ntargets: { prod: { kind: gateway, auth: { usr: warden, password_env: PW } } }\n";
    assert!(of_config(misspelt).contains("did you mean `user`?"), "{}", of_config(misspelt));
    let name = "version: 1\ntargets:\n  https://user:hunter2@host: { kind: gateway, polcy: 1 }\n";
    assert_hidden(&of_config(name), name);
}

#[test]
fn a_secret_beside_the_values_of_a_file_is_not_shown() {
    for auth in [
        "{ user: u, password_env: PW, <<: { password_env: hunter2 }, bogus: 1 }",
        "{ user: u, <<: [{ password_env: x }, { password_env: hunter2 }], bogus: 1 }",
        "{ usr: u, password_env: PW }  # password: hunter2",
        "{ usr: &hunter2 u, password_env: PW }",
        "{ command: [a, &hunter2, b], bogus: 1 }",
        "{ command: [a, !hunter2 b], bogus: 1 }",
    ] {
        let text = format!("version: 1\ntargets: {{ prod: {{ kind: gateway, auth: {auth}\n }} }}\n");
        assert_hidden(&of_config(&text), &text);
    }
    let comment = "version: 1\ntargets: { prod: { kind: 5 } } # the password is hunter2\n";
    assert_hidden(&of_config(comment), comment);
}

#[test]
fn a_credential_in_an_address_is_not_shown_wherever_in_it_that_is() {
    for url in [
        "https://user:p#hunter2@host",
        "https://user:p?hunter2@host",
        "https://host/?token=hunter2",
        "https://host/#hunter2",
        "user:hunter2@host",
        "//user:hunter2@host",
        "https:/user:hunter2@host",
        "https;//user:hunter2@host",
        "https:\\\\user:hunter2@host",
        "https://user:p/hunter2@host",
        "https://u:p//hunter2@h",
        "https://user:hunter2",
        "https://[::1]:hunter2",
        "https://user:hunter2%40host",
        "https://user:hunter2\u{ff20}host",
        "https://u%3Ahunter2%40h",
        "HTTPS://u:hunter2@h",
    ] {
        let text =
            format!("version: 1\ntargets: {{ prod: {{ kind: gateway, url: '{url}', policy: [p] }} }}\n");
        assert_hidden(&of_config(&text), &text);
        for key in ["public_url", "listen", "store", "audit_retention"] {
            let text = format!("version: 1\n{key}: '{url}'\n");
            assert_hidden(&of_gateway(&text), &text);
        }
        let text = format!("version: 1\nupstream: {{ url: '{url}', header: '{url}', refresh: '{url}' }}\n");
        assert_hidden(&of_gateway(&text), &text);
    }
    let store = "version: 1\nstore: sqlite:postgres://u:hunter2@h/db\n";
    assert_hidden(&of_gateway(store), store);
    for text in [
        "targets: { prod: { kind: gateway, policy: ['https://u:hunter2@g/../b', 'https://u:hunter2@g/../b'] } }",
        "journal: { window: 's3://key:hunter2@b' }",
        "targets: { prod: { kind: embedded, store: 'postgres://u:hunter2@h/db', policy: [p] } }",
        "targets: { prod: { kind: gateway, self: { address: 'https://u:hunter2@h' } } }",
    ] {
        assert_hidden(&of_config(&format!("version: 1\n{text}\n")), text);
    }
}

#[test]
fn the_key_of_a_certificate_is_not_shown() {
    for tls in [
        "{ cert: cert.pem, key: hunter2, bogus: 1 }",
        "{ cert: cert.pem, key: [hunter2] }",
        "{ cert: 5, key: hunter2 }",
        "\n  cert: cert.pem\n  key: |\n    hunter2\n  bogus: 1",
    ] {
        assert_hidden(&of_gateway(&format!("version: 1\ntls: {tls}\n")), tls);
    }
}

#[test]
fn a_secret_of_another_file_that_is_taken_for_a_policy_or_a_policy_test_is_not_shown() {
    for text in [
        "version: 1\ntargets:\n  prod:\n    kind: gateway\n    auth: { user: me, password: hunter2 }\n",
        "users:\n  - { name: mary, password_hash: hunter2 }\ngroups: {}\n",
        "users: [{ name: ' hunter2' }, { name: &hunter2 x }] # hunter2\n",
        "version: 1\nstore: sqlite:hunter2\nupstream: { auth: { token: hunter2 } } # hunter2\n",
        "version: 1\npermissions:\n  use: everyone\n  password: |\n    hunter2\n",
        "version: 1\ntokens: { secret: [hunter2, { a: hunter2 }], limits: [{ password: 'hunter2', max_idle: 90d }] }\n",
        "version: 1\ncases:\n  - { name: x, auth: hunter2 }\n",
        "version: 1\npassword: hunter2\npassword: hunter2\n",
        "users:\n  - name: a\n    password: hunter2\n    broken: [\n",
        "version: 1\ntargets:\n\tpassword: hunter2\n",
        "version: 1\nupstream: { auth: { token: hunter2 }\n",
        "targets: { a: { password: hunter2 } }\n---\n",
        "store: hunter2\nversion: 1\n? [hunter2]\n",
    ] {
        let reading = policy::read(&[(Arc::from("policy.yaml"), text.as_bytes().to_vec())]);
        assert_hidden(&said(&reading.diagnostics, &reading.sources), text);
        let reading = file::read(&Arc::from("tests.yaml"), text.as_bytes());
        assert_hidden(&said(&reading.diagnostics, &reading.sources), text);
    }
    let typo = "version: 1\npermissions: { use: [a], creat: [b], create: [c] } # of all\nnetwork: 5\n";
    let reading = policy::read(&[(Arc::from("policy.yaml"), typo.as_bytes().to_vec())]);
    insta::assert_snapshot!(report::diagnostics::text(&reading.diagnostics, &reading.sources, false), @r"
    error[unknown-key]: unknown key `creat`
     --> policy.yaml:2:26, at `permissions.creat`
      |
    2 | permissions: { use: [a], creat: [*], create: [c] } # of all
      |                          ^^^^^
    help: did you mean `create`? It is there already: keep one of the two

    error[wrong-type]: expected a mapping with `allow` and `client_address`, or `unmanaged`, found the number `5`
     --> policy.yaml:3:10, at `network`
      |
    3 | network: 5
      |          ^
    ");
}
