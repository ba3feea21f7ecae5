//! The bodies that a decision depends on: those that create or change a token, and the batch of LFS. Read in one
//! way, strictly: what could be read in another way is refused.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};

use crate::model::Scope;

/// The body of a request, as far as that was read.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// It was not read yet.
    Unread,
    /// Whoever asks cannot show it.
    Unseen,
    /// The whole body.
    Read(&'a [u8]),
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread => f.write_str("Unread"),
            Self::Unseen => f.write_str("Unseen"),
            Self::Read(bytes) => write!(f, "Read({} bytes)", bytes.len()),
        }
    }
}

/// A body that cannot be read, or in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// It is not the JSON of the request.
    #[error("the body is not the JSON of this request, in UTF-8, with every field once")]
    Form,
    /// It would change when a token expires.
    #[error("the expiry of a token cannot be changed; create another token")]
    Expiry,
}

/// What is asked of a token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct TokenBody {
    /// What tells it from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) permissions: Option<Vec<String>>,
    /// How many days it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expiry_days: Option<u32>,
}

impl TokenBody {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BadBody> {
        // A list of the values would be read as well.
        let is_object = bytes.trim_ascii_start().starts_with(b"{");
        serde_json::from_slice(bytes).ok().filter(|_| is_object).ok_or(BadBody::Form)
    }

    /// How far it is to reach; `None` when that is left open. A permission that nobody knows is not for reading.
    pub(super) fn scope(&self) -> Option<Scope> {
        let permissions = self.permissions.as_ref()?;
        let reads =
            permissions.iter().all(|permission| ["PROJECT_READ", "REPO_READ"].contains(&permission.as_str()));
        Some(if reads { Scope::ReadOnly } else { Scope::ReadWrite })
    }

    /// What is forwarded of it.
    pub(super) fn written(&self) -> Result<Vec<u8>, BadBody> {
        serde_json::to_vec(self).map_err(|_| BadBody::Form)
    }
}

/// What the batch of LFS in `bytes` takes.
pub(super) fn batch_needs(bytes: &[u8]) -> Result<Scope, BadBody> {
    let Batch(operation) = serde_json::from_slice(bytes).map_err(|_| BadBody::Form)?;
    Ok(if operation == "download" { Scope::ReadOnly } else { Scope::ReadWrite })
}

/// The operation of a batch of LFS.
struct Batch(String);

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BatchVisitor)
    }
}

struct BatchVisitor;

impl<'de> Visitor<'de> for BatchVisitor {
    type Value = Batch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one `operation`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Batch, A::Error> {
        const NAME: &str = "operation";
        let mut operation = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == NAME && operation.is_none() {
                operation = Some(map.next_value()?);
            } else if name.eq_ignore_ascii_case(NAME) {
                return Err(A::Error::duplicate_field(NAME));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        operation.map(Batch).ok_or_else(|| A::Error::missing_field(NAME))
    }
}
