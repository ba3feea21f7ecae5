//! The check of the tree of an expression: the same tree with names in lower case and the groups that it
//! asks for, or every unknown name, member, function and word in it. Nothing is evaluated.

use std::{collections::BTreeSet, ops::Range};

use cel::{
    IdedExpr,
    common::{
        ast::{CallExpr, Expr, LiteralValue, SelectExpr, SourceInfo, operators},
        types::CelString,
    },
};

use crate::model::{GroupName, Pattern};

use super::{BadExpression, facts, kinds};

/// Parts of an expression, at most.
const PARTS_AT_MOST: usize = 200;
/// Parts inside each other, at most; chains of operators count as well.
const DEPTH_AT_MOST: usize = 48;

/// The operators that there are.
const OPERATORS: &[&str] = &[
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::IN,
];

/// The functions that take one literal text.
const OF_LITERAL: &[&str] = &["timestamp", "duration"];
/// The functions behind a dot, with how many arguments.
const METHODS: &[(&str, usize)] = &[
    ("size", 0),
    ("startsWith", 1),
    ("endsWith", 1),
    ("contains", 1),
    ("matches", 1),
    ("getFullYear", 0),
    ("getMonth", 0),
    ("getDate", 0),
    ("getDayOfWeek", 0),
    ("getDayOfYear", 0),
    ("getHours", 0),
    ("getMinutes", 0),
    ("getSeconds", 0),
];

/// The result of a check without a mistake.
pub(super) struct Checked {
    pub(super) tree: IdedExpr,
    pub(super) groups: BTreeSet<GroupName>,
    /// The texts that something must be equal to, each with its place.
    pub(super) texts: Vec<(Option<Range<usize>>, String)>,
}

/// Checks `tree`, whose places are in `source`.
pub(super) fn check(mut tree: IdedExpr, source: &SourceInfo) -> Result<Checked, Vec<BadExpression>> {
    let (groups, texts, mistakes) = (BTreeSet::new(), Vec::new(), Vec::new());
    let mut checker = Checker { source, parts: 0, groups, texts, mistakes };
    checker.part(&mut tree, 0);
    if checker.parts > PARTS_AT_MOST {
        let message = format!("the expression has more than {PARTS_AT_MOST} parts");
        return Err(vec![BadExpression::whole(message, "split it into several rules")]);
    }
    if checker.mistakes.is_empty() {
        checker.mistakes = kinds::check(&tree, source);
    }
    if checker.mistakes.is_empty() {
        Ok(Checked { tree, groups: checker.groups, texts: checker.texts })
    } else {
        Err(checker.mistakes)
    }
}

/// An operator as people write it.
pub(super) fn shown(function: &str) -> &str {
    match function {
        operators::CONDITIONAL => "? :",
        operators::IN => "in",
        other => other.trim_matches('_'),
    }
}

struct Checker<'a> {
    source: &'a SourceInfo,
    parts: usize,
    groups: BTreeSet<GroupName>,
    texts: Vec<(Option<Range<usize>>, String)>,
    mistakes: Vec<BadExpression>,
}

impl Checker<'_> {
    fn part(&mut self, part: &mut IdedExpr, depth: usize) {
        self.parts += 1;
        // INVARIANT: nothing descends further, neither here nor when the expression is evaluated.
        if depth > DEPTH_AT_MOST || self.parts > PARTS_AT_MOST {
            self.parts = PARTS_AT_MOST + 1;
            return;
        }
        let id = part.id;
        match &mut part.expr {
            Expr::Literal(_) => {}
            Expr::List(list) => list.elements.iter_mut().for_each(|element| self.part(element, depth + 1)),
            Expr::Ident(name) => {
                let name = name.clone();
                self.variable(id, &name);
            }
            Expr::Select(select) => self.select(id, select),
            Expr::Call(call) => self.call(id, call, depth),
            Expr::Map(_) | Expr::Struct(_) | Expr::Comprehension(_) | Expr::Unspecified => {
                self.mistake(id, "", "this is not allowed here", "an expression consists of comparisons");
            }
        }
    }

    /// A name that stands by itself.
    fn variable(&mut self, id: u64, name: &str) {
        match name {
            "now" => {}
            "token" | "owner" => {
                let message = format!("`{name}` needs a member here");
                self.mistake(id, name, &message, &known("the members are", &facts::members(name)));
            }
            other => {
                let message = format!("unknown variable `{other}`");
                self.unknown(id, other, &message, "the variables are", &["token", "owner", "now"]);
            }
        }
    }

    fn select(&mut self, id: u64, select: &SelectExpr) {
        let members = match &select.operand.expr {
            Expr::Ident(name) if ["token", "owner", "now"].contains(&name.as_str()) => facts::members(name),
            Expr::Ident(name) => return self.variable(select.operand.id, name),
            _ => Vec::new(),
        };
        let field = select.field.as_str();
        if !members.contains(&field) {
            let message = format!("unknown member `{field}`");
            self.unknown(id, field, &message, "the members are", &members);
        } else if field == "groups" {
            let help = "write `\"NAME\" in owner.groups`";
            self.mistake(
                id,
                field,
                "`owner.groups` works only on the right of `in`, with one name on the \
                                     left",
                help,
            );
        }
    }

    fn call(&mut self, id: u64, call: &mut CallExpr, depth: usize) {
        if [operators::EQUALS, operators::NOT_EQUALS, operators::IN].contains(&call.func_name.as_str()) {
            let sides = call.args.iter();
            for part in sides.flat_map(|side| [kinds::branches(side), kinds::elements(side)]).flatten() {
                let compared = literal(part).map(|text| (self.named(part.id, text), text.to_owned()));
                self.texts.extend(compared);
            }
        }
        if call.func_name == operators::IN && self.is_membership(id, call) {
            self.parts += 2;
            return;
        }
        self.words(call);
        fold_names(call);
        let function = call.func_name.as_str();
        let count = call.args.len();
        let is_known = match &call.target {
            None => {
                OPERATORS.contains(&function)
                    || (function == "size" && count == 1)
                    || OF_LITERAL.contains(&function)
            }
            Some(_) => METHODS.contains(&(function, count)),
        };
        if !is_known {
            return self.unknown_function(id, function, count);
        }
        if OF_LITERAL.contains(&function)
            && !matches!(call.args.as_slice(), [only] if literal(only).is_some())
        {
            let message = format!("`{function}` takes one text in quotes");
            let help = "write `duration(\"720h\")` or `timestamp(\"2027-01-31T00:00:00Z\")`";
            self.mistake(id, function, &message, help);
        }
        if function == "matches" {
            self.pattern(id, call);
        }
        for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
            self.part(part, depth + 1);
        }
    }

    fn unknown_function(&mut self, id: u64, function: &str, count: usize) {
        match function {
            operators::INDEX => {
                self.mistake(
                    id,
                    "[",
                    "lookup in brackets is not supported",
                    "write a member, such as `token.id`",
                );
            }
            operators::HAS => {
                let help = "every member exists, and is null when absent: write `token.expires != null`";
                self.mistake(id, function, "unknown function `has`", help);
            }
            _ => {
                let plural = if count == 1 { "" } else { "s" };
                let message = format!("unknown function `{}` with {count} argument{plural}", shown(function));
                let names: Vec<&str> =
                    OF_LITERAL.iter().copied().chain(METHODS.iter().map(|(name, _)| *name)).collect();
                self.unknown(id, function, &message, "the functions are", &names);
            }
        }
    }

    /// Whether the call is `"NAME" in owner.groups`; the name is put into lower case then.
    fn is_membership(&mut self, id: u64, call: &mut CallExpr) -> bool {
        let [name, list] = call.args.as_mut_slice() else { return false };
        if !is_member(list, "owner", "groups") {
            return false;
        }
        let Some(group) = literal(name).map(GroupName::new) else {
            let message = "a group must be named by a text in quotes, so that its members can be requested";
            self.mistake(id, "in", message, "write `\"NAME\" in owner.groups`");
            return true;
        };
        name.expr = text(group.folded());
        self.groups.insert(group);
        true
    }

    /// A pattern must be known before it is needed, and cheap.
    fn pattern(&mut self, id: u64, call: &CallExpr) {
        let Some(pattern) = call.args.first().and_then(literal) else {
            return self.mistake(
                id,
                "matches",
                "`matches` takes a regular expression in quotes",
                "write it out",
            );
        };
        if let Err(error) = Pattern::new(pattern) {
            let help = "the syntax is that of https://docs.rs/regex#syntax";
            self.mistake(id, "matches", &error.to_string(), help);
        }
    }

    /// Reports words that a member never is.
    fn words(&mut self, call: &CallExpr) {
        let [left, right] = call.args.as_slice() else { return };
        if ![operators::EQUALS, operators::NOT_EQUALS, operators::IN].contains(&call.func_name.as_str()) {
            return;
        }
        for (member, words) in [(left, right), (right, left)] {
            let known: &[&str] = if is_member(member, "token", "scope") {
                &["read-only", "read-write", "unset"]
            } else if is_member(member, "owner", "kind") {
                &["user", "project", "repository"]
            } else {
                continue;
            };
            for part in kinds::branches(words).into_iter().chain(kinds::elements(words)) {
                if let Some(word) = literal(part).filter(|word| !known.contains(word)) {
                    let message = format!("this is never `{word}`");
                    self.unknown(part.id, word, &message, "it is one of", known);
                }
            }
        }
    }

    /// Reports `name`, which begins at the place of `id` or behind it.
    fn unknown(&mut self, id: u64, name: &str, message: &str, are: &str, all: &[&str]) {
        let help = if all.is_empty() { "a value has no members".to_owned() } else { known(are, all) };
        let replacement = all.iter().find(|word| is_close(name, word)).map(|word| (*word).to_owned());
        let at = self.named(id, name);
        self.mistakes.push(BadExpression { at, message: message.to_owned(), help: Some(help), replacement });
    }

    /// Reports the part `id`, in which or at which `name` stands.
    fn mistake(&mut self, id: u64, name: &str, message: &str, help: &str) {
        let (at, help) = (self.named(id, name), Some(help.to_owned()));
        self.mistakes.push(BadExpression { at, message: message.to_owned(), help, replacement: None });
    }

    /// Where `name` stands: the place of a member is that of its dot, and the place of a call that of
    /// its bracket.
    fn named(&self, id: u64, name: &str) -> Option<Range<usize>> {
        let place = self.source.offset_for(id).and_then(|(start, _)| usize::try_from(start).ok())?;
        let (before, behind) = self.source.source.split_at_checked(place)?;
        let start = match (behind.starts_with('('), before.rfind(name), behind.find(name)) {
            (true, Some(at), _) => at,
            (_, _, Some(at)) => place + at,
            (_, _, None) => return Some(place..place + behind.chars().next().map_or(0, char::len_utf8)),
        };
        Some(start..start + name.len())
    }
}

/// Puts the texts that are compared with names into lower case: names compare without regard to case.
fn fold_names(call: &mut CallExpr) {
    const NAMES: [(&str, &str); 4] =
        [("owner", "name"), ("owner", "project"), ("owner", "repository"), ("token", "created_by")];
    fn has_name(part: &IdedExpr) -> bool {
        NAMES.iter().any(|(of, member)| is_member(part, of, member)) || made_of(part).iter().any(has_name)
    }
    if call.func_name == "matches" || !call.target.iter().map(AsRef::as_ref).chain(&call.args).any(has_name) {
        return;
    }
    call.target.iter_mut().map(AsMut::as_mut).chain(&mut call.args).for_each(fold);
}

/// Puts the texts of `part` into lower case.
fn fold(part: &mut IdedExpr) {
    if let Some(folded) = literal(part).map(str::to_lowercase) {
        part.expr = text(&folded);
    }
    match &mut part.expr {
        Expr::List(list) => list.elements.iter_mut().for_each(fold),
        Expr::Call(call) => {
            let kept = call.args.len() - made_of_call(call).len();
            call.args.iter_mut().skip(kept).for_each(fold);
        }
        _ => {}
    }
}

/// The parts that the value of `part` is made of: elements, branches of `? :`, sides of `+`.
fn made_of(part: &IdedExpr) -> &[IdedExpr] {
    match &part.expr {
        Expr::List(list) => &list.elements,
        Expr::Call(call) => made_of_call(call),
        _ => &[],
    }
}

fn made_of_call(call: &CallExpr) -> &[IdedExpr] {
    match call.func_name.as_str() {
        operators::CONDITIONAL => call.args.get(1..).unwrap_or_default(),
        operators::ADD => &call.args,
        _ => &[],
    }
}

fn is_member(part: &IdedExpr, of: &str, member: &str) -> bool {
    matches!(&part.expr, Expr::Select(select)
        if select.field == member && matches!(&select.operand.expr, Expr::Ident(name) if name == of))
}

fn literal(part: &IdedExpr) -> Option<&str> {
    match &part.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn text(text: &str) -> Expr {
    Expr::Literal(LiteralValue::String(CelString::from(text.to_owned())))
}

fn known(are: &str, words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    format!("{are} {}", quoted.join(", "))
}

fn is_close(written: &str, word: &str) -> bool {
    written.chars().count() <= 64 && strsim::jaro_winkler(&written.to_lowercase(), word) >= 0.85
}
