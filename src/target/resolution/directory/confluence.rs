//! Confluence Data Center from 8.4 on, as <https://developer.atlassian.com/server/confluence/rest/> has it:
//! `user/list` shows all users, the inactive ones too (CONFSERVER-87291).

use serde::{Deserialize, de::IgnoredAny};

use super::{Members, Page, Person, pages, pages_twice};
use crate::{
    model::{GroupName, UserName},
    target::{
        bitbucket::wire::segment,
        http::{HttpClient, HttpError, Refusal},
    },
};

const CURRENT: &str = "/rest/api/user/current";
const SERVER: &str = "/rest/api/server-information";
const LIST: &str = "/rest/api/user/list";
const MEMBER_OF: &str = "/rest/api/user/memberof";
const PAGE: &str = "200";
const NAMES: (&str, &str) = ("start", "limit");

/// What is read of the product beside the members of each group.
pub(super) const READ: &[&str] = &[CURRENT, SERVER, LIST, MEMBER_OF];

/// A user; the anonymous one has no name.
#[derive(Deserialize, Hash)]
struct User {
    #[serde(rename = "username")]
    name: Option<UserName>,
    #[serde(rename = "userKey")]
    key: Option<String>,
    status: Option<String>,
}

impl User {
    fn person(self) -> Option<Person> {
        let name = self.name?;
        let key = self.key.unwrap_or_else(|| name.as_str().to_owned());
        // The words are not written down anywhere: what is neither of these is not known.
        let active = match self.status.unwrap_or_default().to_lowercase().as_str() {
            "active" | "current" => Some(true),
            "deactivated" | "inactive" | "disabled" => Some(false),
            _ => None,
        };
        Some(Person { name, key, active })
    }
}

#[derive(Deserialize, Hash)]
struct Group {
    name: GroupName,
}

#[derive(Deserialize)]
struct Results<T> {
    results: Vec<T>,
    #[serde(rename = "_links")]
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Links {
    next: Option<IgnoredAny>,
}

impl<T> Page<T> for Results<T> {
    fn open(self) -> (Vec<T>, bool) {
        let is_last = self.links.is_some_and(|links| links.next.is_none());
        (self.results, is_last)
    }
}

#[derive(Deserialize)]
struct Server {
    version: Option<String>,
}

/// Nothing where we are anonymous, whom the server answers as well.
pub(super) async fn whoami(client: &HttpClient) -> Result<Option<UserName>, HttpError> {
    Ok(client.get::<User>(CURRENT, &[]).await?.body.name)
}

pub(super) async fn version(client: &HttpClient) -> Result<Option<String>, HttpError> {
    match client.get::<Server>(SERVER, &[]).await {
        Ok(server) => Ok(server.body.version),
        // Not every version says which one it is.
        Err(error) if error.refusal().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) async fn people(client: &HttpClient) -> Result<Vec<Person>, HttpError> {
    let users =
        pages_twice::<Results<User>, User>(client, LIST, &[("expand", "status")], NAMES, PAGE).await?;
    Ok(users.into_iter().filter_map(User::person).collect())
}

/// The path of the members of the group whose name is `segment` in a path.
pub(super) fn members_path(segment: &str) -> String {
    format!("/rest/api/group/{segment}/member")
}

pub(super) async fn members(client: &HttpClient, group: GroupName) -> Result<Members, HttpError> {
    // A name that cannot stand in a path is none that the server can be asked for.
    let Ok(name) = segment(group.as_str()) else { return Ok((group, None)) };
    let path = members_path(&name);
    match pages_twice::<Results<User>, User>(client, &path, &[], NAMES, PAGE).await {
        Ok(members) => {
            let names = members.into_iter().filter_map(|member| member.name).collect();
            Ok((group, Some(names)))
        }
        Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok((group, None)),
        Err(error) => Err(error),
    }
}

pub(super) async fn groups_of(client: &HttpClient, user: &UserName) -> Result<Vec<GroupName>, HttpError> {
    let query = [("username", user.as_str())];
    let groups = pages::<Results<Group>, Group>(client, MEMBER_OF, &query, NAMES, PAGE).await?;
    Ok(groups.into_iter().map(|group| group.name).collect())
}
