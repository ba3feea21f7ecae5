//! What the audit keeps of a change to the store: the author, taken from the right to make it, and the effects, without
//! which no change is committed.

use std::{cmp::Reverse, net::IpAddr};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Right, Sender, TokenRow};
use crate::model::{
    Owner, TokenScope,
    audit::{AuditAction, AuditCredential},
    run::RunId,
};

/// The most bytes that the details of one entry take. Of longer ones the longest parts are replaced by how many
/// objects changed.
const DETAILS_AT_MOST: usize = 64 * 1024;

/// Where a request came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whence {
    /// The address of the client, as far as it could be judged.
    pub client: Option<IpAddr>,
    /// The identifier of the request.
    pub request: String,
}

/// Who changes the store, and with what they proved it.
pub(super) struct Author {
    pub(super) who: String,
    pub(super) credential: AuditCredential,
    pub(super) credential_token: Option<i64>,
    pub(super) whence: Option<Whence>,
    /// When, UTC, by the clock that the right was judged by; `None` for the clock of the system.
    pub(super) at: Option<Timestamp>,
    pub(super) run: Option<RunId>,
}

impl Author {
    /// The author of what is done under `right`.
    pub(super) fn of(right: &Right) -> Self {
        let Right::Request(grounds) = right else {
            return Self {
                who: "(host)".to_owned(),
                credential: AuditCredential::Host,
                credential_token: None,
                whence: None,
                at: None,
                run: None,
            };
        };
        let (who, credential, credential_token) = match &grounds.sender {
            Sender::Password(account) => (account.name.to_string(), AuditCredential::Password, None),
            Sender::Token(known) => {
                let token = &known.token;
                let who = match &token.owner {
                    Owner::User(name) => name.to_string(),
                    place => format!("({place})"),
                };
                (who, AuditCredential::Token, Some(token.id))
            }
            // Nobody has no right, and so nothing is ever written in that name.
            Sender::Operator | Sender::Nobody => ("(operator)".to_owned(), AuditCredential::Operator, None),
        };
        let (whence, at) = (Some(grounds.whence.clone()), Some(grounds.clock.now()));
        Self { who, credential, credential_token, whence, at, run: None }
    }
}

/// One effect of a change.
pub(super) struct Effect {
    pub(super) action: AuditAction,
    pub(super) token: Option<(i64, Owner)>,
    /// The token whose revocation or narrowing took this one along.
    pub(super) with_token: Option<i64>,
    /// The number up to which numbers may be without an entry of the audit from then on.
    pub(super) through: Option<i64>,
    /// Entries from before this moment, UTC, are deleted with it, up to that number.
    pub(super) pruned_before: Option<Timestamp>,
    details: Map<String, Value>,
}

impl Effect {
    /// `action`, with `details`, which must be an object.
    pub(super) fn new(action: AuditAction, details: Value) -> Self {
        let Value::Object(details) = details else { return Self::new(action, json!({"of": details})) };
        Self { action, token: None, with_token: None, through: None, pruned_before: None, details }
    }

    /// The same, done to a token.
    pub(super) fn on(self, id: i64, owner: &Owner) -> Self {
        Self { token: Some((id, owner.clone())), ..self }
    }

    /// The same, which happened because the token `root` was revoked or narrowed.
    pub(super) fn along_with(self, root: Option<i64>) -> Self {
        Self { with_token: root, ..self }
    }

    /// The same, which deletes the entries of the audit from before `before`, UTC, up to the number `last`.
    pub(super) fn prunes(self, last: i64, before: Timestamp) -> Self {
        Self { through: Some(last), pruned_before: Some(before), ..self }
    }

    /// The same, from which on numbers up to `through` may be without an entry.
    pub(super) fn leaves_out(self, through: Option<i64>) -> Self {
        Self { through, ..self }
    }

    /// What else there is to say of it, as JSON text.
    pub(super) fn details(&self) -> String {
        let length = |value: &Value| value.to_string().len();
        let mut by_length: Vec<_> =
            self.details.iter().map(|(key, value)| (length(value), key, value)).collect();
        by_length.sort_unstable_by_key(|(length, ..)| Reverse(*length));
        let mut details = self.details.clone();
        for (_, key, value) in by_length {
            let text = json!(details).to_string();
            if text.len() <= DETAILS_AT_MOST {
                return text;
            }
            let count = match value {
                Value::Object(parts) => parts.len(),
                Value::Array(parts) => parts.len(),
                _ => 1,
            };
            details.insert(key.clone(), json!({"changed": count}));
        }
        json!(details).to_string()
    }
}

/// What the audit tells of a token when it is made or revoked.
pub(super) fn token_details(token: &TokenRow) -> Value {
    json!({
        "description": token.description,
        "scope": match token.scope {
            TokenScope::Set(scope) => Some(scope),
            TokenScope::Unset | TokenScope::Unknown => None,
        },
        "expires": token.expires,
        "permissions": token.permissions,
        "parent": token.parent,
        "created_by": token.created_by.as_ref().map(ToString::to_string),
    })
}

/// How `after` differs from `before`: object by object, and `{"before": .., "after": ..}` for everything else. Without
/// a difference it is an empty object.
pub(super) fn differences(before: &Value, after: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        let sides = [("before", before), ("after", after)].into_iter().filter(|(_, side)| !side.is_null());
        return Value::Object(sides.map(|(word, side)| (word.to_owned(), side.clone())).collect());
    };
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    let side = |whole: &Map<String, Value>, key: &str| whole.get(key).cloned().unwrap_or(Value::Null);
    let differing = keys
        .map(|key| (key, side(old, key), side(new, key)))
        .filter(|(_, old, new)| old != new)
        .map(|(key, old, new)| (key.clone(), differences(&old, &new)));
    Value::Object(differing.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_came_what_went_and_what_changed_and_nothing_else() {
        let before = json!({"same": 1, "gone": "x", "in": {"same": [1], "list": [1, 2]}});
        let after = json!({"same": 1, "new": true, "in": {"same": [1], "list": [2]}});
        assert_eq!(
            differences(&before, &after),
            json!({
                "gone": {"before": "x"},
                "new": {"after": true},
                "in": {"list": {"before": [1, 2], "after": [2]}},
            })
        );
        assert_eq!(differences(&after, &after), json!({}));
    }

    #[test]
    fn details_that_would_fill_the_store_are_counted() {
        let users: Map<String, Value> =
            (0..5_000).map(|number| (format!("user{number}"), json!({"after": {"active": true}}))).collect();
        let effect = Effect::new(AuditAction::DirectoryImport, json!({"users": users, "passwords": ["a"]}));
        assert_eq!(effect.details(), r#"{"users":{"changed":5000},"passwords":["a"]}"#);
    }
}
