//! `test`: policy tests, as their authors and CI servers use them.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path, process::Command};

use quick_junit::Report;
use serde_json::Value;
use tempfile::TempDir;
use tokenwarden::model::RuleCode;

use crate::{
    docs::pages::blocks,
    support::program::{NOW, Quickstart, Run, program},
};

fn examples() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"))
}

fn run(folder: &Path, arguments: &[&str]) -> Run {
    Run::of(program().arg("-C").arg(folder).arg("test").args(arguments))
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

const SETTINGS: &str = "version: 1
targets:
  prod: { kind: embedded, store: a.db, policy: [policy.yaml] }
  lab: { kind: embedded, store: b.db, policy: [policy.yaml] }
";

const POLICY: &str = "version: 1
permissions: { use: [developers] }
tokens:
  limits:
    - { groups: [ci-bots], max_scope: read-write }
    - { max_scope: read-only, max_idle: 90d }
  rules:
    - { name: no-laptops, when: 'token.description.contains(\"laptop\")', message: it is on a laptop }
  enforcement: { scope: narrow, idle: { action: expire, grace: 7d }, no-laptops: revoke }
";

const HEAD: &str = "version: 1
now: 2026-12-01
target: prod
owners: { mary: { groups: [developers] } }
token: { owner: mary, scope: read-only, created: 30d ago, expires: never, last_used: 1d ago }
";

/// A policy with files of tests beside it.
fn repository(tests: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tokenwarden.yaml"), SETTINGS).unwrap();
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    fs::create_dir(folder.path().join("tests")).unwrap();
    for (name, text) in tests {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn with_cases(cases: &str) -> TempDir {
    repository(&[("tests/a.yaml", &format!("{HEAD}cases:\n{cases}"))])
}

#[test]
fn the_tests_of_every_example_pass_and_exercise_everything() {
    for example in fs::read_dir(examples()).unwrap() {
        let folder = example.unwrap().path();
        if !folder.join("tests").is_dir() {
            continue;
        }
        let run = run(&folder, &["--coverage-min", "100"]);
        assert_eq!(run.code, Some(0), "{}: {}{}", folder.display(), run.stdout, run.stderr);
    }
}

#[test]
fn the_examples_have_each_rule_in_a_case_where_it_fires_where_it_does_not_and_where_a_waiver_holds_it() {
    let report = json(&run(&examples().join("rules"), &["--format", "json"]));
    let cases = report["cases"].as_array().unwrap();
    for rule in RuleCode::ALL {
        let has = |case: &Value, word: &str| {
            let line = Value::from(format!("{word} {rule}"));
            case["actual"].as_array().unwrap().contains(&line)
        };
        assert!(cases.iter().any(|case| has(case, "finding")), "{rule} fires");
        assert!(cases.iter().any(|case| has(case, "waived")), "{rule} is waived");
        let named = cases.iter().filter(|case| case["name"].as_str().unwrap().starts_with(rule.code()));
        let mut quiet = named.filter(|case| !has(case, "finding") && !has(case, "waived"));
        assert!(quiet.next().is_some(), "{rule} does not fire");
    }
}

#[test]
fn a_wrong_expectation_fails_with_3_and_a_difference_that_can_be_read() {
    let folder = with_cases(
        "  - name: nobody used it for long
    token: { scope: read-write, last_used: 100d ago, created: 200d ago }
    expect: { findings: [idle, no-laptops], actions: [revoke] }
  - name: it complies
    token: {}
    expect: {}
  - name: contractors get in
    request: { owner: mary, method: POST, from: 10.1.2.3, scope: read-only }
    expect: { decision: permit }
",
    );
    let run = run(folder.path(), &[]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout);
}

#[test]
fn the_policy_tests_in_the_readme_and_its_page_pass_on_the_quickstart() {
    for (document, count) in [("README.md", 1), ("docs/policy-tests.md", 2)] {
        let tests: Vec<_> =
            blocks(document, "yaml").into_iter().filter(|block| block.contains("\ntarget: ")).collect();
        assert_eq!(tests.len(), count, "{document}");
        let quickstart = Quickstart::new();
        for test in tests {
            fs::write(quickstart.path("shown.yaml"), &test).unwrap();
            let run = quickstart.run(&["test", "shown.yaml"]);
            assert_eq!(run.code, Some(0), "{document}: {}{}", run.stdout, run.stderr);
        }
    }
}

#[test]
fn what_is_left_out_of_an_expectation_must_be_nothing() {
    let case = |expect: &str| {
        let token = "{ scope: read-write }";
        run(with_cases(&format!("  - {{name: a, token: {token}, expect: {expect}}}\n")).path(), &[]).code
    };
    assert_eq!(case("{ findings: [scope], actions: [narrow] }"), Some(0));
    for expect in
        ["{}", "{ findings: [scope] }", "{ actions: [narrow] }", "{ waived: [scope], actions: [narrow] }"]
    {
        assert_eq!(case(expect), Some(3), "{expect}");
    }
}

#[test]
fn every_mistake_in_a_file_of_tests_is_shown_at_once() {
    let text = "version: 1
now: yesterday
target: prd
owners:
  mary: { group: [developers] }
  repo: { kind: repository }
cases:
  - name: one
    token: { owner: mary, scope: readonly, created: 2026-13-01, expires: soon, last_used: never }
    expect: { findings: [scope], decision: permit, actions: [narow, expire] }
  - name: one
    request: { owner: marry, from: 10.0.0.300, scope: read-only, password: true, headers: [x] }
    expect: { findings: [scope] }
  - name: three
    expect: {}
  - name: four
    token: { owner: mary }
    others: []
    expect: {}
";
    let run = run(repository(&[("tests/a.yaml", text)]).path(), &[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""));
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn a_rule_a_reason_and_a_target_that_there_is_not_are_mistakes() {
    let stderr = |cases: &str| run(with_cases(cases).path(), &[]).stderr;
    let rule = stderr("  - {name: a, token: {}, expect: {findings: [no-laptop]}}\n");
    assert!(rule.contains("help: did you mean `no-laptops`?"), "{rule}");
    let reason =
        stderr("  - {name: a, request: {owner: mary, from: 10.0.0.1}, expect: {decision: netwrk}}\n");
    assert!(reason.contains("help: did you mean `network`?"), "{reason}");
    let text = format!("{HEAD}cases: [{{name: a, token: {{}}, expect: {{}}}}]\n").replace("prod", "prdo");
    let target = run(repository(&[("tests/a.yaml", &text)]).path(), &[]);
    assert_eq!(target.code, Some(3));
    assert!(target.stderr.contains("help: did you mean `prod`?"), "{}", target.stderr);
}

#[test]
fn white_space_around_a_name_in_a_file_of_tests_is_warned_of() {
    let stderr = |cases: &str| run(with_cases(cases).path(), &[]).stderr;
    let said = stderr("  - {name: \"a\\n\", token: {owner: 'mary ', description: 'OPS-1 '}, expect: {}}\n");
    assert_eq!(said.matches("warning[surrounding-space]").count(), 2, "{said}");
    assert!(said.contains("help: write `mary`"), "{said}");
}

#[test]
fn no_case_at_all_is_no_success() {
    for folder in [repository(&[]), repository(&[("tests/readme.txt", "cases")]), with_cases("  []\n")] {
        assert_eq!(run(folder.path(), &[]).code, Some(3));
    }
    let folder = with_cases("  - {name: a, token: {}, expect: {}}\n");
    assert_eq!(run(folder.path(), &["--target", "lab"]).code, Some(3), "they are all for prod");
    assert_eq!(run(folder.path(), &["tests/b.yaml"]).code, Some(3), "there is no such file");
    assert_eq!(run(folder.path(), &["tests/a.yaml"]).code, Some(0));
}

#[test]
fn what_no_case_exercises_is_listed_with_its_line_and_can_be_too_much() {
    let folder = with_cases(
        "  - {name: a, token: {scope: read-write}, expect: {findings: [scope], actions: [narrow]}}\n",
    );
    let passed = run(folder.path(), &["--coverage-min", "40"]);
    assert_eq!(passed.code, Some(0), "{}", passed.stderr);
    insta::assert_snapshot!(passed.stdout);
    let refused = run(folder.path(), &["--coverage-min", "41"]);
    assert_eq!(refused.code, Some(3));
    assert_eq!(refused.stderr, "error: the cases exercise 40 %, and --coverage-min asks for 41 %\n");
}

#[test]
fn json_keeps_to_its_schema_and_junit_is_read_by_its_readers() {
    let folder = with_cases(
        "  - {name: right, token: {}, expect: {}}\n  - {name: 'wrong <&>', token: {}, expect: {findings: [idle]}}\n",
    );
    let schema = Run::of(program().args(["schema", "test-report"]));
    let validator = jsonschema::validator_for(&json(&schema)).unwrap();
    let report = json(&run(folder.path(), &["--format", "json"]));
    let errors: Vec<_> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!((&report["passed"], &report["failed"]), (&Value::from(1), &Value::from(1)));

    let junit = run(folder.path(), &["--format", "junit"]);
    assert_eq!(junit.code, Some(3));
    let read = Report::deserialize_from_str(&junit.stdout).unwrap();
    assert_eq!((read.tests, read.failures), (2, 1));
    let names: BTreeSet<_> = read.test_suites[0].test_cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["right", "wrong <&>"]));
}

#[test]
fn results_come_in_the_order_of_the_files_however_many_threads_there_are() {
    let mut cases = String::new();
    for number in 0..200 {
        let _ = writeln!(cases, "  - {{name: case {number}, token: {{}}, expect: {{}}}}");
    }
    let report = json(&run(with_cases(&cases).path(), &["--format", "json"]));
    let names: Vec<_> = report["cases"].as_array().unwrap().iter().map(|case| case["name"].clone()).collect();
    assert_eq!(names, (0..200).map(|number| Value::from(format!("case {number}"))).collect::<Vec<_>>());
}

/// What `explain` says of the request that `command` asks about, as it is typed into a shell.
fn answer(quickstart: &Quickstart, command: &str) -> Value {
    let ours = format!("{} -C {}", env!("CARGO_BIN_EXE_tokenwarden"), quickstart.folder.path().display());
    let line = command.replacen("tokenwarden", &ours, 1) + " --format json --now " + NOW;
    let run = Run::of(Command::new("sh").arg("-c").arg(&line));
    assert_eq!(run.code, Some(0), "{line} {run:?}");
    json(&run)["decisions"][0]["after_plan"]["decision"].clone()
}

#[test]
fn a_statement_about_all_requests_is_proved_and_a_request_that_breaks_it_is_shown_as_a_command() {
    let statements = "version: 1
now: 2026-12-01
target: quickstart
never:
  - { name: outside, from: { outside: [10.0.0.0/8, 192.0.2.10-192.0.2.20, 198.51.100.0/25, \"2001:db8:5f::/48\"] } }
  - { name: writers, not_in_groups: [ci-bots], creates: read-write }
  - { name: passwords, with: password }
  - { name: contractors, with: token, in_groups: [contractors], not_in_groups: [developers, ci-bots, token-admins] }
always:
  - { name: build farm, in_groups: [ci-bots], from: { inside: [192.0.2.10-192.0.2.20] }, method: read }
";
    let broken = |file: &str, before: &str, after: &str| {
        let quickstart = Quickstart::new();
        fs::write(quickstart.path("all.yaml"), statements).unwrap();
        quickstart.edit(&format!("policy/{file}.yaml"), before, after);
        let run = quickstart.run(&["test", "all.yaml", "--format", "json"]);
        let cases = json(&run)["cases"].as_array().unwrap().clone();
        let broken: Vec<Value> = cases.iter().filter(|case| case["passed"] == false).cloned().collect();
        assert_eq!(run.code, Some(if broken.is_empty() { 0 } else { 3 }), "{run:?}");
        assert_eq!(cases.len(), 5);
        (quickstart, broken)
    };
    assert_eq!(broken("base", "version: 1", "version: 1").1, Vec::<Value>::new());
    for (file, before, after, name) in [
        ("base", "- 10.0.0.0/8", "- 10.0.0.0/7", "outside"),
        ("platform", "trusted_proxies: [10.0.0.5, 10.0.0.6]", "trusted_proxies: [10.0.0.5]", ""),
        ("base", "create_read_write: [ci-bots]", "create_read_write: [ci-bots, developers]", "writers"),
        ("base", "create_read_write: [ci-bots]", "create_read_write: everyone", "writers"),
        ("base", "password_authentication: disabled", "password_authentication: allowed", "passwords"),
        (
            "base",
            "password_authentication: disabled",
            "password_authentication: { state: disabled, except_users: [\"svc-*\"], except_paths: [/rest/*] }",
            "passwords",
        ),
        ("platform", "use: [developers,", "use: [developers, contractors,", "contractors"),
        ("base", "192.0.2.10-192.0.2.20", "192.0.2.10-192.0.2.19", "build farm"),
        ("platform", "use: [developers, ci-bots, token-admins]", "use: [developers]", "build farm"),
    ] {
        let (quickstart, broken) = broken(file, before, after);
        let names: Vec<&str> = broken.iter().map(|case| case["name"].as_str().unwrap()).collect();
        let expected: Vec<&str> = [name].into_iter().filter(|name| !name.is_empty()).collect();
        assert_eq!(names, expected, "{after}");
        for case in broken {
            let command = case["because"][0]["message"].as_str().unwrap();
            let is_permitted = answer(&quickstart, command) == "permit";
            assert_eq!(is_permitted, name != "build farm", "{after}: {command}");
            assert_eq!(case["actual"][0] == "permitted", is_permitted, "{case}");
        }
    }
}

#[test]
fn every_mistake_in_a_statement_is_shown_at_once() {
    let text = "version: 1
now: 2026-12-01
target: prod
never:
  - { name: one, from: { inside: [10.0.0.0/8], outside: [10.0.0.0/9] }, with: password, scope: read-only }
  - { name: two, from: { inside: [10.0.0.300] }, in_groups: [], method: delete }
always:
  - { name: one, group: [a] }
";
    let said = run(repository(&[("tests/a.yaml", text)]).path(), &[]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(3), ""));
    for part in [
        "`inside` and `outside` cannot be used together",
        "`scope` works only with a token",
        "`10.0.0.300`",
        "never[1].in_groups",
        "never[1].method",
        "always[0].group",
        "duplicate case `one`",
    ] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    let nothing = run(repository(&[("tests/a.yaml", HEAD)]).path(), &[]);
    assert_eq!(nothing.code, Some(3));
    assert!(nothing.stderr.contains("the key `cases` is missing"), "{}", nothing.stderr);
}
