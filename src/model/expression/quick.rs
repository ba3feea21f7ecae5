//! The quick way to try an expression on a token: its tree with what is written out in it read once, tried on the facts
//! without making values of CEL from them. It answers where it is certain what CEL would: of all else, and of all
//! that fails, CEL is asked.

use std::cmp::Ordering;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, operators},
};
use regex::Regex;

use super::facts::{self, Fact, Facts, Seen};

#[cfg(test)]
mod tests;

/// A part of an expression.
#[derive(Debug)]
pub(super) enum Quick {
    /// It is written out.
    Fixed(Seen<'static>),
    Member(Fact),
    Now,
    Not(Box<Self>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    /// The second part if the first holds, otherwise the third.
    If(Box<[Self; 3]>),
    Equal(Box<[Self; 2]>),
    Ordered(Ordering, Box<[Self; 2]>),
    Add(Box<[Self; 2]>),
    Subtract(Box<[Self; 2]>),
    /// It is one of those in a list.
    IsIn(Box<Self>, Vec<Self>),
    /// The owner is in the group of this name.
    IsMember(String),
    Begins(Box<Self>, String),
    Ends(Box<Self>, String),
    Contains(Box<Self>, String),
    Matches(Box<Self>, Regex),
    /// What only CEL knows.
    Unknown,
}

/// The moments that CEL can make from others, in nanoseconds since 1970: the years 1 to 9999.
const TIMES: [i128; 2] = [-62_135_596_800_000_000_000, 253_402_300_799_999_999_999];

impl Quick {
    /// That of the expression `part`.
    pub(super) fn new(part: &IdedExpr) -> Self {
        Self::read(part).unwrap_or(Self::Unknown)
    }

    /// Whether it holds for `facts`; `None` when CEL must say.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::Not(part) => part.holds(facts).map(|holds| !holds),
            // Either part decides by itself, even when the other one fails.
            Self::And(parts) => Self::decided(false, parts, facts),
            Self::Or(parts) => Self::decided(true, parts, facts),
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.holds(facts)? { then.holds(facts) } else { otherwise.holds(facts) }
            }
            Self::Equal(parts) => {
                let [left, right] = parts.each_ref().map(|part| part.seen(facts));
                Some(left? == right?)
            }
            Self::Ordered(ordering, parts) => {
                let [left, right] = parts.each_ref().map(|part| part.seen(facts));
                Some(left?.compared(&right?)? == *ordering)
            }
            Self::IsIn(part, list) => {
                let seen = part.seen(facts)?;
                let mut list = list.iter().map(|part| part.seen(facts));
                list.try_fold(false, |found, element| Some(found | (element? == seen)))
            }
            Self::IsMember(group) => Some(facts.is_member(group)),
            Self::Begins(part, text) => part.text(facts, |of| of.starts_with(text)),
            Self::Ends(part, text) => part.text(facts, |of| of.ends_with(text)),
            Self::Contains(part, text) => part.text(facts, |of| of.contains(text)),
            Self::Matches(part, pattern) => part.text(facts, |of| pattern.is_match(of)),
            Self::Fixed(_) | Self::Member(_) => match self.seen(facts)? {
                Seen::Truth(holds) => Some(holds),
                _ => None,
            },
            Self::Now | Self::Add(_) | Self::Subtract(_) | Self::Unknown => None,
        }
    }

    /// `deciding` if one of `parts` is that, the other one if none is.
    fn decided(deciding: bool, parts: &[Self; 2], facts: &Facts<'_>) -> Option<bool> {
        let [left, right] = parts;
        let left = left.holds(facts);
        if left == Some(deciding) {
            return left;
        }
        let right = right.holds(facts);
        if right == Some(deciding) { right } else { left.and(right) }
    }

    /// Whether the text here `is` so.
    fn text(&self, facts: &Facts<'_>, is: impl FnOnce(&str) -> bool) -> Option<bool> {
        match self.seen(facts)? {
            Seen::Text(text) => Some(is(&text)),
            _ => None,
        }
    }

    /// The value for `facts`; `None` when CEL must say.
    fn seen<'t>(&'t self, facts: &Facts<'t>) -> Option<Seen<'t>> {
        let both = |parts: &'t [Self; 2]| {
            let [left, right] = parts;
            Some([left.seen(facts)?, right.seen(facts)?])
        };
        match self {
            Self::Fixed(Seen::Text(text)) => Some(Seen::Text(text.as_ref().into())),
            Self::Fixed(seen) => Some(seen.clone()),
            Self::Member(Fact::Groups) | Self::Unknown => None,
            Self::Member(fact) => Some(facts.seen(*fact)),
            Self::Now => Some(facts.now()),
            Self::Add(parts) => match both(parts)? {
                [Seen::Time(at), Seen::Span(of)] | [Seen::Span(of), Seen::Time(at)] => time(at + of),
                [Seen::Span(one), Seen::Span(other)] => span(one + other),
                _ => None,
            },
            Self::Subtract(parts) => match both(parts)? {
                [Seen::Time(at), Seen::Span(of)] => time(at - of),
                [Seen::Time(one), Seen::Time(other)] | [Seen::Span(one), Seen::Span(other)] => {
                    span(one - other)
                }
                _ => None,
            },
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.holds(facts)? { then.seen(facts) } else { otherwise.seen(facts) }
            }
            truth => truth.holds(facts).map(Seen::Truth),
        }
    }

    fn read(part: &IdedExpr) -> Option<Self> {
        Some(match &part.expr {
            Expr::Literal(LiteralValue::Null) => Self::Fixed(Seen::Null),
            Expr::Literal(LiteralValue::Boolean(truth)) => Self::Fixed(Seen::Truth(*truth.inner())),
            Expr::Literal(LiteralValue::String(text)) => {
                Self::Fixed(Seen::Text(text.inner().to_owned().into()))
            }
            Expr::Ident(name) if name == "now" => Self::Now,
            Expr::Select(select) if !select.test => match &select.operand.expr {
                Expr::Ident(of) => Self::Member(facts::fact(of, &select.field)?),
                _ => return None,
            },
            Expr::Call(call) => Self::call(part, call)?,
            _ => return None,
        })
    }

    fn call(part: &IdedExpr, call: &CallExpr) -> Option<Self> {
        let boxed = |part| Box::new(Self::new(part));
        let both = |left, right| Box::new([Self::new(left), Self::new(right)]);
        let not = |part| Self::Not(Box::new(part));
        Some(match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            ("timestamp" | "duration", None, [_]) => Self::Fixed(Seen::of(&facts::constant(part)?)?),
            (operators::LOGICAL_NOT, None, [of]) => not(Self::new(of)),
            (operators::LOGICAL_AND, None, [left, right]) => Self::And(both(left, right)),
            (operators::LOGICAL_OR, None, [left, right]) => Self::Or(both(left, right)),
            (operators::CONDITIONAL, None, [condition, then, otherwise]) => {
                Self::If(Box::new([condition, then, otherwise].map(Self::new)))
            }
            (operators::EQUALS, None, [left, right]) => Self::Equal(both(left, right)),
            (operators::NOT_EQUALS, None, [left, right]) => not(Self::Equal(both(left, right))),
            (operators::LESS, None, [left, right]) => Self::Ordered(Ordering::Less, both(left, right)),
            (operators::GREATER_EQUALS, None, [left, right]) => {
                not(Self::Ordered(Ordering::Less, both(left, right)))
            }
            (operators::GREATER, None, [left, right]) => Self::Ordered(Ordering::Greater, both(left, right)),
            (operators::LESS_EQUALS, None, [left, right]) => {
                not(Self::Ordered(Ordering::Greater, both(left, right)))
            }
            (operators::ADD, None, [left, right]) => Self::Add(both(left, right)),
            (operators::SUBSTRACT, None, [left, right]) => Self::Subtract(both(left, right)),
            (operators::IN, None, [of, list]) => match (&list.expr, literal(of), Self::new(list)) {
                (Expr::List(list), ..) if list.optional_indices.is_empty() => {
                    Self::IsIn(boxed(of), list.elements.iter().map(Self::new).collect())
                }
                (_, Some(group), Self::Member(Fact::Groups)) => Self::IsMember(group.to_owned()),
                _ => return None,
            },
            ("startsWith", Some(of), [text]) => Self::Begins(boxed(of), literal(text)?.to_owned()),
            ("endsWith", Some(of), [text]) => Self::Ends(boxed(of), literal(text)?.to_owned()),
            ("contains", Some(of), [text]) => Self::Contains(boxed(of), literal(text)?.to_owned()),
            ("matches", Some(of), [text]) => Self::Matches(boxed(of), Regex::new(literal(text)?).ok()?),
            _ => return None,
        })
    }
}

impl Seen<'_> {
    /// The order of two texts, moments or durations; others have none.
    fn compared(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Time(one), Self::Time(other)) | (Self::Span(one), Self::Span(other)) => {
                Some(one.cmp(other))
            }
            _ => None,
        }
    }
}

/// A moment that was computed.
fn time(at: i128) -> Option<Seen<'static>> {
    let [first, last] = TIMES;
    (first..=last).contains(&at).then_some(Seen::Time(at))
}

/// A duration that was computed.
fn span(of: i128) -> Option<Seen<'static>> {
    i64::try_from(of).is_ok().then_some(Seen::Span(of))
}

fn literal(part: &IdedExpr) -> Option<&str> {
    match &part.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
