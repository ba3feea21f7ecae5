//! JSON schemas of document types, draft 2020-12, in the form that editors and validators take.

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::Value;

/// The JSON schema of the document `T` that this program reads, draft 2020-12. A key that may be left out may still not be
/// null: an absent key and an empty one are never the same here.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(forbid_null))
        .with_transform(RecursiveTransform(forget_widths))
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// The JSON schema of the document `T` that this program writes, draft 2020-12: it says what is
/// always there, and what may be null.
#[must_use]
pub fn schema_of_output<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(forget_widths))
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Takes the formats away that say how wide a number is here: no standard has them, and strict validators refuse
/// what they do not know.
fn forget_widths(schema: &mut Schema) {
    let is_width =
        |format: &str| ["uint", "int", "float", "double"].iter().any(|kind| format.starts_with(kind));
    if schema.get("format").and_then(Value::as_str).is_some_and(is_width) {
        schema.remove("format");
    }
}

/// Takes `null` out of what may stand somewhere; optional keys bring it along.
fn forbid_null(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = members.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
        if branches.len() == 1
            && let Some(Value::Object(only)) = branches.pop()
        {
            members.remove("anyOf");
            for (key, value) in only {
                members.entry(key).or_insert(value);
            }
        }
    }
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
}
