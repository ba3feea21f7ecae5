//! Projects and repositories in Bitbucket's REST, as far as it takes to list them. They come from the
//! directory file.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    directory_json::User,
    endpoint::{Endpoint, Parameter},
    links::{Base, Links},
    pages::{Answer, PAGING, Page, Paging},
    permissions::{About, Named},
    query::Parameters,
};
use crate::{
    access::Operation,
    serve::{
        App,
        problem::Problem,
        session::Session,
        store::{ProjectRow, RepositoryFilter, RepositoryRow, UserRow},
    },
};

/// A project, as Bitbucket shows one.
#[derive(Serialize, JsonSchema)]
struct Project {
    key: String,
    id: i64,
    name: String,
    /// Whether who is not signed in may read it: never.
    public: bool,
    /// `NORMAL`, or `PERSONAL` for the project of one user.
    r#type: &'static str,
    /// Whose it is, when it is a personal one.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<User>,
    links: Links,
}

impl Project {
    fn new(project: ProjectRow, owners: &Owners, base: &Base) -> Self {
        let owner = owners.0.get(&project.key).cloned();
        Self {
            links: base.links(&["projects", &project.key]),
            name: owner.as_ref().map_or_else(|| project.key.clone(), |owner| owner.display_name.clone()),
            id: project.id,
            public: false,
            r#type: if project.is_personal() { "PERSONAL" } else { "NORMAL" },
            owner: owner.map(|owner| User::new(owner, base)),
            key: project.key,
        }
    }
}

/// A repository, as Bitbucket shows one.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Repository {
    slug: String,
    id: i64,
    name: String,
    /// `git`.
    scm_id: &'static str,
    /// `AVAILABLE`.
    state: &'static str,
    /// Whether it can be forked here: never.
    forkable: bool,
    project: Project,
    /// Whether who is not signed in may read it: never.
    public: bool,
    /// Whether it is archived: never.
    archived: bool,
    links: Links,
}

impl Repository {
    fn new(repository: RepositoryRow, owners: &Owners, base: &Base) -> Self {
        Self {
            links: base.links(&["projects", &repository.project.key, "repos", &repository.slug]),
            name: repository.slug.clone(),
            slug: repository.slug,
            id: repository.id,
            scm_id: "git",
            state: "AVAILABLE",
            forkable: false,
            project: Project::new(repository.project, owners, base),
            public: false,
            archived: false,
        }
    }
}

/// The owners of personal projects, by the key of the project.
struct Owners(BTreeMap<String, UserRow>);

impl Owners {
    async fn of<'a>(app: &App, projects: impl Iterator<Item = &'a ProjectRow>) -> Result<Self, Problem> {
        let mut owners = BTreeMap::new();
        for project in projects {
            if let Some(slug) = project.owner_slug()
                && !owners.contains_key(&project.key)
                && let Some(user) = app.store.user_by_slug(&slug).await?
            {
                owners.insert(project.key.clone(), user);
            }
        }
        Ok(Self(owners))
    }
}

pub(super) const NO_SUCH_PROJECT: &[(u16, &str)] = &[(404, "There is no such project")];
pub(super) const NO_SUCH_REPOSITORY: &[(u16, &str)] = &[(404, "There is no such project or repository")];

const STATES: [&str; 4] = ["AVAILABLE", "INITIALISING", "INITIALISATION_FAILED", "OFFLINE"];
const VISIBILITIES: [&str; 2] = ["public", "private"];
const ARCHIVED: [&str; 3] = ["ACTIVE", "ARCHIVED", "ALL"];

const PROJECT_FILTER: &[Parameter] = &[
    Parameter::text("name", "Only with this in the name"),
    Parameter::text("permission", "Only those on which the sender holds this permission: a `PROJECT_` one"),
];
const REPOSITORY_FILTER: &[Parameter] = &[
    Parameter::text("name", "Only with this in the name"),
    Parameter::text("projectname", "Only in projects with this in the name"),
    Parameter::text("projectkey", "Only in the project with this key"),
    Parameter::text("permission", "Only those on which the sender holds this permission: a `REPO_` one"),
    Parameter::text("state", "Only in this state; all are `AVAILABLE`").words(&STATES),
    Parameter::text("visibility", "`private`, as all are, or `public`").words(&VISIBILITIES),
    Parameter::text("archived", "`ACTIVE`, as all are, `ARCHIVED` or `ALL`").words(&ARCHIVED),
];
const REPOSITORY_PERMISSION: &[Parameter] =
    &[Parameter::text("permission", "Only those on which the sender holds this permission: a `REPO_` one")];

pub(super) fn endpoints() -> Vec<Endpoint> {
    ["/rest/api/1.0", "/rest/api/latest"].into_iter().flat_map(below).collect()
}

fn below(base: &str) -> [Endpoint; 6] {
    let path = |rest: &str| format!("{base}/{rest}");
    [
        Endpoint::get::<Page<Project>, _, _>(
            &path("projects"),
            "List projects other than personal ones",
            projects,
        )
        .query(&[PROJECT_FILTER, PAGING]),
        Endpoint::get::<Project, _, _>(&path("projects/{key}"), "One project", project)
            .statuses(NO_SUCH_PROJECT),
        Endpoint::get::<Page<Repository>, _, _>(
            &path("projects/{key}/repos"),
            "List the repositories of a project",
            repositories_of,
        )
        .query(&[PAGING])
        .statuses(NO_SUCH_PROJECT),
        Endpoint::get::<Repository, _, _>(&path("projects/{key}/repos/{slug}"), "One repository", repository)
            .statuses(NO_SUCH_REPOSITORY),
        Endpoint::get::<Page<Repository>, _, _>(&path("repos"), "List repositories", repositories)
            .query(&[REPOSITORY_FILTER, PAGING]),
        Endpoint::get::<Page<Repository>, _, _>(
            &path("profile/recent/repos"),
            "List the repositories that the sender looked at lately: none",
            recent,
        )
        .query(&[REPOSITORY_PERMISSION, PAGING]),
    ]
}

/// Whether the sender holds the permission that the list is filtered by, if it is.
fn holds(session: &Session, parameters: &Parameters, about: About) -> Result<bool, Problem> {
    let permit = session.permit(Operation::ReadDirectory)?;
    let Some(name) = parameters.one("permission")? else { return Ok(true) };
    Ok(Named::of(name, about)?.is_held_by(permit.principal()))
}

async fn projects(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
    base: Base,
) -> Answer<Project> {
    let paging = Paging::of(&parameters)?;
    if !holds(&session, &parameters, About::Projects)? {
        return Ok(paging.empty());
    }
    let rows = app.store.projects(parameters.one("name")?, paging.one_more()).await?;
    let owners = Owners::of(&app, rows.iter()).await?;
    Ok(paging.page(rows, |project| project.id, |project| Project::new(project, &owners, &base)))
}

async fn project(
    session: Session,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    base: Base,
) -> Result<Json<Project>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    let project = find_project(&app, &key).await?;
    let owners = Owners::of(&app, [&project].into_iter()).await?;
    Ok(Json(Project::new(project, &owners, &base)))
}

async fn repositories_of(
    session: Session,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    paging: Paging,
    base: Base,
) -> Answer<Repository> {
    session.permit(Operation::ReadDirectory)?;
    let project = find_project(&app, &key).await?;
    let filter = RepositoryFilter { project: Some(&project.key), ..RepositoryFilter::default() };
    page_of(&app, &filter, &paging, &base).await
}

async fn repository(
    session: Session,
    State(app): State<Arc<App>>,
    Path((key, slug)): Path<(String, String)>,
    base: Base,
) -> Result<Json<Repository>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    let repository = find_repository(&app, &key, &slug).await?;
    let owners = Owners::of(&app, [&repository.project].into_iter()).await?;
    Ok(Json(Repository::new(repository, &owners, &base)))
}

async fn repositories(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
    base: Base,
) -> Answer<Repository> {
    let paging = Paging::of(&parameters)?;
    // All are of one kind here: a filter selects all of them or none.
    let selected = [
        ("state", &STATES[..], &["AVAILABLE"][..]),
        ("visibility", &VISIBILITIES, &["private"]),
        ("archived", &ARCHIVED, &["ACTIVE", "ALL"]),
    ];
    let mut all = holds(&session, &parameters, About::Repositories)?;
    for (name, known, ours) in selected {
        let Some(value) = parameters.one(name)? else { continue };
        let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
        if !is(known) {
            return Err(Problem::bad_request(format!("`{name}` takes {}.", known.join(", "))));
        }
        all &= is(ours);
    }
    if !all {
        return Ok(paging.empty());
    }
    let text = |name| Ok::<_, Problem>(parameters.one(name)?.map(str::trim));
    let filter = RepositoryFilter {
        name: text("name")?,
        project: text("projectkey")?,
        project_name: text("projectname")?,
    };
    page_of(&app, &filter, &paging, &base).await
}

async fn page_of(
    app: &App,
    filter: &RepositoryFilter<'_>,
    paging: &Paging,
    base: &Base,
) -> Answer<Repository> {
    let rows = app.store.repositories(filter, paging.one_more()).await?;
    let owners = Owners::of(app, rows.iter().map(|row| &row.project)).await?;
    Ok(paging.page(rows, |repository| repository.id, |row| Repository::new(row, &owners, base)))
}

async fn recent(session: Session, parameters: Parameters) -> Answer<Repository> {
    holds(&session, &parameters, About::Repositories)?;
    Ok(Paging::of(&parameters)?.empty())
}

/// The project with this key.
pub(super) async fn find_project(app: &App, key: &str) -> Result<ProjectRow, Problem> {
    app.store.project(key).await?.ok_or_else(|| Problem::no_such_project(key))
}

/// The repository with this slug in the project with this key.
pub(super) async fn find_repository(app: &App, key: &str, slug: &str) -> Result<RepositoryRow, Problem> {
    app.store.repository(key, slug).await?.ok_or_else(|| Problem::no_such_repository(key, slug))
}
