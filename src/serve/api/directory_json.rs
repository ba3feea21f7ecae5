//! Users and groups in Bitbucket's REST, as this server shows them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::links::{Base, Links};
use crate::serve::store::{GroupRow, UserRow};

/// A user, as Bitbucket shows one.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_address: Option<String>,
    id: i64,
    display_name: String,
    active: bool,
    /// The name as paths have it.
    slug: String,
    /// `NORMAL`.
    r#type: &'static str,
    links: Links,
}

impl User {
    /// What is shown of `user`.
    pub(super) fn new(user: UserRow, base: &Base) -> Self {
        Self {
            links: base.links(&["users", &user.slug]),
            name: user.name.into(),
            email_address: user.email,
            id: user.id,
            display_name: user.display_name,
            active: user.active,
            slug: user.slug,
            r#type: "NORMAL",
        }
    }
}

/// A user, as Bitbucket shows one to administrators.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DetailedUser {
    #[serde(flatten)]
    user: User,
    /// Where the user comes from.
    directory_name: &'static str,
    /// Whether the user can be deleted here: never, like the two below; users come from the directory file.
    deletable: bool,
    /// When the user last proved who that is, in milliseconds since 1970-01-01T00:00:00Z; left out for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_authentication_timestamp: Option<i64>,
    mutable_details: bool,
    mutable_groups: bool,
}

impl DetailedUser {
    pub(super) fn new(user: UserRow, base: &Base) -> Self {
        Self {
            last_authentication_timestamp: user.last_authenticated.map(Timestamp::as_millisecond),
            user: User::new(user, base),
            directory_name: "tokenwarden directory file",
            deletable: false,
            mutable_details: false,
            mutable_groups: false,
        }
    }
}

/// A group, as Bitbucket shows one to administrators.
#[derive(Serialize, JsonSchema)]
pub(super) struct Group {
    name: String,
    /// Whether it can be deleted here: never, it comes from the directory file.
    deletable: bool,
}

impl From<GroupRow> for Group {
    fn from(group: GroupRow) -> Self {
        Self { name: group.name.into(), deletable: false }
    }
}
