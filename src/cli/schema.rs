//! The command `schema`: the JSON schemas of every document, for editors and for checking.

use std::{fs, path::PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;

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
        }
    }

    /// The schema as it is in a file: pretty, with a line end.
    pub(super) fn text(self) -> Result<String, Failure> {
        Ok(serde_json::to_string_pretty(&self.schema())? + "\n")
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
                let name = document.to_possible_value().map(|value| value.get_name().to_owned());
                let path = folder.join(format!("{}.schema.json", name.unwrap_or_default()));
                fs::write(&path, document.text()?).map_err(|source| CannotWrite { path, source })?;
            }
        }
        Ok(Ending::Done)
    }
}
