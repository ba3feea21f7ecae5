//! Jira Data Center, REST version 2, as <https://developer.atlassian.com/server/jira/platform/rest/> has it.
//!
//! All users are listed by `user/list`, since Jira 11.0 and in 10.3 LTS. Before that there is `user/search`
//! alone, where `.` stands for any name (JRASERVER-29069), and which shows 1000 users at most
//! (JRASERVER-65089), in Jira 10 no more than 100 (JRASERVER-78660).

use serde::Deserialize;
use serde_json::Value;

use super::{Cause, Person, UsersCutOff};
use crate::{
    model::{GroupName, UserName},
    target::{
        bitbucket::wire::{Number, or_none},
        directory::Members,
        http::{
            Claims, Entry, HttpClient, HttpError, Listing, Opened, Page, PagingFault, Refusal, next_by_count,
        },
    },
};

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
    name: UserName,
    #[serde(default, deserialize_with = "or_none")]
    key: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    active: Option<bool>,
}

impl User {
    fn person(self) -> Person {
        let key = self.key.unwrap_or_else(|| self.name.as_str().to_owned());
        Person { key, name: self.name, active: self.active }
    }
}

#[derive(Deserialize)]
struct Server {
    version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserPage {
    values: Vec<Entry<User>>,
    is_last: Option<bool>,
    next_page: Option<Value>,
    start_at: Option<Value>,
    max_results: Option<Value>,
    total: Option<Value>,
    errors: Option<Value>,
    error_messages: Option<Value>,
}

impl Page<User> for UserPage {
    const PARAMETERS: (&'static str, &'static str) = ("startAt", "maxResults");

    fn open(self, start: u64) -> Opened<User> {
        let next = next_by_count(start, self.values.len(), self.is_last, self.next_page.is_some());
        let claims = Claims {
            start: self.start_at,
            size: None,
            limit: self.max_results,
            total: self.total,
            errors: self.errors.or(self.error_messages),
        };
        Opened { entries: self.values, claims, next }
    }
}

/// A page of a list that is read on from a cursor.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamPage {
    values: Vec<Entry<User>>,
    is_last: Option<bool>,
    next_cursor: Option<Number>,
    errors: Option<Value>,
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
    name: GroupName,
}

pub(super) async fn whoami(client: &HttpClient) -> Result<UserName, HttpError> {
    Ok(client.get::<User>(MYSELF, &[]).await?.body.name)
}

pub(super) async fn version(client: &HttpClient) -> Result<Option<String>, HttpError> {
    Ok(client.get::<Server>(SERVER, &[]).await?.body.version)
}

pub(super) async fn people(client: &HttpClient) -> Result<Listing<Person>, Cause> {
    let users = match list(client).await {
        Ok(users) => users,
        Err(error) if matches!(error.refusal(), Some(Refusal::NotFound | Refusal::NotSupported)) => {
            search(client).await?
        }
        Err(error) => return Err(error.into()),
    };
    Ok(users.map(User::person))
}

async fn list(client: &HttpClient) -> Result<Listing<User>, HttpError> {
    let (mut reading, mut cursor, mut start) = (client.reading(), None::<String>, 0);
    loop {
        let query = cursor.as_deref().map(|cursor| ("cursor", cursor));
        let query: Vec<_> = [("maxResults", "1000")].into_iter().chain(query).collect();
        let StreamPage { values, is_last, next_cursor, errors } = client.get(LIST, &query).await?.body;
        // Read on from a cursor that the last page has as well: only what is there says that it is the last.
        let next = match next_cursor.map(Number::text) {
            Some(_) if values.is_empty() && is_last != Some(true) => Err(PagingFault::Empty),
            Some(_) if values.is_empty() => Ok(None),
            Some(next) if cursor.as_ref() == Some(&next) => Err(PagingFault::LeadsNowhere),
            None if is_last == Some(false) => Err(PagingFault::LeadsNowhere),
            next => Ok(next),
        };
        let count = values.len() as u64;
        let next = reading.take(start, values, &Claims { errors, ..Claims::default() }, next);
        start += count;
        match next {
            Some(next) => cursor = Some(next),
            None => return Ok(reading.end()),
        }
    }
}

async fn search(client: &HttpClient) -> Result<Listing<User>, Cause> {
    let query = [("username", "."), ("includeInactive", "true"), ("startAt", "0"), ("maxResults", "1000")];
    let users = client.get::<Vec<Entry<User>>>(SEARCH, &query).await?.body;
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
