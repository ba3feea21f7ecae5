//! The schemas in `schema/` are those of the program, and the documents that it accepts fit them.

use std::{fs, path::Path};

use assert_cmd::Command;
use serde_json::Value;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/schema"))
}

#[test]
fn the_schemas_in_the_repository_are_those_of_the_program() {
    let fresh = tempfile::tempdir().expect("a folder");
    let program = env!("CARGO_BIN_EXE_tokenwarden");
    Command::new(program).args(["schema", "--write"]).arg(fresh.path()).assert().success();
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(folder()), names(fresh.path()));
    for name in names(folder()) {
        let read = |folder: &Path| fs::read_to_string(folder.join(&name)).expect("a schema");
        assert!(read(folder()) == read(fresh.path()), "{name:?} is stale: tokenwarden schema --write schema");
    }
}

#[test]
fn one_schema_is_printed_by_its_name() {
    let program = env!("CARGO_BIN_EXE_tokenwarden");
    let output = Command::new(program).args(["schema", "policy"]).assert().success();
    let printed = String::from_utf8(output.get_output().stdout.clone()).expect("text");
    let kept = fs::read_to_string(folder().join("policy.schema.json")).expect("a schema");
    assert!(printed == kept, "schema/policy.schema.json is another one");
    Command::new(program).args(["schema", "nothing"]).assert().code(64);
}

#[test]
fn every_schema_is_a_valid_schema_and_no_document_that_is_read_may_have_null() {
    for entry in fs::read_dir(folder()).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a schema");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(jsonschema::draft202012::meta::is_valid(&schema));
        let is_read = ["policy", "settings", "gateway", "tests"]
            .iter()
            .any(|name| path.ends_with(format!("{name}.schema.json")));
        assert!(!is_read || !text.contains("\"null\""), "{text}");
    }
}

#[test]
fn every_key_of_the_schemas_of_what_people_write_has_a_description() {
    for name in ["policy", "settings", "gateway", "tests"] {
        let text = fs::read_to_string(folder().join(format!("{name}.schema.json"))).expect("a schema");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        let mut stack = vec![&schema];
        while let Some(value) = stack.pop() {
            for (key, property) in value.get("properties").and_then(Value::as_object).into_iter().flatten() {
                assert!(property.get("description").is_some(), "{name}: {key}");
            }
            match value {
                Value::Object(members) => stack.extend(members.values()),
                Value::Array(items) => stack.extend(items),
                _ => {}
            }
        }
    }
}

#[test]
fn a_schema_has_an_address_and_for_editors_markdown_and_a_document_that_fits_it() {
    for entry in fs::read_dir(folder()).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("text").to_owned();
        let schema: Value =
            serde_json::from_str(&fs::read_to_string(&path).expect("a schema")).expect("JSON");
        let address = format!("{}/raw/HEAD/schema/{name}", env!("CARGO_PKG_REPOSITORY"));
        assert_eq!(schema["$id"], address);
        let is_written_by_people =
            ["policy", "settings", "gateway", "tests"].iter().any(|one| name == format!("{one}.schema.json"));
        assert_eq!(schema["examples"].is_array(), is_written_by_people, "{name}");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        for example in schema["examples"].as_array().into_iter().flatten() {
            let wrong: Vec<_> = validator.iter_errors(example).map(|error| error.to_string()).collect();
            assert_eq!(wrong, Vec::<String>::new(), "{name}");
        }
        let mut stack = vec![&schema];
        while let Some(value) = stack.pop() {
            if let Some(Value::String(format)) = value.get("format") {
                assert!(!format.starts_with("uint") && !format.starts_with("int"), "{name}: {format}");
            }
            if let Some(Value::String(text)) = value.get("description").filter(|_| is_written_by_people)
                && text.contains('`')
            {
                assert_eq!(value["markdownDescription"], **text, "{name}");
            }
            match value {
                Value::Object(members) => stack.extend(members.values()),
                Value::Array(items) => stack.extend(items),
                _ => {}
            }
        }
    }
}
