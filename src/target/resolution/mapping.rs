//! In: the document in which a foreign server keeps its settings, and where each stands in it. Out: the
//! settings, and the document with one of them changed. It refuses to touch anything else of the document,
//! to make a place that is not there, and to guess what a value means.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    inventory::Form,
    model::{
        AddressSet, AllowedNetworks, ClientAddressSource, GroupName, HeaderName, Holders, Limit,
        PasswordAuthentication, SettingKey, Settings,
        mapping::{Entries, Field},
        network::{AddressRange, network_text},
    },
    target::bitbucket::passwords,
};

type Fields = BTreeMap<SettingKey, Field>;

/// The settings in `document`, and why some of `fields` could not be read. Those that could not, and those
/// without a field, are as a server has them that restricts nothing.
pub(super) fn read(fields: &Fields, document: &Value) -> (Settings, BTreeMap<SettingKey, String>) {
    let mut settings = unrestricted();
    let mut unreadable = BTreeMap::new();
    for (key, field) in fields {
        if let Err(problem) = read_one(*key, field, document, &mut settings) {
            unreadable.insert(*key, problem);
        }
    }
    (settings, unreadable)
}

/// The settings of a server that restricts nothing.
pub(super) fn unrestricted() -> Settings {
    passwords::settings(PasswordAuthentication::Allowed)
}

/// The forms of those of `fields` that cannot hold everything.
pub(super) fn forms(fields: &Fields) -> BTreeMap<SettingKey, Form> {
    let form = |field: &Field| match field {
        Field::Flag { .. } => Some(Form::Switch),
        Field::Groups { everyone: None, .. } => Some(Form::Groups),
        Field::ClientAddress { entries: Entries::Text, .. } => Some(Form::OneProxy),
        Field::Lifetime { unit, never, .. } => {
            Some(Form::LongestLifetime { unit: *unit, or_none: never.is_some() })
        }
        Field::Groups { .. } | Field::Networks { .. } | Field::ClientAddress { .. } => None,
    };
    fields.iter().filter_map(|(key, field)| Some((*key, form(field)?))).collect()
}

fn read_one(key: SettingKey, field: &Field, document: &Value, into: &mut Settings) -> Result<(), String> {
    match (key, field) {
        (SettingKey::Permission(permission), Field::Flag { pointer, inverted }) => {
            let everyone = flag(document, pointer)? != *inverted;
            *into.permissions.of_mut(permission) = if everyone { Holders::Everyone } else { Holders::Nobody };
        }
        (SettingKey::Permission(permission), Field::Groups { pointer, entries, everyone }) => {
            let groups = Holders::of(texts(document, pointer, entries)?.into_iter().map(GroupName::new));
            let everyone = everyone.as_ref().map(|pointer| flag(document, pointer)).transpose()?;
            *into.permissions.of_mut(permission) =
                if everyone == Some(true) { Holders::Everyone } else { groups };
        }
        (SettingKey::Networks, Field::Networks { pointer, entries }) => {
            into.networks = AllowedNetworks::only(addresses(document, pointer, entries)?)
                .unwrap_or(AllowedNetworks::Anywhere);
        }
        (SettingKey::ClientAddress, Field::ClientAddress { pointer, entries, header }) => {
            let trusted_proxies = addresses(document, pointer, entries)?;
            let name = texts(document, header, &Entries::Text)?.pop();
            into.client_address = match name.filter(|_| !trusted_proxies.is_empty()) {
                Some(name) => {
                    let name = HeaderName::new(name).map_err(|error| format!("`{header}`: {error}"))?;
                    ClientAddressSource::Header { name, trusted_proxies }
                }
                None => ClientAddressSource::Peer,
            };
        }
        (SettingKey::PasswordAuthentication, Field::Flag { pointer, inverted }) => {
            into.password_authentication = if flag(document, pointer)? == *inverted {
                PasswordAuthentication::disabled()
            } else {
                PasswordAuthentication::Allowed
            };
        }
        (SettingKey::Limits, Field::Lifetime { pointer, unit, never }) => {
            let count = number(document, pointer)?;
            let none = |count: &u32| Some(*count) == *never;
            let longest = count.filter(|count| !none(count)).map(|count| {
                let count = u16::try_from(count).ok().filter(|count| *count > 0);
                count.map(|count| unit.times(count)).ok_or_else(|| {
                    format!("`{pointer}` holds no length of time; does `never` say what stands for none?")
                })
            });
            let limit = |period| Limit { max_lifetime: Some(period), ..Limit::default() };
            into.limits = longest.transpose()?.map(limit).into_iter().collect();
        }
        // INVARIANT: each field has the variant of its key.
        _ => return Err(WRONG_FIELD.to_owned()),
    }
    Ok(())
}

const WRONG_FIELD: &str = "the mapping has another kind of field for it";

/// Puts the setting `key` of `settings` into `document`, and touches nothing else of it.
///
/// # Errors
///
/// When it does not fit there.
pub(super) fn write(
    key: SettingKey,
    field: &Field,
    settings: &Settings,
    document: &mut Value,
) -> Result<(), String> {
    match (key, field) {
        (SettingKey::Permission(permission), Field::Flag { pointer, inverted }) => {
            let everyone = match settings.permissions.of(permission) {
                Holders::Everyone => true,
                Holders::Nobody => false,
                Holders::Groups(_) => return Err(format!("`{pointer}` has no room for groups")),
            };
            put(document, pointer, json!(everyone != *inverted))
        }
        (SettingKey::Permission(permission), Field::Groups { pointer, entries, everyone }) => {
            let holders = settings.permissions.of(permission);
            match everyone {
                Some(everyone) => put(document, everyone, json!(*holders == Holders::Everyone))?,
                None if *holders == Holders::Everyone => {
                    return Err(format!("`{pointer}` has no room for everyone"));
                }
                None => {}
            }
            if *holders == Holders::Everyone {
                // The groups mean nothing then, and stay.
                return Ok(());
            }
            let names = holders.groups().map(|group| group.as_str().to_owned()).collect();
            put_texts(document, pointer, entries, names)
        }
        (SettingKey::Networks, Field::Networks { pointer, entries }) => {
            let networks = match &settings.networks {
                AllowedNetworks::Anywhere => Vec::new(),
                AllowedNetworks::Only(addresses) => network_texts(addresses),
            };
            put_texts(document, pointer, entries, networks)
        }
        (SettingKey::ClientAddress, Field::ClientAddress { pointer, entries, header }) => {
            match &settings.client_address {
                // Without a proxy the header is not looked at, and stays.
                ClientAddressSource::Peer => put_texts(document, pointer, entries, Vec::new()),
                ClientAddressSource::Header { name, trusted_proxies } => {
                    put(document, header, json!(name.as_str()))?;
                    put_texts(document, pointer, entries, network_texts(trusted_proxies))
                }
            }
        }
        (SettingKey::PasswordAuthentication, Field::Flag { pointer, inverted }) => {
            let allowed = match &settings.password_authentication {
                PasswordAuthentication::Allowed => true,
                disabled if *disabled == PasswordAuthentication::disabled() => false,
                PasswordAuthentication::Disabled(_) => {
                    return Err(format!("`{pointer}` has no room for exceptions"));
                }
            };
            put(document, pointer, json!(allowed != *inverted))
        }
        (SettingKey::Limits, Field::Lifetime { pointer, unit, never }) => {
            let longest = settings.limits.first().and_then(|limit| limit.max_lifetime);
            let count = longest.map_or(*never, |period| Some(period.count(*unit).into()));
            let count =
                count.ok_or_else(|| format!("nothing says what stands at `{pointer}` for no limit"))?;
            let is_text = place(document, pointer)?.is_string();
            put(document, pointer, if is_text { json!(count.to_string()) } else { json!(count) })
        }
        // INVARIANT: each field has the variant of its key.
        _ => Err(WRONG_FIELD.to_owned()),
    }
}

fn network_texts(addresses: &AddressSet) -> Vec<String> {
    addresses.networks().into_iter().map(network_text).collect()
}

fn place<'a>(document: &'a Value, pointer: &str) -> Result<&'a Value, String> {
    document.pointer(pointer).ok_or_else(|| nothing_at(pointer))
}

fn nothing_at(pointer: &str) -> String {
    format!("the settings of the server have nothing at `{pointer}`")
}

fn put(document: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    *document.pointer_mut(pointer).ok_or_else(|| nothing_at(pointer))? = value;
    Ok(())
}

fn flag(document: &Value, pointer: &str) -> Result<bool, String> {
    place(document, pointer)?.as_bool().ok_or_else(|| format!("`{pointer}` is neither `true` nor `false`"))
}

/// A number, also one that is written as text; nothing for null.
fn number(document: &Value, pointer: &str) -> Result<Option<u32>, String> {
    let read = match place(document, pointer)? {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    read.map(Some).ok_or_else(|| format!("`{pointer}` holds no whole number"))
}

fn addresses(document: &Value, pointer: &str, entries: &Entries) -> Result<AddressSet, String> {
    let texts = texts(document, pointer, entries)?;
    let range = |text: String| text.parse::<AddressRange>().map_err(|error| format!("`{pointer}`: {error}"));
    texts.into_iter().map(range).collect()
}

/// The texts at `pointer`, without white space around them; none for null.
fn texts(document: &Value, pointer: &str, entries: &Entries) -> Result<Vec<String>, String> {
    let value = place(document, pointer)?;
    let texts: Option<Vec<&str>> = match (entries, value) {
        (_, Value::Null) => Some(Vec::new()),
        (Entries::List | Entries::Objects { .. }, Value::Array(items)) => {
            items.iter().map(|item| text_of(item, entries)).collect()
        }
        (Entries::CommaSeparated, Value::String(text)) => Some(text.split(',').collect()),
        (Entries::Text, Value::String(text)) => Some(vec![text]),
        _ => None,
    };
    let texts = texts.ok_or_else(|| format!("`{pointer}` holds no {}", words(entries)))?;
    Ok(texts.into_iter().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect())
}

fn words(entries: &Entries) -> String {
    match entries {
        Entries::List => "list of texts".to_owned(),
        Entries::Objects { member } => format!("list of objects with a text `{member}`"),
        Entries::CommaSeparated | Entries::Text => "text".to_owned(),
    }
}

fn text_of<'a>(item: &'a Value, entries: &Entries) -> Option<&'a str> {
    match entries {
        Entries::Objects { member } => item.get(member)?.as_str(),
        _ => item.as_str(),
    }
}

/// Puts `wanted` at `pointer`. Items that are there already stay as they are, with whatever else they hold.
fn put_texts(
    document: &mut Value,
    pointer: &str,
    entries: &Entries,
    mut wanted: Vec<String>,
) -> Result<(), String> {
    // What is not understood is not written over.
    texts(document, pointer, entries)?;
    let place = document.pointer_mut(pointer).ok_or_else(|| nothing_at(pointer))?;
    let value = match entries {
        Entries::CommaSeparated => json!(wanted.join(", ")),
        Entries::Text if wanted.len() > 1 => return Err(format!("`{pointer}` has room for one entry")),
        Entries::Text => json!(wanted.pop().unwrap_or_default()),
        Entries::List | Entries::Objects { .. } => {
            let mut items = match place.take() {
                Value::Array(items) => items,
                _ => Vec::new(),
            };
            items.retain(|item| {
                let is = |text: &String| {
                    text_of(item, entries).is_some_and(|is| is.trim().eq_ignore_ascii_case(text))
                };
                let kept = wanted.iter().position(is);
                kept.map(|index| wanted.remove(index)).is_some()
            });
            items.extend(wanted.into_iter().map(|text| match entries {
                Entries::Objects { member } => json!({member: text}),
                _ => json!(text),
            }));
            Value::Array(items)
        }
    };
    *place = value;
    Ok(())
}
