//! What a policy file means, and what is said of its mistakes.

#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use std::{fmt::Write as _, sync::Arc};

use tokenwarden::{
    model::{
        Action, AllowedNetworks, ClientAddressSource, Holders, PasswordAuthentication, Permission, RuleCode,
        Scope, SettingKey, SettingValue,
    },
    policy::{self, Policy, Reading},
    report,
    yaml::{Code, Severity},
};

/// Reads one policy file with the name `policy.yaml`.
fn read(text: &str) -> Reading {
    policy::read(&[(Arc::from("policy.yaml"), text.as_bytes().to_vec())])
}

/// The policy of a file without a mistake.
fn valid(text: &str) -> Policy {
    let reading = read(text);
    let shown = report::diagnostics::text(&reading.diagnostics, &reading.sources, false);
    reading.policy.unwrap_or_else(|| panic!("{shown}"))
}

/// The code and line of everything found in a file.
fn found(text: &str) -> Vec<(&'static str, u32)> {
    read(text).diagnostics.iter().map(|found| (found.code.as_str(), found.span.place.line)).collect()
}

fn rendered(text: &str) -> String {
    let reading = read(text);
    report::diagnostics::text(&reading.diagnostics, &reading.sources, false)
}

#[test]
fn the_complete_policy_is_valid_and_means_what_it_says() {
    let policy = valid(include_str!("../fixtures/policy/complete.yaml"));
    let holders = |permission| policy.holders(permission).expect("managed");
    assert_eq!(*holders(Permission::Use).0, Holders::Everyone);
    assert_eq!(*holders(Permission::Create).0, Holders::of(["CI-bots".into(), "developers".into()]));
    assert_eq!(holders(Permission::ManageOthers).1.line, 8);

    let wanted = |key| policy.wanted(key).expect("managed").value;
    let SettingValue::Networks(networks) = wanted(SettingKey::Networks) else { panic!("networks") };
    for (address, accepted) in
        [("10.1.2.3", true), ("192.0.2.10", true), ("192.0.2.21", false), ("2001:db8:5f::1", true)]
    {
        assert_eq!(networks.contains(address.parse().expect("an address")), accepted, "{address}");
    }
    let [(name, ranges)] = policy.network_names.as_slice() else { panic!("one name") };
    assert_eq!(
        (name.as_str(), ranges.to_string().as_str()),
        ("salesforce", "13.108.0.0/14, 2001:db8:5f::/48")
    );
    let SettingValue::ClientAddress(ClientAddressSource::Header { name, trusted_proxies }) =
        wanted(SettingKey::ClientAddress)
    else {
        panic!("a header")
    };
    assert_eq!((name.as_str(), trusted_proxies.to_string().as_str()), ("X-Forwarded-For", "10.0.0.5"));
    assert_eq!(
        wanted(SettingKey::PasswordAuthentication),
        SettingValue::PasswordAuthentication(PasswordAuthentication::disabled())
    );

    let limits = &policy.limits.get().expect("managed").value;
    assert_eq!(limits.len(), 3);
    assert_eq!(limits[0].limit.max_scope, Some(Scope::ReadWrite));
    assert_eq!(limits[2].limit.max_per_owner, Some(10));
    assert_eq!(limits[2].place_of("max_idle").line, 32);

    let grace = "14d".parse().expect("a period");
    assert_eq!(policy.enforcement.action(&RuleCode::Lifetime.into()), Action::Expire { grace });
    assert_eq!(policy.enforcement.action(&RuleCode::OwnerInactive.into()), Action::Revoke);
    assert_eq!(policy.enforcement.action(&RuleCode::Idle.into()), Action::Report);
    assert_eq!(policy.enforcement.place_of(&RuleCode::Scope.into()).map(|place| place.line), Some(40));
}

#[test]
fn what_a_policy_does_not_say_is_not_managed() {
    assert_eq!(valid("version: 1"), Policy { canonical: r#"{"version":1}"#.to_owned(), ..Policy::default() });
}

#[test]
fn every_mistake_of_two_files_is_a_diagnostic_at_its_line() {
    let base = ("base.yaml", include_str!("../fixtures/policy/mistakes-base.yaml"));
    let prod = ("prod.yaml", include_str!("../fixtures/policy/mistakes-prod.yaml"));
    let layers = [base, prod].map(|(name, text)| (Arc::from(name), text.as_bytes().to_vec()));
    let reading = policy::read(&layers);
    assert_eq!(reading.policy, None);
    let found: Vec<String> = reading
        .diagnostics
        .iter()
        .map(|found| format!("{} {} {}", found.span.place, found.severity.word(), found.code))
        .collect();
    let expected = [
        "base.yaml:2 error unknown-key",
        "base.yaml:5 error unknown-word",
        "base.yaml:6 error empty-groups",
        "base.yaml:7 error duplicate-group",
        "base.yaml:7 error wrong-type",
        "base.yaml:8 error everyone-manages",
        "base.yaml:11 error host-bits",
        "base.yaml:12 error reversed-range",
        "base.yaml:13 error bad-network",
        "base.yaml:15 warning overlapping-networks",
        "base.yaml:16 error missing-key",
        "base.yaml:17 error unknown-key",
        "base.yaml:19 error forwarded-header",
        "base.yaml:21 error duplicate-key",
        "prod.yaml:1 error unknown-version",
        "prod.yaml:3 error exceptions-without-state",
        "prod.yaml:7 error unknown-word",
        "prod.yaml:9 error bad-duration",
        "prod.yaml:10 error bad-pattern",
        "prod.yaml:11 error out-of-range",
        "prod.yaml:12 warning unreachable-limit",
        "prod.yaml:13 error null-value",
        "prod.yaml:15 error unknown-rule",
        "prod.yaml:16 error action-not-for-rule",
        "prod.yaml:17 error grace-without-expire",
        "prod.yaml:18 error unknown-action",
        "prod.yaml:19 error empty-list",
        "prod.yaml:20 error empty-list",
    ];
    assert_eq!(found, expected);
    insta::assert_snapshot!(report::diagnostics::text(&reading.diagnostics, &reading.sources, false));
}

#[test]
fn a_diagnostic_shows_the_place_the_line_and_what_to_write() {
    insta::assert_snapshot!(rendered("version: 1\n\nnetwork:\n  allow: []\n"), @r"
    error[empty-networks]: the list of allowed networks is empty
     --> policy.yaml:4:10, at `network.allow`
      |
    4 |   allow: []
      |          ^^
    help: write `anywhere` to lift the restriction, or list at least one network
    ");
}

#[test]
fn a_diagnostic_shows_the_other_place_that_belongs_to_it() {
    insta::assert_snapshot!(rendered("version: 1\nversion: 1\n"), @r"
    error[duplicate-key]: duplicate key `version`
     --> policy.yaml:2:1, at `version`
      |
    2 | version: 1
      | ^^^^^^^
     ::: policy.yaml:1:1
      |
    1 | version: 1
      | ------- first given here
    help: keep one of the two
    ");
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    let reading = read("version: 1\nversion: 1\nnetwork:\n  allow: []\n");
    let coloured = report::diagnostics::text(&reading.diagnostics, &reading.sources, true);
    assert!(coloured.contains("\u{1b}["));
    let mut plain = coloured;
    while let Some(start) = plain.find('\u{1b}') {
        let end = start + plain[start..].find('m').expect("the end of the code");
        plain.replace_range(start..=end, "");
    }
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let expected = report::diagnostics::text(&reading.diagnostics, &reading.sources, false);
    assert_eq!(trimmed(&plain), trimmed(&expected));
}

#[test]
fn control_and_bidirectional_characters_of_a_file_are_shown_as_escapes() {
    let text = rendered("version: 1\npermissions:\n  use: \"ev\u{202e}il\\e[31m\" # \u{200b}\n");
    assert!(!text.chars().any(|c| c == '\u{202e}' || c == '\u{1b}' || c == '\u{200b}'), "{text}");
    assert!(text.contains(r"ev\u{202e}il"), "{text}");
    assert!(text.contains(r"\u{1b}[31m"), "{text}");
}

#[test]
fn an_empty_list_names_the_word_to_write_instead() {
    for (text, replacement) in [
        ("permissions: { use: [] }", Some("nobody")),
        ("permissions: { manage_others: [] }", Some("nobody")),
        ("network: { allow: [] }", Some("anywhere")),
        ("tokens: { limits: [] }", Some("unmanaged")),
        ("password_authentication: { state: disabled, except_users: [] }", None),
        ("tokens: { limits: [{ groups: [] }] }", None),
    ] {
        let reading = read(&format!("version: 1\n{text}\n"));
        let found: Vec<_> = reading.diagnostics.iter().collect();
        let [only] = found.as_slice() else { panic!("{text}: {found:?}") };
        assert!(only.message.ends_with("is empty"), "{text}: {}", only.message);
        assert_eq!(only.replacement.as_deref(), replacement, "{text}");
        assert!(only.help.is_some(), "{text}");
    }
}

#[test]
fn the_replacement_of_a_diagnostic_makes_the_file_valid() {
    for text in [
        "version: 2\n",
        "version: 1\nnetwork: { allow: [10.0.0.1/8] }\n",
        "version: 1\nnetwork: { allow: [10.0.0.9-10.0.0.1] }\n",
        "version: 1\nnetwork: { allow: [] }\n",
        "version: 1\npermissions: { use: everybdy }\n",
        "version: 1\npermissions: { use: [7] }\n",
        "version: 1\nnetwork: { client_address: { header: forwarded, trusted_proxies: [10.0.0.1] } }\n",
        "version: 1\ntokens: { enforcement: { lifetim: revoke } }\n",
        "version: 1\ntokens: { enforcement: { scope: narow } }\n",
    ] {
        let reading = read(text);
        let found: Vec<_> = reading.diagnostics.iter().collect();
        let [only] = found.as_slice() else { panic!("{text}: {found:?}") };
        let mut mended = text.to_owned();
        let replacement = only.replacement.as_deref().expect("a replacement");
        mended.replace_range(only.span.start..only.span.end, replacement);
        assert_eq!(found_errors(&mended), [], "{mended}");
    }
}

fn found_errors(text: &str) -> Vec<Code> {
    let reading = read(text);
    reading
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| found.code)
        .collect()
}

#[test]
fn a_key_of_the_config_file_is_sent_there() {
    assert_eq!(found("version: 1\nmark_key_env: KEY\n"), [("unknown-key", 2)]);
    let reading = read("version: 1\nmark_key_env: KEY\n");
    let help = reading.diagnostics.iter().find_map(|found| found.help.clone()).unwrap();
    assert_eq!(help, "move `mark_key_env` into the config file, `tokenwarden.yaml`");
}

#[test]
fn a_header_and_its_proxies_go_together() {
    let client_address =
        |keys: &str| found(&format!("version: 1\nnetwork:\n  client_address:\n    {keys}\n"));
    assert_eq!(client_address("header: X-Real-IP"), [("header-without-proxies", 4)]);
    assert_eq!(client_address("trusted_proxies: [10.0.0.1]"), [("proxies-without-header", 4)]);
    assert_eq!(client_address("{}"), [("missing-key", 4)]);
    let trusted =
        |proxies: &str| client_address(&format!("header: X-Real-IP\n    trusted_proxies: {proxies}"));
    assert_eq!(trusted("[10.0.0.1, 0.0.0.0/0]")[..1], [("unbounded-proxies", 5)]);
    assert_eq!(trusted("[\"::/0\"]"), [("unbounded-proxies", 5)]);
    assert_eq!(trusted("[0.0.0.0/1, 128.0.0.0/1]"), [("unbounded-proxies", 5)]);
    assert_eq!(trusted("[128.0.0.0/1]"), []);
    assert_eq!(client_address("header: \"X Real\"\n    trusted_proxies: [10.0.0.1]"), [("bad-header", 4)]);
}

#[test]
fn exceptions_from_disabled_passwords_need_the_state_disabled() {
    let passwords = |keys: &str| found(&format!("version: 1\npassword_authentication: {keys}\n"));
    assert_eq!(passwords("{ state: disabled, except_paths: [/rest/x/*] }"), []);
    assert_eq!(passwords("{ except_users: [root] }"), [("exceptions-without-state", 2)]);
    assert_eq!(passwords("{ state: allowed, except_users: [root] }"), [("exceptions-without-state", 2)]);
    assert_eq!(passwords("{}"), [("missing-key", 2)]);
    assert_eq!(passwords("yes"), [("unknown-word", 2)]);
}

#[test]
fn a_limit_that_no_owner_can_reach_is_warned_of() {
    let limits = |entries: &[&str]| {
        let mut text = "version: 1\ntokens:\n  limits:\n".to_owned();
        for entry in entries {
            let _ = writeln!(text, "    - {entry}");
        }
        found(&text)
    };
    assert_eq!(limits(&["{ groups: [a] }", "{ groups: [b] }", "{ max_idle: 1d }"]), []);
    assert_eq!(limits(&["{ max_idle: 1d }", "{ groups: [b] }"]), [("unreachable-limit", 5)]);
    assert_eq!(
        limits(&["{ groups: [a] }", "{ groups: [b] }", "{ groups: [A, b] }"]),
        [("unreachable-limit", 6)]
    );
    assert_eq!(limits(&["{ groups: [a] }", "{ groups: [a, b] }"]), []);
    assert_eq!(limits(&["{ max_idle: 1d }", "{ owner_kind: [project] }"]), []);
    assert_eq!(limits(&["{ owner_kind: [user, project] }", "{ projects: [X] }"]), []);
    assert_eq!(
        limits(&["{ owner_kind: [project, repository] }", "{ projects: [X] }"]),
        [("unreachable-limit", 5)]
    );
    assert_eq!(limits(&["{ projects: [A, B] }", "{ projects: [b] }"]), [("unreachable-limit", 5)]);
    assert_eq!(
        limits(&["{ groups: [] }", "{ groups: [b] }"]),
        [("empty-list", 4)],
        "nothing follows from a mistake"
    );
    assert_eq!(limits(&["{ groups: [a], owner_kind: [project] }"]), [("unreachable-limit", 4)]);
    assert_eq!(limits(&["{ groups: [a], projects: [X] }"]), [("projects-ignored", 4)]);
}

#[test]
fn a_group_that_may_create_what_no_limit_allows_is_warned_of() {
    let policy = |limits: &str| {
        found(&format!(
            "version: 1\npermissions: {{ create_read_write: [bots] }}\ntokens: {{ limits: [{limits}] }}\n"
        ))
    };
    let warned = [("read-write-never-allowed", 2)];
    assert_eq!(policy("{ max_scope: read-only }"), warned);
    assert_eq!(policy("{ groups: [bots], max_scope: read-only }, { max_scope: read-write }"), warned);
    assert_eq!(policy("{ groups: [bots], max_scope: read-write }, { max_scope: read-only }"), []);
    assert_eq!(policy("{ groups: [bots], max_idle: 1d }, { max_scope: read-only }"), []);
    assert_eq!(
        policy("{ groups: [other] }, { max_scope: read-only }"),
        [],
        "a bot may be in the other group too"
    );
    assert_eq!(policy("{ groups: [other], max_scope: read-only }"), [], "nothing limits the rest");
    assert_eq!(policy("{ owner_kind: [project] }, { max_scope: read-only }"), warned);
}

#[test]
fn the_same_policy_has_the_same_canonical_form_however_it_is_laid_out() {
    let one = valid("version: 1\npermissions: { use: everyone, create: [a, b] }\n");
    let other = valid("# comment\npermissions:\n  create:\n  - a\n  - \"b\"\n  use: everyone\nversion: 1\n");
    assert_eq!(one.canonical, other.canonical);
    let different = valid("version: 1\npermissions: { use: everyone, create: [a, c] }\n");
    assert_ne!(one.canonical, different.canonical);
}

#[test]
fn all_addresses_there_are_is_anywhere() {
    let policy = valid("version: 1\nnetwork: { allow: [0.0.0.0/0, \"::/0\"] }\n");
    let anywhere = SettingValue::Networks(AllowedNetworks::Anywhere);
    assert_eq!(policy.wanted(SettingKey::Networks).map(|set| set.value), Some(anywhere));
}

#[test]
fn a_number_that_cannot_be_meant_is_never_passed_over() {
    let limit =
        |number: &str| found(&format!("version: 1\ntokens: {{ limits: [{{ max_per_owner: {number} }}] }}\n"));
    assert_eq!(limit("5"), []);
    for number in
        ["0", "-1", "1.0", "4294967296", "1e3", "1e300", "99999999999999999999999999999999999999999"]
    {
        assert_eq!(limit(number), [("out-of-range", 2)], "{number}");
    }
    for number in ["1.5", "ten", "'5'"] {
        assert_eq!(limit(number), [("wrong-type", 2)], "{number}");
    }
}

#[test]
fn a_length_of_time_has_a_number_and_a_unit() {
    let limit =
        |period: &str| found(&format!("version: 1\ntokens: {{ limits: [{{ max_idle: {period} }}] }}\n"));
    for period in ["12h", "90d", "2w", "6mo", "1y", "'1y'"] {
        assert_eq!(limit(period), [], "{period}");
    }
    for period in ["90", "1.5", "90 days", "-1d", "0d", "101y", "P90D", "''"] {
        assert_eq!(limit(period), [("bad-duration", 2)], "{period}");
    }
    assert_eq!(limit("[90d]"), [("wrong-type", 2)]);
}

#[test]
fn paths_are_told_apart_by_case_and_users_are_not() {
    let except =
        |keys: &str| found(&format!("version: 1\npassword_authentication: {{ state: disabled, {keys} }}\n"));
    assert_eq!(except("except_paths: [/a, /A]"), []);
    assert_eq!(except("except_paths: [/a, /a]"), [("duplicate-entry", 2)]);
    assert_eq!(except("except_users: [a, A]"), [("duplicate-entry", 2)]);
    assert_eq!(except("except_paths: [rest/x]"), [("bad-path", 2)]);
}

#[test]
fn a_list_of_limits_has_an_end() {
    let entries = "{ groups: [a] }, ".repeat(1_001);
    let codes: Vec<_> = found(&format!("version: 1\ntokens: {{ limits: [{entries}] }}\n"));
    assert!(codes.contains(&("out-of-range", 2)));
}

#[test]
fn a_tag_is_refused_instead_of_passed_over() {
    assert_eq!(found("version: 1\npermissions: { use: !include everyone }\n"), [("syntax", 2)]);
}

#[test]
fn white_space_around_a_text_is_warned_of_with_what_to_write() {
    let text = "version: 1
permissions:
  use: ['developers ', \" ci-bots\"]
tokens:
  limits:
    - description: >
        ^OPS-[0-9]+
  rules:
    - name: own
      when: >
        token.id == \"4711\"
      message: |
        it is
        that one
waivers:
  - { owner: \"mary\\n\", description: \"nightly\\t\", rules: [idle], reason: r, until: 2027-01-31 }
  - { token: \"4711\\u00a0\", rules: [idle], reason: \"r\\u200b\", until: 2027-01-31 }
";
    let reading = read(text);
    let warned: Vec<_> = reading
        .diagnostics
        .iter()
        .filter(|found| found.code == Code::SurroundingSpace)
        .map(|found| {
            assert_eq!(found.severity, Severity::Warning);
            (found.path.as_str(), found.message.split(", ").next().unwrap(), found.help.as_deref().unwrap())
        })
        .collect();
    let (line_end, ends) = ("the text ends with a line end", "the text ends with white space");
    assert_eq!(
        warned,
        [
            ("permissions.use[0]", ends, "write `developers`"),
            ("permissions.use[1]", "the text begins with white space", "write `ci-bots`"),
            (
                "tokens.limits[0].description",
                line_end,
                "write `>-` in place of `>` or `>+`, and `|-` in place of `|` or `|+`, or write `'^OPS-[0-9]+'`"
            ),
            (
                "tokens.rules[0].when",
                line_end,
                "write `>-` in place of `>` or `>+`, and `|-` in place of `|` or `|+`, or write `token.id == \"4711\"`"
            ),
            (
                "tokens.rules[0].message",
                line_end,
                "write `>-` in place of `>` or `>+`, and `|-` in place of `|` or `|+`"
            ),
            (
                "waivers[0].owner",
                line_end,
                "write `>-` in place of `>` or `>+`, and `|-` in place of `|` or `|+`, or write `mary`"
            ),
            ("waivers[0].description", ends, "write `nightly`"),
            ("waivers[1].token", ends, "write `'4711'`"),
            ("waivers[1].reason", ends, "write `r`"),
        ]
    );
    assert!(reading.policy.is_some(), "they are warnings");
    let meant = "version: 1\ntokens: {limits: [{description: '^[A-Z]+-[0-9]+ '}]}\n";
    assert_eq!(found(meant), [], "a pattern may end with the blank that it asks for");
    assert_eq!(found(&meant.replace("+ '", "+\\t'").replace('\'', "\"")), [("surrounding-space", 2)]);
}

#[test]
fn a_text_that_an_own_rule_compares_with_is_warned_of_when_white_space_is_around_it() {
    let warned = |when: &str| {
        let text = format!("version: 1\ntokens: {{rules: [{{name: own, when: '{when}', message: m}}]}}\n");
        let reading = read(&text);
        assert!(reading.policy.is_some(), "{when}: {:?}", reading.diagnostics);
        let of_space = reading.diagnostics.iter().filter(|found| found.code == Code::SurroundingSpace);
        of_space.map(|found| (found.message.clone(), found.help.clone().unwrap())).collect::<Vec<_>>()
    };
    let ends = "ends with white space, which is part of it";
    for (when, said, help) in [
        ("token.description == \"nightly \"", format!("the text \"nightly \" {ends}"), "write \"nightly\""),
        (
            "\"nightly\\n\" != token.description",
            "the text \"nightly\\n\" ends with a line end, which is part of it".into(),
            "write \"nightly\"",
        ),
        (
            "owner.name in [\"mary\", \" sam\"]",
            "the text \" sam\" begins with white space, which is part of it".into(),
            "write \"sam\"",
        ),
        ("\"ci-bots \" in owner.groups", format!("the text \"ci-bots \" {ends}"), "write \"ci-bots\""),
        (
            "token.id == (owner.name == \"x\" ? \"1 \" : \"2\")",
            format!("the text \"1 \" {ends}"),
            "write \"1\"",
        ),
    ] {
        assert_eq!(warned(when), [(said, help.to_owned())], "{when}");
    }
    for meant in [
        "token.description == \"nightly build\"",
        "token.description.startsWith(\"OPS \")",
        "token.description.contains(\" - \")",
        "token.description == \"\" || token.description == \" \"",
        "token.description.matches(\"^[A-Z]+ \")",
    ] {
        assert_eq!(warned(meant), [], "{meant}");
    }
}

#[test]
fn a_length_of_time_with_a_leading_zero_is_refused_wherever_it_stands() {
    for (yaml, line) in [
        ("tokens: {limits: [{max_lifetime: 010d}]}", 2),
        ("tokens: {limits: [{max_idle: \"010d\"}]}", 2),
        ("tokens: {limits: [{max_unused: 010d}]}", 2),
        ("tokens: {enforcement: {lifetime: {action: expire, grace: 010d}}}", 2),
        ("waivers_warn: 010d", 2),
    ] {
        let reading = read(&format!("version: 1\n{yaml}\n"));
        let bad: Vec<_> =
            reading.diagnostics.iter().filter(|found| found.code == Code::BadDuration).collect();
        let [bad] = bad.as_slice() else { panic!("{yaml}: {:?}", reading.diagnostics) };
        let said =
            "`010d` has a number with a leading zero; write `10d` (read as decimal) or `8d` (read as octal)";
        assert_eq!((bad.message.as_str(), bad.span.place.line), (said, line), "{yaml}");
    }
}

#[test]
fn a_mistake_in_an_expression_of_several_lines_is_marked_at_its_line() {
    let rule = |when: &str| {
        format!("version: 1\ntokens:\n  rules:\n    - name: own\n      message: m\n      when: {when}\n")
    };
    let places = |when: &str| {
        let of = |found: &tokenwarden::yaml::Diagnostic| (found.span.place.line, found.span.place.column);
        read(&rule(when)).diagnostics.iter().map(of).collect::<Vec<_>>()
    };
    for (when, place) in [
        ("token.scope ==\n        \"read-write\" && token.nope", (7, 31)),
        ("token.description == 'x' ||\n       token.nope", (7, 14)),
        ("'token.scope == \"read-write\"\n\n        && token.nope'", (8, 18)),
        (">-\n        token.scope == \"read-write\" &&\n\n        token.nope", (9, 15)),
        ("|-\n        token.scope == \"read-write\"\n          && token.nope", (8, 20)),
        ("\"token.scope == 'read-write' \\\n        && token.nope\"", (6, 13)),
        ("\"token.nope == '\\u0061'\"", (6, 13)),
    ] {
        assert_eq!(places(when), [place], "{when}");
    }
    insta::assert_snapshot!(rendered(&rule("token.scope ==\n        \"read-write\" && token.scop == \"\"")), @r#"
    error[bad-expression]: unknown member `scop`
     --> policy.yaml:7:31, at `tokens.rules[0].when`
      |
    7 |         "read-write" && token.scop == ""
      |                               ^^^^
    help: did you mean `scope`? (the members are `id`, `description`, `scope`, `created`, `created_by`, `last_used`, `last_used_from`, `expires`)
    "#);
    let alias =
        "version: 1\ntokens:\n  rules:\n    - { name: own, message: &text token.nope, when: *text }\n";
    insta::assert_snapshot!(rendered(alias), @r"
    error[bad-expression]: unknown member `nope`, at character 7 of the expression
     --> policy.yaml:4:53, at `tokens.rules[0].when`
      |
    4 |     - { name: own, message: &text token.nope, when: *text }
      |                                                     ^^^^^
    help: the members are `id`, `description`, `scope`, `created`, `created_by`, `last_used`, `last_used_from`, `expires`
    ");
}
