//! Bitbucket Data Center, as the target of that name reads it. The key of a user is the number that
//! Atlassian's libraries write as text.

use serde::de::IgnoredAny;

use super::Person;
use crate::{
    model::{GroupName, UserName},
    target::{
        bitbucket::{
            directory,
            wire::{GROUPS, GROUPS_OF, MEMBERS, Number, PROBE, PROPERTIES, Properties, USERS},
        },
        directory::Members,
        http::{HttpClient, HttpError, Listing},
    },
};

/// What is read of the product.
pub(super) const READ: &[&str] = &[PROBE, PROPERTIES, USERS, GROUPS, MEMBERS, GROUPS_OF];

pub(super) async fn whoami(client: &HttpClient) -> Result<Option<UserName>, HttpError> {
    Ok(client.get::<IgnoredAny>(PROBE, &[("limit", "1")]).await?.user)
}

pub(super) async fn version(client: &HttpClient) -> Result<Option<String>, HttpError> {
    Ok(client.get::<Properties>(PROPERTIES, &[]).await?.body.version())
}

pub(super) async fn people(client: &HttpClient) -> Result<Listing<Person>, HttpError> {
    let users = directory::users(client).await?;
    let person = |user: directory::User| Person {
        key: user.id.map_or_else(|| user.name.as_str().to_owned(), Number::text),
        name: user.name,
        active: user.active,
    };
    Ok(users.map(person))
}

pub(super) async fn members(
    client: &HttpClient,
    group: GroupName,
) -> Result<(GroupName, Members), HttpError> {
    directory::members(client, group).await
}

pub(super) async fn groups_of(client: &HttpClient, user: &UserName) -> Result<Vec<GroupName>, HttpError> {
    directory::groups_of(client, user).await
}
