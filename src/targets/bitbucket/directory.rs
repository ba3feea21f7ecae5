//! The users of a Bitbucket, and the members of a group. An empty group is looked for by its name: silence
//! is not taken for an answer.

use crate::{
    http::{HttpClient, HttpError, PagedList},
    model::{GroupName, UserName},
    targets::directory::Members,
};

pub(in crate::targets) use super::wire::User;
use super::wire::{FILTERED_USERS, GROUPS, GROUPS_OF, Group, MEMBERS, Named, USERS};

/// Values on a page; the server may give fewer.
pub(in crate::targets) const PAGE: &str = "1000";

/// All users, the inactive ones too. One may be there twice.
pub(in crate::targets) async fn users(client: &HttpClient) -> Result<PagedList<User>, HttpError> {
    client.list_twice(USERS, &[], PAGE).await
}

/// Those who administer the server, system administrators and members of groups among them; `None` when
/// it does not tell us. A permission alone is held by accounts without a licence too, who get nowhere.
pub(super) async fn administrators(client: &HttpClient) -> Result<Option<Vec<UserName>>, HttpError> {
    let both = [("permission.1", "LICENSED_USER"), ("permission.2", "ADMIN")];
    match client.pages::<Named>(FILTERED_USERS, &both, PAGE).await {
        Ok(users) => Ok(Some(users.into_iter().map(|user| user.name).collect())),
        Err(error) if matches!(error.status().map(|status| status.as_u16()), Some(400 | 401 | 403 | 404)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The members of `group`, of whom one may be there twice.
pub(in crate::targets) async fn members(
    client: &HttpClient,
    group: GroupName,
) -> Result<(GroupName, Members), HttpError> {
    let answer = client.list_twice::<Named>(MEMBERS, &[("context", group.as_str())], PAGE).await;
    let members = Members::of(answer.map(|listing| listing.map(|member| member.name)))?;
    match members {
        Members::All(all) if all.is_empty() && !has_group(client, &group).await? => {
            Ok((group, Members::Unknown))
        }
        members => Ok((group, members)),
    }
}

/// The groups that `user` is in.
pub(in crate::targets) async fn groups_of(
    client: &HttpClient,
    user: &UserName,
) -> Result<Vec<GroupName>, HttpError> {
    let groups = client.pages::<Group>(GROUPS_OF, &[("context", user.as_str())], PAGE).await?;
    Ok(groups.into_iter().map(|group| group.name).collect())
}

async fn has_group(client: &HttpClient, group: &GroupName) -> Result<bool, HttpError> {
    let found = client.pages::<Group>(GROUPS, &[("filter", group.as_str())], PAGE).await?;
    Ok(found.iter().any(|found| found.name == *group))
}
