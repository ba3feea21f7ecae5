//! That what is said of two conditions is so of any token: random tokens are tried on both.

use jiff::ToSpan;
use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-07-01T08:00:00Z";

fn change(before: &str, after: &str) -> Option<ConditionChange> {
    let [before, after] =
        [before, after].map(|text| Expression::new(text).unwrap_or_else(|e| panic!("{text}: {e:?}")));
    condition_change(&before, &after, NOW.parse().unwrap())
}

/// `same`, `stricter`, `looser`, `mixed`, or `open` where it is not decided; from the first to the second.
const PAIRS: &[(&str, &str, &str)] = &[
    ("token.scope == \"read-write\"", "\"read-write\" == token.scope", "equivalent"),
    ("token.scope == \"read-write\"", "token.scope != \"read-only\"", "stricter"),
    ("token.scope in [\"read-write\", \"unset\"]", "token.scope != \"read-only\"", "equivalent"),
    (
        "!(owner.kind == \"user\" && token.scope == \"unset\")",
        "owner.kind != \"user\" || token.scope != \"unset\"",
        "equivalent",
    ),
    (
        "\"a\" in owner.groups || \"b\" in owner.groups",
        "\"b\" in owner.groups || \"A\" in owner.groups",
        "equivalent",
    ),
    ("\"a\" in owner.groups", "\"a\" in owner.groups || \"b\" in owner.groups", "stricter"),
    ("\"a\" in owner.groups", "\"b\" in owner.groups", "mixed"),
    ("owner.active == false", "owner.active != true", "stricter"),
    ("token.expires == null", "token.expires == null || token.expires > now", "stricter"),
    // Nothing is tried on a token that has expired.
    ("token.expires != null", "token.expires != null && token.expires > now", "equivalent"),
    ("now - token.created > duration(\"720h\")", "now - token.created > duration(\"43200m\")", "equivalent"),
    ("now - token.created > duration(\"720h\")", "now - token.created >= duration(\"720h\")", "stricter"),
    ("now - token.created > duration(\"720h\")", "now - token.created > duration(\"719h\")", "stricter"),
    (
        "token.expires != null && token.expires - token.created > duration(\"24h\")",
        "token.expires != null && token.expires - token.created > duration(\"48h\")",
        "looser",
    ),
    (
        "token.created < timestamp(\"2026-01-01T00:00:00Z\")",
        "token.created < timestamp(\"2026-01-01T01:00:00+01:00\")",
        "equivalent",
    ),
    (
        "token.last_used == null",
        "token.last_used == null || now - token.last_used > duration(\"240h\")",
        "stricter",
    ),
    ("token.description.startsWith(\"OPS-\")", "token.description.startsWith(\"OPS\")", "stricter"),
    (
        "token.description.contains(\"x\")",
        "token.description.startsWith(\"x\") || token.description.endsWith(\"x\")",
        "looser",
    ),
    ("token.description == \"\"", "!token.description.contains(\"\")", "looser"),
    ("owner.name == \"Root\"", "owner.name in [\"root\"]", "equivalent"),
    (
        "owner.name.startsWith(\"svc-\")",
        "owner.name.startsWith(\"svc-\") && owner.kind == \"user\"",
        "looser",
    ),
    (
        "owner.project == \"plat\" && owner.kind == \"project\"",
        "owner.name == \"plat\" && owner.kind == \"project\"",
        "equivalent",
    ),
    ("token.created_by != null && token.created_by != \"x\"", "token.created_by != \"x\"", "stricter"),
    ("token.last_used_from == null", "token.last_used == null", "looser"),
    ("token.last_used != null && token.last_used_from == null", "token.last_used_from == null", "stricter"),
    // What goes beyond is left open.
    ("token.description.matches(\"^A\")", "token.description.startsWith(\"A\")", "open"),
    ("token.created_by == owner.name", "owner.name == token.created_by", "open"),
    ("token.description.size() > 3", "token.description.size() >= 4", "open"),
    ("token.created.getHours() > 3", "token.created.getHours() >= 4", "open"),
    ("token.description.contains(\"*\")", "token.description.contains(\"*\") || false", "open"),
];

#[test]
fn each_change_of_a_condition_that_can_be_decided_is() {
    for (before, after, expected) in PAIRS {
        let word = |change: Option<ConditionChange>| change.map_or("open", |change| change.shift.word());
        assert_eq!(
            word(change(before, after)),
            *expected,
            "{before} -> {after}: {:?}",
            change(before, after)
        );
        let back = match *expected {
            "stricter" => "looser",
            "looser" => "stricter",
            other => other,
        };
        assert_eq!(word(change(after, before)), back, "{after} -> {before}");
    }
}

#[test]
fn what_cannot_be_computed_is_told_apart_from_what_can() {
    // The distance to the year 9999 is more than CEL can hold: the one fails there, and the other one finds it.
    let far = "token.expires != null && token.expires - now > duration(\"24h\")";
    let near = "token.expires != null && token.expires > now + duration(\"24h\")";
    assert_eq!(change(far, near).map(|change| change.shift), Some(Shift::STRICTER));
    assert_eq!(change(near, near).map(|change| change.shift), Some(Shift::SAME));
}

fn atom() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec!["", "a", "ab", "b"]);
    let of = prop::sample::select(vec!["token.description", "token.id", "owner.name"]);
    let maybe = prop::sample::select(vec!["token.created_by", "owner.project", "owner.repository"]);
    let method = prop::sample::select(vec!["startsWith", "endsWith", "contains"]);
    let is = prop::sample::select(vec!["==", "!="]);
    let order = prop::sample::select(vec!["<", "<=", ">", ">=", "=="]);
    let hours = prop::sample::select(vec![0_i64, 1, 24, -24]);
    let span = prop::sample::select(vec![
        "now - token.created",
        "token.created - now",
        "(now - token.created) - (now - token.created)",
    ]);
    prop_oneof![
        (of.clone(), is.clone(), text.clone()).prop_map(|(of, is, text)| format!("{of} {is} \"{text}\"")),
        (of, method.clone(), text.clone())
            .prop_map(|(of, method, text)| format!("{of}.{method}(\"{text}\")")),
        (maybe.clone(), is.clone(), text.clone()).prop_map(|(of, is, text)| format!("{of} {is} \"{text}\"")),
        (maybe, method, text)
            .prop_map(|(of, method, text)| format!("({of} != null && {of}.{method}(\"{text}\"))")),
        (is.clone(), prop::sample::select(vec!["read-only", "read-write", "unset"]))
            .prop_map(|(is, scope)| format!("token.scope {is} \"{scope}\"")),
        (is.clone(), prop::sample::select(vec!["user", "project"]))
            .prop_map(|(is, kind)| format!("owner.kind {is} \"{kind}\"")),
        (is.clone(), prop::sample::select(vec!["true", "false", "null"]))
            .prop_map(|(is, active)| format!("owner.active {is} {active}")),
        prop::sample::select(vec!["a", "b"]).prop_map(|group| format!("\"{group}\" in owner.groups")),
        (is.clone(), prop::sample::select(vec!["token.expires", "token.last_used", "token.last_used_from"]))
            .prop_map(|(is, of)| format!("{of} {is} null")),
        (span, order.clone(), hours.clone())
            .prop_map(|(span, order, hours)| format!("{span} {order} duration(\"{hours}h\")")),
        (prop::sample::select(vec!["expires", "last_used"]), order.clone(), hours.clone()).prop_map(
            |(of, order, hours)| format!(
                "(token.{of} != null && token.{of} {order} now + duration(\"{hours}h\"))"
            )
        ),
        (prop::sample::select(vec!["token.created", "now"]), order)
            .prop_map(|(of, order)| format!("{of} {order} timestamp(\"2026-07-01T08:00:00Z\")")),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    atom().prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one} && {other})")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one} || {other})")),
            inner.clone().prop_map(|one| format!("!({one})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

/// A token at random, of the texts and distances that conditions here ask for and of others.
fn example() -> impl Strategy<Value = TokenExample> {
    let text = || prop::sample::select(vec!["a", "b", "ab", "ba", "bab", "c", "ac"]);
    let groups = prop::collection::btree_set(prop::sample::select(vec!["a", "b"]), 0..3);
    let at = || {
        let hours = prop::sample::select(vec![-900_i64, -25, -24, -1, 0, 1, 24, 25]);
        (hours, -1_i64..=1)
    };
    let owner = (0..3_u8, text(), text(), prop::option::of(any::<bool>()), groups);
    let words = (text(), prop_oneof![Just(""), text()], prop::option::of(text()));
    let times = (at(), at(), prop::option::of((at(), any::<bool>())), prop::option::of(at()));
    (owner, words, 0..3_u8, times).prop_map(
        |((kind, name, project, active, groups), (id, words, creator), scope, times)| {
            let moment = |(hours, nanoseconds): (i64, i64), from: Timestamp| {
                from + hours.hours().nanoseconds(nanoseconds)
            };
            let (now, created, used, expires) = times;
            let now = moment(now, NOW.parse().unwrap());
            let (owner, active, groups) = match kind {
                0 => (Owner::User(name.into()), active, groups.into_iter().map(GroupName::new).collect()),
                1 => (Owner::Project(name.to_owned()), None, BTreeSet::new()),
                _ => (
                    Owner::Repository { project: project.to_owned(), slug: name.to_owned() },
                    None,
                    BTreeSet::new(),
                ),
            };
            let scopes =
                [TokenScope::Set(Scope::ReadOnly), TokenScope::Set(Scope::ReadWrite), TokenScope::Unset];
            let token = Token {
                id: TokenId::new(id),
                owner,
                description: words.to_owned(),
                scope: scopes[usize::from(scope)],
                created: moment(created, now),
                created_by: creator.map(UserName::new),
                last_used: used.map(|(at, is_known)| LastUse {
                    at: moment(at, now),
                    from: is_known.then_some([10, 0, 0, 1].into()),
                }),
                expires: expires.map(|at| moment(at, now)),
                mark: None,
            };
            TokenExample { token, groups, active, now, asked: Arc::default() }
        },
    )
}

proptest! {
    #[test]
    fn no_token_contradicts_what_is_said_of_two_conditions(
        before in condition(),
        after in prop_oneof![condition(), Just(String::new())],
        mutated in atom(),
        examples in prop::collection::vec(example(), 100),
    ) {
        // Mostly something like the first one.
        let after = if after.is_empty() { format!("{before} || {mutated}") } else { after };
        let (Ok(before), Ok(after)) = (Expression::new(&before), Expression::new(&after)) else { return Ok(()) };
        let Some(change) = condition_change(&before, &after, NOW.parse().unwrap()) else { return Ok(()) };
        prop_assert_eq!(change.example.is_some(), change.shift != Shift::SAME);
        if let Some(example) = &change.example {
            let [was, is] = [&before, &after].map(|condition| example.is_found(condition) == Some(true));
            prop_assert_ne!(was, is, "{:?}", example);
        }
        for example in examples.into_iter().filter(|one| !one.token.is_expired(one.now)) {
            let [was, is] = [&before, &after].map(|condition| example.is_found(condition));
            prop_assert!(change.fails || was.is_none() == is.is_none(), "{before:?} {after:?} {example:?}");
            let [was, is] = [was, is].map(|found| found == Some(true));
            prop_assert!(was <= is || change.shift.looser, "{before:?} {after:?} {example:?}");
            prop_assert!(was >= is || change.shift.stricter, "{before:?} {after:?} {example:?}");
        }
    }
}
