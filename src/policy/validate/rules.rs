//! The list `tokens.rules`: the policy's own rules, and the mistakes in them, each at its place inside the
//! expression where that can be told.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    model::{Expression, Rule, RuleCode, expression::BadExpression},
    yaml::{
        Code, Diagnostic, Diagnostics, Span,
        node::At,
        structure::quoted_list,
        surrounding_space,
        values::{refuse_empty, said},
    },
};

use super::{
    super::{OwnRule, document::EnforcementKeys},
    items_in_their_files,
};

/// Own rules of all layers together, at most: each is tried on every token, and reading one takes time.
/// Those beyond are not looked at.
const RULES_AT_MOST: usize = 200;

/// The own rules in their order, and which rules there are. One with a mistake is left out, but not
/// its name: no further mistake follows from it. `read` are rules that were read before.
pub(super) fn entries(
    tokens: Option<&At<'_>>,
    read: &[&Arc<OwnRule>],
    out: &mut Diagnostics,
) -> (Vec<Arc<OwnRule>>, Known) {
    let mut known = Known { own: BTreeMap::new() };
    let Some(at) = tokens.and_then(|tokens| tokens.get("rules")) else { return (Vec::new(), known) };
    refuse_empty(&at, "rules", out);
    let items = items_in_their_files(&at);
    if items.len() > RULES_AT_MOST {
        let message = format!("there are more than {RULES_AT_MOST} own rules");
        out.push(Diagnostic::error(Code::OutOfRange, at.key, at.path.as_str(), message));
    }
    let mut rules = Vec::new();
    for item in items.into_iter().take(RULES_AT_MOST) {
        let named = item.get("name").and_then(|at| Some((name(&at, out)?, at)));
        let rule = rule(&item, named.as_ref().map(|(name, _)| *name), read, out);
        if let Some((name, at)) = named
            && let Some(first) = known.own.insert(name.into(), at.span().clone())
        {
            let message = format!("duplicate rule `{name}`");
            out.push(
                Diagnostic::error(Code::DuplicateEntry, at.span(), at.path.as_str(), message)
                    .help("rename one of the two")
                    .relate(&first, "the first one"),
            );
        }
        rules.extend(rule.map(Arc::new));
    }
    (rules, known)
}

/// The rules that there are: the built-in ones, and own ones with the spans of their names.
pub(super) struct Known {
    own: BTreeMap<Arc<str>, Span>,
}

impl Known {
    /// The rule `name`.
    pub(super) fn find(&self, name: &str) -> Option<Rule> {
        let own = || self.own.get_key_value(name).map(|(name, _)| Rule::Own(Arc::clone(name)));
        name.parse().map(Rule::BuiltIn).ok().or_else(own)
    }

    /// Reports the unknown rule `name` at `span`; `also` are other words that are allowed there, and `is_there` says
    /// which are there already.
    pub(super) fn unknown(
        &self,
        name: &str,
        span: &Span,
        path: &str,
        also: &[&str],
        is_there: impl Fn(&str) -> bool,
    ) -> Diagnostic {
        let mut known: Vec<&str> = RuleCode::ALL.iter().map(|rule| rule.code()).collect();
        known.extend(also);
        known.extend(self.own.keys().map(AsRef::as_ref));
        Diagnostic::error(Code::UnknownRule, span, path, format!("unknown rule `{name}`"))
            .help(format!("the rules are {}", quoted_list(&known)))
            .suggest_new(name, known, is_there)
    }
}

fn rule(at: &At<'_>, name: Option<&str>, read: &[&Arc<OwnRule>], out: &mut Diagnostics) -> Option<OwnRule> {
    let message = at.get("message").and_then(|at| said(&at, out));
    let when = at.get("when").and_then(|at| expression(&at, read, out));
    Some(OwnRule { name: name?.into(), when: when?, message: message?, place: at.key.place.clone() })
}

fn name<'a>(at: &At<'a>, out: &mut Diagnostics) -> Option<&'a str> {
    const CHARACTERS_AT_MOST: usize = 64;
    let name = at.text()?;
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let kebab = name.len() <= CHARACTERS_AT_MOST
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split('-').all(part);
    let refuse = |message: String, help: &str| {
        Diagnostic::error(Code::BadRuleName, at.span(), at.path.as_str(), message).help(help)
    };
    if !kebab {
        let message = format!("`{name}` is not a valid rule name");
        out.push(refuse(
            message,
            "use at most 64 lower-case letters and digits, with hyphens in between, e.g. `admins-read-only`",
        ));
        return None;
    }
    if name.parse::<RuleCode>().is_ok() || name == EnforcementKeys::DEFAULT {
        out.push(refuse(format!("`{name}` is a reserved name"), "give the rule another name"));
        return None;
    }
    Some(name)
}

fn expression(at: &At<'_>, read: &[&Arc<OwnRule>], out: &mut Diagnostics) -> Option<Expression> {
    let text = at.text()?;
    let known = read.iter().map(|rule| &rule.when).find(|when| when.as_str() == text);
    match known.cloned().map_or_else(|| Expression::new(text), Ok) {
        Ok(expression) => {
            for (range, compared) in expression.texts() {
                let span = range.and_then(|range| at.node.part(range));
                let span = span.as_ref().unwrap_or(at.span());
                out.extend_some(surrounding_space::of_literal(compared, span, &at.path));
            }
            Some(expression)
        }
        Err(mistakes) => {
            for mistake in mistakes {
                out.push(bad_expression(at, text, mistake));
            }
            None
        }
    }
}

/// The mistake at its place in the file; where the text is written there in another form, at the whole text with the
/// place in words.
fn bad_expression(at: &At<'_>, text: &str, mistake: BadExpression) -> Diagnostic {
    let BadExpression { at: range, mut message, help, replacement } = mistake;
    let span = range.clone().and_then(|range| at.node.part(range));
    if let (None, Some(before)) = (&span, range.and_then(|range| text.get(..range.start))) {
        message = format!("{message}, at character {} of the expression", before.chars().count() + 1);
    }
    let shown = span.as_ref().unwrap_or(at.span());
    let mut diagnostic = Diagnostic::error(Code::BadExpression, shown, at.path.as_str(), message);
    if let Some(meant) = &replacement {
        let otherwise = help.map(|help| format!(" ({help})")).unwrap_or_default();
        diagnostic = diagnostic.help(format!("did you mean `{meant}`?{otherwise}"));
    } else if let Some(help) = help {
        diagnostic = diagnostic.help(help);
    }
    // What is marked must be what is replaced.
    match replacement.filter(|_| span.is_some()) {
        Some(replacement) => diagnostic.replace_by(replacement),
        None => diagnostic,
    }
}
