//! The kinds of values in an expression, and a static check that its comparisons can hold: CEL itself calls a
//! text and a number unequal without a word.

use std::ops::{BitOr, Range};

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, SourceInfo, operators},
};
use jiff::{Timestamp, civil::Date};

use super::{BadExpression, check::shown, facts};

/// The kinds that a value may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const NULL: Self = Self(1);
    pub(super) const TEXT: Self = Self(1 << 1);
    pub(super) const NUMBER: Self = Self(1 << 2);
    pub(super) const TRUTH: Self = Self(1 << 3);
    pub(super) const TIME: Self = Self(1 << 4);
    pub(super) const DURATION: Self = Self(1 << 5);
    pub(super) const LIST: Self = Self(1 << 6);
    const BYTES: Self = Self(1 << 7);
    const NONE: Self = Self(0);
    const ANY: Self = Self(u8::MAX);

    const WORDS: [(Self, &str); 8] = [
        (Self::TEXT, "a text"),
        (Self::NUMBER, "a number"),
        (Self::TRUTH, "true or false"),
        (Self::TIME, "a timestamp"),
        (Self::DURATION, "a duration"),
        (Self::LIST, "a list"),
        (Self::BYTES, "bytes"),
        (Self::NULL, "null"),
    ];

    /// The same, or null.
    pub(super) const fn or_null(self) -> Self {
        Self(self.0 | Self::NULL.0)
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn without_null(self) -> Self {
        Self(self.0 & !Self::NULL.0)
    }

    /// Such as `a text`; of a value that may be null what it is otherwise.
    fn words(self) -> &'static str {
        Self::WORDS.iter().find(|(kind, _)| self.meets(*kind)).map_or("nothing", |(_, words)| words)
    }
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What arithmetic makes of two kinds.
const ARITHMETIC: &[(&str, Kinds, Kinds, Kinds)] = &[
    (operators::ADD, Kinds::NUMBER, Kinds::NUMBER, Kinds::NUMBER),
    (operators::ADD, Kinds::TEXT, Kinds::TEXT, Kinds::TEXT),
    (operators::ADD, Kinds::BYTES, Kinds::BYTES, Kinds::BYTES),
    (operators::ADD, Kinds::LIST, Kinds::LIST, Kinds::LIST),
    (operators::ADD, Kinds::TIME, Kinds::DURATION, Kinds::TIME),
    (operators::ADD, Kinds::DURATION, Kinds::TIME, Kinds::TIME),
    (operators::ADD, Kinds::DURATION, Kinds::DURATION, Kinds::DURATION),
    (operators::SUBSTRACT, Kinds::NUMBER, Kinds::NUMBER, Kinds::NUMBER),
    (operators::SUBSTRACT, Kinds::TIME, Kinds::TIME, Kinds::DURATION),
    (operators::SUBSTRACT, Kinds::TIME, Kinds::DURATION, Kinds::TIME),
    (operators::SUBSTRACT, Kinds::DURATION, Kinds::DURATION, Kinds::DURATION),
    (operators::MULTIPLY, Kinds::NUMBER, Kinds::NUMBER, Kinds::NUMBER),
    (operators::DIVIDE, Kinds::NUMBER, Kinds::NUMBER, Kinds::NUMBER),
    (operators::MODULO, Kinds::NUMBER, Kinds::NUMBER, Kinds::NUMBER),
];

/// The values that `part` may be, each by itself: the branches of `? :`.
pub(super) fn branches(part: &IdedExpr) -> Vec<&IdedExpr> {
    match &part.expr {
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            call.args.iter().skip(1).flat_map(branches).collect()
        }
        _ => vec![part],
    }
}

/// The elements of the lists that `part` may be, as far as they are written out.
pub(super) fn elements(part: &IdedExpr) -> Vec<&IdedExpr> {
    match &part.expr {
        Expr::List(list) => list.elements.iter().flat_map(branches).collect(),
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            call.args.iter().skip(1).flat_map(elements).collect()
        }
        Expr::Call(call) if call.func_name == operators::ADD => call.args.iter().flat_map(elements).collect(),
        _ => Vec::new(),
    }
}

/// Everything in `tree` that compares or combines values of kinds that do not go together. The names in it were
/// checked before; its places are in `source`.
pub(super) fn check(tree: &IdedExpr, source: &SourceInfo) -> Vec<BadExpression> {
    let mut checker = Checker { source, mistakes: Vec::new() };
    let help = "compare its result with something";
    for branch in branches(tree).into_iter().filter(|branch| !kinds(branch).meets(Kinds::TRUTH)) {
        checker.mistake(branch, "the expression must be true or false".to_owned(), help.to_owned());
    }
    checker.part(tree);
    checker.mistakes
}

fn kinds(part: &IdedExpr) -> Kinds {
    match &part.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => Kinds::TRUTH,
        Expr::Literal(LiteralValue::Bytes(_)) => Kinds::BYTES,
        Expr::Literal(LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_)) => {
            Kinds::NUMBER
        }
        Expr::Literal(LiteralValue::Null) => Kinds::NULL,
        Expr::Literal(LiteralValue::String(_)) => Kinds::TEXT,
        Expr::List(_) => Kinds::LIST,
        Expr::Ident(name) if name == "now" => Kinds::TIME,
        Expr::Select(select) => {
            fact(select).and_then(|(of, member)| facts::kinds(of, member)).unwrap_or(Kinds::ANY)
        }
        Expr::Call(call) => of_call(call),
        _ => Kinds::ANY,
    }
}

fn of_call(call: &CallExpr) -> Kinds {
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::CONDITIONAL, [_, holds, otherwise]) => kinds(holds) | kinds(otherwise),
        (operators::NEGATE, [of]) => kinds(of),
        ("timestamp", _) => Kinds::TIME,
        ("duration", _) => Kinds::DURATION,
        ("size", _) => Kinds::NUMBER,
        (part_of_time, _) if part_of_time.starts_with("get") => Kinds::NUMBER,
        (operator, [left, right]) if ARITHMETIC.iter().any(|(known, ..)| *known == operator) => {
            match arithmetic(operator, kinds(left), kinds(right)) {
                // That is a mistake by itself, and no further one follows from it.
                Kinds::NONE => Kinds::ANY,
                made => made,
            }
        }
        _ => Kinds::TRUTH,
    }
}

fn arithmetic(operator: &str, left: Kinds, right: Kinds) -> Kinds {
    let fitting = ARITHMETIC
        .iter()
        .filter(|(known, of, with, _)| *known == operator && left.meets(*of) && right.meets(*with));
    fitting.fold(Kinds::NONE, |made, (.., result)| made | *result)
}

struct Checker<'a> {
    source: &'a SourceInfo,
    mistakes: Vec<BadExpression>,
}

impl Checker<'_> {
    fn part(&mut self, part: &IdedExpr) {
        match &part.expr {
            Expr::List(list) => list.elements.iter().for_each(|element| self.part(element)),
            Expr::Call(call) => {
                self.call(call);
                call.target.iter().map(AsRef::as_ref).chain(&call.args).for_each(|part| self.part(part));
            }
            _ => {}
        }
    }

    fn call(&mut self, call: &CallExpr) {
        let function = call.func_name.as_str();
        match (function, call.args.as_slice()) {
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => self.equal(left, right),
            (operators::IN, [value, list]) => {
                self.takes(function, list, Kinds::LIST);
                for element in elements(list) {
                    self.equal(value, element);
                }
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                if let Some((odd, other)) = odd_one(left, right, Kinds::without_null) {
                    let message = format!(
                        "{}: `{}` cannot compare it with {}",
                        is(other),
                        shown(function),
                        kinds(odd).words()
                    );
                    self.mistake(odd, message, instead(odd, kinds(other), Some(other)));
                }
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, operands) => {
                for operand in operands {
                    self.takes(function, operand, Kinds::TRUTH);
                }
            }
            (operators::CONDITIONAL, [condition, ..]) => self.takes(function, condition, Kinds::TRUTH),
            (operators::NEGATE, [of]) => self.takes(function, of, Kinds::NUMBER | Kinds::DURATION),
            ("size", of) => {
                if let Some(of) = call.target.as_deref().or(of.first()) {
                    self.takes(function, of, Kinds::TEXT | Kinds::LIST);
                }
            }
            ("startsWith" | "endsWith" | "contains" | "matches", of) => {
                let texts = call.target.as_deref().into_iter().chain(of);
                texts.for_each(|text| self.takes(function, text, Kinds::TEXT));
            }
            (part_of_time, _) if part_of_time.starts_with("get") => {
                if let Some(of) = call.target.as_deref() {
                    self.takes(function, of, Kinds::TIME | Kinds::DURATION);
                }
            }
            (operator, [left, right])
                if ARITHMETIC.iter().any(|(known, ..)| *known == operator)
                    && arithmetic(operator, kinds(left), kinds(right)) == Kinds::NONE =>
            {
                let (left_words, right_words) = (kinds(left).words(), kinds(right).words());
                let message = format!("`{}` cannot take {left_words} and {right_words}", shown(operator));
                self.mistake(right, message, instead(right, kinds(left), None));
            }
            _ => {}
        }
    }

    /// Reports what is on one side of `==`, and never what is on the other one.
    fn equal(&mut self, left: &IdedExpr, right: &IdedExpr) {
        if let (Expr::List(of), Expr::List(with)) = (&left.expr, &right.expr) {
            of.elements.iter().zip(&with.elements).for_each(|(one, other)| self.equal(one, other));
        } else if let Some((odd, other)) = odd_one(left, right, |kinds| kinds) {
            let message = match kinds(odd) {
                Kinds::NULL => format!("{}, and never null", is(other)),
                kinds => format!("{}, and never equal to {}", is(other), kinds.words()),
            };
            self.mistake(odd, message, instead(odd, kinds(other), Some(other)));
        }
    }

    /// Reports the values of `part` that `function` cannot take.
    fn takes(&mut self, function: &str, part: &IdedExpr, wanted: Kinds) {
        for branch in branches(part).into_iter().filter(|branch| !kinds(branch).meets(wanted)) {
            let message = format!("`{}` cannot take {}", shown(function), kinds(branch).words());
            self.mistake(branch, message, instead(branch, wanted, None));
        }
    }

    fn mistake(&mut self, part: &IdedExpr, message: String, help: String) {
        let mistake = BadExpression { at: self.place(part), message, help: Some(help), replacement: None };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    /// Where `part` stands: a literal as a whole, a member by its name, another part by its first character.
    fn place(&self, part: &IdedExpr) -> Option<Range<usize>> {
        let (first, last) = self.source.offset_for(part.id)?;
        let (first, last) = (usize::try_from(first).ok()?, usize::try_from(last).ok()?);
        let behind = self.source.source.get(first..)?;
        let place = match &part.expr {
            Expr::Literal(_) => first..last + 1,
            Expr::Select(select) => {
                let start = first + behind.find(&select.field)?;
                start..start + select.field.len()
            }
            _ => first..first + behind.chars().next()?.len_utf8(),
        };
        self.source.source.get(place.clone()).map(|_| place)
    }
}

/// Of two values of kinds that do not go together, the one to be written in another way, then the other: a
/// branch of one side that is nothing that the other side can be, rather a literal than a fact. `seen` says
/// which of the kinds matter.
fn odd_one<'e>(
    left: &'e IdedExpr,
    right: &'e IdedExpr,
    seen: fn(Kinds) -> Kinds,
) -> Option<(&'e IdedExpr, &'e IdedExpr)> {
    let odd = |of: &'e IdedExpr, other: &IdedExpr| {
        branches(of).into_iter().find(|branch| !seen(kinds(branch)).meets(seen(kinds(other))))
    };
    let is_literal = |part: &IdedExpr| matches!(part.expr, Expr::Literal(_));
    match (odd(left, right), odd(right, left)) {
        (Some(odd), Some(other)) if is_literal(odd) && !is_literal(other) => Some((odd, right)),
        (_, Some(odd)) => Some((odd, left)),
        (Some(odd), None) => Some((odd, right)),
        (None, None) => None,
    }
}

/// The variable and the member of a fact, such as `token` and `id`.
fn fact(select: &SelectExpr) -> Option<(&str, &str)> {
    match &select.operand.expr {
        Expr::Ident(of) => Some((of, &select.field)),
        _ => None,
    }
}

/// One of the few words that `part` can be, when it is such a fact.
fn word_of(part: &IdedExpr) -> Option<&'static str> {
    let Expr::Select(select) = &part.expr else { return None };
    match fact(select)? {
        ("token", "scope") => Some("read-only"),
        ("owner", "kind") => Some("user"),
        _ => None,
    }
}

/// What `part` is, such as ``"`token.id` is a text"``.
fn is(part: &IdedExpr) -> String {
    let words = kinds(part).words();
    match &part.expr {
        Expr::Ident(name) => format!("`{name}` is {words}"),
        Expr::Select(select) => match fact(select) {
            Some((of, member)) => format!("`{of}.{member}` is {words}"),
            None => format!("this is {words}"),
        },
        _ => format!("this is {words}"),
    }
}

/// What to write in place of `odd` where `wanted` is what goes, and it is compared with `other`, if with anything.
fn instead(odd: &IdedExpr, wanted: Kinds, other: Option<&IdedExpr>) -> String {
    let literal = match &odd.expr {
        Expr::Literal(literal) => Some(literal),
        _ => None,
    };
    let text = match literal {
        Some(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    };
    let written = match literal {
        Some(LiteralValue::Int(number)) => Some(number.inner().to_string()),
        Some(LiteralValue::UInt(number)) => Some(number.inner().to_string()),
        Some(LiteralValue::Boolean(truth)) => Some(truth.inner().to_string()),
        _ => None,
    };
    let moment = |text: &str| {
        let day = || text.parse::<Date>().ok().map(|day| format!("{day}T00:00:00Z"));
        text.parse::<Timestamp>().ok().map(|moment| moment.to_string()).or_else(day)
    };
    let example = if literal == Some(&LiteralValue::Null) {
        return "remove the comparison: the other side is never null".to_owned();
    } else if let Some(word) = other.and_then(word_of) {
        format!("\"{word}\"")
    } else if wanted.meets(Kinds::TEXT) {
        format!("\"{}\"", written.as_deref().unwrap_or(".."))
    } else if wanted.meets(Kinds::TIME) {
        let moment = text.and_then(moment).unwrap_or_else(|| "2027-01-31T00:00:00Z".to_owned());
        format!("timestamp(\"{moment}\")")
    } else if wanted.meets(Kinds::DURATION) {
        "duration(\"720h\")".to_owned()
    } else if wanted.meets(Kinds::TRUTH) {
        match text.or(written.as_deref()) {
            Some("false" | "no" | "off" | "0") => "false".to_owned(),
            Some("true") => "true".to_owned(),
            _ if other.is_some() => "true".to_owned(),
            _ => "token.id == \"4711\"".to_owned(),
        }
    } else if wanted.meets(Kinds::NUMBER) {
        text.filter(|text| text.parse::<i64>().is_ok()).unwrap_or("30").to_owned()
    } else {
        "[\"..\"]".to_owned()
    };
    format!("write {}, such as `{example}`", wanted.words())
}
