//! Who holds which permission, in the words of Bitbucket's REST, as far as this server knows any: administrators are
//! the members of one group, anyone who is active is licensed, and all of these read every project. It
//! refuses to grant anything: the directory comes from its file.
//!
//! Paths, parameters and fields are those of Bitbucket's specification 9.4.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    access_tokens::{NO_GLOBAL_PERMISSION, in_person, not_permitted},
    directory::{FILTER, Listing},
    directory_json::{Group, User},
    endpoint::Endpoint,
    pages::{Answer, PAGING, Page},
    projects::{NO_SUCH_PROJECT, NO_SUCH_REPOSITORY, find_project, find_repository},
};
use crate::{
    access::{Operation, Principal},
    model::Scope,
    serve::{
        App,
        problem::Problem,
        session::Session,
        store::{GroupFilter, GroupRow, UserFilter, UserRow},
    },
};

/// What a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Global,
    Projects,
    Repositories,
}

/// A permission of a user, as far as this server tells users apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) about: About,
    /// Whether it takes an administrator; everybody who is active holds the others.
    pub(super) administrators_alone: bool,
}

impl Named {
    /// The permission with this name; `None` when Bitbucket has none.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (about, administrators_alone) = match name {
            "LICENSED_USER" => (About::Global, false),
            "PROJECT_CREATE" | "ADMIN" | "SYS_ADMIN" => (About::Global, true),
            "PROJECT_VIEW" | "PROJECT_READ" => (About::Projects, false),
            "PROJECT_WRITE" | "PROJECT_ADMIN" => (About::Projects, true),
            "REPO_READ" => (About::Repositories, false),
            "REPO_CREATE" | "REPO_WRITE" | "REPO_ADMIN" => (About::Repositories, true),
            _ => return None,
        };
        Some(Self { about, administrators_alone })
    }

    /// The permission `name`, which is to be about `about`.
    pub(super) fn of(name: &str, about: About) -> Result<Self, Problem> {
        let known = Self::parse(name).filter(|known| known.about == about);
        known.ok_or_else(|| Problem::bad_request(format!("`permission` cannot be `{name}` here.")))
    }

    /// Whether `caller` holds it.
    pub(super) fn is_held_by(self, caller: &Principal) -> bool {
        let reaches = caller.token().is_none_or(|held| held.scope.effective() == Scope::ReadWrite);
        let administrator = caller.person().is_some_and(|person| person.administrator);
        !self.administrators_alone || *caller == Principal::Operator || (administrator && reaches)
    }
}

/// A group and its highest permission.
#[derive(Serialize, JsonSchema)]
struct PermittedGroup {
    group: GroupName,
    permission: &'static str,
}

/// A group of which the name is enough.
#[derive(Serialize, JsonSchema)]
struct GroupName {
    name: String,
}

/// A user and their highest permission.
#[derive(Serialize, JsonSchema)]
struct PermittedUser {
    user: User,
    permission: &'static str,
}

/// Whether everybody holds a permission.
#[derive(Serialize, JsonSchema)]
struct Permitted {
    permitted: bool,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    ["/rest/api/1.0", "/rest/api/latest"].into_iter().flat_map(below).collect()
}

fn below(base: &str) -> Vec<Endpoint> {
    let global = format!("{base}/admin/permissions");
    let project = format!("{base}/projects/{{key}}/permissions");
    let repository = format!("{base}/projects/{{key}}/repos/{{slug}}/permissions");
    let mut all = vec![
        Endpoint::get::<Page<PermittedGroup>, _, _>(
            &format!("{global}/groups"),
            "Groups and their highest global permission; requires an administrator",
            groups,
        )
        .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<Group>, _, _>(
            &format!("{global}/groups/none"),
            "Groups without a global permission; requires an administrator",
            other_groups,
        )
        .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<PermittedUser>, _, _>(
            &format!("{global}/users"),
            "Users and their highest global permission; requires an administrator",
            users,
        )
        .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<User>, _, _>(
            &format!("{global}/users/none"),
            "Users without a global permission; requires an administrator",
            other_users,
        )
        .query(&[FILTER, PAGING]),
        Endpoint::get::<Permitted, _, _>(
            &format!("{project}/{{permission}}/all"),
            "Whether everybody holds a permission on a project",
            held_by_all,
        )
        .statuses(&[(400, "There is no such permission on projects"), (404, "There is no such project")]),
    ];
    for (path, missing) in [(project, NO_SUCH_PROJECT), (repository, NO_SUCH_REPOSITORY)] {
        all.extend([
            Endpoint::get::<Page<PermittedGroup>, _, _>(
                &format!("{path}/groups"),
                "Groups that were granted a permission here: none",
                granted::<PermittedGroup>,
            )
            .query(&[FILTER, PAGING])
            .statuses(missing),
            Endpoint::get::<Page<Group>, _, _>(
                &format!("{path}/groups/none"),
                "Groups that were granted no permission here",
                groups_without,
            )
            .query(&[FILTER, PAGING])
            .statuses(missing),
            Endpoint::get::<Page<PermittedUser>, _, _>(
                &format!("{path}/users"),
                "Users who were granted a permission here: none",
                granted::<PermittedUser>,
            )
            .query(&[FILTER, PAGING])
            .statuses(missing),
            Endpoint::get::<Page<User>, _, _>(
                &format!("{path}/users/none"),
                "Licensed users who were granted no permission here",
                users_without,
            )
            .query(&[FILTER, PAGING])
            .statuses(missing),
        ]);
    }
    all
}

/// Lets administrators pass who do not come with a token: none carries a global permission.
fn administers(session: &Session) -> Result<(), Problem> {
    let permit = session.permit(Operation::ReadSettings).map_err(not_permitted)?;
    in_person(&permit, NO_GLOBAL_PERMISSION)
}

async fn groups(session: Session, listing: Listing) -> Answer<PermittedGroup> {
    administers(&session)?;
    let filter = GroupFilter { only: Some(&listing.app.administrators), ..GroupFilter::default() };
    let show = |group: GroupRow| PermittedGroup {
        group: GroupName { name: group.name.into() },
        permission: "ADMIN",
    };
    listing.groups(filter, show).await
}

async fn other_groups(session: Session, listing: Listing) -> Answer<Group> {
    administers(&session)?;
    let filter = GroupFilter { without: Some(&listing.app.administrators), ..GroupFilter::default() };
    listing.groups(filter, Group::from).await
}

async fn users(session: Session, listing: Listing) -> Answer<PermittedUser> {
    administers(&session)?;
    let store = &listing.app.store;
    let filter = UserFilter { text: listing.filter()?, active: Some(true), ..UserFilter::default() };
    let rows = store.users(&filter, listing.paging.one_more()).await?;
    let administrators = match store.group(&listing.app.administrators).await? {
        Some(group) => {
            let filter = UserFilter { in_groups: vec![group.id], ..filter };
            store.users(&filter, listing.paging.one_more()).await?
        }
        None => Vec::new(),
    };
    let administrators: Vec<i64> = administrators.iter().map(|user| user.id).collect();
    let show = |user: UserRow| {
        let permission = if administrators.contains(&user.id) { "ADMIN" } else { "LICENSED_USER" };
        PermittedUser { user: User::new(user, &listing.base), permission }
    };
    Ok(listing.paging.page(rows, |user| user.id, show))
}

async fn other_users(session: Session, listing: Listing) -> Answer<User> {
    administers(&session)?;
    let filter = UserFilter { text: listing.filter()?, active: Some(false), ..UserFilter::default() };
    listing.users(&filter, User::new).await
}

/// A project, or a repository in it.
#[derive(Deserialize)]
struct PermissionPath {
    key: String,
    slug: Option<String>,
}

impl PermissionPath {
    /// Lets anyone who may see the permissions here pass. Where Bitbucket asks for an administrator of the
    /// project, that is anyone who may manage the tokens of others.
    async fn enter(&self, session: &Session, app: &App) -> Result<(), Problem> {
        session.permit(Operation::ListAll).map_err(not_permitted)?;
        match &self.slug {
            None => find_project(app, &self.key).await.map(drop),
            Some(slug) => find_repository(app, &self.key, slug).await.map(drop),
        }
    }
}

async fn granted<T>(session: Session, Path(place): Path<PermissionPath>, listing: Listing) -> Answer<T> {
    place.enter(&session, &listing.app).await?;
    Ok(listing.paging.empty())
}

async fn groups_without(
    session: Session,
    Path(place): Path<PermissionPath>,
    listing: Listing,
) -> Answer<Group> {
    place.enter(&session, &listing.app).await?;
    listing.groups(GroupFilter::default(), Group::from).await
}

async fn users_without(
    session: Session,
    Path(place): Path<PermissionPath>,
    listing: Listing,
) -> Answer<User> {
    place.enter(&session, &listing.app).await?;
    let filter = UserFilter { text: listing.filter()?, active: Some(true), ..UserFilter::default() };
    listing.users(&filter, User::new).await
}

async fn held_by_all(
    session: Session,
    State(app): State<Arc<App>>,
    Path((key, permission)): Path<(String, String)>,
) -> Result<Json<Permitted>, Problem> {
    PermissionPath { key, slug: None }.enter(&session, &app).await?;
    let permission = Named::of(&permission, About::Projects)?;
    Ok(Json(Permitted { permitted: !permission.administrators_alone }))
}
