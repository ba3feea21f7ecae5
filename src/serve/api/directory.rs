//! In: questions on users, groups and members. Out: the answers of Bitbucket's REST, as far as readers
//! of a directory need it. It refuses to change anything: the directory comes from its file.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    endpoint::{Endpoint, Parameter},
    pages::{Answer, PAGING, Page, Paging},
    query::Parameters,
};
use crate::{
    access::Operation,
    model::{GroupName, UserName},
    serve::{
        App,
        guard::Session,
        problem::Problem,
        store::{GroupRow, UserRow},
    },
};

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

/// What the server is. Numbers are text, as Bitbucket has them.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationProperties {
    version: &'static str,
    build_number: &'static str,
    build_date: &'static str,
    display_name: &'static str,
}

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
        Endpoint::get::<Page<User>, _, _>(&path("admin/users"), "List users", all_users)
            .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<User>, _, _>(&path("users"), "List users, or members of a group", users)
            .query(&[GROUP, FILTER, PAGING])
            .statuses(no_group),
        Endpoint::get::<User, _, _>(&path("users/{slug}"), "One user", user).statuses(no_user),
        Endpoint::get::<Page<Group>, _, _>(&path("admin/groups"), "List groups", groups::<Group>)
            .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<String>, _, _>(&path("groups"), "List names of groups", groups::<String>)
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

/// A question for one page of the directory, by somebody who may read it.
struct Listing {
    app: Arc<App>,
    parameters: Parameters,
    paging: Paging,
}

impl FromRequestParts<Arc<App>> for Listing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let session = Session::from_request_parts(parts, app).await?;
        session.permit(Operation::ReadDirectory)?;
        let parameters = Parameters::from_request_parts(parts, app).await?;
        let paging = Paging::of(&parameters)?;
        Ok(Self { app: Arc::clone(app), parameters, paging })
    }
}

impl Listing {
    fn filter(&self) -> Result<Option<&str>, Problem> {
        self.parameters.one("filter")
    }

    /// Whose members or groups are asked for.
    fn context(&self) -> Result<&str, Problem> {
        self.parameters.one("context")?.ok_or_else(|| Problem::bad_request("`context` is missing."))
    }
}

async fn all_users(listing: Listing) -> Answer<User> {
    let rows = listing.app.store.users(listing.filter()?, listing.paging.one_more()).await?;
    Ok(listing.paging.page(rows, |user| user.id, User::from))
}

async fn users(listing: Listing) -> Answer<User> {
    if listing.parameters.mentions("permission") {
        return Err(Problem::bad_request("Users cannot be filtered by `permission` here."));
    }
    match listing.parameters.one("group")? {
        Some(group) => members_of(&listing, group).await,
        None => all_users(listing).await,
    }
}

async fn members(listing: Listing) -> Answer<User> {
    members_of(&listing, listing.context()?).await
}

async fn members_of(listing: &Listing, group: &str) -> Answer<User> {
    let store = &listing.app.store;
    let group = store.group(&GroupName::new(group)).await?;
    let group = group.ok_or_else(|| Problem::not_found("There is no such group."))?;
    let rows = store.members(&group, listing.filter()?, listing.paging.one_more()).await?;
    Ok(listing.paging.page(rows, |user| user.id, User::from))
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

async fn groups<T: From<GroupRow>>(listing: Listing) -> Answer<T> {
    let rows = listing.app.store.groups(listing.filter()?, listing.paging.one_more()).await?;
    Ok(listing.paging.page(rows, |group| group.id, T::from))
}

async fn groups_of(listing: Listing) -> Answer<Group> {
    let store = &listing.app.store;
    let user = store.user(&UserName::new(listing.context()?)).await?.ok_or_else(no_such_user)?;
    let rows = store.groups_of(&user, listing.paging.one_more()).await?;
    Ok(listing.paging.page(rows, |group| group.id, Group::from))
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

fn no_such_user() -> Problem {
    Problem::not_found("There is no such user.")
}

impl From<GroupRow> for String {
    fn from(group: GroupRow) -> Self {
        group.name.into()
    }
}
