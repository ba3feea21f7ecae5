//! Rules of the policy's own: what they see, what happens on them, and what is said of their mistakes.

use std::sync::Arc;

use jiff::Timestamp;
use tokenwarden::{
    compliance::{Compliance, Findings},
    inventory::People,
    model::{LastUse, Owner, Scope, Token, TokenId, TokenScope},
    policy, report,
};

use crate::support::world::{self, NOW, State, World, time};

fn token(owner: Owner) -> Token {
    Token {
        owner,
        scope: TokenScope::Set(Scope::ReadWrite),
        created_by: Some("Sam".into()),
        last_used: Some(LastUse { at: time("2026-11-22T00:00:00Z"), from: "::ffff:192.0.2.7".parse().ok() }),
        ..world::token("1", "")
    }
}

fn mary() -> Token {
    token(Owner::User("Mary".into()))
}

fn bare() -> Token {
    Token { created_by: None, last_used: None, expires: None, scope: TokenScope::Unset, ..mary() }
}

/// A policy with the one rule `own-rule`.
fn yaml(when: &str, action: &str) -> String {
    format!(
        "version: 1\ntokens:\n  rules:\n    - name: own-rule\n      when: {when}\n      message: it is so\n  \
         enforcement: {{own-rule: {action}}}\n"
    )
}

fn judge(when: &str, token: &Token) -> Findings {
    let policy = world::policy(&yaml(when, "report"));
    let mut people = People::default();
    people.add_user("mary".into(), true);
    people.add_user("gone".into(), false);
    people.add_group(&"Developers".into(), ["mary".into()]);
    let mut compliance = Compliance::new(&policy, &people, time(NOW));
    compliance.observe(token);
    compliance.finish()
}

/// Whether the own rule finds the token.
fn finds(when: &str, token: &Token) -> bool {
    let found = judge(when, token);
    let found = found.tokens.iter().flat_map(|found| &found.findings);
    found
        .filter(|finding| finding.rule.code().starts_with("own-") || finding.rule.code() == "rule-error")
        .map(|finding| assert_eq!((finding.rule.code(), finding.message.as_str()), ("own-rule", "it is so")))
        .count()
        == 1
}

#[test]
fn an_expression_sees_the_token_its_owner_and_the_time() {
    let repository = Owner::Repository { project: "PLAT".to_owned(), slug: "app".to_owned() };
    for (when, token, expected) in [
        ("token.id == '1'", mary(), true),
        ("token.description.startsWith('OPS-')", mary(), true),
        ("token.description.matches('^DEV-[0-9]+ ')", mary(), false),
        ("token.scope == 'read-write'", mary(), true),
        ("token.scope == 'unset'", bare(), true),
        ("token.created < timestamp('2026-11-02T00:00:00Z')", mary(), true),
        ("token.created_by != null && token.created_by != owner.name", mary(), true),
        ("token.created_by == 'SAM'", mary(), true),
        ("token.created_by == null", bare(), true),
        ("token.last_used == null", bare(), true),
        ("token.last_used != null && now - token.last_used > duration('24h')", mary(), true),
        ("token.last_used != null && now - token.last_used > duration('48h')", mary(), false),
        ("token.last_used_from == '192.0.2.7'", mary(), true),
        ("token.expires == null", bare(), true),
        ("owner.name == 'MARY' && owner.kind == 'user'", mary(), true),
        ("owner.name in ['sam', 'Mary']", mary(), true),
        ("owner.active == true", mary(), true),
        ("owner.active == false", token(Owner::User("gone".into())), true),
        ("owner.active == null", token(Owner::User("stranger".into())), true),
        ("'developers' in owner.groups", mary(), true),
        ("'DEVELOPERS' in owner.groups", mary(), true),
        ("'developers' in owner.groups", token(Owner::User("gone".into())), false),
        (
            "owner.project == 'plat' && owner.kind == 'project'",
            token(Owner::Project("PLAT".to_owned())),
            true,
        ),
        ("owner.project == 'PLAT' && owner.repository == 'App'", token(repository), true),
        ("owner.project == null", mary(), true),
        ("now.getFullYear() == 2026 && now.getMonth() == 10", mary(), true),
    ] {
        assert_eq!(finds(&format!("\"{when}\""), &token), expected, "{when}");
    }
}

#[test]
fn an_own_rule_points_at_its_line_and_leads_to_its_action() {
    let mut state = State::default();
    state.users.insert("mary".into(), true);
    state.tokens.insert(TokenId::new("1"), mary());
    for (action, done) in
        [("report", None), ("narrow", Some("narrow")), ("expire", Some("expire")), ("revoke", Some("revoke"))]
    {
        let plan = World::new(state.clone())
            .plan(&world::policy(&yaml("token.scope == 'read-write'", action)), time(NOW));
        assert_eq!(plan.changes.first().map(|planned| planned.change.verb().word()), done);
        let reason = plan
            .changes
            .first()
            .map(|planned| (planned.reasons[0].rule.clone().unwrap(), planned.reasons[0].place.clone()));
        if let Some((rule, place)) = reason {
            assert_eq!((rule.code(), place.unwrap().line), ("own-rule", 4));
        }
    }
}

#[test]
fn the_groups_of_expressions_are_asked_for() {
    let mut state = State::default();
    state.users.insert("mary".into(), true);
    state.groups.insert("bitbucket-admins".into(), ["mary".into()].into());
    state.tokens.insert(TokenId::new("1"), mary());
    let world = World::new(state);
    let policy = world::policy(&yaml("\"'Bitbucket-Admins' in owner.groups\"", "revoke"));
    let plan = world.plan(&policy, time(NOW));
    assert!(plan.is_whole(), "{:?}", plan.held_back);
    assert_eq!(plan.changes[0].change.verb().word(), "revoke");
}

/// What is found in a policy with the rule `when`, as it is shown.
fn shown(when: &str) -> String {
    let reading = policy::read(&[(Arc::from("policy.yaml"), yaml(when, "report").into_bytes())]);
    report::diagnostics::text(&reading.diagnostics, &reading.sources, false)
}

/// The messages for a policy with the rule `when`.
fn messages(when: &str) -> Vec<String> {
    let reading = policy::read(&[(Arc::from("policy.yaml"), yaml(when, "report").into_bytes())]);
    let rules = reading.diagnostics.iter().filter(|found| found.code.as_str() == "bad-expression");
    rules.map(|found| found.message.clone()).collect()
}

#[test]
fn an_unknown_member_is_shown_at_its_place_inside_the_expression() {
    insta::assert_snapshot!(shown("owner.name == \"grüße\" || token.scop == \"read-write\""), @r#"
    error[bad-expression]: unknown member `scop`
     --> policy.yaml:5:44, at `tokens.rules[0].when`
      |
    5 |       when: owner.name == "grüße" || token.scop == "read-write"
      |                                            ^^^^
    help: did you mean `scope`? (the members are `id`, `description`, `scope`, `created`, `created_by`, `last_used`, `last_used_from`, `expires`)
    "#);
    insta::assert_snapshot!(shown("'token.scope == \"readwrite\"'"), @r#"
    error[bad-expression]: this is never `readwrite`
     --> policy.yaml:5:30, at `tokens.rules[0].when`
      |
    5 |       when: 'token.scope == "readwrite"'
      |                              ^^^^^^^^^
    help: did you mean `read-write`? (it is one of `read-only`, `read-write`, `unset`)
    "#);
    let folded = ">-\n        token.scope == \"read-write\"\n        && token.last_use == null";
    insta::assert_snapshot!(shown(folded), @r#"
    error[bad-expression]: unknown member `last_use`
     --> policy.yaml:7:18, at `tokens.rules[0].when`
      |
    7 |         && token.last_use == null
      |                  ^^^^^^^^
    help: did you mean `last_used`? (the members are `id`, `description`, `scope`, `created`, `created_by`, `last_used`, `last_used_from`, `expires`)
    "#);
}

#[test]
fn a_mistake_says_what_to_write() {
    for (when, message) in [
        ("tokn.id == '1'", "unknown variable `tokn`"),
        ("token == now", "`token` needs a member here"),
        ("token.description", "the expression must be true or false"),
        ("now", "the expression must be true or false"),
        ("1 +", "the expression ends too early"),
        ("token.id = '1'", "invalid expression: token recognition error at: '= '"),
        ("token.id.name == '1'", "unknown member `name`"),
        ("has(token.expires)", "unknown function `has`"),
        ("owner.groups.exists(g, g == 'x')", "unknown function `exists` with 2 arguments"),
        (
            "owner.groups == ['x']",
            "`owner.groups` works only on the right of `in`, with one name on the left",
        ),
        (
            "token.id in owner.groups",
            "a group must be named by a text in quotes, so that its members can be requested",
        ),
        ("token['id'] == '1'", "lookup in brackets is not supported"),
        ("duration(token.id) > duration('1h')", "`duration` takes one text in quotes"),
        ("token.description.matches('(')", "`(` is not a valid regular expression"),
        ("token.description.matches(token.id)", "`matches` takes a regular expression in quotes"),
        ("owner.kind == 'users'", "this is never `users`"),
        (
            "token.last_used < now",
            "the expression fails on a token of an active user that was never used: `<` cannot take null and a timestamp",
        ),
        (
            "now - token.created > duration('30d')",
            "the expression fails on a token of an active user: `duration` cannot take this",
        ),
    ] {
        assert_eq!(messages(&format!("\"{when}\"")), [message], "{when}");
    }
}

#[test]
fn what_can_never_be_equal_is_a_mistake_at_its_place() {
    insta::assert_snapshot!(shown("owner.name != \"grüße\" && token.id == 4711"), @r#"
    error[bad-expression]: `token.id` is a text, and never equal to a number
     --> policy.yaml:5:50, at `tokens.rules[0].when`
      |
    5 |       when: owner.name != "grüße" && token.id == 4711
      |                                                  ^^^^
    help: write a text, such as `"4711"`
    "#);
    insta::assert_snapshot!(shown("token.id in [\"4710\", 4711]"), @r#"
    error[bad-expression]: `token.id` is a text, and never equal to a number
     --> policy.yaml:5:34, at `tokens.rules[0].when`
      |
    5 |       when: token.id in ["4710", 4711]
      |                                  ^^^^
    help: write a text, such as `"4711"`
    "#);
    for (when, message) in [
        ("4711 == token.id", "`token.id` is a text, and never equal to a number"),
        ("token.id != 4711", "`token.id` is a text, and never equal to a number"),
        ("token.id in [4711]", "`token.id` is a text, and never equal to a number"),
        (
            "token.id in (owner.active == true ? ['1'] : [2])",
            "`token.id` is a text, and never equal to a number",
        ),
        ("token.id in ['1'] + [2]", "`token.id` is a text, and never equal to a number"),
        ("[token.id] == [4711]", "`token.id` is a text, and never equal to a number"),
        ("token.id == (owner.active == true ? '1' : 2)", "`token.id` is a text, and never equal to a number"),
        (
            "(owner.active == true ? token.id : token.description) == 4711",
            "this is a text, and never equal to a number",
        ),
        ("token.id == -4711", "`token.id` is a text, and never equal to a number"),
        ("token.id == 4711u", "`token.id` is a text, and never equal to a number"),
        ("token.id == 47.11", "`token.id` is a text, and never equal to a number"),
        ("owner.name == 5", "`owner.name` is a text, and never equal to a number"),
        ("token.scope == true", "`token.scope` is a text, and never equal to true or false"),
        ("owner.active == 'true'", "`owner.active` is true or false, and never equal to a text"),
        ("owner.active == 1", "`owner.active` is true or false, and never equal to a number"),
        ("token.description == null", "`token.description` is a text, and never null"),
        ("null != token.created", "`token.created` is a timestamp, and never null"),
        ("now == null", "`now` is a timestamp, and never null"),
        ("token.expires == '2026-01-01'", "`token.expires` is a timestamp, and never equal to a text"),
        ("token.created > '2026-01-01'", "`token.created` is a timestamp: `>` cannot compare it with a text"),
        ("'2026-01-01' <= now", "`now` is a timestamp: `<=` cannot compare it with a text"),
        ("now - token.created > 30", "this is a duration: `>` cannot compare it with a number"),
        ("size(token.description) > '80'", "this is a number: `>` cannot compare it with a text"),
        ("token.description.size() == '80'", "this is a number, and never equal to a text"),
        ("now.getFullYear() == '2026'", "this is a number, and never equal to a text"),
        ("token.id + 1 == '2'", "`+` cannot take a text and a number"),
        ("now + 30 > token.created", "`+` cannot take a timestamp and a number"),
        ("token.id == '7' && token.last_used + 1 > now", "`+` cannot take a timestamp and a number"),
        ("token.id == '7' && token.id", "`&&` cannot take a text"),
        ("token.id == '7' && !token.id", "`!` cannot take a text"),
        ("token.id == '7' ? true : 'no'", "the expression must be true or false"),
        ("token.id == '7' && (token.id ? true : false)", "`? :` cannot take a text"),
        ("token.id == '7' && token.id.startsWith(4)", "`startsWith` cannot take a number"),
        ("token.id == '7' && now.contains('4')", "`contains` cannot take a timestamp"),
        ("token.id == '7' && token.id.getHours() == 4", "`getHours` cannot take a text"),
        ("token.id == '7' && token.id in '47'", "`in` cannot take a text"),
        ("token.scope == (token.id == '7' ? 'readwrite' : 'unset')", "this is never `readwrite`"),
    ] {
        assert_eq!(messages(&format!("\"{when}\"")), [message], "{when}");
    }
}

#[test]
fn what_can_never_be_equal_is_told_with_what_to_write() {
    for (when, help) in [
        ("owner.active == 1", "write true or false, such as `true`"),
        ("owner.active != 0", "write true or false, such as `false`"),
        ("'no' == owner.active", "write true or false, such as `false`"),
        ("owner.active == 'yes'", "write true or false, such as `true`"),
        ("owner.active == 'false'", "write true or false, such as `false`"),
        ("owner.active in [true, 1]", "write true or false, such as `true`"),
        ("owner.active == token.id", "write true or false, such as `true`"),
        ("token.scope == 2", "write a text, such as `\"read-only\"`"),
        ("owner.kind != 1", "write a text, such as `\"user\"`"),
        ("owner.name == true", "write a text, such as `\"true\"`"),
        ("size(token.description) == '80'", "write a number, such as `80`"),
        ("size(token.description) > true", "write a number, such as `30`"),
        ("token.id == '7' && 1", "write true or false, such as `token.id == \"4711\"`"),
    ] {
        let text = shown(&format!("\"{when}\""));
        assert!(text.contains(&format!("help: {help}\n")), "{when}: {text}");
    }
}

#[test]
fn what_can_be_equal_is_no_mistake() {
    for when in [
        "token.expires == null || token.expires < now",
        "token.created_by == null || owner.active == null || owner.project == null",
        "token.id in ['4711', '4712'] || token.id in []",
        "token.last_used != null && now - token.last_used > duration('720h') - duration('1h')",
        "(token.expires == null ? now : token.expires) - token.created > duration('720h')",
        "size(token.description) > 3 && size(token.description) < 80 && now.getFullYear() == 2026",
        "token.description + '-' + token.id == 'nightly-1'",
        "token.created + duration('24h') < now && now - duration('1h') > token.created",
        "(token.expires == null) == (token.last_used == null)",
        "token.created == timestamp('2026-01-01T00:00:00Z')",
        "['a', 'b'] == ['a'] || [token.id] == ['1']",
        "null == null || 1 == 1.0",
    ] {
        let found = messages(&format!("\"{when}\""));
        let found: Vec<_> = found.iter().filter(|found| !found.starts_with("the expression fails")).collect();
        assert_eq!(found, [""; 0], "{when}");
    }
}

#[test]
fn names_compare_without_regard_to_case_wherever_they_stand() {
    for when in [
        "owner.name == (token.id == '1' ? 'MARY' : 'Sam')",
        "(token.id == '1' ? owner.name : owner.kind) == 'MARY'",
        "owner.name in ['Sam'] + ['MARY']",
        "[owner.name] == ['MARY']",
        "owner.name + '-BOT' == 'Mary-bot'",
    ] {
        assert!(finds(&format!("\"{when}\""), &mary()), "{when}");
    }
}

#[test]
fn names_of_rules_are_checked() {
    let codes = |name: &str| {
        let text = yaml("'true'", "report").replace("own-rule", name);
        let reading = policy::read(&[(Arc::from("policy.yaml"), text.into_bytes())]);
        reading.diagnostics.iter().map(|found| found.code.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(codes("a-1"), [""; 0]);
    for name in ["A", "a_b", "-a", "a-", "a--b", "1a", "'a b'", "lifetime", "default", &"a".repeat(65)] {
        assert!(codes(name).contains(&"bad-rule-name"), "{name}");
    }
}

fn layered(layers: &[&str]) -> Vec<String> {
    let files: Vec<_> = layers
        .iter()
        .zip(["a.yaml", "b.yaml"])
        .map(|(text, name)| (Arc::from(name), format!("version: 1\ntokens: {{{text}}}\n").into_bytes()))
        .collect();
    let reading = policy::read(&files);
    reading
        .diagnostics
        .iter()
        .map(|found| format!("{} {} {}", found.span.place, found.code, found.path))
        .collect()
}

#[test]
fn own_rules_of_all_layers_are_there_and_may_be_named_in_any() {
    let rule = |name: &str| format!("rules: [{{name: {name}, when: 'true', message: m}}]");
    assert_eq!(layered(&["enforcement: {one: revoke}", &rule("one")]), [""; 0]);
    assert_eq!(
        layered(&[&rule("one"), &format!("{}, enforcement: {{one: narrow, two: report}}", rule("two"))]),
        [""; 0]
    );
    assert_eq!(layered(&[&rule("one"), &rule("one")]), ["b.yaml:2 duplicate-entry tokens.rules[0].name"]);
    assert_eq!(
        layered(&[&rule("one"), "enforcement: {onee: revoke}"]),
        ["b.yaml:2 unknown-rule tokens.enforcement.onee"]
    );
    assert_eq!(
        layered(&[&rule("one"), "rules: unmanaged, enforcement: {one: revoke}"]),
        ["b.yaml:2 unknown-rule tokens.enforcement.one"]
    );
}

#[test]
fn a_list_of_own_rules_has_an_end() {
    let rules = |count: usize| {
        let rule = |index| format!("{{name: r{index}, when: 'true', message: m}}");
        format!("rules: [{}]", (0..count).map(rule).collect::<Vec<_>>().join(", "))
    };
    assert_eq!(layered(&[&rules(200)]), [""; 0]);
    assert_eq!(layered(&[&rules(201)]), ["a.yaml:2 out-of-range tokens.rules"]);
    // Each layer is short enough, all together are not.
    assert_eq!(
        layered(&[&rules(150), &rules(150).replace("name: r", "name: s")]),
        ["b.yaml:2 out-of-range tokens.rules"]
    );
}

#[test]
fn no_expression_makes_the_reader_hang_or_overflow() {
    let deep = |open: &str, close: &str, count| format!("{}true{}", open.repeat(count), close.repeat(count));
    for when in [
        "(".repeat(1_000),
        deep("(", ")", 498),
        deep("[", "]", 498),
        format!("token{}", ".a".repeat(495)),
        format!("token{}", "[0]".repeat(330)),
        "size(".repeat(200),
        format!("1{}", " + 1".repeat(249)),
        format!("true{}", " && true".repeat(124)),
        format!("{}true", "true ? true : ".repeat(70)),
        format!("1{}", " in 1".repeat(199)),
        format!("token.id{}", ".size()".repeat(140)),
        "{".repeat(1_000),
        "\"".repeat(999),
        "€@#$%^".repeat(160),
        "x".repeat(100_000),
        "token.description.matches('((((a{100}){100}){100}){100})')".to_owned(),
        "now - duration('9999999999h') < now".to_owned(),
        "9223372036854775807 + 1 > 0".to_owned(),
        "1 / 0 > 0".to_owned(),
    ] {
        let quoted = serde_json::to_string(&when).unwrap();
        let started = std::time::Instant::now();
        assert!(!messages(&quoted).is_empty(), "{when}");
        assert!(started.elapsed().as_secs() < 5, "{when}");
    }
    for sign in ["!", "-"] {
        assert_eq!(
            messages(&format!("\"{}\"", deep(sign, "", 990))),
            [""; 0],
            "not deep at all: it is `true`"
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_an_expression_panic(when in "[a-z0-9.()\\[\\]{}!?:&|<>=+*/%\"', \\\\é€-]{0,60}") {
        let _ = tokenwarden::model::Expression::new(&when);
    }

    #[test]
    fn no_mixture_of_words_makes_an_expression_panic(
        words in proptest::collection::vec(
            proptest::sample::select(&["token", "owner", "now", ".", "scope", "groups", "in", "==", "<", "&&", "||", "(", ")",
                "'x'", "null", "1", "!", "-", "+", "[", "]", ",", "?", ":", "last_used", "duration", "timestamp", "size", "matches"][..]),
            0..14,
        )
    ) {
        let text = words.join(" ");
        if let Ok(expression) = tokenwarden::model::Expression::new(&text) {
            let token = bare();
            let facts = tokenwarden::model::expression::Facts::new(&token, None, std::iter::empty(), Timestamp::MIN);
            let _ = expression.holds(&facts);
        }
    }
}

/// The changes of the first plan for `yaml` on `token`, when applying it leaves nothing to do.
fn converging(yaml: &str, token: Token, marks: bool) -> Vec<(&'static str, Vec<String>)> {
    let mut state = State::default();
    state.users.insert("mary".into(), true);
    state.tokens.insert(token.id.clone(), token);
    let world = World::new(if marks { state.with_marks() } else { state });
    let policy = world::policy(yaml);
    let (plan, outcome) = world.apply(&policy, time(NOW));
    assert!(outcome.is_whole());
    assert_eq!(world.plan(&policy, time(NOW)).changes, vec![], "{yaml}");
    let of = |planned: &tokenwarden::plan::PlannedChange| {
        let reasons = planned.reasons.iter();
        let reasons = reasons.map(|reason| format!("{}: {}", reason.rule.as_ref().unwrap(), reason.text));
        (planned.change.verb().word(), reasons.collect())
    };
    plan.changes.iter().filter(|planned| planned.change.token().is_some()).map(of).collect()
}

#[test]
fn what_a_rule_says_of_the_token_as_the_plan_leaves_it_is_part_of_the_plan() {
    let endless = || Token { expires: None, ..mary() };
    let yaml = |when: &str, action: &str, enforcement: &str| {
        yaml(&format!("\"{when}\""), action).replace(
            "  enforcement: {",
            &format!(
                "  limits: [{{max_lifetime: 30d, max_scope: read-only}}]\n  enforcement: {{{enforcement}, "
            ),
        )
    };
    let soon = "token.expires != null && token.expires < now + duration('720h')";
    let then = "own-rule: it is so, once the rest of the plan is done".to_owned();
    let lifetime = "lifetime: no expiry, limit 30d".to_owned();
    let expire = "lifetime: {action: expire, grace: 14d}";
    assert_eq!(
        converging(&yaml(soon, "revoke", expire), endless(), false),
        [("revoke", vec![then.clone(), lifetime.clone()])]
    );
    assert_eq!(
        converging(&yaml(soon, "{action: expire, grace: 3d}", expire), endless(), false),
        [("expire", vec![lifetime.clone(), then.clone()])]
    );
    assert_eq!(
        converging(&yaml(soon, "narrow", expire), endless(), false),
        [("expire", vec![lifetime.clone()]), ("narrow", vec![then.clone()])]
    );
    assert_eq!(
        converging(&yaml(soon, "report", expire), endless(), false),
        [("expire", vec![lifetime.clone()])],
        "nothing comes of it"
    );
    let scope = "scope: read-write, limit read-only".to_owned();
    for marks in [false, true] {
        let narrow = yaml("token.scope == 'read-only'", "revoke", "scope: narrow");
        assert_eq!(converging(&narrow, mary(), marks), [("revoke", vec![then.clone(), scope.clone()])]);
    }
    // A rule that a waiver holds asks for nothing, now or then.
    let waived = format!(
        "{}waivers: [{{token: 1, rules: [own-rule], reason: r, until: 2027-06-30}}]\n",
        yaml(soon, "revoke", expire)
    );
    assert_eq!(converging(&waived, endless(), false), [("expire", vec![lifetime])]);
}

#[test]
fn what_comes_of_one_foreseen_change_is_foreseen_too() {
    let text = "version: 1
tokens:
  rules:
    - {name: a-third, when: 'token.scope == \"read-only\"', message: third}
    - {name: b-second, when: 'token.expires != null', message: second}
  limits: [{max_lifetime: 30d}]
  enforcement: {lifetime: expire, b-second: narrow, a-third: revoke}
";
    let reasons = converging(text, Token { expires: None, ..mary() }, false);
    assert_eq!(reasons.iter().map(|(action, why)| (*action, why.len())).collect::<Vec<_>>(), [("revoke", 3)]);
}

#[test]
fn what_comes_of_too_many_tokens_is_foreseen_too() {
    let text = "version: 1
tokens:
  rules: [{name: soon, when: 'token.expires != null && token.expires < now + duration(\"720h\")', message: soon}]
  limits: [{max_per_owner: 1}]
  enforcement: {per-owner: expire, soon: revoke}
";
    let mut state = State::default();
    state.users.insert("mary".into(), true);
    for (id, last) in
        [("1", "2026-11-20T00:00:00Z"), ("2", "2026-11-21T00:00:00Z"), ("3", "2026-11-19T00:00:00Z")]
    {
        let last_used = Some(LastUse { at: time(last), from: None });
        let token = Token { id: TokenId::new(id), last_used, expires: None, ..mary() };
        state.tokens.insert(token.id.clone(), token);
    }
    let (world, policy) = (World::new(state), world::policy(text));
    let (plan, _) = world.apply(&policy, time(NOW));
    let revoked = plan.changes.iter().filter(|planned| planned.change.verb().word() == "revoke").count();
    assert_eq!(revoked, 2);
    assert_eq!(world.plan(&policy, time(NOW)).changes, vec![]);
}

#[test]
fn a_token_that_is_narrow_enough_already_is_reported_instead_of_passed_over() {
    let mut state = State::default();
    state.users.insert("mary".into(), true);
    let narrow = Token { scope: TokenScope::Set(Scope::ReadOnly), ..mary() };
    state.tokens.insert(narrow.id.clone(), narrow);
    let policy = world::policy(&yaml("token.id == \"1\"", "narrow"));
    let plan = World::new(state).plan(&policy, time(NOW));
    assert_eq!(plan.changes, vec![]);
    assert_eq!(plan.reported.len(), 1);
}
