//! Jira Data Center, REST version 2, as <https://developer.atlassian.com/server/jira/platform/rest/> has it.
//!
//! All users are listed by `user/list`, since Jira 11.0 and in 10.3 LTS. Before that there is `user/search`
//! alone, where `.` matches any name (JRASERVER-29069), and which shows 1000 users at most
//! (JRASERVER-65089), in Jira 10 no more than 100 (JRASERVER-78660).

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use crate::{
    http::{
        Claims, HttpClient, HttpError, ListEntry, Page, PageClaim, PageContent, PagedList, PagingFault,
        RefusalKind, flag, next_by_count, told,
    },
    model::{GroupName, UserName},
    targets::{
        atlassian::or_none,
        directory::Members,
        odd::{visible, visible_or_none},
    },
};

use super::{Cause, ProductUser, UsersCutOff};

const MYSELF: &str = "/rest/api/2/myself";
const SERVER: &str = "/rest/api/2/serverInfo";
const USER: &str = "/rest/api/2/user";
const LIST: &str = "/rest/api/2/user/list";
const SEARCH: &str = "/rest/api/2/user/search";
const MEMBERS: &str = "/rest/api/2/group/member";
/// How many users a search shows at most, by version.
const CUT_OFF: [usize; 2] = [100, 1000];

/// What is read of the product.
pub(super) const READ: &[&str] = &[MYSELF, SERVER, USER, LIST, MEMBERS];

#[derive(Deserialize, Hash)]
struct User {
    #[serde(deserialize_with = "visible")]
    name: UserName,
    #[serde(default, deserialize_with = "visible_or_none")]
    key: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    active: Option<bool>,
}

impl User {
    fn person(self) -> ProductUser {
        let key = self.key.unwrap_or_else(|| self.name.as_str().to_owned());
        ProductUser { key, name: self.name, active: self.active }
    }
}

#[derive(Deserialize)]
struct Server {
    version: Option<String>,
}

/// A page of members. Every one says where it begins, how much it has room for, and whether it is the last one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserPage {
    values: Vec<ListEntry<User>>,
    #[serde(default)]
    is_last: Value,
    next_page: Option<IgnoredAny>,
    #[serde(default)]
    start_at: Value,
    #[serde(default)]
    max_results: Value,
    #[serde(default, deserialize_with = "told")]
    total: PageClaim,
    #[serde(default, deserialize_with = "told")]
    total_count: PageClaim,
    errors: PageClaim,
    error_messages: PageClaim,
}

impl Page<User> for UserPage {
    const PARAMETERS: (&'static str, &'static str) = ("startAt", "maxResults");

    fn open(self, start: u64) -> PageContent<User> {
        let (entries, leads_on) = (self.values.len(), self.next_page.is_some());
        let next =
            flag(&Some(self.is_last)).and_then(|is_last| next_by_count(start, entries, is_last, leads_on));
        let claims = Claims {
            start: Some(self.start_at),
            limit: Some(self.max_results),
            totals: [self.total, self.total_count],
            errors: [self.errors, self.error_messages],
            ..Claims::default()
        };
        PageContent { entries: self.values, claims, next }
    }
}

/// A page of a list that is read on from a cursor.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamPage {
    values: Vec<ListEntry<User>>,
    #[serde(default, deserialize_with = "told")]
    is_last: PageClaim,
    next_cursor: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    max_results: PageClaim,
    errors: PageClaim,
    error_messages: PageClaim,
}

impl StreamPage {
    /// The cursor of the next page, behind one that was read from `cursor`. The last page has one as well: only
    /// what is there says that it is the last.
    fn next(&self, cursor: Option<&str>) -> Result<Option<String>, PagingFault> {
        let is_last = flag(&self.is_last)?;
        let next = match &self.next_cursor {
            None => None,
            Some(Value::String(next)) => Some(next.clone()),
            Some(Value::Number(next)) => Some(next.to_string()),
            Some(_) => return Err(PagingFault::LeadsNowhere),
        };
        match next {
            Some(_) if self.values.is_empty() && is_last != Some(true) => Err(PagingFault::Empty),
            Some(_) if self.values.is_empty() => Ok(None),
            Some(next) if cursor == Some(&next) => Err(PagingFault::LeadsNowhere),
            None if is_last == Some(false) => Err(PagingFault::LeadsNowhere),
            next => Ok(next),
        }
    }
}

#[derive(Deserialize)]
struct WithGroups {
    groups: Option<GroupList>,
}

#[derive(Deserialize)]
struct GroupList {
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(deserialize_with = "visible")]
    name: GroupName,
}

pub(super) async fn whoami(client: &HttpClient) -> Result<UserName, HttpError> {
    Ok(client.get::<User>(MYSELF, &[]).await?.body.name)
}

pub(super) async fn version(client: &HttpClient) -> Result<Option<String>, HttpError> {
    Ok(client.get::<Server>(SERVER, &[]).await?.body.version)
}

pub(super) async fn people(client: &HttpClient) -> Result<PagedList<ProductUser>, Cause> {
    let users = match list(client).await {
        Ok(users) => users,
        Err(error) if matches!(error.refusal(), Some(RefusalKind::NotFound | RefusalKind::NotSupported)) => {
            search(client).await?
        }
        Err(error) => return Err(error.into()),
    };
    Ok(users.map(User::person))
}

async fn list(client: &HttpClient) -> Result<PagedList<User>, HttpError> {
    let (mut reading, mut cursor, mut start) = (client.reading(), None::<String>, 0);
    loop {
        let query = cursor.as_deref().map(|cursor| ("cursor", cursor));
        let query: Vec<_> = [("maxResults", "1000")].into_iter().chain(query).collect();
        let page = client.get::<StreamPage>(LIST, &query).await?.body;
        let next = page.next(cursor.as_deref());
        let (count, errors) = (page.values.len() as u64, [page.errors, page.error_messages]);
        let claims = Claims { limit: page.max_results, errors, ..Claims::default() };
        let next = reading.take(start, page.values, &claims, next);
        start += count;
        match next {
            Some(next) => cursor = Some(next),
            None => return Ok(reading.end()),
        }
    }
}

async fn search(client: &HttpClient) -> Result<PagedList<User>, Cause> {
    let query = [("username", "."), ("includeInactive", "true"), ("startAt", "0"), ("maxResults", "1000")];
    let users = client.get::<Vec<ListEntry<User>>>(SEARCH, &query).await?.body;
    if CUT_OFF.contains(&users.len()) {
        return Err(UsersCutOff(users.len()).into());
    }
    let mut reading = client.reading();
    reading.take(0, users, &Claims::default(), Ok(None::<u64>));
    Ok(reading.end())
}

pub(super) async fn members(client: &HttpClient, group: &GroupName) -> Result<Members, HttpError> {
    let query = [("groupname", group.as_str()), ("includeInactiveUsers", "true")];
    let answer = client.list_as_twice::<UserPage, User>(MEMBERS, &query, "50").await;
    Members::of(answer.map(|members| members.map(|member| member.name)))
}

pub(super) async fn groups_of(client: &HttpClient, user: &UserName) -> Result<Vec<GroupName>, HttpError> {
    let query = [("username", user.as_str()), ("expand", "groups")];
    let read = client.get::<WithGroups>(USER, &query).await?.body;
    Ok(read.groups.into_iter().flat_map(|groups| groups.items).map(|group| group.name).collect())
}
