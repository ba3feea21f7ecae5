//! Entries of an audit as text: a line each, under a head. Names and descriptions in them are somebody else's.

use std::fmt::{self, Write};

use serde_json::Value;

use crate::model::audit::AuditEntry;

use super::{Paint, escape};

/// Writes the head of the table.
///
/// # Errors
///
/// When `out` fails.
pub fn head(paint: Paint, out: &mut impl Write) -> fmt::Result {
    let head = format!("{:<24} {:<16} {:<28} {}", "when", "action", "who", "what");
    writeln!(out, "{}", paint.strong(&head))
}

/// Writes one entry.
///
/// # Errors
///
/// When `out` fails.
pub fn line(entry: &AuditEntry, out: &mut impl Write) -> fmt::Result {
    let with = match entry.credential_token {
        Some(token) => format!("token {token}"),
        None => entry.credential.word().to_owned(),
    };
    let id =
        |id: &Option<String>| id.as_deref().map(|id| format!(" [id {}]", escape(id))).unwrap_or_default();
    let who = format!("{}{} ({with})", escape(&entry.who), id(&entry.who_id));
    let at = entry.at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
    let owner = entry.owner.as_deref().map(escape);
    let parts = [
        entry.token.map(|token| format!("token {token}")),
        owner.map(|owner| format!("of {owner}{}", id(&entry.owner_id))),
        entry.with_token.map(|token| format!("with token {token}")),
        entry.client_address.map(|client| format!("from {client}")),
        entry.run.as_ref().map(|run| format!("by run {run}")),
        entry.request.as_deref().map(|request| format!("request {}", escape(request))),
        (!entry.details.is_empty()).then(|| escape(&Value::from(entry.details.clone()).to_string())),
    ];
    let what: Vec<String> = parts.into_iter().flatten().collect();
    writeln!(out, "{at:<24} {:<16} {who:<28} {}", entry.action, what.join(" "))
}
