//! Confluence Data Center from 8.4 on, as <https://developer.atlassian.com/server/confluence/rest/> has it:
//! `user/list` shows all users, the inactive ones too (CONFSERVER-87291).

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

use crate::{
    http::{
        Claims, HttpClient, HttpError, ListEntry, Page, PageClaim, PageContent, PagedList, next_by_count,
        told,
    },
    model::{GroupName, UserName},
    targets::{
        atlassian::{or_none, segment},
        directory::Members,
        odd::{visible, visible_or_none},
    },
};

use super::ProductUser;

const CURRENT: &str = "/rest/api/user/current";
const SERVER: &str = "/rest/api/server-information";
const LIST: &str = "/rest/api/user/list";
const MEMBER_OF: &str = "/rest/api/user/memberof";
const PAGE: &str = "200";

/// What is read of the product beside the members of each group.
pub(super) const READ: &[&str] = &[CURRENT, SERVER, LIST, MEMBER_OF];

/// Who we are; the anonymous user has no name.
#[derive(Deserialize)]
struct Current {
    username: Option<UserName>,
}

/// A user in a list.
#[derive(Deserialize, Hash)]
struct User {
    #[serde(rename = "username", deserialize_with = "visible")]
    name: UserName,
    #[serde(rename = "userKey", default, deserialize_with = "visible_or_none")]
    key: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    status: Option<String>,
}

impl User {
    fn person(self) -> ProductUser {
        let key = self.key.unwrap_or_else(|| self.name.as_str().to_owned());
        // The words are not written down anywhere: what is neither of these is not known.
        let active = match self.status.unwrap_or_default().to_lowercase().as_str() {
            "active" | "current" => Some(true),
            "deactivated" | "inactive" | "disabled" => Some(false),
            _ => None,
        };
        ProductUser { name: self.name, key, active }
    }
}

#[derive(Deserialize, Hash)]
struct Group {
    #[serde(deserialize_with = "visible")]
    name: GroupName,
}

/// A page. Every one says where it begins, how much it holds and how much it has room for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: DeserializeOwned")]
struct Results<T> {
    #[serde(rename = "results")]
    entries: Vec<ListEntry<T>>,
    #[serde(default)]
    start: Value,
    #[serde(default)]
    limit: Value,
    #[serde(default)]
    size: Value,
    #[serde(default, deserialize_with = "told")]
    total_size: PageClaim,
    errors: PageClaim,
    #[serde(rename = "_links")]
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Links {
    next: Option<IgnoredAny>,
}

impl<T: DeserializeOwned> Page<T> for Results<T> {
    const PARAMETERS: (&'static str, &'static str) = ("start", "limit");

    fn open(self, start: u64) -> PageContent<T> {
        let leads_on = self.links.as_ref().map(|links| links.next.is_some());
        let is_last = leads_on.filter(|leads_on| !leads_on).map(|_| true);
        let next = next_by_count(start, self.entries.len(), is_last, leads_on.unwrap_or(false));
        let claims = Claims {
            start: Some(self.start),
            size: Some(self.size),
            limit: Some(self.limit),
            totals: [self.total_size, None],
            errors: [self.errors, None],
            ..Claims::default()
        };
        PageContent { entries: self.entries, claims, next }
    }
}

#[derive(Deserialize)]
struct Server {
    version: Option<String>,
}

/// `None` where we are anonymous, whom the server answers as well.
pub(super) async fn whoami(client: &HttpClient) -> Result<Option<UserName>, HttpError> {
    Ok(client.get::<Current>(CURRENT, &[]).await?.body.username)
}

pub(super) async fn version(client: &HttpClient) -> Result<Option<String>, HttpError> {
    match client.get::<Server>(SERVER, &[]).await {
        Ok(server) => Ok(server.body.version),
        // Not every version says which one it is.
        Err(error) if error.refusal().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) async fn people(client: &HttpClient) -> Result<PagedList<ProductUser>, HttpError> {
    let users = client.list_as_twice::<Results<User>, User>(LIST, &[("expand", "status")], PAGE).await?;
    Ok(users.map(User::person))
}

/// The path of the members of the group whose name is `segment` in a path.
pub(super) fn members_path(segment: &str) -> String {
    format!("/rest/api/group/{segment}/member")
}

pub(super) async fn members(client: &HttpClient, group: &GroupName) -> Result<Members, HttpError> {
    // A name that cannot be in a path is none that the server can be asked for.
    let Ok(name) = segment(group.as_str()) else { return Ok(Members::Unknown) };
    let path = members_path(&name);
    let answer = client.list_as_twice::<Results<User>, User>(&path, &[], PAGE).await;
    Members::of(answer.map(|members| members.map(|member| member.name)))
}

pub(super) async fn groups_of(client: &HttpClient, user: &UserName) -> Result<Vec<GroupName>, HttpError> {
    let query = [("username", user.as_str())];
    let groups = client.list_as::<Results<Group>, Group>(MEMBER_OF, &query, PAGE).await?;
    Ok(client.whole(MEMBER_OF, groups)?.into_iter().map(|group| group.name).collect())
}
