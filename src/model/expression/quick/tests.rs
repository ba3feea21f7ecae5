//! The quick way answers what CEL does, whatever the expression and the token.

use cel::Value;
use fastrand::Rng;
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::model::{
    Expression, GroupName, LastUse, Owner, Scope, Token, TokenId, TokenScope, expression::Facts,
};

/// Makes expressions, most of which fit together.
struct Growth<'a>(&'a mut Rng);

impl Growth<'_> {
    fn one<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.0.usize(..words.len())]
    }

    fn condition(&mut self, depth: u32) -> String {
        if depth > 0 && self.0.u8(..3) > 0 {
            let [one, other] = [self.condition(depth - 1), self.condition(depth - 1)];
            return match self.0.u8(..4) {
                0 => format!("({one} && {other})"),
                1 => format!("({one} || {other})"),
                2 => format!("!{one}"),
                _ => format!("({} ? {one} : {other})", self.condition(depth - 1)),
            };
        }
        let order = self.one(&["<", "<=", ">", ">=", "==", "!="]);
        let equal = self.one(&["==", "!="]);
        match self.0.u8(..11) {
            0 | 1 => format!("({} {order} {})", self.time(1), self.time(1)),
            2 => format!("({} {order} {})", self.span(1), self.span(1)),
            3 => format!("({} {order} {})", self.text(), self.text()),
            4 => {
                let way = self.one(&["startsWith", "endsWith", "contains", "matches"]);
                format!(
                    "{}.{way}('{}')",
                    self.text(),
                    self.one(&["OPS", "", "^[a-z]+$", "y", "read-only", "("])
                )
            }
            5 => format!("({} in [{}, {}])", self.text(), self.text(), self.text()),
            6 => format!("('{}' in owner.groups)", self.one(&["staff", "STAFF", "ops", ""])),
            7 => format!("({} {equal} {})", self.anything(), self.one(&["null", "true", "false", "'mary'"])),
            8 => self.one(&["owner.active", "true", "false", "(token.description.size() > 3)"]).to_owned(),
            9 => format!("({} {order} {})", self.anything(), self.anything()),
            _ => self.anything(),
        }
    }

    fn text(&mut self) -> String {
        let fact = self.one(&[
            "token.id",
            "token.description",
            "token.scope",
            "token.created_by",
            "token.last_used_from",
            "owner.name",
            "owner.kind",
            "owner.project",
            "owner.repository",
            "'mary'",
            "'read-only'",
            "'10.0.0.1'",
            "''",
        ]);
        if self.0.u8(..9) == 0 {
            format!("({} ? {fact} : 'app')", self.condition(0))
        } else {
            fact.to_owned()
        }
    }

    fn time(&mut self, depth: u32) -> String {
        if depth > 0 && self.0.u8(..3) == 0 {
            let sign = self.one(&["+", "-"]);
            return format!("({} {sign} {})", self.time(depth - 1), self.span(0));
        }
        self.one(&[
            "now",
            "token.created",
            "token.last_used",
            "token.expires",
            "timestamp('2026-11-23T12:00:00Z')",
            "timestamp('0001-01-01T00:00:00Z')",
            "timestamp('9999-12-31T23:59:59.5+01:00')",
            "timestamp('2016-12-31T23:59:60Z')",
            "timestamp('x')",
        ])
        .to_owned()
    }

    fn span(&mut self, depth: u32) -> String {
        if depth > 0 && self.0.bool() {
            let sign = self.one(&["+", "-"]);
            return if self.0.bool() {
                format!("({} - {})", self.time(depth - 1), self.time(depth - 1))
            } else {
                format!("({} {sign} {})", self.span(depth - 1), self.span(depth - 1))
            };
        }
        let span = ["24h", "2400h", "-1.5s", "0s", "2562047h47m16.854775807s", "2562047h", "1ns", "x"];
        format!("duration('{}')", self.one(&span))
    }

    fn anything(&mut self) -> String {
        match self.0.u8(..5) {
            0 => self.text(),
            1 => self.time(1),
            2 => self.span(1),
            3 => self
                .one(&["null", "true", "5", "1.5", "[]", "['mary']", "owner.groups", "owner.active"])
                .to_owned(),
            _ => self.condition(0),
        }
    }
}

fn moment(rng: &mut Rng) -> Timestamp {
    match rng.u8(..6) {
        0 => Timestamp::MIN,
        1 => Timestamp::MAX,
        2 => Timestamp::new(-1, -500_000_000).unwrap(),
        3 => "2026-11-23T12:00:00Z".parse().unwrap(),
        4 => "2026-11-24T12:00:00.000000001Z".parse().unwrap(),
        _ => Timestamp::from_second(rng.i64(1_600_000_000..1_900_000_000)).unwrap(),
    }
}

fn token(rng: &mut Rng) -> Token {
    let owners = [
        Owner::User("Mary".into()),
        Owner::User("read-only".into()),
        Owner::Project("PLAT".to_owned()),
        Owner::Repository { project: "Mary".to_owned(), slug: "App".to_owned() },
    ];
    let scopes = [
        TokenScope::Unset,
        TokenScope::Unknown,
        TokenScope::Set(Scope::ReadOnly),
        TokenScope::Set(Scope::ReadWrite),
    ];
    let descriptions = ["", "OPS-1 nightly", "mary", "read-only"];
    let addresses = ["10.0.0.1", "::ffff:10.0.0.1", "::1"];
    let from = rng.bool().then(|| addresses[rng.usize(..3)].parse().unwrap());
    Token {
        id: TokenId::new(["1", "mary"][rng.usize(..2)]),
        owner: owners[rng.usize(..4)].clone(),
        description: descriptions[rng.usize(..4)].to_owned(),
        scope: scopes[rng.usize(..4)],
        created: moment(rng),
        created_by: rng.bool().then(|| "Mary".into()),
        last_used: rng.bool().then(|| LastUse { at: moment(rng), from }),
        expires: rng.bool().then(|| moment(rng)),
        mark: None,
    }
}

proptest! {
    #[test]
    fn what_is_answered_quickly_is_what_cel_answers(seed: u64) {
        let rng = &mut Rng::with_seed(seed);
        let text = Growth(rng).condition(2);
        let tree = facts::environment().parser().parse(&text).unwrap();
        let quick = Quick::new(&tree);
        for _ in 0..20 {
            let token = token(rng);
            let groups = [GroupName::new("Staff"), GroupName::new("ops")];
            let groups = groups.iter().take(rng.usize(..3));
            let active = [None, Some(true), Some(false)][rng.usize(..3)];
            let facts = Facts::new(&token, active, groups, moment(rng));
            if let Some(holds) = quick.holds(&facts) {
                let said = Value::resolve(&tree, facts.context());
                prop_assert_eq!(said.ok(), Some(Value::Bool(holds)), "{} of {:?}", text, token);
            }
        }
    }
}

#[test]
fn usual_conditions_are_answered_quickly() {
    for text in [
        r#"token.scope == "read-write" && "administrators" in owner.groups"#,
        r#"token.last_used != null && now - token.last_used > duration("2400h")"#,
        r#"token.expires == null || token.expires - token.created > duration("8000h")"#,
        r#"token.description.matches("^OPS-[0-9]+") || owner.kind in ["project", "repository"]"#,
        r#"owner.active == false && token.created < timestamp("2026-01-01T00:00:00Z")"#,
        r#"owner.kind == "user" && !token.description.startsWith("OPS") && owner.name != "mary""#,
    ] {
        let expression = Expression::new(text).unwrap();
        let rng = &mut Rng::with_seed(3);
        for _ in 0..50 {
            let (token, now) = (token(rng), "2026-11-23T12:00:00Z".parse().unwrap());
            let facts = Facts::new(&token, Some(true), [].into_iter(), now);
            let fails = expression.evaluate(&facts).is_err();
            assert!(fails || expression.quick.holds(&facts).is_some(), "{text} of {token:?}");
        }
    }
}
