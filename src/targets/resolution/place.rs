//! The flag, number or texts at a place of a JSON document, and the document with others there. No place is
//! made, and nothing is overwritten that is not understood.

use serde_json::{Value, json};

use crate::model::mapping::Entries;

pub(super) fn place<'a>(document: &'a Value, pointer: &str) -> Result<&'a Value, String> {
    document.pointer(pointer).ok_or_else(|| nothing_at(pointer))
}

fn nothing_at(pointer: &str) -> String {
    format!("the settings of the server have nothing at `{pointer}`")
}

pub(super) fn put(document: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    *document.pointer_mut(pointer).ok_or_else(|| nothing_at(pointer))? = value;
    Ok(())
}

pub(super) fn flag(document: &Value, pointer: &str) -> Result<bool, String> {
    place(document, pointer)?.as_bool().ok_or_else(|| format!("`{pointer}` is neither `true` nor `false`"))
}

/// A number, also one that is written as text; `None` for null.
pub(super) fn number(document: &Value, pointer: &str) -> Result<Option<u32>, String> {
    let read = match place(document, pointer)? {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    read.map(Some).ok_or_else(|| format!("`{pointer}` holds no whole number"))
}

/// The texts at `pointer`, without white space around them; none for null.
pub(super) fn texts(document: &Value, pointer: &str, entries: &Entries) -> Result<Vec<String>, String> {
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
pub(super) fn put_texts(
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
