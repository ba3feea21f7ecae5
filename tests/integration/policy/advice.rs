//! What is said of a mistake leads on: what is to be written in its place is accepted.

use std::sync::Arc;

use tokenwarden::{
    config::{self, gateway},
    policy,
    policy_tests::file,
    yaml::{Code, Diagnostic, Diagnostics, Severity},
};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Policy,
    Config,
    Gateway,
    Tests,
}

fn read(kind: Kind, text: &str) -> Diagnostics {
    let (file, bytes) = (Arc::from("file.yaml"), text.as_bytes());
    match kind {
        Kind::Policy => policy::read(&[(file, bytes.to_vec())]).diagnostics,
        Kind::Config => config::read(&file, bytes).diagnostics,
        Kind::Gateway => gateway::read(&file, bytes).diagnostics,
        Kind::Tests => file::read(&file, bytes).diagnostics,
    }
}

/// A policy test with these keys of its one token.
fn case(token: &str) -> String {
    format!(
        "version: 1\nnow: 2026-12-01\ntarget: t\nowners: {{ mary: {{}} }}\ncases:\n  - {{ name: n, token: {{ owner: mary, \
         created: 1d ago, expires: never, last_used: never, {token} }}, expect: {{}} }}\n"
    )
}

#[test]
fn what_is_to_be_written_in_place_of_a_mistake_is_accepted() {
    use Kind::{Config, Gateway, Policy, Tests};
    let bitbucket = "kind: bitbucket, url: 'https://h', policy: [p], auth: { token_env: A }";
    let texts = [
        (Policy, "version: \"1\"\n".to_owned()),
        (Policy, "version: 2\n".to_owned()),
        (Policy, "version: 1\nnetwork: { allow: [10.0.0.009/8] }\n".to_owned()),
        (Policy, "version: 1\nnetwork: { allow: [10.0.0.009-10.0.0.001, 10.0.0.5/8, 10.0.0.9-10.0.0.1] }\n".to_owned()),
        (Policy, "version: 1\npassword_authentication: { state: disabled, except_paths: ['x: y'] }\n".to_owned()),
        (Policy, "version: 1\npassword_authentication: { state: disabled, except_paths: ['x #y', 'a,b'] }\n".to_owned()),
        (Policy, "version: 1\npermissions: { use: [!!int 5, 1.5, true, 0x10, !!int  \"7\"] }\n".to_owned()),
        (Policy, "version: 1\npermissions: { use: [], create: [a, a], usee: [b] }\n".to_owned()),
        (Policy, "version: 1\ntokens: { limits: [], rules: [{ name: true, when: 'false', message: x }] }\n".to_owned()),
        (
            Policy,
            "version: 1\ntokens: { rules: [{ name: 'true', when: 'false', message: x }] }\nwaivers:\n  - { owner: mary, \
             rules: [tru, idle, idel], reason: x, until: 2027-01-31 }\n"
                .to_owned(),
        ),
        (Policy, "version: 1\ntokens: { enforcement: { idle: report, idel: report, scop: narow, lifetim: report } }\n".to_owned()),
        (Policy, "version: 1\ntokens: { limits: [{ owner_kind: [Usr], max_idle: 09d, max_scop: read-only }] }\n".to_owned()),
        (Policy, "version: 1\nnetwork: { allow: [] }\nnetwrk: {}\n".to_owned()),
        (Policy, "version: 1\nnetwork: { client_address: { header: Forwarded, trusted_proxies: [10.0.0.1] } }\n".to_owned()),
        (Config, format!("version: 1\ntargets: {{ t: {{ {bitbucket}, areas: [user, projct] }} }}\n")),
        (Config, format!("version: 1\ntargets: {{ t: {{ {bitbucket}, polcy: [p], area: [project], unsuported: warn }} }}\n")),
        (
            Config,
            "version: 1\ntargets: { t: { kind: resolution, url: 'https://h', policy: [p], auth: { token_env: A }, settings: \
             { path: /x, read: get, write: pst, fields: { network.allow: { pointer: /a, kind: list }, network.alow: { \
             pointer: /b, kind: lst } } } } }\n"
                .to_owned(),
        ),
        (Gateway, "version: 1\nstore: sqlite:a\nlisten: 8443\n".to_owned()),
        (Gateway, "version: 1\nstore: sqlite:a\nstor: b\npublic_url: 5\n".to_owned()),
        (Tests, case("scope: read-onl, id: 05")),
        (Tests, case("scope: read-only, description: !!int 5, ownr: x")),
        (Tests, case("scope: read-only").replace("expect: {}", "expect: { actions: [narow], findings: [5] }")),
    ];
    let mut followed = 0;
    for (kind, text) in texts {
        let before = read(kind, &text);
        assert!(before.have_errors(), "{text}");
        for found in before.iter() {
            let Some(replacement) = &found.replacement else { continue };
            let fixed = [&text[..found.span.start], replacement, &text[found.span.end..]].concat();
            let after = read(kind, &fixed);
            // What was hidden behind it may come next.
            let is_followed = |after: &Diagnostics| {
                let same = |it: &&Diagnostic| it.code == found.code && it.path == found.path;
                let is_next = |it: &Diagnostic| it.code == Code::UnknownAction || it.path == found.path;
                let next = usize::from(after.iter().any(is_next));
                !after.iter().any(|it| same(&it))
                    && after.count(Severity::Error) < before.count(Severity::Error) + next
            };
            assert!(is_followed(&after), "{found:#?}\nleads to\n{fixed}{after:#?}");
            followed += 1;
        }
    }
    assert!(followed >= 30, "{followed}");
}

#[test]
fn what_a_help_says_can_be_done() {
    use Kind::{Config, Gateway, Policy};
    let target = |keys: &str| format!("version: 1\ntargets: {{ t: {{ policy: [p], {keys} }} }}\n");
    let waiver = |keys: &str| format!("version: 1\nwaivers:\n  - {{ owner: mary, reason: x, {keys} }}\n");
    let action = |rule: &str| {
        format!("version: 1\ntokens: {{ enforcement: {{ {rule}: {{ action: report, grace: 1d }} }} }}\n")
    };
    let server = "kind: gateway, url: 'https://h'";
    for (kind, text, help) in [
        (Policy, "version:\n".to_owned(), "write `version: 1`"),
        (Policy, "version: [1]\n".to_owned(), "write `version: 1`"),
        (Policy, "version: 1\n...\nversion: 1\n".to_owned(), "remove the line `---` or `...` between them, or make it two files"),
        (Policy, waiver("until: 2027-01-31, rules: []"), "list at least one rule, such as `idle`"),
        (Policy, waiver("rules: [idle], until: "), "give it a value: text"),
        (Policy, waiver("rules: [idle]"), "add `until:` with a text"),
        (Policy, action("idle"), "remove `grace`, or write `action: expire`"),
        (Policy, action("expired"), "remove `grace`"),
        (
            Policy,
            "version: 1\nwaivers:\n  - owner: mary\n    rules: [idle]\n    until: 2027-01-31\n    reason: |+\n      a: b\n"
                .to_owned(),
            "write `>-` in place of `>` or `>+`, and `|-` in place of `|` or `|+`, or write `'a: b'`",
        ),
        (
            Policy,
            "version: 1\npermissions: { use: [a], usee: [b] }\n".to_owned(),
            "did you mean `use`? It is there already: keep one of the two",
        ),
        (Policy, "version: 1\npermissions: { use: [' a: b'] }\n".to_owned(), "write `'a: b'`"),
        (Config, "version: 1\n".to_owned(), "add `targets:` with its keys below it"),
        (
            Config,
            target(&format!("{server}, password: x")),
            "put it into an environment variable, and write `auth: { user: NAME_OF_THE_USER, password_env: \
             NAME_OF_THE_VARIABLE }`",
        ),
        (
            Config,
            target("kind: embedded, store: a.db, password: x"),
            "remove it: a target of `kind: embedded` takes no credential",
        ),
        (
            Config,
            target(&format!("{server}, auth: {{ command: [] }}")),
            "list the program and its arguments, such as `[vault, read, -field=token, secret/x]`",
        ),
        (
            Gateway,
            "version: 1\nstore: sqlite:a\nlisten: 8443\n".to_owned(),
            "write `127.0.0.1:8443` for this machine, or `0.0.0.0:8443` for all",
        ),
    ] {
        let found = read(kind, &text);
        let helps: Vec<_> = found.iter().filter_map(|found: &Diagnostic| found.help.as_deref()).collect();
        assert!(helps.contains(&help), "{text}{helps:#?}");
    }
}
