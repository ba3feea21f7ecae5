//! In: a run. Out: its findings as SARIF 2.1.0, each at the line of the policy that demands it, for what
//! shows findings beside the code. It refuses to hold anything but findings: what will be done about them
//! is another report's subject.
//!
//! Source: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Value, json};

use crate::{
    model::Rule,
    plan::{Object, Plan},
    policy::{Place, Waiver},
};

use super::{
    Run, TargetRun,
    advice::{about, advice},
    escape::escape,
    findings::{Found, Remedy, found},
    hash::hash,
    subject::{address, token_name},
};

/// The run as one SARIF document, with a run for each target in it.
#[must_use]
pub fn report(run: &Run<'_>) -> String {
    let runs: Vec<Value> = run.targets.iter().map(|target| of_target(run, target)).collect();
    let document = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": runs,
    });
    format!("{document:#}\n")
}

fn of_target(run: &Run<'_>, target: &TargetRun<'_>) -> Value {
    let plan = target.latest();
    let mut rules: BTreeMap<&Rule, usize> = BTreeMap::new();
    plan.into_iter().flat_map(found).for_each(|found| _ = rules.insert(found.rule, 0));
    rules.values_mut().enumerate().for_each(|(index, place)| *place = index);
    let results = plan.into_iter().flat_map(found).map(|found| result(target.name, &found, &rules));
    json!({
        "tool": { "driver": {
            "name": "tokenwarden",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules.keys().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
        }},
        "automationDetails": { "id": format!("tokenwarden/{}/", target.name) },
        "columnKind": "unicodeCodePoints",
        "invocations": [{
            "executionSuccessful": target.is_success(),
            "endTimeUtc": run.at,
            "toolExecutionNotifications": notifications(target),
        }],
        "results": results.collect::<Vec<_>>(),
    })
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.code(),
        "shortDescription": { "text": message(&about(rule)) },
        "help": { "text": format!("What its owner can do: {}.", advice(rule)) },
        "defaultConfiguration": { "level": "warning" },
    })
}

fn result(target: &str, found: &Found<'_>, rules: &BTreeMap<&Rule, usize>) -> Value {
    // INVARIANT: the fingerprint is of nothing that moves: a finding is known again in every run.
    let address = address(target, Object::Token(found.token));
    let text = format!("{}: {}", token_name(found.token), escape(found.message));
    let mut location =
        json!({ "logicalLocations": [{ "fullyQualifiedName": escape(&address), "kind": "resource" }] });
    if let (Some(place), Some(location)) = (found.place, location.as_object_mut()) {
        location.insert("physicalLocation".to_owned(), physical(place));
    }
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
        "partialFingerprints": { "tokenwarden/v1": hash(&[&address, found.rule.code()]) },
        "properties": properties,
    });
    if let (Remedy::Waived(waiver), Some(result)) = (found.remedy, result.as_object_mut()) {
        result.insert("suppressions".to_owned(), json!([suppression(waiver)]));
    }
    result
}

fn suppression(waiver: &Waiver) -> Value {
    json!({
        "kind": "external",
        "status": "accepted",
        "justification": format!("until {}: {}", waiver.until, escape(&waiver.reason)),
        "location": { "physicalLocation": physical(&waiver.place) },
    })
}

/// How bad it is: what ends a token now, what touches it, and what only says so.
fn level(remedy: Remedy<'_>) -> &'static str {
    match remedy {
        Remedy::Change("revoke") => "error",
        Remedy::Change(_) => "warning",
        Remedy::Pending(_) | Remedy::Report | Remedy::Waived(_) => "note",
    }
}

fn physical(place: &Place) -> Value {
    json!({
        "artifactLocation": { "uri": uri(&place.file) },
        "region": { "startLine": place.line, "startColumn": place.column },
    })
}

/// What kept the target from being seen or judged as a whole.
fn notifications(target: &TargetRun<'_>) -> Vec<Value> {
    let notification =
        |level: &str, text: &str| json!({ "level": level, "message": { "text": message(&escape(text)) } });
    let unread = target.plan.as_ref().err().map(|why| notification("error", why));
    let refusals = target.refusals.iter().map(|why| notification("error", why));
    let held_back = target
        .latest()
        .map_or(&[][..], |plan: &Plan| &plan.held_back)
        .iter()
        .map(|held| notification("warning", &format!("held back: {}: {}", held.subject, held.reason)));
    unread.into_iter().chain(refusals).chain(held_back).collect()
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
