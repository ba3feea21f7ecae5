//! A condition in the Common Expression Language (<https://cel.dev>) that can be tried on tokens, or what
//! is wrong with its text and where. Nothing makes it hang or overflow: length, depth and parts are
//! limited, there are no loops, and a regular expression is a literal that was compiled before.

mod atoms;
mod check;
mod facts;
mod kinds;
mod quick;

pub use atoms::{Atoms, Moment, TextFact, Threshold, moments};
pub use facts::{Facts, NeededFacts};

use std::{collections::BTreeSet, fmt, ops::Range, sync::Arc};

use cel::{ExecutionError, IdedExpr, ParseErrors, Value};

use super::GroupName;
use quick::Quick;

/// The longest expression, in characters.
const CHARACTERS_AT_MOST: usize = 1_000;
/// Brackets inside each other, at most. The parser needs up to 80 kB of stack for each when it is not
/// optimised.
const DEPTH_AT_MOST: u16 = 10;

/// A condition on a token, its owner and the time. Equal to another one when the text is.
#[derive(Clone)]
pub struct Expression {
    text: String,
    tree: Arc<IdedExpr>,
    quick: Arc<Quick>,
    /// The members whose names are in the text.
    mentioned: Vec<&'static str>,
    groups: BTreeSet<GroupName>,
    texts: Vec<(Option<Range<usize>>, String)>,
}

impl Expression {
    /// Reads `text`, checks every name and member in it, then that what is compared can be equal, and tries
    /// it on sample tokens: with and without last use and expiry, of users, projects and repositories.
    ///
    /// # Errors
    ///
    /// Every mistake that is found in the first of these steps that finds one; never an empty list.
    pub fn new(text: &str) -> Result<Self, Vec<BadExpression>> {
        let length = text.chars().count();
        if length > CHARACTERS_AT_MOST {
            let message = format!("the expression has {length} characters, more than {CHARACTERS_AT_MOST}");
            return Err(vec![BadExpression::whole(message, "split it into several rules")]);
        }
        let parser = facts::environment().parser().max_recursion_depth(DEPTH_AT_MOST).error_recovery_limit(1);
        let parsed = parser.parse_with_source_info(text);
        let (tree, source) = parsed.map_err(|errors| vec![syntax(text, &errors)])?;
        let checked = check::check(tree, &source)?;
        let (groups, texts) = (checked.groups, checked.texts);
        let members = ["token", "owner"].into_iter().flat_map(facts::members);
        let expression = Self {
            text: text.to_owned(),
            quick: Arc::new(Quick::new(&checked.tree)),
            tree: Arc::new(checked.tree),
            mentioned: members.filter(|member| text.contains(member)).collect(),
            groups,
            texts,
        };
        expression.try_on_samples().map_err(|mistake| vec![mistake])?;
        Ok(expression)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it means the same as `other` because it has the same parts in the same order, whatever the blanks and
    /// brackets.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.text == other.text || self.tree.expr == other.tree.expr
    }

    /// What it asks of a token; `None` when some of it goes beyond what can be told apart in finitely many ways.
    #[must_use]
    pub fn atoms(&self) -> Option<Atoms> {
        atoms::of(&self.tree)
    }

    /// The groups whose members it asks for.
    #[must_use]
    pub fn groups(&self) -> &BTreeSet<GroupName> {
        &self.groups
    }

    /// The texts in it that something must be equal to, each with the bytes that it has in the expression where
    /// these can be told.
    pub fn texts(&self) -> impl Iterator<Item = (Option<Range<usize>>, &str)> {
        self.texts.iter().map(|(at, text)| (at.clone(), text.as_str()))
    }

    /// Whether it may ask for `member`, such as `scope`: an expression that merely has the word in a text counts.
    #[must_use]
    pub fn may_ask_for(&self, member: &str) -> bool {
        self.mentioned.contains(&member)
    }

    /// Whether it holds for `facts`.
    ///
    /// # Errors
    ///
    /// When it fails, such as by comparing the last use of a token that has none.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, EvaluationFailed> {
        self.quick.holds(facts).map_or_else(|| self.evaluate(facts), Ok)
    }

    /// What CEL says for `facts`.
    fn evaluate(&self, facts: &Facts<'_>) -> Result<bool, EvaluationFailed> {
        match Value::resolve(&self.tree, facts.context()) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(EvaluationFailed { reason: NO_BOOLEAN.to_owned() }),
            Err(error) => Err(EvaluationFailed { reason: reason(&error) }),
        }
    }

    fn try_on_samples(&self) -> Result<(), BadExpression> {
        let asked = NeededFacts::by([self]);
        for (facts, whose) in facts::samples(&asked, &self.groups) {
            let Err(failed) = self.holds(&facts) else { continue };
            let (message, help) = if failed.reason == NO_BOOLEAN {
                ("the expression must be true or false".to_owned(), "compare its result with something")
            } else {
                let message = format!("the expression fails on {whose}: {failed}");
                (
                    message,
                    "absent values are null: write `token.last_used != null && ..` before the comparison",
                )
            };
            return Err(BadExpression::whole(message, help));
        }
        Ok(())
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadExpression {
    /// The bytes of the text that it is about, from 0; `None` for the expression as a whole.
    pub at: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The literal text to write in place of what it is about.
    pub replacement: Option<String>,
}

impl BadExpression {
    fn whole(message: String, help: &str) -> Self {
        Self { at: None, message, help: Some(help.to_owned()), replacement: None }
    }
}

/// An expression could not be tried on a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EvaluationFailed {
    /// Why; no value of the token is in it.
    pub reason: String,
}

const NO_BOOLEAN: &str = "its result is neither true nor false";

/// Why an evaluation failed, without any value: those come from servers.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchOverload(call) => {
            let types: Vec<&str> = call.argument_types().iter().map(|name| type_word(name)).collect();
            format!("`{}` cannot take {}", check::shown(call.function()), types.join(" and "))
        }
        ExecutionError::Overflow(..) => "a number or a time is out of range".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::FunctionError { function, .. } => format!("`{function}` cannot take this"),
        ExecutionError::ValuesNotComparable(..) => "two values cannot be compared".to_owned(),
        _ => "its parts do not fit together".to_owned(),
    }
}

fn type_word(name: &str) -> &str {
    match name {
        "null_type" => "null",
        "google.protobuf.Timestamp" => "a timestamp",
        "google.protobuf.Duration" => "a duration",
        "string" => "a text",
        "int" | "uint" | "double" => "a number",
        "bool" => "true or false",
        "list" => "a list",
        other => other,
    }
}

/// The first thing that is wrong with `text` as an expression.
fn syntax(text: &str, errors: &ParseErrors) -> BadExpression {
    const HELP: &str = "the language is CEL, https://cel.dev";
    let Some(first) = errors.errors.first().filter(|first| first.source.is_none()) else {
        // What goes beyond its limits, the parser gives up without a place.
        let message = format!(
            "brackets are nested more than {DEPTH_AT_MOST} deep, or this is not an \
                               expression"
        );
        return BadExpression::whole(message, "simplify it, or split it into several rules");
    };
    if first.msg.contains("'<EOF>'") {
        return BadExpression::whole("the expression ends too early".to_owned(), HELP);
    }
    let words = first.msg.lines().next().unwrap_or_default().trim_start_matches("Syntax error: ");
    let words = words.split(" expecting ").next().unwrap_or(words);
    let number = |position: isize| usize::try_from(position).unwrap_or(0);
    let lines = text.split_inclusive('\n').take(number(first.pos.0 - 1)).map(str::len);
    let line_start: usize = lines.sum();
    let line = text.get(line_start..).unwrap_or_default();
    let at = line.char_indices().nth(number(first.pos.1 - 1)).map(|(at, c)| {
        let start = line_start + at;
        start..start + c.len_utf8()
    });
    let message = format!("invalid expression: {words}");
    BadExpression { at, message, help: Some(HELP.to_owned()), replacement: None }
}
