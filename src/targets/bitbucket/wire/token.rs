//! A token in Bitbucket's REST, and what is written of one.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Named;
use crate::{
    model::{LastUse, Marker, Owner, Scope, Token, TokenId, TokenScope},
    targets::{
        atlassian::{Number, or_none},
        millis::{Millis, NoMoment},
    },
};

/// A token in a list or by itself. Times are milliseconds since the epoch.
///
/// Its identifier is one of the whole server, no matter who owns the token: every secret begins with it, and
/// says nothing of the owner. Paths name the owner all the same.
#[derive(Debug, Deserialize, Hash)]
#[serde(rename_all = "camelCase")]
pub(in crate::targets::bitbucket) struct TokenItem {
    id: Number,
    pub(in crate::targets::bitbucket) name: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::targets::bitbucket) permissions: Option<Vec<String>>,
    #[serde(default)]
    created_date: Millis,
    #[serde(default)]
    last_authenticated: Millis,
    #[serde(default)]
    expiry_date: Millis,
    expiry_days: Option<Value>,
    /// Whose it is, where the server says so.
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::targets::bitbucket) user: Option<Named>,
}

/// What no token has, in the field of this name.
#[derive(Debug, thiserror::Error)]
#[error("`{field}` of token {id} cannot be read")]
pub(in crate::targets::bitbucket) struct BadItem {
    pub(in crate::targets::bitbucket) id: TokenId,
    pub(in crate::targets::bitbucket) field: &'static str,
}

impl TokenItem {
    /// The token, which is one of `owner`, with the mark that `marker` finds.
    pub(in crate::targets::bitbucket) fn token(
        self,
        owner: Owner,
        marker: Option<&Marker>,
    ) -> Result<Token, BadItem> {
        let scope = self.scope();
        let id = TokenId::new(self.id.text());
        let bad = |field| BadItem { id: id.clone(), field };
        if id.as_str().trim().is_empty() || id.as_str().starts_with('-') {
            return Err(bad("id"));
        }
        let created = self.created_date.past().ok().flatten().ok_or_else(|| bad("createdDate"))?;
        let last = self.last_authenticated.past().map_err(|_| bad("lastAuthenticated"))?;
        let date = self.expiry_date.end().map_err(|_| bad("expiryDate"))?;
        let days = self.expiry_days.as_ref().map(|days| after_days(created, days)).transpose();
        let expires = match date {
            Some(date) => Some(date),
            None => days.map_err(|_| bad("expiryDays"))?.flatten(),
        };
        let name = self.name.unwrap_or_default();
        let (description, mark) = match marker {
            Some(marker) => {
                let (words, mark) = marker.read(&name, &id);
                (words.to_owned(), mark)
            }
            None => (name, None),
        };
        let last_used = last.map(|at| LastUse { at, from: None });
        Ok(Token { id, owner, description, scope, created, created_by: None, last_used, expires, mark })
    }

    /// How far it reaches: to writing when some permission is for more than reading, to reading when all are
    /// for that. Not known where a permission is not, and where the server does not say: no specification has
    /// the permissions in an answer.
    pub(in crate::targets::bitbucket) fn scope(&self) -> TokenScope {
        match &self.permissions {
            None => TokenScope::Unknown,
            Some(held) => {
                let levels = || held.iter().map(|permission| level(permission));
                if levels().flatten().any(|level| level != Level::Read) {
                    TokenScope::Set(Scope::ReadWrite)
                } else if levels().all(|level| level.is_some()) {
                    TokenScope::Set(Scope::ReadOnly)
                } else {
                    TokenScope::Unknown
                }
            }
        }
    }
}

/// The end of a token that was made at `created` and lives for this many `days`; `None` when it never ends.
fn after_days(created: Timestamp, days: &Value) -> Result<Option<Timestamp>, NoMoment> {
    // Days are written as moments are.
    match Millis::from(days) {
        Millis::Missing | Millis::Never => Ok(None),
        Millis::Odd => Err(NoMoment),
        Millis::TooLate => Ok(Some(Timestamp::MAX)),
        Millis::At(days) => {
            let hours = days.as_millisecond().checked_mul(24).and_then(SignedDuration::try_from_hours);
            let end = hours.and_then(|hours| created.checked_add(hours).ok());
            Ok(Some(end.unwrap_or(Timestamp::MAX)))
        }
    }
}

/// What a permission such as `REPO_WRITE` is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Read,
    More,
}

fn level(permission: &str) -> Option<Level> {
    match permission {
        "PROJECT_READ" | "REPO_READ" => Some(Level::Read),
        "PROJECT_WRITE" | "PROJECT_ADMIN" | "REPO_WRITE" | "REPO_ADMIN" => Some(Level::More),
        _ => None,
    }
}

/// A token holds a permission that cannot be lowered.
#[derive(Debug, thiserror::Error)]
#[error("its permission `{0}` is not known, so that nobody can tell what to lower it to")]
pub(in crate::targets::bitbucket) struct UnknownPermission(String);

/// `held` lowered to reading, each in its place: a permission on repositories stays at least as high as
/// the one on projects.
pub(in crate::targets::bitbucket) fn read_only(held: &[String]) -> Result<Vec<String>, UnknownPermission> {
    let mut lowered: Vec<String> = Vec::with_capacity(held.len());
    for permission in held {
        let (object, _) = permission
            .split_once('_')
            .filter(|_| level(permission).is_some())
            .ok_or_else(|| UnknownPermission(permission.clone()))?;
        let read = format!("{object}_READ");
        if !lowered.contains(&read) {
            lowered.push(read);
        }
    }
    Ok(lowered)
}

/// What is written of a token. Newer servers want the permissions in every update, and an expiry cannot
/// be changed: it is never sent. A name that is left out stays; none can be empty.
#[derive(Debug, PartialEq, Serialize)]
pub(in crate::targets::bitbucket) struct TokenUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::targets::bitbucket) name: Option<String>,
    pub(in crate::targets::bitbucket) permissions: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(json: Value) -> TokenItem {
        serde_json::from_value(json).unwrap()
    }

    fn mary() -> Owner {
        Owner::User("mary".into())
    }

    #[test]
    fn a_token_of_the_knowledge_base_is_read() {
        let token = item(json!({
            "id": "075905477751", "createdDate": 1_610_525_968_583_i64, "name": "access token name",
            "permissions": ["REPO_ADMIN", "PROJECT_READ"], "user": {"name": "john.doe", "id": 52},
        }))
        .token(mary(), None)
        .unwrap();
        assert_eq!(token.id.as_str(), "075905477751");
        assert_eq!(token.scope, TokenScope::Set(Scope::ReadWrite));
        assert_eq!(token.created.to_string(), "2021-01-13T08:19:28.583Z");
        assert_eq!((token.last_used, token.expires), (None, None));
    }

    #[test]
    fn an_expiry_is_a_date_or_days_after_the_creation_as_number_or_as_text() {
        const CREATED: i64 = 1_767_225_600_000;
        const DAY: i64 = 86_400_000;
        let expires = |more: Value| {
            let created = CREATED.to_string();
            let mut json = json!({"id": 7, "createdDate": created, "name": null, "permissions": []});
            extend(&mut json, &more);
            item(json).token(mary(), None).map(|token| token.expires.map(Timestamp::as_millisecond))
        };
        assert_eq!(expires(json!({"expiryDays": 2})).unwrap(), Some(CREATED + 2 * DAY));
        assert_eq!(expires(json!({"expiryDays": "2", "expiryDate": null})).unwrap(), Some(CREATED + 2 * DAY));
        let date = (CREATED + DAY).to_string();
        assert_eq!(expires(json!({"expiryDays": 9, "expiryDate": date})).unwrap(), Some(CREATED + DAY));
        assert_eq!(expires(json!({"expiryDate": 0})).unwrap(), None);
        for late in [json!({"expiryDays": i64::MAX}), json!({"expiryDate": 253_402_300_799_999_i64})] {
            assert_eq!(expires(late).unwrap(), Some(Timestamp::MAX.as_millisecond()));
        }
        for bad in [json!({"expiryDays": -1}), json!({"expiryDate": "soon"}), json!({"expiryDate": -1})] {
            assert!(expires(bad).is_err());
        }
        // In seconds.
        for bad in [json!({"expiryDate": 1_798_761_600}), json!({"createdDate": 1_767_225_600})] {
            assert!(expires(bad).is_err());
        }
    }

    fn extend(json: &mut Value, more: &Value) {
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }

    #[test]
    fn permissions_are_lowered_in_place_and_what_is_not_known_is_left_alone() {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let lowered = read_only(&texts(&["REPO_ADMIN", "PROJECT_WRITE", "REPO_READ"])).unwrap();
        assert_eq!(lowered, ["REPO_READ", "PROJECT_READ"]);
        assert!(read_only(&texts(&["REPO_READ", "REPO_CREATE"])).is_err());
        let scope = |permissions: Value| {
            item(json!({"id": "7", "createdDate": 1, "permissions": permissions})).scope()
        };
        assert_eq!(scope(json!(["REPO_READ", "PROJECT_READ"])), TokenScope::Set(Scope::ReadOnly));
        assert_eq!(scope(json!(["REPO_CREATE"])), TokenScope::Unknown, "nobody knows it");
        assert_eq!(scope(json!(["REPO_CREATE", "REPO_ADMIN"])), TokenScope::Set(Scope::ReadWrite));
        assert_eq!(scope(json!(null)), TokenScope::Unknown);
    }
}
