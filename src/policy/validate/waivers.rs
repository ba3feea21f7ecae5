//! The list `waivers`: the declared exceptions, the mistakes in them, and those that ended or soon will.
//! Rules may be named by another layer than the waiver: whether such a rule exists is known once all layers
//! are.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{Timestamp, civil::Date};

use crate::{
    model::{Owner, Rule},
    yaml::{
        Code, Diagnostic, Diagnostics,
        node::{At, Value},
        values::{empty_list, names, period, refuse_empty, said, token_id, without_case},
    },
};

use super::{
    super::{Waiver, WaiverSubject, Waivers},
    Extent, items_in_their_files,
    rules::Known,
};

/// The waivers in their order. One with a mistake is left out.
pub(super) fn entries(root: &At<'_>, known: &Known, extent: Extent, out: &mut Diagnostics) -> Waivers {
    let mut waivers = Waivers::default();
    if let Some(warn) = root.get("waivers_warn").and_then(|at| period(&at, out)) {
        waivers.warn = warn;
    }
    let Some(at) = root.get("waivers") else { return waivers };
    refuse_empty(&at, "waivers", out);
    let items = items_in_their_files(&at);
    waivers.entries =
        items.iter().filter_map(|item| waiver(item, known, extent, out)).map(Arc::new).collect();
    waivers
}

/// Reports the waivers that ended before `now`, and warns of those that will before long.
pub(crate) fn judge(waivers: &Waivers, now: Timestamp, out: &mut Diagnostics) {
    for waiver in &waivers.entries {
        let span = &waiver.until_span;
        let path = || format!("{}.until", waiver.path);
        if !waiver.holds(now) {
            let message = format!("the waiver for {} ended on {}", waiver.subject, waiver.until);
            out.push(
                Diagnostic::error(Code::WaiverEnded, span, path(), message)
                    .help("remove the waiver, or have it approved again and write a later day"),
            );
        } else if waiver.ends_soon(waivers.warn, now) {
            let message = format!("the waiver for {} ends on {}", waiver.subject, waiver.until);
            out.push(
                Diagnostic::warning(Code::WaiverEndsSoon, span, path(), message)
                    .help("fix the token by then, or have the waiver approved again"),
            );
        }
    }
}

fn waiver(at: &At<'_>, known: &Known, extent: Extent, out: &mut Diagnostics) -> Option<Waiver> {
    let subject = subject(at, out);
    let rules = at.get("rules").map(|at| rules(&at, known, extent, out)).unwrap_or_default();
    let reason = at.get("reason").and_then(|at| said(&at, out));
    let approved_by = at.get("approved_by").and_then(|at| said(&at, out));
    let until_at = at.get("until")?;
    let until = date(&until_at, out);
    Some(Waiver {
        subject: subject?,
        rules: Some(rules).filter(|rules| !rules.is_empty())?,
        reason: reason?,
        approved_by,
        until: until?,
        place: at.key.place.clone(),
        until_span: until_at.span().clone(),
        path: at.path.clone().into(),
    })
}

fn subject(at: &At<'_>, out: &mut Diagnostics) -> Option<WaiverSubject> {
    let description = at.get("description");
    match (at.get("token"), at.get("owner")) {
        (Some(token), Some(_)) => {
            let message = "`token` and `owner` cannot be used together";
            out.push(
                Diagnostic::error(Code::ConflictingKeys, token.key, token.path.as_str(), message)
                    .help("keep `token` for one token, or `owner` for the tokens of an owner"),
            );
            None
        }
        (None, None) => {
            let message = "a waiver needs `token` or `owner`";
            out.push(
                Diagnostic::error(Code::MissingKey, at.key, at.path.as_str(), message)
                    .help("add `token:` with an identifier, or `owner:` with a name"),
            );
            None
        }
        (Some(token), None) => {
            if let Some(description) = description {
                let message = "`description` works only with `owner`: `token` already names one token";
                out.push(
                    Diagnostic::error(
                        Code::ConflictingKeys,
                        description.key,
                        description.path.as_str(),
                        message,
                    )
                    .help("remove `description`"),
                );
            }
            token_id(&token, out).map(WaiverSubject::Token)
        }
        (None, Some(owner)) => {
            let text = owner.text()?;
            let Ok(named) = text.parse::<Owner>() else {
                let message = format!("`{text}` is not an owner");
                out.push(
                    Diagnostic::error(Code::BlankName, owner.span(), owner.path.as_str(), message)
                        .help(Owner::FORMS),
                );
                return None;
            };
            let description = match &description {
                Some(at) => Some(said(at, out)?),
                None => None,
            };
            Some(WaiverSubject::Owner { owner: named.folded(), description })
        }
    }
}

fn rules(at: &At<'_>, known: &Known, extent: Extent, out: &mut Diagnostics) -> BTreeSet<Rule> {
    if at.is_empty_list() {
        out.push(empty_list(at, Code::EmptyList, "rules", "list at least one rule, such as `idle`"));
    }
    let written: BTreeSet<&str> = names(at, Code::DuplicateEntry, without_case, out).into_iter().collect();
    let mut rules = BTreeSet::new();
    for (name, item) in at.texts().filter(|(name, _)| written.contains(name)) {
        match known.find(name) {
            Some(rule) => {
                rules.insert(rule);
            }
            None if extent == Extent::Layer => {}
            None => {
                out.push(known.unknown(name, item.span(), &item.path, &[], |rule| written.contains(rule)));
            }
        }
    }
    rules
}

/// A calendar date in the one form `2027-01-31`.
fn date(at: &At<'_>, out: &mut Diagnostics) -> Option<Date> {
    let written = match &at.node.value {
        Value::Text(text) => text,
        Value::Number { written, .. } => written,
        _ => return None,
    };
    let date = written.parse::<Date>().ok().filter(|date| date.to_string() == *written);
    if date.is_none() {
        let message = format!("`{written}` is not a valid date");
        out.push(Diagnostic::error(Code::BadDate, at.span(), at.path.as_str(), message).help(
            "write year, month and day, such as `2027-01-31`; it holds through the end of that day, UTC",
        ));
    }
    date
}
