//! Users, groups and members in Bitbucket's REST, as far as readers of a directory need it. It is
//! read-only: the directory comes from its file.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    directory_json::{DetailedUser, Group, User},
    endpoint::{Endpoint, Parameter},
    links::Base,
    pages::{Answer, PAGING, Page, Paging},
    permissions::{About, Named},
    projects::{find_project, find_repository},
    query::Parameters,
};
use crate::{
    access::Operation,
    model::{GroupName, UserName},
    serve::{
        App,
        problem::Problem,
        session::Session,
        store::{GroupFilter, GroupRow, UserFilter, UserRow},
    },
};

/// What the server is. Numbers are text, as Bitbucket has them.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationProperties {
    /// The version of Bitbucket whose clients this server is for.
    version: String,
    build_number: String,
    build_date: &'static str,
    display_name: &'static str,
}

pub(super) const FILTER: &[Parameter] =
    &[Parameter::text("filter", "Only with this in the name, or in a user's display name or mail address")];
const GROUP: &[Parameter] = &[Parameter::text("group", "Only members of this group")];
const PERMISSION: &[Parameter] = &[
    Parameter::text(
        "permission",
        "Only who holds this permission: a global one, or one of a project or repository, which is then named",
    ),
    Parameter::text("permission.projectKey", "The project of `permission`"),
    Parameter::text("permission.repositorySlug", "The repository of `permission`, in that project"),
    Parameter::text("permission.N", "Only who holds this permission as well, for any number N"),
    Parameter::text("permission.N.projectKey", "The project of `permission.N`"),
    Parameter::text("permission.N.repositorySlug", "The repository of `permission.N`, in that project"),
];
const THE_GROUP: &[Parameter] = &[Parameter::text("context", "The group").required()];
const THE_USER: &[Parameter] = &[Parameter::text("context", "The user").required()];

pub(super) fn endpoints() -> Vec<Endpoint> {
    ["/rest/api/1.0", "/rest/api/latest"].into_iter().flat_map(below).collect()
}

fn below(base: &str) -> [Endpoint; 10] {
    let path = |rest: &str| format!("{base}/{rest}");
    let no_group = &[(404, "There is no such group")];
    let no_user = &[(404, "There is no such user")];
    [
        Endpoint::get::<Page<DetailedUser>, _, _>(&path("admin/users"), "List users", all_users)
            .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<User>, _, _>(
            &path("users"),
            "List users: all, or those who are in a group or hold permissions",
            users,
        )
        .query(&[GROUP, FILTER, PERMISSION, PAGING])
        .statuses(&[(404, "There is no such group, project or repository")]),
        Endpoint::get::<User, _, _>(&path("users/{slug}"), "One user", user).statuses(no_user),
        Endpoint::get::<Page<Group>, _, _>(&path("admin/groups"), "List groups", groups::<Group>)
            .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<String>, _, _>(&path("groups"), "List names of groups", groups::<String>)
            .query(&[FILTER, PAGING]),
        Endpoint::get::<Page<DetailedUser>, _, _>(
            &path("admin/groups/more-members"),
            "Members of a group",
            members,
        )
        .query(&[THE_GROUP, FILTER, PAGING])
        .statuses(no_group),
        Endpoint::get::<Page<DetailedUser>, _, _>(
            &path("admin/groups/more-non-members"),
            "Users who are not members of a group",
            non_members,
        )
        .query(&[THE_GROUP, FILTER, PAGING])
        .statuses(no_group),
        Endpoint::get::<Page<Group>, _, _>(&path("admin/users/more-members"), "Groups of a user", groups_of)
            .query(&[THE_USER, FILTER, PAGING])
            .statuses(no_user),
        Endpoint::get::<Page<Group>, _, _>(
            &path("admin/users/more-non-members"),
            "Groups that a user is not in",
            other_groups_of,
        )
        .query(&[THE_USER, FILTER, PAGING])
        .statuses(no_user),
        Endpoint::get::<ApplicationProperties, _, _>(
            &path("application-properties"),
            "What the server is",
            application_properties,
        ),
    ]
}

/// A question for one page of the directory, by somebody who may read it.
pub(super) struct Listing {
    pub(super) app: Arc<App>,
    parameters: Parameters,
    pub(super) paging: Paging,
    pub(super) base: Base,
}

impl FromRequestParts<Arc<App>> for Listing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let session = Session::from_request_parts(parts, app).await?;
        session.permit(Operation::ReadDirectory)?;
        let parameters = Parameters::from_request_parts(parts, app).await?;
        let paging = Paging::of(&parameters)?;
        let Ok(base) = Base::from_request_parts(parts, app).await;
        Ok(Self { app: Arc::clone(app), parameters, paging, base })
    }
}

impl Listing {
    pub(super) fn filter(&self) -> Result<Option<&str>, Problem> {
        self.parameters.one("filter")
    }

    /// Whose members or groups are asked for.
    fn context(&self) -> Result<&str, Problem> {
        self.parameters.one("context")?.ok_or_else(|| Problem::bad_request("`context` is missing."))
    }

    /// The page of the users that `filter` selects.
    pub(super) async fn users<T>(&self, filter: &UserFilter<'_>, show: fn(UserRow, &Base) -> T) -> Answer<T> {
        // What was used just before is seen from now on.
        self.app.uses.flush_or_warn(&self.app.store).await;
        let rows = self.app.store.users(filter, self.paging.one_more()).await?;
        Ok(self.paging.page(rows, |user| user.id, |user| show(user, &self.base)))
    }

    /// The page of the groups that `filter` selects and that have the text in their name that is asked for.
    pub(super) async fn groups<'a, T>(
        &'a self,
        filter: GroupFilter<'a>,
        show: fn(GroupRow) -> T,
    ) -> Answer<T> {
        let filter = GroupFilter { text: self.filter()?, ..filter };
        let rows = self.app.store.groups(&filter, self.paging.one_more()).await?;
        Ok(self.paging.page(rows, |group| group.id, show))
    }

    /// The user whose groups are asked for.
    async fn user(&self) -> Result<UserRow, Problem> {
        let name = self.context()?;
        self.app.store.user(&UserName::new(name)).await?.ok_or_else(|| Problem::no_such_user(name))
    }

    async fn group(&self, name: &str) -> Result<GroupRow, Problem> {
        let group = self.app.store.group(&GroupName::new(name)).await?;
        group.ok_or_else(|| Problem::not_found(format!("Group {name} does not exist.")))
    }

    /// Narrows `filter` to who holds every permission that is asked for.
    async fn holding(&self, filter: &mut UserFilter<'_>) -> Result<(), Problem> {
        let asked = self.parameters.below("permission");
        let roots: BTreeSet<&str> = asked
            .map(|(name, _)| {
                name.strip_suffix(".projectKey").or(name.strip_suffix(".repositorySlug")).unwrap_or(name)
            })
            .collect();
        for root in roots {
            let of =
                |part| self.parameters.one(&format!("{root}.{part}")).map(|value| value.map(str::to_owned));
            let name = self.parameters.one(root)?;
            let name = name.ok_or_else(|| Problem::bad_request(format!("`{root}` is missing.")))?;
            let permission = Named::parse(name);
            let permission =
                permission.ok_or_else(|| Problem::bad_request(format!("`{root}` cannot be `{name}`.")))?;
            match (permission.about, of("projectKey")?, of("repositorySlug")?) {
                (About::Global, None, None) => {}
                (About::Projects, Some(key), None) => drop(find_project(&self.app, &key).await?),
                (About::Repositories, Some(key), Some(slug)) => {
                    drop(find_repository(&self.app, &key, &slug).await?);
                }
                (about, ..) => {
                    let takes = match about {
                        About::Global => "no place".to_owned(),
                        About::Projects => format!("`{root}.projectKey`"),
                        About::Repositories => format!("`{root}.projectKey` and `{root}.repositorySlug`"),
                    };
                    return Err(Problem::bad_request(format!("`{root}={name}` takes {takes}.")));
                }
            }
            filter.active = Some(true);
            if permission.administrators_alone {
                // Without the group there is no administrator: no group has the number 0.
                let group = self.app.store.group(&self.app.administrators).await?;
                filter.in_groups.push(group.map_or(0, |group| group.id));
            }
        }
        Ok(())
    }
}

async fn all_users(listing: Listing) -> Answer<DetailedUser> {
    let filter = UserFilter { text: listing.filter()?, ..UserFilter::default() };
    listing.users(&filter, DetailedUser::new).await
}

async fn users(listing: Listing) -> Answer<User> {
    let mut filter = UserFilter { text: listing.filter()?, ..UserFilter::default() };
    if let Some(group) = listing.parameters.one("group")? {
        filter.in_groups.push(listing.group(group).await?.id);
    }
    listing.holding(&mut filter).await?;
    listing.users(&filter, User::new).await
}

async fn members(listing: Listing) -> Answer<DetailedUser> {
    let group = listing.group(listing.context()?).await?;
    let filter = UserFilter { text: listing.filter()?, in_groups: vec![group.id], ..UserFilter::default() };
    listing.users(&filter, DetailedUser::new).await
}

async fn non_members(listing: Listing) -> Answer<DetailedUser> {
    let group = listing.group(listing.context()?).await?;
    let filter =
        UserFilter { text: listing.filter()?, not_in_group: Some(group.id), ..UserFilter::default() };
    listing.users(&filter, DetailedUser::new).await
}

async fn user(
    session: Session,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    base: Base,
) -> Result<Json<User>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    let user = app.store.user_by_slug(&slug.to_lowercase()).await?;
    user.map(|user| Json(User::new(user, &base))).ok_or_else(|| Problem::no_such_user(&slug))
}

async fn groups<T: From<GroupRow>>(listing: Listing) -> Answer<T> {
    listing.groups(GroupFilter::default(), T::from).await
}

async fn groups_of(listing: Listing) -> Answer<Group> {
    let user = listing.user().await?.id;
    listing.groups(GroupFilter { of_user: Some(user), ..GroupFilter::default() }, Group::from).await
}

async fn other_groups_of(listing: Listing) -> Answer<Group> {
    let user = listing.user().await?.id;
    listing.groups(GroupFilter { not_of_user: Some(user), ..GroupFilter::default() }, Group::from).await
}

async fn application_properties(
    session: Session,
    State(app): State<Arc<App>>,
) -> Result<Json<ApplicationProperties>, Problem> {
    session.permit(Operation::ReadOpen)?;
    Ok(Json(ApplicationProperties {
        version: app.compatible_version.to_string(),
        build_number: app.compatible_version.build_number(),
        build_date: "0",
        display_name: "tokenwarden",
    }))
}

impl From<GroupRow> for String {
    fn from(group: GroupRow) -> Self {
        group.name.into()
    }
}
