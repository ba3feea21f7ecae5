//! Bitbucket Data Center, as the target of that name reads it. The key of a user is the number that
//! Atlassian's libraries write as text.

use serde::de::IgnoredAny;

use crate::{
    http::{HttpClient, HttpError, PagedList},
    model::{GroupName, UserName, brief},
    targets::{
        atlassian::Number,
        bitbucket::{
            directory,
            wire::{GROUPS, GROUPS_OF, MEMBERS, PROBE, PROPERTIES, USERS},
        },
        directory::Members,
    },
};

use super::ProductUser;

pub(super) use crate::targets::bitbucket::wire::version;

/// What is read of the product.
pub(super) const READ: &[&str] = &[PROBE, PROPERTIES, USERS, GROUPS, MEMBERS, GROUPS_OF];

pub(super) async fn whoami(client: &HttpClient) -> Result<Option<UserName>, HttpError> {
    Ok(client.get::<IgnoredAny>(PROBE, &[("limit", "1")]).await?.user)
}

pub(super) async fn people(client: &HttpClient) -> Result<PagedList<ProductUser>, HttpError> {
    let users = directory::users(client).await?;
    let has_number =
        |user: &directory::User| user.id.as_ref().and_then(Number::value).is_some_and(|id| id > 0);
    let odd = users.values.iter().find(|user| !has_number(user)).map(|user| user.name.clone());
    let person = |user: directory::User| ProductUser {
        key: user.id.map_or_else(|| user.name.as_str().to_owned(), Number::text),
        name: user.name,
        active: user.active,
    };
    let mut people = users.map(person);
    if let Some(name) = odd {
        people.belie(format!("the `id` of `{}` cannot be read", brief(&name)));
    }
    Ok(people)
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
