//! Where each setting is in a foreign settings document, read from the config file, with the mistakes in
//! it.

use std::collections::BTreeMap;

use crate::{
    model::{
        SettingKey,
        lifetime::Unit,
        mapping::{Entries, Field, SettingsMapping},
    },
    yaml::{Code, Diagnostic, Diagnostics, node::At, structure::quoted_list, values},
};

/// The keys of a field beside `pointer` and `kind`.
const BESIDE: [&str; 4] = ["member", "everyone", "header", "never"];

/// Where the app's settings are.
pub(super) fn mapping(at: &At<'_>, out: &mut Diagnostics) -> Option<SettingsMapping> {
    let path = at.get("path")?;
    if path.text().is_some_and(|text| !text.starts_with('/')) {
        let message = "the path of the settings does not begin with `/`";
        out.push(Diagnostic::error(Code::BadUrl, path.span(), path.path.as_str(), message));
    }
    let method = |key: &str, default: &str| {
        at.get(key).map_or_else(|| Some(default.to_owned()), |at| at.text().map(str::to_owned))
    };
    let mut fields = BTreeMap::new();
    let fields_at = at.get("fields")?;
    for (key, field_at) in fields_at.entries() {
        let Some(setting) = SettingKey::ALL.into_iter().find(|setting| setting.path() == key) else {
            out.push(unknown(key, &field_at, &fields_at));
            continue;
        };
        if let Some(field) = field(setting, &field_at, out) {
            report_overlap(&fields, &field, &field_at, out);
            fields.insert(setting, field);
        }
    }
    Some(SettingsMapping {
        path: path.text()?.to_owned(),
        read: method("read", "GET")?,
        write: method("write", "PUT")?,
        fields,
    })
}

fn unknown(key: &str, at: &At<'_>, fields: &At<'_>) -> Diagnostic {
    let known: Vec<&str> = SettingKey::ALL.into_iter().map(SettingKey::path).collect();
    let message = format!("unknown setting `{key}`");
    Diagnostic::error(Code::UnknownKey, at.key, at.path.as_str(), message)
        .help(format!("the settings are {}", quoted_list(&known)))
        .suggest_new(key, known, |meant| fields.get(meant).is_some())
}

/// The kinds that a field of `setting` can have.
fn kinds_of(setting: SettingKey) -> &'static [&'static str] {
    match setting {
        SettingKey::Permission(_) => &["list", "objects", "comma-separated", "flag", "inverted-flag"],
        SettingKey::Networks => &["list", "objects", "comma-separated"],
        SettingKey::ClientAddress => &["list", "objects", "comma-separated", "text"],
        SettingKey::PasswordAuthentication => &["flag", "inverted-flag"],
        SettingKey::Limits => &["months", "days"],
    }
}

fn field(setting: SettingKey, at: &At<'_>, out: &mut Diagnostics) -> Option<Field> {
    let (kind_at, pointer) = (at.get("kind")?, pointer(at, "pointer", out));
    let kind = kind_at.text()?;
    if !SettingKey::ALL.into_iter().any(|setting| kinds_of(setting).contains(&kind)) {
        // A word that nobody knows was reported already.
        return None;
    }
    if !kinds_of(setting).contains(&kind) {
        let message = format!("`{setting}` cannot be stored as `{kind}`");
        out.push(
            Diagnostic::error(Code::KeyNotForKind, kind_at.span(), kind_at.path.as_str(), message)
                .help(format!("write one of {}", quoted_list(kinds_of(setting)))),
        );
        return None;
    }
    let flag = matches!(kind, "flag" | "inverted-flag");
    let beside = |key: &str| match key {
        "member" => kind == "objects",
        "everyone" => matches!(setting, SettingKey::Permission(_)) && !flag,
        "header" => setting == SettingKey::ClientAddress,
        _ => setting == SettingKey::Limits,
    };
    for foreign in BESIDE.iter().filter(|key| !beside(key)).filter_map(|key| at.get(key)) {
        let key = foreign.path.rsplit('.').next().unwrap_or_default();
        let message = format!("`{key}` cannot be used with `{setting}` as `{kind}`");
        out.push(
            Diagnostic::error(Code::KeyNotForKind, foreign.key, foreign.path.as_str(), message)
                .help("remove it"),
        );
    }
    for (key, example) in [("member", "name"), ("header", "/proxy/header")] {
        if beside(key) && at.get(key).is_none() {
            let message = format!("`{setting}` as `{kind}` needs the key `{key}`");
            out.push(
                Diagnostic::error(Code::MissingKey, at.key, at.path.as_str(), message)
                    .help(format!("add `{key}: {example}`")),
            );
        }
    }
    let pointer = pointer?;
    let entries = match kind {
        "objects" => at.get("member")?.text().map(|member| Entries::Objects { member: member.to_owned() })?,
        "comma-separated" => Entries::CommaSeparated,
        "text" => Entries::Text,
        _ => Entries::List,
    };
    let optional = |key: &str, out: &mut Diagnostics| match at.get(key) {
        Some(_) => self::pointer(at, key, out).map(Some),
        None => Some(None),
    };
    Some(match setting {
        SettingKey::Permission(_) | SettingKey::PasswordAuthentication if flag => {
            Field::Flag { pointer, inverted: kind == "inverted-flag" }
        }
        SettingKey::Permission(_) => Field::Groups { pointer, entries, everyone: optional("everyone", out)? },
        SettingKey::Networks => Field::Networks { pointer, entries },
        SettingKey::ClientAddress => {
            Field::ClientAddress { pointer, entries, header: self::pointer(at, "header", out)? }
        }
        SettingKey::PasswordAuthentication => return None,
        SettingKey::Limits => {
            let unit = if kind == "days" { Unit::Days } else { Unit::Months };
            let never = at.get("never").and_then(|at| values::whole_number(&at, out));
            Field::Lifetime { pointer, unit, never }
        }
    })
}

fn pointer(at: &At<'_>, key: &str, out: &mut Diagnostics) -> Option<String> {
    let at = at.get(key)?;
    let pointer = at.text()?;
    if pointer.starts_with('/') {
        return Some(pointer.to_owned());
    }
    let message = format!("`{pointer}` is not a JSON pointer");
    out.push(
        Diagnostic::error(Code::BadPointer, at.span(), at.path.as_str(), message)
            .help("write each key with a leading `/`, e.g. `/network/allowed` (RFC 6901)"),
    );
    None
}

/// Reports when `field` stands where another one does, or inside it: writing the one would lose the other.
fn report_overlap(fields: &BTreeMap<SettingKey, Field>, field: &Field, at: &At<'_>, out: &mut Diagnostics) {
    let taken = fields.values().flat_map(Field::pointers);
    let own: Vec<&str> = field.pointers().collect();
    let pairs = taken.flat_map(|taken| own.iter().map(move |own| (taken, *own)));
    let within = own
        .iter()
        .enumerate()
        .flat_map(|(index, first)| own.iter().skip(index + 1).map(move |second| (*first, *second)));
    if let Some((first, second)) = pairs.chain(within).find(|(first, second)| overlaps(first, second)) {
        let message = format!("`{second}` overlaps `{first}`, which is already used");
        out.push(
            Diagnostic::error(Code::ConflictingKeys, at.key, at.path.as_str(), message)
                .help("give every setting a place of its own"),
        );
    }
}

/// Whether one place is the other, or lies inside it.
fn overlaps(first: &str, second: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    inside(first, second) || inside(second, first)
}
