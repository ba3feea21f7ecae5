//! What is said of a run, in every form: each is what its readers take it for, whatever servers have in
//! their names and descriptions.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use jiff::SignedDuration;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use quick_junit::{NonSuccessKind, Report, TestCaseStatus, XmlString};
use serde_json::Value;
use tokenwarden::{
    model::{GroupName, Holders, LastChange, Owner, Scope, Token, TokenId, TokenScope, Why},
    plan::{HeldBack, Origin, Plan},
    report::{Calls, Paint, Run, TargetRun, html, junit, markdown, metrics, owners, sarif, text},
    review::Publication,
    saved::document::PlanDocument,
};

use crate::support::world::{self, NOW, State, World, policy, time};

const POLICY: &str = "version: 1
permissions: {use: [developers], create: [developers]}
network: {allow: [10.0.0.0/8]}
tokens:
  limits:
    - {owner_kind: [project, repository], max_scope: read-only, max_lifetime: 90d, description: '^OPS-'}
    - {max_scope: read-only, max_lifetime: 90d, max_idle: 30d, description: '^OPS-'}
  enforcement: {scope: narrow, lifetime: {action: expire, grace: 7d}, owner-inactive: revoke}
waivers:
  - {token: 3, rules: [lifetime, scope], reason: '</td><script>alert(3)</script> | [x](http://evil.example)', until: 2099-12-31}
";

/// What servers have to be trusted not to say, and do say.
const HOSTILE: [&str; 12] = [
    "</td><script>alert(1)</script><img src=x onerror=alert(2)>",
    "[link](http://evil.example) ![image](http://evil.example/x.png) <http://evil.example>",
    "@mary #77 https://evil.example www.evil.example mail@evil.example",
    "a | b \\| c\n| d |\n\n# heading\n```\nfence",
    "]]> <![CDATA[ &amp; &lt; \" ' `code` *bold* _it_ ~~no~~ $x$",
    "nul\u{0} bell\u{7} escape\u{1b}[31m \u{fffe}",
    "right\u{202e}to left\u{2066} zero\u{200b}width\u{feff}",
    "metric\"} 1\nevil{label=\"\\\"} 2",
    "../../etc/passwd\\..\\x {0} {{1}} [2](3)",
    "%s %n ${jndi:ldap://evil.example} \r\nSet-Cookie: a=b",
    "--><!-- <details> <summary>",
    "😀 日本 grüße",
];

fn token(id: usize, owner: Owner, description: &str) -> Token {
    Token {
        owner,
        description: description.to_owned(),
        scope: TokenScope::Set(Scope::ReadWrite),
        expires: None,
        ..world::token(&id.to_string(), "")
    }
}

/// A plan in which everything hostile stands in every place that a server fills.
fn hostile() -> Plan {
    let long = "x".repeat(5_000);
    let texts = || HOSTILE.into_iter().chain([long.as_str(), ""]);
    let mut state = State::default();
    for (number, text) in texts().enumerate() {
        state.users.insert(text.into(), number % 2 == 0);
    }
    state.groups.insert("developers".into(), ["mary".into()].into());
    state.settings.permissions.create = Holders::of(HOSTILE.map(GroupName::from));
    let owners = texts().enumerate().map(|(number, text)| match number % 3 {
        0 => Owner::User(text.into()),
        1 => Owner::Project(text.to_owned()),
        _ => Owner::Repository { project: text.to_owned(), slug: text.to_owned() },
    });
    let tokens = owners.zip(texts()).enumerate().map(|(id, (owner, text))| token(id, owner, text));
    state.tokens = tokens.map(|token| (token.id.clone(), token)).collect();
    World::new(state).plan(&policy(POLICY), time(NOW))
}

fn target(plan: &Plan) -> TargetRun<'_> {
    TargetRun {
        name: &plan.target,
        plan: Ok(&plan.view),
        refusals: Vec::new(),
        applied: None,
        calls: Some(Calls { sent: 7, repeated: 0 }),
        layers: Vec::new(),
        reviewed: &[],
    }
}

/// A run on the hostile target, and on two more that could not be read and are refused.
fn hostile_run(plan: &Plan) -> Run<'_> {
    let unread = TargetRun { plan: Err(Why::own(HOSTILE.concat())), ..target(plan) };
    let refused = TargetRun {
        name: "quote\" back\\slash <b>|</b> [x](y)",
        refusals: HOSTILE.map(str::to_owned).into(),
        ..target(plan)
    };
    let took = Some(SignedDuration::from_millis(1_500));
    Run {
        at: time(NOW),
        took,
        policy_verdict: None,
        targets: vec![target(plan), TargetRun { name: "away", ..unread }, refused],
    }
}

fn run_on(plan: &Plan) -> Run<'_> {
    Run { at: time(NOW), took: None, policy_verdict: None, targets: vec![target(plan)] }
}

/// Looks that Markdown has no more in it than reports make on purpose, and returns the number of cells of
/// each row of a table.
fn cells_of_harmless(text: &str) -> BTreeSet<usize> {
    let mut rows = BTreeSet::new();
    let mut cells = 0;
    for event in
        Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_MATH)
    {
        match event {
            Event::Start(
                Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock | Tag::Emphasis | Tag::Strikethrough,
            )
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_) => panic!("{event:?} in {text}"),
            Event::Start(Tag::TableRow | Tag::TableHead) => cells = 0,
            Event::Start(Tag::TableCell) => cells += 1,
            Event::End(TagEnd::TableRow | TagEnd::TableHead) => _ = rows.insert(cells),
            _ => {}
        }
    }
    for linked in ["@m", "@e", "#77", "://", "www.e"] {
        assert!(!text.contains(linked), "{linked} in {text}");
    }
    rows
}

/// `text` without the links to the pages of the rules, which a report makes on purpose.
fn without_pages_of_rules(text: &str) -> String {
    let page = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/v", env!("CARGO_PKG_VERSION"), "/docs/rules.md#");
    let link = format!(r"\[[a-z-]+\]\({}[a-z-]+\)", regex::escape(page));
    let link = regex::Regex::new(&link).unwrap();
    assert!(link.is_match(text), "{text}");
    link.replace_all(text, "").into_owned()
}

/// Looks that there is nothing in `text` that is not seen, but line ends and, when it is `broken`, what
/// keeps hosts from making links.
fn everything_is_seen(text: &str, broken: bool) {
    let unseen = |c: &char| {
        let kept = *c == '\n' || (broken && *c == '\u{200b}');
        !kept && (c.is_control() || "\u{200b}\u{202e}\u{2066}\u{feff}\u{fffe}".contains(*c))
    };
    assert_eq!(text.chars().find(unseen).map(|c| c.escape_unicode().to_string()), None);
}

/// Leaves `text` for the parsers that are not written in Rust and read it after the tests.
fn keep(name: &str, text: &str) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("reports");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

#[test]
fn who_changed_the_settings_is_one_line_of_text_above_the_drift() {
    let mut plan = hostile();
    plan.settings_changed = Some(LastChange { by: HOSTILE.concat(), at: time(NOW) });
    plan.changes.iter_mut().for_each(|planned| planned.origin = Some(Origin::Drift));
    let mut shown = String::new();
    text::plan(&plan, Paint { colour: false }, &mut shown).unwrap();
    let lines: Vec<_> =
        shown.lines().filter(|line| line.starts_with("  settings changed last by ")).collect();
    let [line] = lines.as_slice() else { panic!("{shown}") };
    assert!(line.ends_with(" on 2026-11-23 12:00 UTC"), "{line}");
    assert!(!line.chars().any(char::is_control) && !line.contains('\u{202e}'), "{line}");
}

#[test]
fn hostile_text_is_nothing_but_text_in_every_report() {
    let plan = hostile();
    assert!(plan.changes.len() > 20, "{}", plan.changes.len());
    assert!(!plan.waived.is_empty());
    assert!(!plan.reported.is_empty());
    let run = hostile_run(&plan);

    let text = without_pages_of_rules(&markdown::report(&run, usize::MAX));
    assert_eq!(cells_of_harmless(&text), BTreeSet::from([3, 4]));
    everything_is_seen(&text, true);

    let text = html::report(&run);
    keep("hostile.html", &text);
    everything_is_seen(&text, false);
    for tag in ["script", "img", "details><summary> ", "a href=\"http", "b>", "!-- "] {
        assert!(!text.contains(&format!("<{tag}")), "{tag}");
    }
    assert_eq!(text.matches("<html").count(), 1);
    assert_eq!(text.matches("</html>").count(), 1);

    let text = junit::report(&run).unwrap();
    keep("hostile.junit.xml", &text);
    everything_is_seen(&text, false);
    let report = Report::deserialize_from_str(&text).unwrap();
    let targets: Vec<_> = report.test_suites[0].test_cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(targets, ["world", "away", "quote\" back\\slash <b>|</b> [x](y)"]);

    let text = sarif::report(&run);
    everything_is_seen(&text, false);
    is_valid_sarif(&text);

    let text = metrics::report(&run, "");
    keep("hostile.prom", &text);
    everything_is_seen(&text, false);
    let sample = regex::Regex::new(r#"^[a-z_]+(\{([a-z_]+="([^"\\]|\\\\|\\")*",?)+\})? [0-9.]+$"#).unwrap();
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        assert!(sample.is_match(line), "{line}");
    }

    let notices: Vec<_> = owners::notices(&run).collect();
    assert_eq!(notices.len(), HOSTILE.len() + 2);
    let names: BTreeSet<&str> = notices.iter().map(|notice| notice.file.as_str()).collect();
    assert_eq!(names.len(), notices.len(), "every owner has a file");
    for notice in &notices {
        assert!(owners::is_file_name(&notice.file), "{}", notice.file);
        assert_eq!(cells_of_harmless(&notice.text), BTreeSet::new());
        everything_is_seen(&notice.text, true);
    }

    let json: Value = serde_json::to_value(PlanDocument::of(&run)).unwrap();
    let told = json["resource_changes"].as_array().unwrap().iter();
    let told = told.filter_map(|change| change["change"]["before"]["description"].as_str());
    let told: BTreeSet<&str> = told.collect();
    assert!(HOSTILE.iter().filter(|text| told.contains(*text)).count() > 8, "programs get it as it is");
}

/// Validates `text` against the schema of OASIS.
fn is_valid_sarif(text: &str) -> Value {
    let mut schema: Value =
        serde_json::from_str(include_str!("../fixtures/sarif-2.1.0.schema.json")).unwrap();
    // A bracket too many: in this place the schema is no valid one itself.
    for of in ["run", "toolComponent"] {
        let language = schema.pointer_mut(&format!("/definitions/{of}/properties/language")).unwrap();
        language.as_object_mut().unwrap().remove("pattern");
    }
    assert_eq!(schema["title"], "Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema");
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let document: Value = serde_json::from_str(text).unwrap();
    let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    serde_json::from_str::<serde_sarif::sarif::Sarif>(text).unwrap();
    document
}

/// `count` tokens that have to go, as many that have to end, and as many that are waived.
fn large(count: usize) -> Plan {
    let mut state = State::default();
    state.users.insert("gone".into(), false);
    state.users.insert("mary".into(), true);
    state.users.insert("waived".into(), true);
    state.groups.insert("developers".into(), ["mary".into(), "waived".into()].into());
    for (kind, owner) in ["gone", "mary", "waived"].into_iter().enumerate() {
        for id in 0..count {
            let token = token(kind * count + id + 1, Owner::User(owner.into()), "OPS-1 😀 nightly | build");
            state.tokens.insert(token.id.clone(), token);
        }
    }
    let rules = "version: 1
permissions: {use: [developers]}
tokens:
  limits: [{max_lifetime: 90d}]
  enforcement: {lifetime: expire, owner-inactive: revoke}
waivers: [{owner: waived, rules: [lifetime], reason: they know, until: 2099-12-31}]
";
    World::new(state).plan(&policy(rules), time(NOW))
}

/// The count in the heading of each section, the rows that are shown below it, and the count of those that
/// are said to be cut.
fn sections(text: &str) -> Vec<(String, usize, usize, usize)> {
    let section = |section: &str| {
        let (title, rest) = section.split_once('\n').unwrap();
        let (title, count) = title.trim_end_matches(')').rsplit_once(" (").unwrap();
        let rows =
            rest.lines().filter(|line| line.starts_with("| token ") && !line.contains("| why")).count();
        let cut = rest
            .lines()
            .find_map(|line| line.strip_prefix("… and ")?.split_once(" more, cut"))
            .map(|cut| cut.0);
        (title.to_owned(), count.parse().unwrap(), rows, cut.map_or(0, |cut| cut.parse().unwrap()))
    };
    text.split("\n### ").skip(1).map(section).collect()
}

#[test]
fn markdown_over_the_limit_loses_the_least_important_first_and_says_how_much() {
    let plan = large(150);
    let text = markdown::report(&run_on(&plan), markdown::CHARACTERS_AT_MOST);
    assert!(text.encode_utf16().count() <= 32_768, "as long as a comment may be");
    assert!(text.encode_utf16().count() > 32_000, "and as much of it as fits");
    assert!(text.starts_with(
        "**tokenwarden on world: 2 settings to change, 150 tokens to expire, 150 tokens to revoke.**"
    ));
    let sections = sections(&text);
    for (title, count, rows, cut) in &sections {
        assert!(
            title == "Settings to change" || rows + cut == *count,
            "{title}: {rows} and {cut} of {count}"
        );
    }
    let rows: Vec<(&str, usize)> =
        sections.iter().skip(1).map(|(title, _, rows, _)| (title.as_str(), *rows)).collect();
    assert_eq!(rows[0], ("Tokens to revoke", 150));
    assert!(rows[1].0 == "Tokens to expire" && rows[1].1 > 0 && rows[1].1 < 150, "{rows:?}");
    assert_eq!(rows[2], ("Waived", 0));
    assert!(!text.contains("<details"), "Bitbucket folds nothing");
}

#[test]
fn markdown_of_any_length_keeps_to_it() {
    let plan = large(40);
    for at_most in [400, 1_000, 5_000, 20_000, 100_000] {
        let text = markdown::report(&run_on(&plan), at_most);
        assert!(text.encode_utf16().count() <= at_most, "{at_most}");
    }
}

#[test]
fn a_token_has_one_row_in_markdown_and_what_the_policy_does_comes_first() {
    let mut plan = hostile();
    for (index, planned) in plan.changes.iter_mut().enumerate() {
        planned.origin = Some(Origin::ALL[index % 3]);
    }
    let text = markdown::report(&run_on(&plan), usize::MAX);
    let rows = || text.lines().filter(|line| line.starts_with("| token ") && !line.contains("| why"));
    let changed = rows().filter(|row| row.matches(" | ").count() == 3);
    let tokens: BTreeSet<_> =
        plan.changes.iter().filter_map(|planned| Some(&planned.change.token()?.id)).collect();
    let only_pending = plan.pending.len();
    assert_eq!(changed.count(), tokens.len() + only_pending, "{text}");
    let second = text.lines().nth(2).unwrap();
    assert!(
        second.starts_with("By the change of the policy: ") && second.contains(". Without it: "),
        "{second}"
    );
    let place = |title: &str| text.find(title).unwrap_or_else(|| panic!("{title} in {text}"));
    assert!(place("### Tokens to revoke") < place("### Tokens due without this change"));
    let anyway = &text[place("### Tokens due without this change")..place("### Waived")];
    assert!(!anyway.contains("(policy)") && anyway.contains("(drift)"), "{anyway}");
}

#[test]
fn every_rule_that_a_report_names_links_to_a_section_of_the_documentation() {
    let page = include_str!("../../../docs/rules.md");
    let plan = hostile();
    let sarif = is_valid_sarif(&sarif::report(&run_on(&plan)));
    let markdown = markdown::report(&run_on(&plan), usize::MAX);
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.len() > 2);
    for rule in rules {
        let link = rule["helpUri"].as_str().unwrap();
        let (_, section) = link.split_once("/docs/rules.md#").unwrap();
        let is_there = page.contains(&format!("\n## `{section}`\n")) || page.contains("\n## Own rules\n");
        assert!(is_there && markdown.contains(&format!("]({link})")), "{link}");
    }
}

#[test]
fn every_finding_is_a_sarif_result_at_its_line_and_keeps_its_fingerprint() {
    let plan = large(2);
    let document = is_valid_sarif(&sarif::report(&run_on(&plan)));
    let run = &document["runs"][0];
    let results = run["results"].as_array().unwrap();
    let told: Vec<_> = results
        .iter()
        .map(|result| (result["ruleId"].as_str().unwrap(), result["level"].as_str().unwrap()))
        .collect();
    // The tokens of somebody who is gone break two rules, and go for both.
    let expected = [
        ("lifetime", "warning"),
        ("lifetime", "warning"),
        ("owner-inactive", "error"),
        ("lifetime", "error"),
    ];
    for one in expected {
        assert!(told.contains(&one), "{one:?} in {told:?}");
    }
    for result in results {
        let rule =
            &run["tool"]["driver"]["rules"][usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        let physical = &result["locations"][0]["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "policy.yaml");
        assert!(physical["region"]["startLine"].as_u64().unwrap() > 1);
        assert_eq!(result["suppressions"].is_array(), result["properties"]["action"] == "waived");
    }
    let fingerprints = |document: &Value| -> BTreeSet<String> {
        let results = document["runs"][0]["results"].as_array().unwrap().iter();
        results.map(|result| result["partialFingerprints"]["tokenwarden/v1"].to_string()).collect()
    };
    assert_eq!(fingerprints(&document).len(), results.len());
    let later = Run { at: time("2026-11-24T12:00:00Z"), ..run_on(&plan) };
    let later: Value = serde_json::from_str(&sarif::report(&later)).unwrap();
    assert_eq!(fingerprints(&later), fingerprints(&document));
}

#[test]
fn each_rule_is_a_test_suite_and_what_is_waived_is_skipped() {
    let plan = large(3);
    let report = Report::deserialize_from_str(&junit::report(&run_on(&plan)).unwrap()).unwrap();
    let failed = |status: &TestCaseStatus| {
        matches!(status, TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. })
    };
    let counts: Vec<_> = report
        .test_suites
        .iter()
        .map(|suite| {
            let failures = suite.test_cases.iter().filter(|case| failed(&case.status)).count();
            let skipped = suite.test_cases.iter();
            let skipped =
                skipped.filter(|case| matches!(case.status, TestCaseStatus::Skipped { .. })).count();
            (suite.name.as_str(), failures, skipped)
        })
        .collect();
    let expected = [("targets", 0, 0), ("settings", 2, 0), ("owner-inactive", 3, 0), ("lifetime", 6, 3)];
    assert_eq!(counts, expected);
}

/// The value of a metric whose labels are `labels`.
fn metric(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn metrics_count_what_the_plan_has() {
    let plan = large(3);
    let text = metrics::report(&Run { took: Some(SignedDuration::from_millis(1_500)), ..run_on(&plan) }, "");
    for (series, value) in [
        (r#"tokenwarden_tokens{target="world",scope="read-write",state="endless"}"#, 9.0),
        (r#"tokenwarden_tokens{target="world",scope="unset",state="expired"}"#, 0.0),
        (r#"tokenwarden_findings{target="world",rule="lifetime",action="waived"}"#, 3.0),
        (r#"tokenwarden_findings{target="world",rule="owner-inactive",action="revoke"}"#, 3.0),
        (r#"tokenwarden_pending_changes{target="world",action="revoke",origin="not-compared"}"#, 3.0),
        (r#"tokenwarden_tokens_judged{target="world",standing="waived"}"#, 3.0),
        (r#"tokenwarden_success{target="world"}"#, 1.0),
        (r#"tokenwarden_calls{target="world"}"#, 7.0),
        (r#"tokenwarden_run_duration_seconds{target="world"}"#, 1.5),
    ] {
        assert_eq!(metric(&text, series), Some(value), "{series}\n{text}");
    }
}

#[test]
fn a_run_that_fails_keeps_the_moment_of_the_last_success() {
    let plan = large(1);
    let last = r#"tokenwarden_last_success_timestamp_seconds{target="world"}"#;
    let good = metrics::report(&run_on(&plan), "");
    assert_eq!(metric(&good, last), Some(1_795_435_200.0));
    let failed = TargetRun { plan: Err(Why::own("away")), ..target(&plan) };
    let failed =
        Run { at: time("2026-11-24T12:00:00Z"), took: None, policy_verdict: None, targets: vec![failed] };
    let kept = metrics::report(&failed, &good);
    assert_eq!(metric(&kept, last), Some(1_795_435_200.0));
    assert_eq!(metric(&kept, r#"tokenwarden_success{target="world"}"#), Some(0.0));
    assert_eq!(metric(&metrics::report(&failed, "rubbish\n\u{0}"), last), None);
}

#[test]
fn the_page_lets_its_own_style_in_and_nothing_else() {
    let text = html::report(&run_on(&large(1)));
    let style = text.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = {
        use base64::{Engine, engine::general_purpose::STANDARD};
        use sha2::{Digest, Sha256};
        STANDARD.encode(Sha256::digest(style))
    };
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    let shown = policy.replace('\'', "&#39;");
    assert!(text.contains(&policy) || text.contains(&shown), "{policy}");
    for refused in ["<script", "style=\"", "onload", "http://", "https://", "<link"] {
        assert!(!text.contains(refused), "{refused}");
    }
}

#[test]
fn notices_go_to_those_alone_who_have_something_to_expect_and_say_what() {
    let run = large(2);
    let notices: Vec<_> = owners::notices(&run_on(&run)).collect();
    let owners: Vec<&str> = notices.iter().map(|notice| notice.owner.as_str()).collect();
    assert_eq!(owners, ["gone", "mary"], "what is waived is nobody's business for now");
    assert!(notices[0].text.contains("It will be revoked by the next run."));
    assert!(notices[1].text.contains("It will end on 2026-12-08 instead of never."), "{}", notices[1].text);
    assert!(
        notices[1].text.contains("lifetime: no expiry, limit 90d (policy.yaml:4)"),
        "{}",
        notices[1].text
    );
}

/// A sentence of ours that is far longer than what is shown of a name, with what to do at its end.
fn sentence(about: &str) -> String {
    format!("{about} {} and what to do is: --allow {about}=41", "because of many things ".repeat(20))
}

#[test]
fn a_sentence_is_whole_in_every_report_and_only_a_name_from_a_server_is_cut() {
    let mut plan = hostile();
    let held = |about: &str| HeldBack {
        subject: "x".repeat(300),
        reason: sentence(about),
        place: plan.reported[0].findings[0].place.clone(),
        tokens: None,
        tolerated: false,
    };
    plan.held_back = vec![held("held")];
    plan.changes.iter_mut().for_each(|planned| {
        planned.reasons.iter_mut().for_each(|reason| reason.text = sentence("change"));
    });
    plan.reported.iter_mut().for_each(|found| found.findings[0].message = sentence("reported"));
    let lockout = format!("lockout: somebody\n    {}\n    {}", sentence("first"), sentence("second"));
    let refused = TargetRun { refusals: vec![sentence("rail"), lockout], ..target(&plan) };
    let unread = TargetRun { name: "away", plan: Err(Why::own(sentence("away"))), ..target(&plan) };
    let held_back = TargetRun { name: "held", ..target(&plan) };
    let run =
        Run { at: time(NOW), took: None, policy_verdict: None, targets: vec![refused, unread, held_back] };

    let mut shown = String::new();
    text::plan(&plan, Paint { colour: false }, &mut shown).unwrap();
    let publication = Publication::of(&run, "", "plan");
    let remarks: Vec<_> = publication.annotations.iter().map(|one| one.message.as_str()).collect();
    let everywhere = ["held", "change", "reported"];
    let refusals = ["rail", "first", "second", "away"];
    for (form, text, said) in [
        ("text", shown, &everywhere[..]),
        ("markdown", markdown::report(&run, usize::MAX), &[&everywhere[..], &refusals].concat()),
        ("html", html::report(&run), &[&everywhere[..], &refusals].concat()),
        ("junit", junit::report(&run).unwrap(), &[&everywhere[..], &refusals].concat()),
        ("sarif", sarif::report(&run), &[&everywhere[..], &refusals].concat()),
        ("review", remarks.join("\n"), &[&["held", "change"], &refusals[..]].concat()),
    ] {
        for about in said {
            assert!(text.contains(&format!("--allow {about}=41")), "{about} in {form}");
        }
        assert!(!text.contains(&"x".repeat(121)), "{form} cuts names");
        assert!(text.contains(&("x".repeat(120) + "…")) || form == "review", "{form} says that it cut");
    }
}

#[test]
fn a_remark_that_is_too_long_loses_whole_entries_and_counts_them() {
    let plan = large(40);
    let lines: Vec<String> = (1..=30).map(|number| sentence(&number.to_string())).collect();
    let refused = TargetRun { refusals: vec![lines.join("\n")], ..target(&plan) };
    let run = Run { at: time(NOW), took: None, policy_verdict: None, targets: vec![refused] };
    let publication = Publication::of(&run, "team/", "plan");
    for remark in &publication.annotations {
        assert!(remark.message.chars().count() <= 2_000, "{}", remark.message.chars().count());
        assert!(remark.path.as_ref().is_none_or(|path| path == "team/policy.yaml"), "{:?}", remark.path);
    }
    let (shown, more) = publication.annotations[0].message.rsplit_once("\nand ").unwrap();
    let shown = shown.matches("--allow ").count();
    assert!(shown > 1 && more == format!("{} more", 30 - shown), "{shown}, {more}");
    let demands = publication.annotations.iter().filter(|one| one.message.contains("; and "));
    assert!(demands.count() > 0);
}

/// Two own rules whose expressions fail on tokens that are called `nightly` and never end.
const FAILING: &str = "version: 1
tokens:
  rules:
    - {name: first, when: 'token.description == \"nightly\" && token.expires < now', message: first}
    - {name: second, when: 'token.description == \"nightly\" && token.expires < now', message: second}
  enforcement: {owner-inactive: revoke}
";

/// Two tokens that are called the same, of an owner who is gone, on which two own rules fail.
fn alike() -> Plan {
    let mut state = State::default();
    state.users.insert("gone".into(), false);
    for id in [1, 2] {
        let token = token(id, Owner::User("gone".into()), "nightly");
        state.tokens.insert(token.id.clone(), token);
    }
    World::new(state).plan(&policy(FAILING), time(NOW))
}

#[test]
fn every_sarif_result_has_a_place_and_a_fingerprint_of_its_own() {
    let plan = alike();
    let two = TargetRun { name: "other", ..target(&plan) };
    let run = Run { at: time(NOW), took: None, policy_verdict: None, targets: vec![target(&plan), two] };
    let document = is_valid_sarif(&sarif::report(&run));
    let results: Vec<_> = document["runs"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|run| run["results"].as_array().unwrap())
        .collect();
    assert_eq!(results.len(), 12, "two targets, two tokens, three findings");
    let mut prints = BTreeSet::new();
    for result in results {
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uriBaseId"], "%SRCROOT%");
        assert!(!place["artifactLocation"]["uri"].as_str().unwrap().is_empty());
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        prints.insert(result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap());
    }
    assert_eq!(prints.len(), 12);
}

#[test]
fn a_sarif_file_has_no_more_than_github_takes_and_says_what_it_leaves_out() {
    let (plan, fewer, empty) = (large(400), large(1), large(0));
    let names: Vec<String> = (1..=30).map(|number| format!("target-{number}")).collect();
    // Those with the most to worry about stand last, and one could not be read.
    let targets = names.iter().enumerate().map(|(index, name)| match index {
        0..8 => TargetRun { name, ..target(&empty) },
        8..10 => TargetRun { name, ..target(&fewer) },
        10 => TargetRun { name, plan: Err(Why::own("away")), ..target(&plan) },
        _ => TargetRun { name, ..target(&plan) },
    });
    let run = Run { at: time(NOW), took: None, policy_verdict: None, targets: targets.collect() };
    let in_repository = |path: &str| path.to_owned();
    let files = sarif::Files { settings: "tokenwarden.yaml", in_repository: &in_repository };
    let sarif = sarif::Sarif::of(&run);
    let document: Value = serde_json::from_str(&sarif.text(files)).unwrap();
    let runs = document["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 20);
    let kept: Vec<_> = runs.iter().map(|run| run["automationDetails"]["id"].as_str().unwrap()).collect();
    let expected: Vec<_> = (11..=30).map(|number| format!("tokenwarden/target-{number}/")).collect();
    assert_eq!(kept, expected, "those with nothing to worry about go first");
    let results = || runs.iter().flat_map(|run| run["results"].as_array().unwrap());
    assert_eq!(results().count(), 25_000);
    let count = |level: &str| results().filter(|result| result["level"] == level).count();
    assert_eq!((count("error"), count("warning")), (19 * 800, 19 * 400), "the waived ones are cut");
    let [targets, findings] = sarif.left_out.as_slice() else { panic!("{:?}", sarif.left_out) };
    assert!(targets.contains("target-1, target-2,") && targets.contains("--target"), "{targets}");
    assert!(targets.contains("target-10 with 8 findings are left out"), "{targets}");
    assert!(findings.contains("5,400 findings of the least serious are left out"), "{findings}");
    let told = runs[0]["invocations"][0]["toolExecutionNotifications"].to_string();
    assert!(told.contains("target-10 with 8 findings") && told.contains("5,400 findings"), "{told}");
}

#[test]
fn reports_of_any_size_stay_within_what_their_readers_take() {
    // What the tokens of a plan are found for: twice what has to go, once what has to end, once what is waived.
    for (targets, tokens) in [(1, 0), (1, 1), (45, 0), (45, 160), (1, 7_500)] {
        let plan = large(tokens);
        let findings = targets * tokens * 4;
        let names: Vec<String> = (1..=targets).map(|number| format!("target-{number}")).collect();
        let each = names.iter().map(|name| TargetRun { name, ..target(&plan) });
        let run = Run { at: time(NOW), took: None, policy_verdict: None, targets: each.collect() };
        let of_size = |kind: &str| format!("size-{targets}-{findings}.{kind}");

        let in_repository = |path: &str| path.to_owned();
        let files = sarif::Files { settings: "tokenwarden.yaml", in_repository: &in_repository };
        let sarif = sarif::Sarif::of(&run);
        let text = sarif.text(files);
        keep(&of_size("sarif"), &text);
        let kept = text.matches("\"ruleId\"").count();
        let room = (findings / targets * targets.min(20)).min(25_000);
        assert_eq!(
            (kept, sarif.left_out.is_empty()),
            (room, room == findings && targets <= 20),
            "{targets}, {findings}"
        );

        let junit = junit::report(&run).unwrap();
        keep(&of_size("junit.xml"), &junit);
        let cases = junit.matches("<testcase ").count();
        let others = targets * 3 + usize::from(findings > 20_000);
        assert_eq!(
            cases,
            findings.min(20_000) + others,
            "targets, two settings of each, and a count: {findings}"
        );
        if findings > 20_000 {
            let count = (findings - 20_000).to_string();
            let count =
                format!("{},{} findings left out", &count[..count.len() - 3], &count[count.len() - 3..]);
            assert!(junit.contains(&count), "{count}");
        }

        let metrics = metrics::report(&run, "");
        keep(&of_size("prom"), &metrics);
        assert!(
            metrics.len() < 3_000_000 && metrics.lines().count() < targets * 60 + 60,
            "{}",
            metrics.lines().count()
        );
    }
}

#[test]
fn no_two_junit_cases_have_class_and_name_in_common() {
    let mut plan = alike();
    // An identifier that is cut looks like another one.
    for (found, end) in plan.reported.iter_mut().zip(["a", "b"]) {
        Arc::make_mut(&mut found.token).id = TokenId::new("7".repeat(200) + end);
    }
    let two = TargetRun { name: "other", ..target(&plan) };
    let run = Run { at: time(NOW), took: None, policy_verdict: None, targets: vec![target(&plan), two] };
    let report = Report::deserialize_from_str(&junit::report(&run).unwrap()).unwrap();
    let cases: Vec<_> = report.test_suites.iter().flat_map(|suite| &suite.test_cases).collect();
    let different: BTreeSet<_> = cases
        .iter()
        .map(|case| (case.classname.as_ref().map(XmlString::as_str), case.name.as_str()))
        .collect();
    assert!(cases.len() >= 12, "{}", cases.len());
    assert_eq!(different.len(), cases.len(), "{different:?}");
}

#[test]
fn runs_on_different_targets_never_write_the_same_series() {
    let plan = large(1);
    let series = |name: &str| -> BTreeSet<String> {
        let run = Run { took: Some(SignedDuration::from_secs(2)), ..run_on(&plan) };
        let run = Run { targets: vec![TargetRun { name, ..target(&plan) }], ..run };
        let text = metrics::report(&run, "");
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    let long = "x".repeat(200);
    for (one, other) in [("prod", "test"), (&format!("{long}1"), &format!("{long}2"))] {
        let (one, other) = (series(one), series(other));
        assert!(one.len() > 10);
        assert_eq!(one.intersection(&other).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
