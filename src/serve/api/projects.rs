//! In: questions on projects and repositories. Out: the answers of Bitbucket's REST, as far as it takes to
//! know which there are. It refuses to know what is in them: they come from the directory file.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    endpoint::Endpoint,
    pages::{Answer, PAGING, Page, Paging},
};
use crate::{
    access::Operation,
    serve::{
        App,
        guard::Session,
        problem::Problem,
        store::{ProjectRow, RepositoryRow},
    },
};

/// A project, as Bitbucket shows one.
#[derive(Serialize, JsonSchema)]
struct Project {
    key: String,
    id: i64,
    name: String,
    /// `NORMAL`.
    r#type: &'static str,
}

impl From<ProjectRow> for Project {
    fn from(project: ProjectRow) -> Self {
        Self { name: project.key.clone(), key: project.key, id: project.id, r#type: "NORMAL" }
    }
}

/// A repository, as Bitbucket shows one.
#[derive(Serialize, JsonSchema)]
struct Repository {
    slug: String,
    id: i64,
    name: String,
    project: Project,
}

impl From<RepositoryRow> for Repository {
    fn from(repository: RepositoryRow) -> Self {
        Self {
            name: repository.slug.clone(),
            slug: repository.slug,
            id: repository.id,
            project: repository.project.into(),
        }
    }
}

const NO_SUCH_PROJECT: &[(u16, &str)] = &[(404, "There is no such project")];
const NO_SUCH_REPOSITORY: &[(u16, &str)] = &[(404, "There is no such repository")];

pub(super) fn endpoints() -> Vec<Endpoint> {
    ["/rest/api/1.0", "/rest/api/latest"].into_iter().flat_map(below).collect()
}

fn below(base: &str) -> [Endpoint; 5] {
    let path = |rest: &str| format!("{base}/{rest}");
    [
        Endpoint::get::<Page<Project>, _, _>(&path("projects"), "List projects", projects).query(&[PAGING]),
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
            .query(&[PAGING]),
    ]
}

async fn projects(session: Session, State(app): State<Arc<App>>, paging: Paging) -> Answer<Project> {
    session.permit(Operation::ReadDirectory)?;
    let rows = app.store.projects(paging.one_more()).await?;
    Ok(paging.page(rows, |project| project.id, Project::from))
}

async fn project(
    session: Session,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
) -> Result<Json<Project>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    Ok(Json(find(&app, &key).await?.into()))
}

async fn repositories_of(
    session: Session,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    paging: Paging,
) -> Answer<Repository> {
    session.permit(Operation::ReadDirectory)?;
    let project = find(&app, &key).await?;
    let rows = app.store.repositories(Some(&project), paging.one_more()).await?;
    Ok(paging.page(rows, |repository| repository.id, Repository::from))
}

async fn repository(
    session: Session,
    State(app): State<Arc<App>>,
    Path((key, slug)): Path<(String, String)>,
) -> Result<Json<Repository>, Problem> {
    session.permit(Operation::ReadDirectory)?;
    let row = app.store.repository(&key, &slug).await?;
    row.map(|row| Json(row.into())).ok_or_else(|| Problem::not_found("There is no such repository."))
}

async fn repositories(session: Session, State(app): State<Arc<App>>, paging: Paging) -> Answer<Repository> {
    session.permit(Operation::ReadDirectory)?;
    let rows = app.store.repositories(None, paging.one_more()).await?;
    Ok(paging.page(rows, |repository| repository.id, Repository::from))
}

async fn find(app: &App, key: &str) -> Result<ProjectRow, Problem> {
    app.store.project(key).await?.ok_or_else(|| Problem::not_found("There is no such project."))
}
