//! What certainly fits a schema fits it for the validator of JSON schemas too, whatever the tree.

use std::{fs, path::Path, sync::Arc};

use fastrand::Rng;
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::Shape;
use crate::yaml::source::parse;

const SCHEMAS: [(&str, &str); 4] = [
    ("policy", include_str!("../../../schema/policy.schema.json")),
    ("settings", include_str!("../../../schema/settings.schema.json")),
    ("gateway", include_str!("../../../schema/gateway.schema.json")),
    ("tests", include_str!("../../../schema/tests.schema.json")),
];

/// A schema as both read it.
struct Both {
    schema: Json,
    validator: Validator,
    shape: Shape<'static>,
}

fn both(text: &'static str) -> Both {
    let schema: Json = serde_json::from_str(text).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    Both { validator, shape: Shape::new(text).unwrap(), schema }
}

impl Both {
    /// What the validator and the quick look say of the document `yaml`; `None` when it is none.
    fn say_of(&self, yaml: &str) -> Option<[bool; 2]> {
        let root = parse(&Arc::from("file.yaml"), yaml.as_bytes()).root?;
        Some([self.validator.is_valid(&root.to_json()), self.shape.certainly_fits(&root)])
    }

    /// A document that the schema describes, apart from some values.
    fn grow(&self, rng: &mut Rng) -> Json {
        // One in so many values is another one than it should be.
        let odd = [10, 50, 1_000][rng.usize(..3)];
        Growth { schema: &self.schema, odd, rng }.value(&self.schema)
    }
}

/// Makes documents from a schema.
struct Growth<'a> {
    schema: &'a Json,
    odd: u32,
    rng: &'a mut Rng,
}

impl Growth<'_> {
    fn value(&mut self, schema: &Json) -> Json {
        if self.rng.u32(..self.odd) == 0 {
            return self.anything();
        }
        if let Some(name) = schema["$ref"].as_str() {
            let pointer = name.trim_start_matches('#');
            let referred = self.schema.pointer(pointer).unwrap().clone();
            return self.value(&referred);
        }
        if let Some(ways) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
            let way = self.rng.usize(..ways.len());
            return self.value(&ways[way]);
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(words) = schema["enum"].as_array() {
            return words[self.rng.usize(..words.len())].clone();
        }
        match schema["type"].as_str() {
            Some("integer") => json!(self.rng.u32(..3) + 1),
            Some("boolean") => json!(self.rng.bool()),
            Some("string") => self.text(schema["pattern"].as_str()),
            Some("array") => (0..self.rng.u32(..4)).map(|_| self.value(&schema["items"])).collect(),
            _ => self.mapping(schema),
        }
    }

    fn mapping(&mut self, schema: &Json) -> Json {
        let required =
            |key: &str| schema["required"].as_array().is_some_and(|keys| keys.contains(&json!(key)));
        let mut members = Map::new();
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            let is_there = if required(key) { self.rng.u32(..self.odd) > 0 } else { self.rng.u32(..3) == 0 };
            if is_there {
                members.insert(key.clone(), self.value(value));
            }
        }
        let of_others = &schema["additionalProperties"];
        if of_others.is_object() || self.rng.u32(..self.odd) == 0 {
            let value = if of_others.is_object() { self.value(of_others) } else { self.anything() };
            members.insert("other".to_owned(), value);
        }
        Json::Object(members)
    }

    fn text(&mut self, pattern: Option<&str>) -> Json {
        const TEXTS: [&str; 12] = [
            "90d",
            "1mo",
            "0h",
            "d",
            "9",
            "2027-01-31",
            "2027-1-31",
            "2027-01-31\n",
            "10d\n",
            "",
            "10.0.0.0/8",
            "٣d",
        ];
        match pattern {
            Some(pattern) if pattern.ends_with("(h|d|w|mo|y)$") && self.rng.bool() => json!("90d"),
            Some(pattern) if pattern.contains("{4}") && self.rng.bool() => json!("2027-01-31"),
            _ => json!(TEXTS[self.rng.usize(..TEXTS.len())]),
        }
    }

    fn anything(&mut self) -> Json {
        let values = [
            json!(null),
            json!(true),
            json!(0),
            json!(1),
            json!(1.0),
            json!(-1),
            json!(1.5),
            json!(1e30),
            json!(u64::MAX),
            json!(""),
            json!("everyone"),
            json!("unmanaged"),
            json!("1"),
            json!("90d"),
            json!([]),
            json!({}),
            json!([[]]),
            json!({ "version": 1 }),
            json!(["everyone"]),
            json!({ "action": "expire" }),
        ];
        values[self.rng.usize(..values.len())].clone()
    }
}

proptest! {
    #[test]
    fn what_certainly_fits_is_valid(seed: u64) {
        let rng = &mut Rng::with_seed(seed);
        let (name, text) = SCHEMAS[rng.usize(..SCHEMAS.len())];
        let both = both(text);
        for _ in 0..40 {
            let document = both.grow(rng).to_string();
            if let Some([is_valid, certainly_fits]) = both.say_of(&document) {
                prop_assert!(is_valid || !certainly_fits, "{}: {}", name, document);
            }
        }
    }
}

#[test]
fn most_documents_that_are_valid_certainly_fit() {
    let rng = &mut Rng::with_seed(7);
    for (name, text) in SCHEMAS {
        let both = both(text);
        let said: Vec<_> = (0..400).filter_map(|_| both.say_of(&both.grow(rng).to_string())).collect();
        let valid = said.iter().filter(|[is_valid, _]| *is_valid).count();
        let fit = said.iter().filter(|[_, certainly_fits]| *certainly_fits).count();
        assert!(valid > 20 && said.len() - valid > 20, "{name}: {valid} of {} are valid", said.len());
        assert!(fit * 10 >= valid * 7, "{name}: {fit} of {valid} fit");
    }
}

#[test]
fn the_documents_of_the_examples_certainly_fit() {
    let mut looked_at = 0;
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let name = match path.to_str().unwrap() {
                path if path.ends_with("tokenwarden.yaml") => "settings",
                path if path.contains("/tests/") => "tests",
                path if path.contains("/policy") => "policy",
                _ => continue,
            };
            let (_, text) = SCHEMAS.into_iter().find(|(schema, _)| *schema == name).unwrap();
            let said = both(text).say_of(&fs::read_to_string(&path).unwrap());
            assert_eq!(said, Some([true, true]), "{path:?}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 5, "{looked_at}");
}

#[test]
fn the_keys_are_those_that_the_schema_names() {
    fn collect(schema: &Json, keys: &mut std::collections::HashSet<String>) {
        if let Some(properties) = schema.get("properties").and_then(Json::as_object) {
            keys.extend(properties.keys().cloned());
        }
        match schema {
            Json::Object(members) => members.values().for_each(|member| collect(member, keys)),
            Json::Array(items) => items.iter().for_each(|item| collect(item, keys)),
            _ => {}
        }
    }
    for (name, text) in SCHEMAS {
        let both = both(text);
        let (mut all, mut found) = (std::collections::HashSet::new(), std::collections::HashSet::new());
        collect(&both.schema, &mut all);
        both.shape.collect_keys(&mut found);
        assert_eq!(found, all, "{name}");
    }
}
