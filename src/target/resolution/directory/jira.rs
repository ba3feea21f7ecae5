//! Jira Data Center, REST version 2, as <https://developer.atlassian.com/server/jira/platform/rest/> has it.
//!
//! All users are listed by `user/list`, since Jira 11.0 and in 10.3 LTS. Before that there is `user/search`
//! alone, where `.` stands for any name (JRASERVER-29069), and which shows 1000 users at most
//! (JRASERVER-65089), in Jira 10 no more than 100 (JRASERVER-78660).

use serde::Deserialize;

use super::{Cause, Members, Page, Person, UsersCutOff, pages_twice};
use crate::{
    model::{GroupName, UserName},
    target::{
        bitbucket::wire::Number,
        http::{HttpClient, HttpError, PagingFault, Refusal},
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
    key: Option<String>,
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
    values: Vec<User>,
    is_last: Option<bool>,
}

impl Page<User> for UserPage {
    fn open(self) -> (Vec<User>, bool) {
        (self.values, self.is_last.unwrap_or(false))
    }
}

/// A page of a list that is read on from a cursor.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamPage {
    values: Vec<User>,
    is_last: Option<bool>,
    next_cursor: Option<Number>,
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

pub(super) async fn people(client: &HttpClient) -> Result<Vec<Person>, Cause> {
    let users = match list(client).await {
        Ok(users) => users,
        Err(error) if matches!(error.refusal(), Some(Refusal::NotFound | Refusal::NotSupported)) => {
            search(client).await?
        }
        Err(error) => return Err(error.into()),
    };
    Ok(users.into_iter().map(User::person).collect())
}

async fn list(client: &HttpClient) -> Result<Vec<User>, HttpError> {
    let (mut users, mut cursor, mut progress) = (Vec::new(), None::<String>, client.progress());
    loop {
        let query = cursor.as_deref().map(|cursor| ("cursor", cursor));
        let query: Vec<_> = [("maxResults", "1000")].into_iter().chain(query).collect();
        let page = client.get::<StreamPage>(LIST, &query).await?.body;
        let next = page.next_cursor.map(Number::text).filter(|_| page.is_last != Some(true));
        let fault = match &next {
            Some(_) if page.values.is_empty() => Err(PagingFault::Empty),
            Some(_) if next == cursor => Err(PagingFault::LeadsNowhere),
            _ => progress.note(&page.values),
        };
        fault.map_err(|fault| client.paging(LIST, users.len() as u64, fault))?;
        users.extend(page.values);
        match next {
            Some(next) => cursor = Some(next),
            None => return Ok(users),
        }
    }
}

async fn search(client: &HttpClient) -> Result<Vec<User>, Cause> {
    let query = [("username", "."), ("includeInactive", "true"), ("startAt", "0"), ("maxResults", "1000")];
    let users = client.get::<Vec<User>>(SEARCH, &query).await?.body;
    if CUT_OFF.contains(&users.len()) {
        return Err(UsersCutOff(users.len()).into());
    }
    Ok(users)
}

pub(super) async fn members(client: &HttpClient, group: GroupName) -> Result<Members, HttpError> {
    let query = [("groupname", group.as_str()), ("includeInactiveUsers", "true")];
    match pages_twice::<UserPage, User>(client, MEMBERS, &query, ("startAt", "maxResults"), "50").await {
        Ok(members) => {
            let names = members.into_iter().map(|member| member.name).collect();
            Ok((group, Some(names)))
        }
        Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok((group, None)),
        Err(error) => Err(error),
    }
}

pub(super) async fn groups_of(client: &HttpClient, user: &UserName) -> Result<Vec<GroupName>, HttpError> {
    let query = [("username", user.as_str()), ("expand", "groups")];
    let read = client.get::<WithGroups>(USER, &query).await?.body;
    Ok(read.groups.into_iter().flat_map(|groups| groups.items).map(|group| group.name).collect())
}
