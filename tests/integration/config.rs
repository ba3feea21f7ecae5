//! What a config file means, what is said of its mistakes, and that no secret comes out of it.

#![expect(clippy::panic, reason = "a test that cannot go on fails")]

mod secrets;

use std::{collections::BTreeMap, fmt::Write as _, num::NonZeroU32, sync::Arc};

use tokenwarden::{
    config::{self, Auth, Config, ConfigReading, Connection, Endpoint, Ourselves},
    model::{
        OwnerKind, SettingKey, TokenId, UserName,
        mapping::{Entries, Field, Product, SettingsMapping},
        rails::{Rail, RailClass, Unsupported},
    },
    report,
};

fn read(text: &str) -> ConfigReading {
    config::read(&Arc::from("tokenwarden.yaml"), text.as_bytes())
}

fn valid(text: &str) -> Config {
    let reading = read(text);
    let shown = report::diagnostics::text(&reading.diagnostics, &reading.sources, false);
    reading.config.unwrap_or_else(|| panic!("{shown}"))
}

/// Everything that is said of a target with these keys, as text.
fn said(keys: &str) -> String {
    let reading = read(&format!("version: 1\ntargets:\n  prod:\n    policy: [p.yaml]\n    {keys}\n"));
    report::diagnostics::text(&reading.diagnostics, &reading.sources, false)
}

fn codes(keys: &str) -> Vec<&'static str> {
    let reading = read(&format!("version: 1\ntargets:\n  prod:\n    policy: [p.yaml]\n    {keys}\n"));
    reading.diagnostics.iter().map(|found| found.code.as_str()).collect()
}

#[test]
fn the_complete_config_file_is_valid_and_means_what_it_says() {
    let settings = valid(include_str!("fixtures/config/complete.yaml"));
    let names: Vec<_> = settings.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["prod", "try-it", "edge", "app"]);
    let journal = settings.journal.expect("a journal");
    assert_eq!(
        (journal.directory.as_deref(), journal.window.to_string().as_str()),
        (Some("/var/lib/tokenwarden"), "2d")
    );
    assert_eq!(settings.mark_key_env.as_deref(), Some("MARK_KEY"));

    let [prod, try_it, edge, app] = settings.targets.as_slice() else { panic!("four targets") };
    assert_eq!(
        prod.connection,
        Connection::Bitbucket {
            server: Endpoint {
                url: "https://bitbucket.example.com".to_owned(),
                auth: Auth::Password { user: "warden".to_owned(), password_env: "BB_PASSWORD".to_owned() },
                tls_ca: Some("ca.pem".to_owned()),
                timeout_seconds: NonZeroU32::new(90),
            },
            areas: vec![OwnerKind::User, OwnerKind::Project],
            projects: vec!["PLAT*".to_owned()],
            gateway: None,
        }
    );
    let layers: Vec<_> = prod.policy.iter().map(|layer| layer.path.as_str()).collect();
    assert_eq!(layers, ["policy/base.yaml", "policy/prod.yaml"]);
    assert_eq!(prod.unsupported, Unsupported::Warn);
    assert_eq!(prod.rails.of(RailClass::Revocations), Rail { amount: 40, percent: 5, floor: 3 });
    assert_eq!(prod.rails.of(RailClass::RefusedCallers), Rail { amount: 1, percent: 1, floor: 1 });
    assert_eq!(prod.rails.of(RailClass::Expiries), RailClass::Expiries.default_rail());
    assert_eq!(
        (prod.lockout.break_glass.as_slice(), prod.lockout.min_admins),
        ([UserName::new("root")].as_slice(), 2)
    );

    assert_eq!(
        try_it.connection,
        Connection::Embedded {
            store: "try.db".to_owned(),
            directory: Some("directory.yaml".to_owned()),
            seed: Some("seed.yaml".to_owned()),
        }
    );
    assert_eq!(try_it.unsupported, Unsupported::Error);
    let ourselves =
        Ourselves { token_id: Some(TokenId::new("075905477751")), address: "192.0.2.9".parse().ok() };
    assert_eq!((&prod.ourselves, &try_it.ourselves), (&ourselves, &Ourselves::default()));
    let command = ["vault", "read", "-field=token", "secret/tokenwarden"].map(str::to_owned).to_vec();
    assert_eq!(edge.connection.server().map(|server| &server.auth), Some(&Auth::Command(command)));

    let Connection::Resolution { product, settings, .. } = &app.connection else { panic!("the app") };
    let text = str::to_owned;
    assert_eq!(*product, Product::Jira);
    assert_eq!(
        settings.as_ref(),
        Some(&SettingsMapping {
            path: "/rest/app/1/configuration".to_owned(),
            read: "GET".to_owned(),
            write: "POST".to_owned(),
            fields: BTreeMap::from([
                (
                    SettingKey::Networks,
                    Field::Networks { pointer: text("/network/allowed"), entries: Entries::CommaSeparated }
                ),
                (
                    SettingKey::Permission(tokenwarden::model::Permission::Use),
                    Field::Groups {
                        pointer: text("/permissions/use"),
                        entries: Entries::List,
                        everyone: None
                    }
                ),
            ]),
        })
    );
}

#[test]
fn a_secret_in_the_file_is_refused_and_never_shown() {
    for keys in [
        "kind: gateway\n    url: https://h\n    auth: { user: me, password: hunter2 }",
        "kind: gateway\n    url: https://h\n    auth: { token: hunter2 }",
        "kind: gateway\n    url: https://h\n    auth: { token: hunter2, token: hunter2 }",
        "kind: gateway\n    url: https://h\n    auth: { pasword: hunter2, bearer_env: X }",
        "kind: gateway\n    url: https://me:hunter2@h\n    auth: { bearer_env: X }",
        "kind: gatway\n    url: https://me:hunter2@h\n    auth: { bearer_env: X }",
        "kind: gateway\n    url: https://h\n    auth: { bearer_env: \"hunter2 or so\" }",
        "kind: gateway\n    url: https://h\n    auth: hunter2",
        "kind: gateway\n    url: https://h\n    auth: [hunter2]",
        "kind: gateway\n    url: https://h\n    auth: { bearer_env: [hunter2] }",
        "kind: gateway\n    url: https://h\n    password: hunter2\n    auth: { bearer_env: X }",
        "kind: gateway\n    url: https://h\n    auth: { user: me, password: hunter2 }\n    broken: [",
        "kind: embedded\n    store: a.db\nmark_key_env: hunter2 is the key",
        "kind: embedded\n    store: a.db\nmark_key_env: [hunter2]",
        "kind: embedded\n    store: a.db\nmark_key: hunter2",
    ] {
        let text = said(keys);
        assert!(text.contains("error["), "{keys}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_literal_secret_names_the_key_to_use_instead() {
    insta::assert_snapshot!(said("kind: gateway\n    url: https://h\n    auth: { user: me, password: hunter2 }"), @r"
    error[literal-secret]: `password` would put a secret into the config file
     --> tokenwarden.yaml:7:23, at `targets.prod.auth.password`
      |
    7 |     auth: { user: me, password: ******* }
      |                       ^^^^^^^^
    help: put it into an environment variable, and write `auth: { user: NAME_OF_THE_USER, password_env: NAME_OF_THE_VARIABLE }`
    ");
}

#[test]
fn the_keys_of_a_target_are_those_of_its_kind() {
    let auth = "auth: { bearer_env: X }";
    assert_eq!(codes(&format!("kind: gateway\n    url: https://h\n    {auth}")), [""; 0]);
    assert_eq!(codes("kind: embedded\n    store: a.db"), [""; 0]);
    let bitbucket = format!("kind: bitbucket\n    url: https://h\n    {auth}");
    assert_eq!(codes(&format!("{bitbucket}\n    self: {{ token_id: '07' }}")), [""; 0]);
    assert_eq!(codes(&format!("{bitbucket}\n    self: {{ address: 10.0.0.0/8 }}")), ["bad-network"]);
    assert_eq!(codes("kind: embedded\n    store: a.db\n    self: {}"), ["key-not-for-kind"]);
    assert_eq!(codes("kind: embedded"), ["missing-key"]);
    assert_eq!(codes("kind: embedded\n    store: a.db\n    url: https://h"), ["key-not-for-kind"]);
    assert_eq!(codes(&format!("kind: embedded\n    store: a.db\n    {auth}")), ["key-not-for-kind"]);
    assert_eq!(codes("kind: embedded\n    store: a.db\n    tls_ca: ca.pem"), ["key-not-for-kind"]);
    assert_eq!(
        codes(&format!("kind: gateway\n    url: https://h\n    {auth}\n    store: a.db")),
        ["key-not-for-kind"]
    );
    assert_eq!(
        codes(&format!("kind: bitbucket\n    url: https://h\n    {auth}\n    product: jira")),
        ["key-not-for-kind"]
    );
    assert_eq!(codes("kind: gateway"), ["missing-key", "missing-key"]);
    assert_eq!(codes("url: https://h"), ["missing-key"]);
    assert_eq!(codes("kind: gitlab"), ["unknown-word"]);
}

#[test]
fn an_area_is_where_tokens_are_kept_and_no_kind_of_owner() {
    let areas = |words: &str| {
        format!("kind: bitbucket\n    url: https://h\n    auth: {{ bearer_env: X }}\n    areas: [{words}]")
    };
    assert_eq!(codes(&areas("personal, project, repository")), [""; 0]);
    assert_eq!(codes(&areas("users")), ["unknown-word"]);
    assert_eq!(codes(&areas("project, project")), ["duplicate-entry"]);
    assert_eq!(codes(&areas("")), ["empty-list"]);
    insta::assert_snapshot!(said(&areas("project, user")), @r"
    error[unknown-word]: `user` is a kind of owner, not an area
     --> tokenwarden.yaml:8:22, at `targets.prod.areas[1]`
      |
    8 |     areas: [project, user]
      |                      ^^^^
    help: write `personal` for the tokens of users
    ");
}

#[test]
fn the_credential_comes_from_one_place() {
    let auth = |keys: &str| codes(&format!("kind: gateway\n    url: https://h\n    auth: {{ {keys} }}"));
    assert_eq!(auth("user: me, password_env: P"), [""; 0]);
    assert_eq!(auth("token_env: T"), [""; 0]);
    assert_eq!(auth("bearer_file: token.txt"), [""; 0]);
    assert_eq!(auth("password_env: P"), ["missing-key"]);
    assert_eq!(auth("user: me"), ["missing-key"]);
    assert_eq!(auth("token_env: T, bearer_env: B"), ["conflicting-keys"]);
    assert_eq!(auth("user: me, bearer_env: B"), ["conflicting-keys"]);
    assert_eq!(auth("command: []"), ["empty-list"]);
    assert_eq!(auth("bearer_env: 'a b'"), ["bad-variable-name"]);
}

#[test]
fn the_address_of_a_server_is_an_address_of_a_server() {
    for (url, accepted) in [
        ("https://bitbucket.example.com", true),
        ("http://[::1]:7990/context/", true),
        ("bitbucket.example.com", false),
        ("ftp://bitbucket.example.com", false),
        ("https://", false),
        ("https:///path", false),
        ("https://h?x=1", false),
        ("'https://h h'", false),
    ] {
        let found = codes(&format!("kind: gateway\n    url: {url}\n    auth: {{ bearer_env: X }}"));
        assert_eq!(found.is_empty(), accepted, "{url}: {found:?}");
        assert!(accepted || found == ["bad-url"], "{url}: {found:?}");
    }
}

#[test]
fn a_credential_that_would_go_unencrypted_over_the_network_is_warned_of() {
    for (url, warned) in [
        ("http://bitbucket.example.com", true),
        ("http://192.0.2.1:7990/x", true),
        ("http://localhost.example.com", true),
        ("http://localhost:7990", false),
        ("http://127.0.0.2", false),
        ("http://[::1]:7990/x", false),
        ("https://bitbucket.example.com", false),
    ] {
        let found = codes(&format!("kind: gateway\n    url: {url}\n    auth: {{ bearer_env: X }}"));
        assert_eq!(found == ["unencrypted-url"], warned, "{url}: {found:?}");
    }
}

#[test]
fn a_server_that_stands_there_twice_is_said_with_both_places() {
    let targets = |one: &str, other: &str| {
        let of = |keys: &str| format!("{{ policy: [p.yaml], {keys} }}");
        read(&format!("version: 1\ntargets:\n  one: {}\n  other: {}\n", of(one), of(other)))
    };
    let found = |one: &str, other: &str| {
        let reading = targets(one, other);
        reading
            .diagnostics
            .iter()
            .map(|found| (found.severity.word(), found.code.as_str()))
            .collect::<Vec<_>>()
    };
    let at = |kind: &str, url: &str| format!("kind: {kind}, auth: {{ bearer_env: X }}, url: '{url}'");
    let warning = vec![("warning", "same-server")];
    let urls = ("https://H.example.com/", "https://h.example.com:443");
    for kind in ["gateway", "resolution", "bitbucket"] {
        assert_eq!(found(&at(kind, urls.0), &at(kind, urls.1)), warning, "{kind}");
        for different in ["https://h.example.com/x", "https://h.example.com:8443", "https://h2.example.com"] {
            assert_eq!(found(&at(kind, urls.0), &at(kind, different)), [], "{kind} {different}");
        }
    }
    // Other tokens, and still one server.
    assert_eq!(found(&at("resolution", urls.0), &at("bitbucket", urls.1)), warning);
    for other in ["http://LOCALHOST:7990/", "http://[::1]:7990", "http://127.0.0.2:7990/x/.."] {
        assert_eq!(
            found(&at("gateway", "http://127.0.0.1:7990"), &at("bitbucket", other)),
            warning,
            "{other}"
        );
    }
    let stored = |store: &str| format!("kind: embedded, store: {store}");
    assert_eq!(found(&stored("a/b.db"), &stored("./a//b.db")), warning);
    assert_eq!(found(&stored("a/b.db"), &stored("/a/b.db")), []);
    let bitbucket = |keys: &str| format!("{}, {keys}", at("bitbucket", urls.0));
    let (meant, undo) = ("nothing to do if this is intended", "both manage the same tokens");
    for (one, other, said) in [
        ("areas: [personal]", "areas: [project, repository]", meant),
        ("areas: [project], projects: ['A*']", "areas: [project], projects: [B, 'C*']", meant),
        ("areas: [project], projects: ['A*']", "areas: [project], projects: ['*z']", undo),
        ("projects: [A]", "projects: [B]", undo),
    ] {
        let reading = targets(&bitbucket(one), &bitbucket(other));
        let help = reading.diagnostics.iter().filter_map(|found| found.help.as_deref());
        assert_eq!(help.filter(|help| help.contains(said)).count(), 1, "{one} {other}");
    }
    let reading = targets(&at("gateway", "http://localhost:80"), &at("gateway", "http://LOCALHOST/"));
    let text = report::diagnostics::text(&reading.diagnostics, &reading.sources, false);
    insta::assert_snapshot!(text, @r"
    warning[same-server]: `other` is the same server as `one`
     --> tokenwarden.yaml:4:75, at `targets.other.url`
      |
    4 |   other: { policy: [p.yaml], kind: gateway, auth: { bearer_env: * }, url: 'http://LOCALHOST/' }
      |                                                                           ^^^^^^^^^^^^^^^^^^^
     ::: tokenwarden.yaml:3:73
      |
    3 |   one: { policy: [p.yaml], kind: gateway, auth: { bearer_env: * }, url: 'http://localhost:80' }
      |                                                                         --------------------- the other target
    help: keep one of them: both manage all tokens, and would undo each other's changes
    ");
}

#[test]
fn the_projects_of_very_many_patterns_are_compared_at_once() {
    let helps = |of: &dyn Fn(usize) -> String, targets: usize, each: usize| {
        let mut text = "version: 1\ntargets:\n".to_owned();
        for target in 0..targets {
            let projects: Vec<_> = (0..each).map(|number| of(target * each + number)).collect();
            let _ = writeln!(
                text,
                "  t{target}: {{ policy: [p], kind: bitbucket, url: 'https://h', auth: {{ token_env: A }}, areas: \
                 [project], projects: [{}] }}",
                projects.join(", ")
            );
        }
        let reading = read(&text);
        assert!(reading.config.is_some() && text.len() <= 1 << 20, "{} bytes", text.len());
        let mut helps: Vec<_> = reading.diagnostics.iter().filter_map(|found| found.help.clone()).collect();
        let count = helps.len();
        helps.dedup_by_key(|help| help.split(' ').next().unwrap_or_default().to_owned());
        (
            count,
            helps
                .iter()
                .map(|help| help.split(' ').next().unwrap_or_default().to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let words = |words: &[&str]| words.iter().copied().map(str::to_owned).collect::<Vec<_>>();
    let apart = words(&["nothing"]);
    assert_eq!(helps(&|number| format!("P{number}"), 2, 40_000), (1, apart.clone()));
    assert_eq!(helps(&|number| format!("P{number:05}*"), 2, 40_000), (1, apart.clone()));
    assert_eq!(helps(&|number| format!("P{number:05}*"), 100, 500), (99, apart.clone()));
    assert_eq!(helps(&|number| format!("'*{number:04}'"), 2, 2_000), (1, apart));
    assert_eq!(helps(&|number| format!("'*{number:05}'"), 2, 40_000), (1, words(&["make"])));
    assert_eq!(helps(&|number| format!("P{number}"), 5_000, 1).0, 4_999);
    assert_eq!(helps(&|_| "P*".to_owned(), 5_000, 1), (4_999, words(&["give"])));
}

#[test]
fn layer_paths_stay_in_the_folder_of_the_config_file() {
    let layers = |paths: &str| {
        let text = format!(
            "version: 1\ntargets: {{ prod: {{ kind: embedded, store: a.db, policy: [{paths}] }} }}\n"
        );
        read(&text).diagnostics.iter().map(|found| found.code.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(layers("policy/base.yaml, ./prod.yaml"), [""; 0]);
    for path in
        ["../base.yaml", "policy/../../base.yaml", "/etc/base.yaml", "'C:\\base.yaml'", "'..\\base.yaml'"]
    {
        assert_eq!(layers(path), ["path-outside"], "{path}");
    }
    assert_eq!(layers("a.yaml, a.yaml"), ["duplicate-entry"]);
    assert_eq!(layers(""), ["empty-list"]);
}

#[test]
fn other_mistakes_of_a_config_file_have_their_codes() {
    let embedded = "kind: embedded\n    store: a.db";
    assert_eq!(
        codes(&format!("{embedded}\n    rails: {{ revocations: {{ percent: 101 }} }}")),
        ["out-of-range"]
    );
    assert_eq!(codes(&format!("{embedded}\n    rails: {{ revocation: {{ percent: 1 }} }}")), ["unknown-key"]);
    assert_eq!(codes(&format!("{embedded}\n    lockout: {{ min_admins: 0 }}")), ["out-of-range"]);
    assert_eq!(codes(&format!("{embedded}\n    unsupported: ignore")), ["unknown-word"]);
    let found =
        |text: &str| read(text).diagnostics.iter().map(|found| found.code.as_str()).collect::<Vec<_>>();
    assert_eq!(found("version: 1\n"), ["missing-key"]);
    assert_eq!(found("version: 1\ntargets: {}\n"), ["empty-mapping"]);
    assert_eq!(found("targets: { a: { kind: embedded, store: a.db, policy: [p] } }\n"), ["missing-key"]);
    assert_eq!(
        found("version: 1\ntargets: { a/b: { kind: embedded, store: a.db, policy: [p] } }\n"),
        ["bad-target-name"]
    );
    let app = |field: &str| {
        codes(&format!(
            "kind: resolution\n    url: https://h\n    auth: {{ bearer_env: X }}\n    settings: {{ path: /x, fields: {{ {field} }} }}"
        ))
    };
    assert_eq!(app("network.allow: { pointer: /a, kind: list }"), [""; 0]);
    assert_eq!(app("network.alow: { pointer: /a, kind: list }"), ["unknown-key"]);
    assert_eq!(app("network.allow: { pointer: a, kind: list }"), ["bad-pointer"]);
    assert_eq!(app("network.allow: { pointer: /a, kind: lists }"), ["unknown-word"]);
    for (field, codes) in [
        ("permissions.use: { pointer: /a, kind: objects, member: name, everyone: /b }", vec![]),
        ("permissions.use: { pointer: /a, kind: inverted-flag }", vec![]),
        ("network.client_address: { pointer: /a, kind: text, header: /b }", vec![]),
        ("tokens.limits: { pointer: /a, kind: months, never: 0 }", vec![]),
        ("permissions.use: { pointer: /a, kind: months }", vec!["key-not-for-kind"]),
        ("network.allow: { pointer: /a, kind: flag }", vec!["key-not-for-kind"]),
        ("network.allow: { pointer: /a, kind: list, everyone: /b }", vec!["key-not-for-kind"]),
        ("permissions.use: { pointer: /a, kind: objects }", vec!["missing-key"]),
        ("network.client_address: { pointer: /a, kind: text }", vec!["missing-key"]),
        ("network.client_address: { pointer: /a, kind: text, header: b }", vec!["bad-pointer"]),
        (
            "network.allow: { pointer: /a, kind: list }, permissions.use: { pointer: /a/b, kind: list }",
            vec!["conflicting-keys"],
        ),
        ("permissions.use: { pointer: /a, kind: list, everyone: /a/0 }", vec!["conflicting-keys"]),
        ("network.allow: { pointer: /a, kind: list }, permissions.use: { pointer: /ab, kind: list }", vec![]),
    ] {
        assert_eq!(app(field), codes, "{field}");
    }
}

#[test]
fn white_space_around_a_text_of_a_config_file_is_warned_of_and_no_secret_is_shown() {
    let keys = "kind: gateway\n    url: https://tokens.example.com\n    auth: { user: 'warden ', password_env: PW }\n    \
                lockout: { break_glass: ['root ', \"sam\\n\"] }";
    assert_eq!(codes(keys), ["surrounding-space"; 3]);
    let harmless = said(keys);
    assert!(harmless.contains("help: write `warden`"), "{harmless}");
    assert!(harmless.contains("help: write `root`"), "{harmless}");
    for secret in [
        "kind: gateway\n    url: https://tokens.example.com\n    auth: { user: warden, password_env: ' hunter2' }",
        "kind: gateway\n    url: https://tokens.example.com\n    auth: { user: warden, password: ' hunter2' }",
        "kind: gateway\n    url: https://tokens.example.com\n    secret: 'hunter2 '",
        "kind: gateway\n    url: ' https://me:hunter2@tokens.example.com'\n    auth: { bearer_env: X }",
        "kind: gateway\n    url: https://tokens.example.com\n    unheard_of: [{ of: \" hunter2\" }]",
    ] {
        assert!(codes(secret).contains(&"surrounding-space"), "{secret}");
        let said = said(secret);
        assert!(said.contains("help: remove the white space around it"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let command =
        "kind: gateway\n    url: https://tokens.example.com\n    auth: { command: [print, '-d', ' '] }";
    assert_eq!(codes(command), [""; 0]);
}
