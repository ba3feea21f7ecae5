//! The findings of a run as SARIF 2.1.0, each at the line of the policy that demands it, for tools that
//! show findings beside the code. What will be done about them is another report's subject.
//!
//! Source: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

mod room;

use std::{collections::BTreeMap, fmt::Write, io};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    model::{Rule, brief},
    plan::Object,
    policy::Waiver,
    yaml::Place,
};

use super::{
    Run, TargetRun,
    advice::{about, advice, page},
    escape::{escape, escape_whole},
    findings::Remedy,
    hash::hash,
    subject::token_name,
};
use room::{Numbered, Part};

/// Where the files lie that results point to.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// The config file, named as places of the policy name theirs: results without a line of the policy
    /// point to it.
    pub settings: &'a str,
    /// The path of a file from the root of the repository, for one that is named like this.
    pub in_repository: &'a dyn Fn(&str) -> String,
}

/// The findings of a run that a SARIF document has room for.
pub struct Sarif<'r, 'a> {
    run: &'r Run<'a>,
    kept: Vec<Part<'r, 'a>>,
    /// What it has no room for, a sentence for each kind; the document says so too.
    pub left_out: Vec<String>,
}

/// The run as one SARIF document, with a run for each target in it, of files that lie at the root of the
/// repository.
#[must_use]
pub fn report(run: &Run<'_>) -> String {
    Sarif::of(run).text(Files { settings: "tokenwarden.yaml", in_repository: &str::to_owned })
}

impl<'r, 'a> Sarif<'r, 'a> {
    /// Those of `run`.
    #[must_use]
    pub fn of(run: &'r Run<'a>) -> Self {
        let (kept, left_out) = room::select(run);
        Self { run, kept, left_out }
    }

    /// The document, with a run for each target in it, of files that lie as `files` says.
    #[must_use]
    pub fn text(&self, files: Files<'_>) -> String {
        let mut text = Vec::new();
        // No key and no value is one that cannot be written.
        let _ = self.write(files, &mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    /// Writes the document to `out`.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn write(&self, files: Files<'_>, mut out: impl io::Write) -> io::Result<()> {
        let about_all = self.kept.first().map(|(target, _)| target.name);
        let runs = self.kept.iter().map(|(target, results)| {
            let said = if about_all == Some(target.name) { self.left_out.as_slice() } else { &[] };
            of_target(self.run, target, results, said, files)
        });
        let document = Document {
            schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
            version: "2.1.0",
            runs: runs.collect(),
        };
        serde_json::to_writer_pretty(&mut out, &document)?;
        out.write_all(b"\n")
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: Vec<OfTarget<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfTarget<'a> {
    tool: Value,
    automation_details: Value,
    original_uri_base_ids: Value,
    column_kind: &'static str,
    invocations: Value,
    results: Results<'a>,
}

/// The results of a target, each of which is made when it is written: there may be very many.
struct Results<'a> {
    target: &'a str,
    found: &'a [Numbered<'a>],
    rules: BTreeMap<&'a Rule, usize>,
    files: Files<'a>,
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { target, found, rules, files } = self;
        serializer.collect_seq(found.iter().map(|one| result(target, one, rules, *files)))
    }
}

fn of_target<'a>(
    run: &Run<'_>,
    target: &'a TargetRun<'_>,
    results: &'a [Numbered<'a>],
    left_out: &[String],
    files: Files<'a>,
) -> OfTarget<'a> {
    let mut rules: BTreeMap<&Rule, usize> = results.iter().map(|one| (one.found.rule, 0)).collect();
    rules.values_mut().enumerate().for_each(|(index, place)| *place = index);
    OfTarget {
        tool: json!({ "driver": {
            "name": "tokenwarden",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules.keys().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
        }}),
        automation_details: json!({ "id": format!("tokenwarden/{}/", target.name) }),
        original_uri_base_ids: json!({ ROOT: { "description": { "text": "The root of the repository." } } }),
        column_kind: "unicodeCodePoints",
        invocations: json!([{
            "executionSuccessful": target.is_success(),
            "endTimeUtc": run.at,
            "toolExecutionNotifications": notifications(target, left_out),
        }]),
        results: Results { target: target.name, found: results, rules, files },
    }
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.code(),
        "shortDescription": { "text": message(&about(rule)) },
        "help": { "text": format!("What its owner can do: {}.", advice(rule)) },
        "helpUri": page(rule),
        "defaultConfiguration": { "level": "warning" },
    })
}

fn result(target: &str, one: &Numbered<'_>, rules: &BTreeMap<&Rule, usize>, files: Files<'_>) -> Value {
    let Numbered { found, number } = one;
    // INVARIANT: the fingerprint is of nothing that moves: a finding is known again in every run.
    let address = Object::Token(found.token).address_on(target);
    let fingerprint = match number {
        1 => hash(&[&address, found.rule.code()]),
        more => hash(&[&address, found.rule.code(), &more.to_string()]),
    };
    let text = format!("{}: {}", token_name(found.token), escape_whole(found.message));
    let physical = found.place.map_or_else(|| first_line(files), |place| physical(place, files));
    let location = json!({
        "physicalLocation": physical,
        "logicalLocations": [{ "fullyQualifiedName": escape(&address), "kind": "resource" }],
    });
    let mut properties = json!({
        "action": found.remedy.word(),
        "target": target,
        "owner": escape(&found.token.owner.to_string()),
    });
    if let (Some(origin), Some(properties)) = (found.origin, properties.as_object_mut()) {
        properties.insert("origin".to_owned(), json!(origin.word()));
    }
    let mut result = json!({
        "ruleId": found.rule.code(),
        "ruleIndex": rules.get(found.rule),
        "level": level(found.remedy),
        "message": { "text": message(&text) },
        "locations": [location],
        "partialFingerprints": { "primaryLocationLineHash": fingerprint, "tokenwarden/v1": fingerprint },
        "properties": properties,
    });
    if let (Remedy::Waived(waiver), Some(result)) = (found.remedy, result.as_object_mut()) {
        result.insert("suppressions".to_owned(), json!([suppression(waiver, files)]));
    }
    result
}

fn suppression(waiver: &Waiver, files: Files<'_>) -> Value {
    json!({
        "kind": "external",
        "status": "accepted",
        "justification": format!("until {}: {}", waiver.until, escape_whole(&waiver.reason)),
        "location": { "physicalLocation": physical(&waiver.place, files) },
    })
}

/// How bad it is: what ends a token now, what touches it, and what only says so.
fn level(remedy: Remedy<'_>) -> &'static str {
    match remedy.rank() {
        0 => "error",
        1 => "warning",
        _ => "note",
    }
}

/// What paths are relative to, by the name that GitHub gives it.
const ROOT: &str = "%SRCROOT%";

fn physical(place: &Place, files: Files<'_>) -> Value {
    json!({
        "artifactLocation": artifact(&place.file, files),
        "region": { "startLine": place.line, "startColumn": place.column },
    })
}

/// The place of what has no line in the policy: no reader shows a result without one.
fn first_line(files: Files<'_>) -> Value {
    json!({ "artifactLocation": artifact(files.settings, files), "region": { "startLine": 1 } })
}

fn artifact(file: &str, files: Files<'_>) -> Value {
    let path = uri(&(files.in_repository)(file));
    if path.starts_with('/') {
        return json!({ "uri": format!("file://{path}") });
    }
    json!({ "uri": path, "uriBaseId": ROOT })
}

/// What kept the target from being seen or judged as a whole, and what is left out of the file.
fn notifications(target: &TargetRun<'_>, left_out: &[String]) -> Vec<Value> {
    let notification = |level: &str, text: &str| {
        let lines: Vec<String> = text.lines().map(|line| message(&escape_whole(line.trim_end()))).collect();
        json!({ "level": level, "message": { "text": lines.join("\n") } })
    };
    let unread = target.plan.as_ref().err().map(|why| notification("error", why.kept()));
    let refusals = target.refusals.iter().map(|why| notification("error", why));
    let held_back = target.latest().into_iter().flat_map(|plan| &plan.held_back).map(|held| {
        notification("warning", &format!("held back: {}: {}", brief(&held.subject), held.reason))
    });
    let left_out = left_out.iter().map(|what| notification("warning", what));
    unread.into_iter().chain(refusals).chain(held_back).chain(left_out).collect()
}

/// `text` as a message: braces would be places for arguments, and brackets links (3.11.5 and 3.11.6 of
/// the standard).
fn message(text: &str) -> String {
    let mut message = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '{' => message.push_str("{{"),
            '}' => message.push_str("}}"),
            '[' | ']' | '\\' => message.extend(['\\', c]),
            other => message.push(other),
        }
    }
    message
}

/// The path of a file as a relative reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        let byte = if byte == b'\\' { b'/' } else { byte };
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
