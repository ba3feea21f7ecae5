//! What an expression asks of a token, where that is nothing but what tokens can be told apart by in finitely many
//! ways. What it makes of the answers is not looked at: for that it is evaluated.

use std::collections::BTreeSet;

use cel::{
    IdedExpr, Value,
    common::ast::{CallExpr, Expr, LiteralValue, operators},
};
use jiff::Timestamp;

use super::facts;

/// What an expression asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Atoms {
    /// Which patterns, with `*` for any text, each text is compared with.
    pub texts: BTreeSet<(TextFact, String)>,
    /// At which distances two moments are told apart.
    pub thresholds: BTreeSet<Threshold>,
    /// The members that it asks for, such as `scope`; those of `token` and of `owner` have different names.
    pub members: BTreeSet<String>,
}

/// A text of a token or of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the members of the same names")]
pub enum TextFact {
    Id,
    Description,
    CreatedBy,
    OwnerName,
    OwnerProject,
    OwnerRepository,
}

/// A moment that an expression knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// The beginning of 1970, UTC, which fixed moments are seen from.
    Epoch,
    /// `now`.
    Now,
    /// `token.created`.
    Created,
    /// `token.last_used`.
    LastUsed,
    /// `token.expires`.
    Expires,
}

/// It makes a difference whether `of` is before, at or after `nanoseconds` behind `since`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold {
    /// The one moment.
    pub of: Moment,
    /// The other one.
    pub since: Moment,
    /// The distance; negative when it is about a moment before `since`.
    pub nanoseconds: i128,
}

/// The moments that CEL can hold, in nanoseconds since 1970: the years 1 to 9999.
const TIMES: [i128; 2] = [-62_135_596_800_000_000_000, 253_402_300_799_999_999_999];
/// The durations that it can hold, in nanoseconds.
const DURATIONS: [i128; 2] = [i64::MIN as i128, i64::MAX as i128];

/// A moment or a duration: the sum of some moments without others, and of nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Term {
    plus: Vec<Moment>,
    minus: Vec<Moment>,
    nanoseconds: i128,
    is_time: bool,
}

/// What the expression `tree` asks; `None` when some of it goes beyond what can be told apart.
pub(super) fn of(tree: &IdedExpr) -> Option<Atoms> {
    let mut atoms = Atoms::default();
    atoms.condition(tree)?;
    Some(atoms)
}

impl Atoms {
    /// What both ask.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.texts.extend(other.texts);
        self.thresholds.extend(other.thresholds);
        self.members.extend(other.members);
        self
    }

    /// Whether `member` is asked for.
    #[must_use]
    pub fn ask_for(&self, member: &str) -> bool {
        self.members.contains(member)
    }

    fn condition(&mut self, part: &IdedExpr) -> Option<()> {
        match &part.expr {
            Expr::Call(call)
                if [
                    operators::LOGICAL_AND,
                    operators::LOGICAL_OR,
                    operators::LOGICAL_NOT,
                    operators::CONDITIONAL,
                ]
                .contains(&call.func_name.as_str()) =>
            {
                call.args.iter().try_for_each(|part| self.condition(part))
            }
            _ if is_of_few(part) => {
                self.remember(part);
                Some(())
            }
            Expr::Call(call) => self.atom(call),
            _ => None,
        }
    }

    /// Remembers the members in `part`.
    fn remember(&mut self, part: &IdedExpr) {
        match &part.expr {
            Expr::Select(select) => {
                self.members.insert(select.field.clone());
            }
            Expr::Call(call) => {
                call.target.iter().map(AsRef::as_ref).chain(&call.args).for_each(|part| self.remember(part));
            }
            Expr::List(list) => list.elements.iter().for_each(|part| self.remember(part)),
            _ => {}
        }
    }

    fn atom(&mut self, call: &CallExpr) -> Option<()> {
        call.target.iter().map(AsRef::as_ref).chain(&call.args).for_each(|part| self.remember(part));
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::IN, None, [value, list]) => {
                let Expr::List(list) = &list.expr else { return None };
                list.elements.iter().try_for_each(|element| self.equal(value, element))
            }
            (operators::EQUALS | operators::NOT_EQUALS, None, [left, right]) => self.equal(left, right),
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                None,
                [left, right],
            ) => self.compared(left, right),
            ("startsWith", Some(of), [text]) => self.text(of, literal(text)?, ["", "*"]),
            ("endsWith", Some(of), [text]) => self.text(of, literal(text)?, ["*", ""]),
            ("contains", Some(of), [text]) => self.text(of, literal(text)?, ["*", "*"]),
            _ => None,
        }
    }

    fn equal(&mut self, left: &IdedExpr, right: &IdedExpr) -> Option<()> {
        for (one, other) in [(left, right), (right, left)] {
            if is_null(other) && (moment(one).is_some() || text_fact(one).is_some() || is_address(one)) {
                return Some(());
            }
            if let (Some(_), Some(text)) = (text_fact(one), literal(other)) {
                return self.text(one, text, ["", ""]);
            }
        }
        self.compared(left, right)
    }

    /// That the text at `of` is compared with `text` between `around`.
    fn text(&mut self, of: &IdedExpr, text: &str, [before, behind]: [&str; 2]) -> Option<()> {
        let fact = text_fact(of)?;
        let is_name = !matches!(fact, TextFact::Id | TextFact::Description);
        // Names are in lower case, and nothing else is ever like one.
        let is_plain = !text.contains('*') && (!is_name || text.to_lowercase() == text);
        is_plain.then(|| {
            self.texts.insert((fact, [before, text, behind].concat()));
        })
    }

    /// That two moments, or two durations, are compared.
    fn compared(&mut self, left: &IdedExpr, right: &IdedExpr) -> Option<()> {
        let (left, right) = (self.term(left)?, self.term(right)?);
        (left.is_time == right.is_time).then_some(())?;
        self.told_apart(&left.less(right), &[0])
    }

    /// The moment or duration that `part` is; what cannot be computed is told apart from what can.
    fn term(&mut self, part: &IdedExpr) -> Option<Term> {
        if let Some(moment) = moment(part) {
            return Some(Term { plus: vec![moment], is_time: true, ..Term::default() });
        }
        let Expr::Call(call) = &part.expr else { return None };
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("timestamp" | "duration", _) => constant(part),
            (operators::ADD, [left, right]) => {
                let (left, right) = (self.term(left)?, self.term(right)?);
                (!(left.is_time && right.is_time)).then_some(())?;
                self.made(left.more(right))
            }
            (operators::SUBSTRACT, [left, right]) => {
                let (left, right) = (self.term(left)?, self.term(right)?);
                (left.is_time || !right.is_time).then_some(())?;
                self.made(left.less(right))
            }
            _ => None,
        }
    }

    /// `term`, which is computed: that fails beyond what can be held.
    fn made(&mut self, term: Term) -> Option<Term> {
        self.told_apart(&term, if term.is_time { &TIMES } else { &DURATIONS })?;
        Some(term)
    }

    /// That `term` is told apart at each of `bounds`.
    fn told_apart(&mut self, term: &Term, bounds: &[i128]) -> Option<()> {
        let (of, since) = match (term.plus.as_slice(), term.minus.as_slice()) {
            // It is the same for all tokens.
            ([], []) => return Some(()),
            ([of], []) => (*of, Moment::Epoch),
            ([], [since]) => (Moment::Epoch, *since),
            ([of], [since]) => (*of, *since),
            _ => return None,
        };
        let thresholds = bounds.iter().map(|bound| bound - term.nanoseconds);
        self.thresholds.extend(thresholds.map(|nanoseconds| Threshold { of, since, nanoseconds }));
        Some(())
    }
}

impl Term {
    fn more(mut self, other: Self) -> Self {
        self.plus.extend(other.plus);
        self.minus.extend(other.minus);
        self.nanoseconds += other.nanoseconds;
        self.is_time |= other.is_time;
        // What is added and taken away again makes no difference.
        for moment in std::mem::take(&mut self.minus) {
            match self.plus.iter().position(|plus| *plus == moment) {
                Some(index) => drop(self.plus.swap_remove(index)),
                None => self.minus.push(moment),
            }
        }
        self
    }

    fn less(self, other: Self) -> Self {
        // The distance of two moments is none.
        let is_time = self.is_time && !other.is_time;
        let negated = Self { plus: other.minus, minus: other.plus, nanoseconds: -other.nanoseconds, is_time };
        Self { is_time, ..self.more(negated) }
    }
}

/// Whether `part` has nothing but facts of which there are few, which are tried all, and what is written out.
fn is_of_few(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Literal(_) => true,
        Expr::Select(_) => ["scope", "kind", "active", "groups"]
            .iter()
            .any(|few| member(part).is_some_and(|(_, of)| of == *few)),
        Expr::List(list) => list.elements.iter().all(is_of_few),
        Expr::Call(call) => call.target.iter().map(AsRef::as_ref).chain(&call.args).all(is_of_few),
        _ => false,
    }
}

fn member(part: &IdedExpr) -> Option<(&str, &str)> {
    let Expr::Select(select) = &part.expr else { return None };
    match &select.operand.expr {
        Expr::Ident(of) => Some((of, &select.field)),
        _ => None,
    }
}

fn text_fact(part: &IdedExpr) -> Option<TextFact> {
    match member(part)? {
        ("token", "id") => Some(TextFact::Id),
        ("token", "description") => Some(TextFact::Description),
        ("token", "created_by") => Some(TextFact::CreatedBy),
        ("owner", "name") => Some(TextFact::OwnerName),
        ("owner", "project") => Some(TextFact::OwnerProject),
        ("owner", "repository") => Some(TextFact::OwnerRepository),
        _ => None,
    }
}

fn is_address(part: &IdedExpr) -> bool {
    member(part) == Some(("token", "last_used_from"))
}

fn moment(part: &IdedExpr) -> Option<Moment> {
    match (&part.expr, member(part)) {
        (Expr::Ident(name), _) if name == "now" => Some(Moment::Now),
        (_, Some(("token", "created"))) => Some(Moment::Created),
        (_, Some(("token", "last_used"))) => Some(Moment::LastUsed),
        (_, Some(("token", "expires"))) => Some(Moment::Expires),
        _ => None,
    }
}

fn literal(part: &IdedExpr) -> Option<&str> {
    match &part.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn is_null(part: &IdedExpr) -> bool {
    matches!(&part.expr, Expr::Literal(LiteralValue::Null))
}

/// What is written out as a moment or a duration.
fn constant(part: &IdedExpr) -> Option<Term> {
    let nanoseconds = |seconds: i64, rest: i128| i128::from(seconds) * 1_000_000_000 + rest;
    Some(match facts::constant(part)? {
        Value::Timestamp(at) => Term {
            nanoseconds: nanoseconds(at.timestamp(), at.timestamp_subsec_nanos().into()),
            is_time: true,
            ..Term::default()
        },
        Value::Duration(of) => {
            Term { nanoseconds: nanoseconds(of.num_seconds(), of.subsec_nanos().into()), ..Term::default() }
        }
        _ => return None,
    })
}

/// The first and the last moment that a token can have as an expression sees it, in nanoseconds since 1970, UTC.
#[must_use]
pub fn moments() -> [i128; 2] {
    let [first, _] = TIMES;
    [first, Timestamp::MAX.as_nanosecond()]
}
