//! The quick look whether a tree fits the schema of its document. It says so only of what certainly fits: of all else
//! the schema itself is asked, which finds every mistake and takes long to set up.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value as Json;

use crate::model::lifetime::PERIOD_PATTERN;

use super::node::{Node, Value};

#[cfg(test)]
mod tests;

/// A schema, or a part of one. One with a keyword that is not known here cannot be read.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct Shape<'s> {
    #[serde(rename = "$ref", borrow)]
    reference: Option<&'s str>,
    r#type: Option<Type>,
    r#const: Option<Json>,
    #[serde(borrow)]
    r#enum: Option<Vec<&'s str>>,
    pattern: Option<Pattern>,
    minimum: Option<u64>,
    maximum: Option<u64>,
    #[serde(borrow)]
    items: Option<Box<Self>>,
    min_items: Option<usize>,
    max_items: Option<usize>,
    #[serde(borrow)]
    properties: HashMap<&'s str, Self>,
    #[serde(borrow)]
    additional_properties: Option<OtherKeys<'s>>,
    #[serde(borrow)]
    required: Vec<&'s str>,
    min_properties: Option<usize>,
    #[serde(borrow)]
    any_of: Option<Vec<Self>>,
    #[serde(borrow)]
    one_of: Option<Vec<Word<'s>>>,
    #[serde(rename = "$defs", borrow)]
    definitions: HashMap<&'s str, Self>,
    // What is only for people.
    #[serde(rename = "$schema")]
    _schema: IgnoredAny,
    #[serde(rename = "$id")]
    _id: IgnoredAny,
    #[serde(rename = "title")]
    _title: IgnoredAny,
    #[serde(rename = "description")]
    _description: IgnoredAny,
    #[serde(rename = "markdownDescription")]
    _markdown: IgnoredAny,
    #[serde(rename = "examples")]
    _examples: IgnoredAny,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    String,
    Integer,
    Boolean,
    Object,
    Array,
}

/// One of the words that can be written somewhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Word<'s> {
    #[serde(borrow)]
    r#const: &'s str,
    #[serde(rename = "type")]
    _type: OfText,
    #[serde(rename = "description", default)]
    _description: IgnoredAny,
    #[serde(rename = "markdownDescription", default)]
    _markdown: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum OfText {
    String,
}

/// What may be behind keys that are not named.
enum OtherKeys<'s> {
    None,
    All,
    Of(Box<Shape<'s>>),
}

/// The patterns that can be told without an engine.
enum Pattern {
    Period,
    Date,
    Other,
}

impl<'s> Shape<'s> {
    /// That of the schema with this `text`.
    ///
    /// # Errors
    ///
    /// When it is not JSON, or has a keyword that is not known here.
    pub(super) fn new(text: &'s str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// Whether `root` certainly fits.
    pub(super) fn certainly_fits(&self, root: &Node) -> bool {
        self.fits(root, &self.definitions)
    }

    /// Adds the keys that are named anywhere in it.
    pub(super) fn collect_keys(&self, keys: &mut HashSet<String>) {
        keys.extend(self.properties.keys().map(|key| (*key).to_owned()));
        let others = self.additional_properties.iter().filter_map(|others| match others {
            OtherKeys::Of(shape) => Some(&**shape),
            OtherKeys::None | OtherKeys::All => None,
        });
        let below = self.properties.values().chain(self.definitions.values());
        let below = below.chain(self.items.as_deref()).chain(self.any_of.iter().flatten()).chain(others);
        below.for_each(|shape| shape.collect_keys(keys));
    }

    fn fits(&self, node: &Node, definitions: &HashMap<&str, Self>) -> bool {
        // Every field by name: a keyword that is read must be looked at too.
        let Self {
            reference,
            r#type,
            r#const,
            r#enum,
            pattern,
            minimum,
            maximum,
            items,
            min_items,
            max_items,
            properties: _,
            additional_properties: _,
            required: _,
            min_properties: _,
            any_of,
            one_of,
            definitions: _,
            _schema: _,
            _id: _,
            _title: _,
            _description: _,
            _markdown: _,
            _examples: _,
        } = self;
        let value = &node.value;
        let number = || match value {
            Value::Number { number, .. } => number.as_u64(),
            _ => None,
        };
        let list = || match value {
            Value::List(items) => Some(items),
            _ => None,
        };
        let is_text = |text: &str| matches!(value, Value::Text(written) if written == text);
        let referred = |name: &str| {
            let defined = name.strip_prefix("#/$defs/").and_then(|name| definitions.get(name));
            defined.is_some_and(|shape| shape.fits(node, definitions))
        };
        reference.is_none_or(referred)
            && r#type.is_none_or(|of| of.fits(value))
            && r#const.as_ref().is_none_or(|constant| match constant {
                Json::String(text) => is_text(text),
                Json::Number(wanted) => wanted.is_u64() && wanted.as_u64() == number(),
                _ => false,
            })
            && r#enum.as_ref().is_none_or(|words| words.iter().any(|word| is_text(word)))
            && pattern.as_ref().is_none_or(|pattern| pattern.fits(value))
            && minimum.is_none_or(|least| number().is_some_and(|number| number >= least))
            && maximum.is_none_or(|most| number().is_some_and(|number| number <= most))
            && min_items.is_none_or(|least| list().is_some_and(|items| items.len() >= least))
            && max_items.is_none_or(|most| list().is_some_and(|items| items.len() <= most))
            && items.as_ref().is_none_or(|shape| {
                list().is_some_and(|items| items.iter().all(|item| shape.fits(item, definitions)))
            })
            && any_of.as_ref().is_none_or(|ways| ways.iter().any(|way| way.fits(node, definitions)))
            && one_of
                .as_ref()
                .is_none_or(|words| words.iter().filter(|word| is_text(word.r#const)).count() == 1)
            && self.fits_keys(value, definitions)
    }

    fn fits_keys(&self, value: &Value, definitions: &HashMap<&str, Self>) -> bool {
        let Self { properties, additional_properties, required, min_properties, .. } = self;
        let says_nothing = properties.is_empty()
            && additional_properties.is_none()
            && required.is_empty()
            && min_properties.is_none();
        if says_nothing {
            return true;
        }
        let Value::Map(map) = value else { return false };
        let fits = |key: &str, node: &Node| match (properties.get(key), additional_properties) {
            (Some(shape), _) => shape.fits(node, definitions),
            (None, None | Some(OtherKeys::All)) => true,
            (None, Some(OtherKeys::None)) => false,
            (None, Some(OtherKeys::Of(shape))) => shape.fits(node, definitions),
        };
        required.iter().all(|key| map.get(key).is_some())
            && min_properties.is_none_or(|least| map.iter().count() >= least)
            && map.iter().all(|entry| fits(&entry.key, &entry.node))
    }
}

impl Type {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => matches!(value, Value::Text(_)),
            Self::Integer => {
                matches!(value, Value::Number { number, .. } if number.is_u64() || number.is_i64())
            }
            Self::Boolean => matches!(value, Value::Bool(_)),
            Self::Object => matches!(value, Value::Map(_)),
            Self::Array => matches!(value, Value::List(_)),
        }
    }
}

impl Pattern {
    fn fits(&self, value: &Value) -> bool {
        let Value::Text(text) = value else { return false };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Self::Period => ["h", "d", "w", "mo", "y"]
                .iter()
                .filter_map(|unit| text.strip_suffix(unit))
                .any(|number| !number.is_empty() && digits(number)),
            Self::Date => {
                let parts: Vec<&str> = text.split('-').collect();
                let are = |lengths| parts.iter().map(|part| part.len()).eq(lengths);
                are([4, 2, 2]) && parts.iter().all(|part| digits(part))
            }
            Self::Other => false,
        }
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            PERIOD_PATTERN => Self::Period,
            "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" => Self::Date,
            _ => Self::Other,
        })
    }
}

impl<'de: 's, 's> Deserialize<'de> for OtherKeys<'s> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OtherKeysVisitor)
    }
}

struct OtherKeysVisitor;

impl<'de> Visitor<'de> for OtherKeysVisitor {
    type Value = OtherKeys<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a schema, `true` or `false`")
    }

    fn visit_bool<E: Error>(self, may_be: bool) -> Result<OtherKeys<'de>, E> {
        Ok(if may_be { OtherKeys::All } else { OtherKeys::None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OtherKeys<'de>, A::Error> {
        Shape::deserialize(MapAccessDeserializer::new(map)).map(Box::new).map(OtherKeys::Of)
    }
}
