//! Values that several kinds of files have: durations, whole numbers, names, addresses.

use std::{collections::BTreeMap, net::IpAddr};

use crate::model::{
    AddressSet, LimitKey, Period, TokenId,
    lifetime::BadPeriod,
    network::{self, AddressRange, LeadingZero},
};

use super::{
    Code, Diagnostic, Diagnostics,
    node::{At, Value},
};

/// Whether a length of time is at `at`, by its key.
pub(crate) fn is_period(at: &At<'_>) -> bool {
    let of_limits = LimitKey::ALL.iter().filter(|key| key.is_period()).map(|key| key.key());
    ["waivers_warn", "audit_retention"].contains(&at.path.as_str())
        || of_limits
            .chain(["grace", "window", "horizon"])
            .any(|key| at.path.strip_suffix(key).is_some_and(|parent| parent.ends_with('.')))
}

/// A length of time; `None` when there is none that can be read, which is reported, a number
/// without its unit too.
pub(crate) fn period(at: &At<'_>, out: &mut Diagnostics) -> Option<Period> {
    let written = match &at.node.value {
        Value::Text(text) => text,
        Value::Number { written, .. } => written,
        _ => return None,
    };
    match written.parse() {
        Ok(period) => Some(period),
        Err(error) => {
            let bad = Diagnostic::error(Code::BadDuration, at.span(), at.path.as_str(), error.to_string());
            out.push(match error {
                BadPeriod::LeadingZero(LeadingZero { decimal, octal: None, .. }) => bad.replace_by(decimal),
                _ => bad,
            });
            None
        }
    }
}

/// A whole number; `None` when there is none that can be read. Reports the numbers that the
/// structure lets pass: JSON schema takes `1.0` for a whole number, and knows no largest one.
pub(crate) fn whole_number(at: &At<'_>, out: &mut Diagnostics) -> Option<u32> {
    let Value::Number { number, written } = &at.node.value else {
        return None;
    };
    let whole = number.as_u64().and_then(|number| u32::try_from(number).ok());
    let passed = number.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0);
    if whole.is_none() && passed {
        let message = format!("`{written}` is not a whole number up to {}", u32::MAX);
        out.push(Diagnostic::error(Code::OutOfRange, at.span(), at.path.as_str(), message));
    }
    whole
}

/// The one address at `at`, or `code` with `help` for a mistake in it.
pub(crate) fn address(at: &At<'_>, code: Code, help: &'static str, out: &mut Diagnostics) -> Option<IpAddr> {
    match network::address(at.text()?) {
        Ok(address) => Some(address),
        Err(error) => {
            out.push(Diagnostic::error(code, at.span(), at.path.as_str(), error.to_string()).help(help));
            None
        }
    }
}

/// How names compare: without regard to case, as every directory behind Bitbucket does.
pub(crate) fn without_case(name: &str) -> String {
    name.to_lowercase()
}

/// A text with a character.
pub(crate) fn said(at: &At<'_>, out: &mut Diagnostics) -> Option<String> {
    let text = at.text()?;
    if text.trim().is_empty() {
        let message = "empty text";
        out.push(Diagnostic::error(Code::BlankName, at.span(), at.path.as_str(), message));
        return None;
    }
    Some(text.to_owned())
}

/// The texts of the list `at`, each of which must have a character and be there once, by its
/// form under `same`.
pub(crate) fn names<'a>(
    at: &At<'a>,
    twice: Code,
    same: fn(&str) -> String,
    out: &mut Diagnostics,
) -> Vec<&'a str> {
    let mut seen: BTreeMap<String, At<'a>> = BTreeMap::new();
    let mut names = Vec::new();
    for (name, item) in at.texts() {
        if name.trim().is_empty() {
            let message = "empty name";
            out.push(Diagnostic::error(Code::BlankName, item.span(), item.path.as_str(), message));
        } else if let Some(first) = seen.get(&same(name)) {
            let message = format!("duplicate entry `{name}`");
            out.push(
                Diagnostic::error(twice, item.span(), item.path.as_str(), message)
                    .help("remove one of the two")
                    .relate(first.span(), "first given here"),
            );
        } else {
            seen.insert(same(name), item);
            names.push(name);
        }
    }
    names
}

/// Reports the list of `key` when it is empty; it is one that can be left out.
pub(crate) fn refuse_empty(at: &At<'_>, key: &str, out: &mut Diagnostics) {
    if at.is_empty_list() {
        out.push(empty_list(at, Code::EmptyList, key, &format!("leave `{key}` out")));
    }
}

/// Reports that the list `at` is empty.
pub(crate) fn empty_list(at: &At<'_>, code: Code, what: &str, help: &str) -> Diagnostic {
    Diagnostic::error(code, at.span(), at.path.as_str(), format!("the list of {what} is empty")).help(help)
}

/// The addresses in the list `at`: addresses, networks and ranges. Each that is none is reported, with `help`.
pub(crate) fn networks(at: &At<'_>, help: Option<&'static str>, out: &mut Diagnostics) -> AddressSet {
    let mut ranges: Vec<AddressRange> = Vec::new();
    for (text, item) in at.texts() {
        match text.parse::<AddressRange>() {
            Ok(range) => ranges.push(range),
            Err(error) => {
                let message = error.to_string();
                let wrong = Diagnostic::error(Code::BadNetwork, item.span(), item.path.as_str(), message);
                out.push(match help {
                    Some(help) => wrong.help(help),
                    None => wrong,
                });
            }
        }
    }
    ranges.into_iter().collect()
}

/// The identifier at `at`: text, or a number that is written as plainly as servers do.
pub(crate) fn token_id(at: &At<'_>, out: &mut Diagnostics) -> Option<TokenId> {
    match &at.node.value {
        Value::Text(_) => said(at, out).map(TokenId::new),
        Value::Number { number, written } => {
            let plain = number.as_u64().is_some_and(|number| number.to_string() == *written);
            // A fraction and a negative number are no matter of meaning.
            let is_whole = number.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0);
            if is_whole && !plain {
                let message = format!("`{written}` is not a token identifier");
                out.push(
                    Diagnostic::error(Code::OutOfRange, at.span(), at.path.as_str(), message)
                        .help("write it as plans show it, in quotes unless it is a plain number"),
                );
            }
            plain.then(|| TokenId::new(written.as_str()))
        }
        _ => None,
    }
}
