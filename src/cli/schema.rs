//! The command `schema`: the JSON schemas of every document, for editors and for checking.

use std::{fs, path::PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    config, inventory, journal, policy, policy_tests, report,
    run::{Ending, Failure},
    saved,
};

use super::{CommandResult, Global, atomic::CannotWrite, output};

/// Print the JSON schema of a document, or write them all
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Which document
    #[arg(value_enum, value_name = "DOCUMENT", required_unless_present = "write")]
    document: Option<Document>,
    /// Write the schemas of all documents into this folder, as NAME.schema.json
    #[arg(long, value_name = "DIR", conflicts_with = "document")]
    write: Option<PathBuf>,
}

/// The documents that have a schema. A new one is a line here and a line in [`Document::schema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Document {
    /// Policy files
    Policy,
    /// The config file `tokenwarden.yaml`
    Settings,
    /// The gateway file of `serve --config`
    Gateway,
    /// What `validate --format json` writes
    Diagnostics,
    /// What `plan` and `apply` write with `--format json`
    Plan,
    /// What `compare --format json` writes
    Comparison,
    /// One line of what `inventory` writes
    Inventory,
    /// What `tokens --format json` writes
    Tokens,
    /// What `explain TOKEN` writes with `--format json`
    Explanation,
    /// What `explain --owner NAME` writes with `--format json`
    Decision,
    /// Files of policy tests
    Tests,
    /// What `test --format json` writes
    TestReport,
    /// One line of a journal file
    Journal,
    /// What `journal show` writes with `--format json`
    Runs,
    /// What `--webhook` sends
    Event,
}

impl Document {
    fn schema(self) -> Value {
        match self {
            Self::Policy => policy::document::schema(),
            Self::Settings => config::document::schema(),
            Self::Gateway => config::gateway::document::schema(),
            Self::Diagnostics => report::diagnostics::schema(),
            Self::Plan => saved::document::schema(),
            Self::Comparison => report::compare::json::schema(),
            Self::Inventory => inventory::snapshot::schema(),
            Self::Tokens => report::tokens::schema(),
            Self::Explanation => report::explain_json::explanation_schema(),
            Self::Tests => policy_tests::file::document::schema(),
            Self::TestReport => report::test_json::schema(),
            Self::Decision => report::explain_json::decision_schema(),
            Self::Journal => journal::schema(),
            Self::Runs => report::journal::schema(),
            Self::Event => report::event::schema(),
        }
    }

    /// How it is called on the command line and in the name of its file.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The schema as it is in a file: with an address of its own, for editors with an example and descriptions in
    /// Markdown; pretty, with a line end.
    pub(super) fn text(self) -> Result<String, Failure> {
        let mut schema = self.schema();
        if let Some(members) = schema.as_object_mut() {
            let id = format!("{}/raw/HEAD/schema/{}.schema.json", env!("CARGO_PKG_REPOSITORY"), self.name());
            members.insert("$id".to_owned(), id.into());
            if let Some(example) = self.example() {
                members.insert("examples".to_owned(), json!([example]));
            }
        }
        if self.example().is_some() {
            describe_in_markdown(&mut schema);
        }
        Ok(serde_json::to_string_pretty(&schema)? + "\n")
    }

    /// A document of it, where people write it.
    fn example(self) -> Option<Value> {
        match self {
            Self::Policy => Some(json!({
                "version": 1,
                "permissions": { "use": ["developers", "ci-bots"], "create": ["developers"] },
                "network": { "allow": ["10.0.0.0/8"] },
                "tokens": {
                    "limits": [
                        { "groups": ["ci-bots"], "max_scope": "read-write", "max_lifetime": "1y" },
                        { "max_scope": "read-only", "max_lifetime": "180d", "max_idle": "90d" },
                    ],
                    "enforcement": { "owner-inactive": "revoke", "lifetime": { "action": "expire", "grace": "14d" } },
                },
            })),
            Self::Settings => Some(json!({
                "version": 1,
                "targets": { "prod": {
                    "kind": "bitbucket",
                    "url": "https://bitbucket.example.com",
                    "auth": { "user": "warden", "password_env": "TOKENWARDEN_PASSWORD" },
                    "policy": ["policy/base.yaml"],
                } },
            })),
            Self::Gateway => Some(json!({
                "version": 1,
                "listen": "127.0.0.1:7991",
                "store": "sqlite:/var/lib/tokenwarden/gateway.db",
                "upstream": {
                    "url": "http://127.0.0.1:7990",
                    "auth": { "user": "warden", "password_env": "BITBUCKET_PASSWORD" },
                },
            })),
            Self::Tests => Some(json!({
                "version": 1,
                "now": "2026-12-01T00:00:00Z",
                "target": "prod",
                "owners": { "olga": { "active": false } },
                "cases": [{
                    "name": "the tokens of people who left are revoked",
                    "token": { "owner": "olga", "scope": "read-only", "created": "2026-11-01", "expires": "2027-01-01" },
                    "expect": { "findings": ["owner-inactive"], "actions": ["revoke"] },
                }],
            })),
            _ => None,
        }
    }
}

impl Schema {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When a file or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        if let Some(document) = self.document {
            output::write(&document.text()?)?;
        }
        if let Some(folder) = &self.write {
            let folder = global.directory.join(folder);
            fs::create_dir_all(&folder).map_err(|source| CannotWrite { path: folder.clone(), source })?;
            for document in Document::value_variants() {
                let path = folder.join(format!("{}.schema.json", document.name()));
                fs::write(&path, document.text()?).map_err(|source| CannotWrite { path, source })?;
            }
        }
        Ok(Ending::Done)
    }
}

/// Says again in Markdown what is described with code in it, for the editors that show it.
fn describe_in_markdown(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get("description")
                && text.contains('`')
            {
                members.insert("markdownDescription".to_owned(), text.as_str().into());
            }
            members.values_mut().for_each(describe_in_markdown);
        }
        Value::Array(items) => items.iter_mut().for_each(describe_in_markdown),
        _ => {}
    }
}
