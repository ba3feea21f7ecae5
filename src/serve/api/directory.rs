//! In: questions on users, groups and members. Out: the answers of Bitbucket's REST, as far as readers
//! of a directory need it. It refuses to change anything: the directory comes from its file.
//!
//! A page begins at a number that the page before names as `nextPageStart`; it counts nothing, so that
//! every page takes the same time.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    endpoint::{Endpoint, Parameter},
    query::Parameters,
};
use crate::{
    access::Operation,
    model::{GroupName, UserName},
    serve::{
        App,
        guard::Session,
        problem::Problem,
        store::{GroupRow, PageRequest, UserRow},
    },
};

const LIMIT_BY_DEFAULT: i64 = 25;
const LIMIT_AT_MOST: i64 = 1_000;

/// A user, as Bitbucket shows one.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct User {
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
}

impl From<UserRow> for User {
    fn from(user: UserRow) -> Self {
        Self {
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

/// A group, as Bitbucket shows one to administrators.
#[derive(Serialize, JsonSchema)]
struct Group {
    name: String,
    /// Whether it can be deleted here: never, it comes from the directory file.
    deletable: bool,
}

impl From<GroupRow> for Group {
    fn from(group: GroupRow) -> Self {
        Self { name: group.name.into(), deletable: false }
    }
}

/// A page, as Bitbucket has them.
#[derive(Serialize, JsonSchema)]
struct Page<T> {
    /// How many values this page has.
    size: usize,
    /// The most values that a page has.
    limit: i64,
    #[serde(rename = "isLastPage")]
    is_last: bool,
    values: Vec<T>,
    start: i64,
    /// The `start` of the next page; nothing on the last one.
    #[serde(rename = "nextPageStart", skip_serializing_if = "Option::is_none")]
    next_start: Option<i64>,
}

/// What the server is. Numbers are text, as Bitbucket has them.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationProperties {
    version: &'static str,
    build_number: &'static str,
    build_date: &'static str,
    display_name: &'static str,
}

const PAGING: &[Parameter] = &[
    Parameter::number("start", "Where the page begins: `nextPageStart` of the page before"),
    Parameter::number("limit", "The most values a page has; 25 by default, 1000 at most"),
];
const FILTER: &[Parameter] =
    &[Parameter::text("filter", "Only with this in the name, or in a user's display name or mail address")];
const GROUP: &[Parameter] = &[Parameter::text("group", "Only members of this group")];
const THE_GROUP: &[Parameter] = &[Parameter::text("context", "The group").required()];
const THE_USER: &[Parameter] = &[Parameter::text("context", "The user").required()];

pub(super) fn endpoints() -> Vec<Endpoint> {
    ["/rest/api/1.0", "/rest/api/latest"].into_iter().flat_map(below).collect()
}

fn below(base: &str) -> [Endpoint; 8] {
    let path = |rest: &str| format!("{base}/{rest}");
    let no_group = &[(404, "There is no such group")];
    let no_user = &[(404, "There is no such user")];
    [
        Endpoint::get::<Page<User>, _, _>(&path("admin/users"), "List users", admin_users)
            .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<User>, _, _>(&path("users"), "List users, or members of a group", users)
            .query(&[GROUP, FILTER, PAGING])
            .statuses(no_group),
        Endpoint::get::<User, _, _>(&path("users/{slug}"), "One user", user).statuses(no_user),
        Endpoint::get::<Page<Group>, _, _>(&path("admin/groups"), "List groups", admin_groups)
            .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<String>, _, _>(&path("groups"), "List names of groups", groups)
            .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<User>, _, _>(&path("admin/groups/more-members"), "Members of a group", members)
            .query(&[THE_GROUP, FILTER, PAGING])
            .statuses(no_group),
        Endpoint::get::<Page<Group>, _, _>(&path("admin/users/more-members"), "Groups of a user", groups_of)
            .query(&[THE_USER, PAGING])
            .statuses(no_user),
        Endpoint::get::<ApplicationProperties, _, _>(
            &path("application-properties"),
            "What the server is",
            application_properties,
        ),
    ]
}

async fn admin_users(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<Page<User>>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    all_users(&app, &parameters).await
}

async fn all_users(app: &App, parameters: &Parameters) -> Result<Json<Page<User>>, Problem> {
    let asked = Asked::of(parameters)?;
    let rows = app.store.users(parameters.one("filter")?, asked.one_more()).await?;
    Ok(asked.page(rows, |user| user.id))
}

async fn users(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<Page<User>>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    if parameters.mentions("permission") {
        return Err(Problem::bad_request("Users cannot be filtered by `permission` here."));
    }
    match parameters.one("group")? {
        Some(group) => members_of(&app, group, &parameters).await,
        None => all_users(&app, &parameters).await,
    }
}

async fn members(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<Page<User>>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    members_of(&app, context(&parameters)?, &parameters).await
}

async fn members_of(app: &App, group: &str, parameters: &Parameters) -> Result<Json<Page<User>>, Problem> {
    let asked = Asked::of(parameters)?;
    let group = app.store.group(&GroupName::new(group)).await?;
    let group = group.ok_or_else(|| Problem::not_found("There is no such group."))?;
    let rows = app.store.members(&group, parameters.one("filter")?, asked.one_more()).await?;
    Ok(asked.page(rows, |user| user.id))
}

async fn user(
    session: Session,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
) -> Result<Json<User>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    let user = app.store.user_by_slug(&slug.to_lowercase()).await?;
    user.map(|user| Json(user.into())).ok_or_else(no_such_user)
}

async fn admin_groups(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<Page<Group>>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    let asked = Asked::of(&parameters)?;
    let rows = app.store.groups(parameters.one("filter")?, asked.one_more()).await?;
    Ok(asked.page(rows, |group| group.id))
}

async fn groups(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<Page<String>>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    let asked = Asked::of(&parameters)?;
    let rows = app.store.groups(parameters.one("filter")?, asked.one_more()).await?;
    Ok(asked.page(rows, |group| group.id))
}

async fn groups_of(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<Page<Group>>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    let asked = Asked::of(&parameters)?;
    let user = app.store.user(&UserName::new(context(&parameters)?)).await?;
    let user = user.ok_or_else(no_such_user)?;
    let rows = app.store.groups_of(&user, asked.one_more()).await?;
    Ok(asked.page(rows, |group| group.id))
}

async fn application_properties(session: Session) -> Result<Json<ApplicationProperties>, Problem> {
    session.permit(Operation::ReadOpen)?;
    Ok(Json(ApplicationProperties {
        version: env!("CARGO_PKG_VERSION"),
        build_number: "0",
        build_date: "0",
        display_name: "tokenwarden",
    }))
}

fn context(parameters: &Parameters) -> Result<&str, Problem> {
    parameters.one("context")?.ok_or_else(|| Problem::bad_request("`context` is missing."))
}

fn no_such_user() -> Problem {
    Problem::not_found("There is no such user.")
}

impl From<GroupRow> for String {
    fn from(group: GroupRow) -> Self {
        group.name.into()
    }
}

/// The page that is asked for.
#[derive(Clone, Copy)]
struct Asked(PageRequest);

impl Asked {
    fn of(parameters: &Parameters) -> Result<Self, Problem> {
        Ok(Self(PageRequest {
            start: parameters.number("start", 0)?.unwrap_or(0),
            limit: parameters.number("limit", 1)?.unwrap_or(LIMIT_BY_DEFAULT).min(LIMIT_AT_MOST),
        }))
    }

    /// One row more than the page has: where the next page begins, if there is one.
    fn one_more(self) -> PageRequest {
        PageRequest { limit: self.0.limit + 1, ..self.0 }
    }

    fn page<R, T: From<R>>(self, mut rows: Vec<R>, number: fn(&R) -> i64) -> Json<Page<T>> {
        let PageRequest { start, limit } = self.0;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let next_start = rows.get(most).map(number);
        rows.truncate(most);
        let values: Vec<T> = rows.into_iter().map(T::from).collect();
        Json(Page { size: values.len(), limit, is_last: next_start.is_none(), values, start, next_start })
    }
}
