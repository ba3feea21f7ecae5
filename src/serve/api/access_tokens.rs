//! In: requests on tokens in Bitbucket's own REST. Out: the answers of its HTTP access tokens, about the
//! same tokens as those of the app's REST. It refuses what Bitbucket refuses too: to create tokens for
//! others, to create one with a token, to manage those of others with a token, and to change an expiry.
//!
//! Who lacks a permission gets 401, as Bitbucket says it. Projects and repositories have no tokens here.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

use super::{
    access_token_json::{AccessToken, AccessTokenRequest, CreatedAccessToken, id_number, permissions_of},
    endpoint::Endpoint,
    pages::{Answer, PAGING, Page, Paging},
    query::Body,
    tokens::{issue, permitted_token, rename_within_limits},
};
use crate::{
    access::{Operation, Permit, Person, Reason, Target, limits::Asked},
    serve::{
        App,
        guard::Session,
        problem::Problem,
        project_permissions::ProjectPermissions,
        store::{Narrowing, NewPermissions, TokenFilter, TokenPage, TokenRow, UserRow},
    },
};

/// The reason why somebody with a token is refused what only takes a password.
pub(super) const TOKEN: &str = "token";
/// Bitbucket's words: no token carries the global permission that it takes to manage those of others.
const NO_GLOBAL_PERMISSION: &str = "Tokens may not have the following permission: ADMIN";

const NO_SUCH_USER: &[(u16, &str)] = &[(404, "There is no such user")];
const NO_SUCH_TOKEN: &[(u16, &str)] = &[(404, "There is no such user or token")];
const NO_SUCH_OWNER: &[(u16, &str)] = &[(404, "There is no such project, repository or token")];

pub(super) fn endpoints() -> Vec<Endpoint> {
    ["/rest/access-tokens/1.0", "/rest/access-tokens/latest"].into_iter().flat_map(below).collect()
}

fn below(base: &str) -> Vec<Endpoint> {
    let (all, one) = (format!("{base}/users/{{slug}}"), format!("{base}/users/{{slug}}/{{id}}"));
    let mut endpoints = vec![
        Endpoint::get::<Page<AccessToken>, _, _>(&all, "List the tokens of a user", list)
            .query(&[PAGING])
            .statuses(NO_SUCH_USER),
        Endpoint::put::<CreatedAccessToken, _, _>(&all, "Create a token for oneself", create)
            .body::<AccessTokenRequest>()
            .statuses(&[
                (400, "The body cannot be read, or asks for more than the limits allow"),
                (404, "There is no such user"),
            ]),
        Endpoint::get::<AccessToken, _, _>(&one, "One token of a user", read).statuses(NO_SUCH_TOKEN),
        Endpoint::post::<AccessToken, _, _>(&one, "Rename a token or lower its permissions", update)
            .body::<AccessTokenRequest>()
            .statuses(&[
                (400, "The body cannot be read, breaks a limit, or would let the token do more"),
                (404, "There is no such user or token"),
                (409, "The token has changed meanwhile"),
            ]),
        Endpoint::delete::<(), _, _>(&one, "Revoke a token", revoke).no_content().statuses(NO_SUCH_TOKEN),
    ];
    for owner in ["projects/{key}", "projects/{key}/repos/{slug}"] {
        endpoints.extend(below_owner(&format!("{base}/{owner}")));
    }
    endpoints
}

/// The endpoints of owners that are no users, below `path`.
fn below_owner(path: &str) -> Vec<Endpoint> {
    let one = format!("{path}/{{id}}");
    vec![
        Endpoint::get::<Page<AccessToken>, _, _>(path, "List the tokens of a project or repository", list_of)
            .query(&[PAGING])
            .statuses(NO_SUCH_OWNER),
        Endpoint::put::<CreatedAccessToken, _, _>(path, "Refused: only users have tokens here", create_for)
            .body::<AccessTokenRequest>()
            .statuses(&[
                (400, "Only users have tokens here"),
                (404, "There is no such project or repository"),
            ]),
        Endpoint::get::<AccessToken, _, _>(&one, "One token of a project or repository", no_such_token_of)
            .statuses(NO_SUCH_OWNER),
        Endpoint::post::<AccessToken, _, _>(
            &one,
            "Change a token of a project or repository",
            no_such_token_of,
        )
        .body::<AccessTokenRequest>()
        .statuses(NO_SUCH_OWNER),
        Endpoint::delete::<(), _, _>(&one, "Revoke a token of a project or repository", no_such_token_of)
            .no_content()
            .statuses(NO_SUCH_OWNER),
    ]
}

async fn list(
    session: Session,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    paging: Paging,
) -> Answer<AccessToken> {
    let owner = readable_owner(&session, &app, &slug).await?;
    app.uses.flush(&app.store).await?;
    let filter = TokenFilter { owners: vec![owner.name.clone()], ..TokenFilter::default() };
    let asked = paging.one_more();
    // `start` is the first number of the page.
    let page = TokenPage::After { after: asked.start - 1, until: i64::MAX, limit: asked.limit };
    let tokens = app.store.tokens(&filter, page).await?;
    Ok(paging.page(tokens, |token| token.id, |token| AccessToken::new(token, owner.clone())))
}

async fn read(
    session: Session,
    State(app): State<Arc<App>>,
    Path((slug, id)): Path<(String, String)>,
) -> Result<Json<AccessToken>, Problem> {
    let owner = readable_owner(&session, &app, &slug).await?;
    app.uses.flush(&app.store).await?;
    let token = match id_number(&id) {
        Some(number) => app.store.token(number).await?,
        None => None,
    };
    let token = token.filter(|token| token.owner == owner.name).ok_or_else(no_such_token)?;
    Ok(Json(AccessToken::new(token, owner)))
}

/// The user `slug`, whose tokens the caller may read.
async fn readable_owner(session: &Session, app: &App, slug: &str) -> Result<UserRow, Problem> {
    let (owner, is_own) = find_owner(session, app, slug).await?;
    let operation = if is_own { Operation::ListOwn } else { Operation::ListAll };
    let permit = session.permit(operation).map_err(not_permitted)?;
    if !is_own {
        in_person(&permit, NO_GLOBAL_PERMISSION)?;
    }
    Ok(owner)
}

async fn create(
    session: Session,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    body: Body,
) -> Result<Json<CreatedAccessToken>, Problem> {
    let (user, is_own) = find_owner(&session, &app, &slug).await?;
    let caller = session.permit(Operation::Enter)?;
    let Some(owner) = caller.caller().person().filter(|_| is_own) else {
        return Err(not_permitted(Reason::ManageOthers.into()));
    };
    in_person(&caller, "A token cannot create tokens")?;
    let asked: AccessTokenRequest = body.json()?;
    let permissions = asked.new_permissions()?;
    let scope = permissions.scope();
    let permit = session.permit(Operation::CreateOwn { scope }).map_err(not_permitted)?;
    let expires = asked.expires(app.clock.now())?;
    let about = Asked { scope, expires, description: asked.new_name()? };
    let (token, secret) = issue(&session, &app, &permit, owner, about, Some(permissions)).await?;
    Ok(Json(CreatedAccessToken { about: AccessToken::new(token, user), token: secret.expose().to_owned() }))
}

async fn update(
    session: Session,
    State(app): State<Arc<App>>,
    Path((slug, id)): Path<(String, String)>,
    body: Body,
) -> Result<Json<AccessToken>, Problem> {
    let (user, token, owner) = managed_token(&session, &app, (&slug, &id), Operation::Narrow).await?;
    let asked: AccessTokenRequest = body.json()?;
    if asked.expiry_days.is_some() {
        let message = "The expiry of a token cannot be changed; create another token.";
        return Err(Problem::bad_request(message));
    }
    let narrowing = narrowing(&asked, &token)?;
    rename_within_limits(&session, &token, &owner, &narrowing)?;
    app.uses.flush(&app.store).await?;
    match app.store.narrow_token(token.id, &narrowing, None).await? {
        Some(token) => Ok(Json(AccessToken::new(token, user))),
        None if app.store.token(token.id).await?.is_none() => Err(no_such_token()),
        None => Err(Problem::new(StatusCode::CONFLICT, "moved", "The token has changed meanwhile.")),
    }
}

/// What `asked` changes on `token`.
fn narrowing(asked: &AccessTokenRequest, token: &TokenRow) -> Result<Narrowing, Problem> {
    let description = asked.name()?.map(str::to_owned);
    let permissions = asked.permissions()?;
    let now = permissions_of(token);
    if permissions.as_ref().is_some_and(|wanted| !wanted.within(&now)) {
        return Err(Problem::bad_request("The permissions of a token can only be lowered."));
    }
    // A token whose scope was never set gets one when it is narrowed, and not before.
    let scope = permissions.as_ref().filter(|wanted| **wanted != now).map(ProjectPermissions::scope);
    let permissions = permissions.map(|to| NewPermissions { from: token.permissions.clone(), to });
    Ok(Narrowing { description, scope, expires: None, permissions })
}

async fn revoke(
    session: Session,
    State(app): State<Arc<App>>,
    Path((slug, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (_, token, _) = managed_token(&session, &app, (&slug, &id), Operation::Revoke).await?;
    if app.store.revoke_token(token.id, None).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_token())
    }
}

/// The token `id` of the user `slug`, once it is permitted to do `operation` to it.
async fn managed_token(
    session: &Session,
    app: &App,
    (slug, id): (&str, &str),
    operation: fn(Target) -> Operation,
) -> Result<(UserRow, TokenRow, Person), Problem> {
    let (user, is_own) = find_owner(session, app, slug).await?;
    let (token, owner) =
        permitted_token(session, app, id_number(id), operation).await.map_err(not_permitted)?;
    if !is_own {
        in_person(&session.permit(Operation::Enter)?, NO_GLOBAL_PERMISSION)?;
    }
    if token.owner == user.name { Ok((user, token, owner)) } else { Err(no_such_token()) }
}

/// The user `slug`, and whether that is the caller. Who may not see the tokens of others does not learn
/// which users exist.
async fn find_owner(session: &Session, app: &App, slug: &str) -> Result<(UserRow, bool), Problem> {
    let caller = session.permit(Operation::Enter)?;
    let Some(user) = app.store.user_by_slug(&slug.to_lowercase()).await? else {
        session.permit(Operation::ListAll).map_err(not_permitted)?;
        return Err(Problem::not_found("There is no such user."));
    };
    let is_own = caller.caller().person().is_some_and(|person| person.name == user.name);
    Ok((user, is_own))
}

/// Lets nobody pass who comes with a token; `message` says why to the client.
fn in_person(permit: &Permit, message: &str) -> Result<(), Problem> {
    match permit.caller().token() {
        None => Ok(()),
        Some(_) => Err(Problem::new(StatusCode::UNAUTHORIZED, TOKEN, message)),
    }
}

/// The refusal of an operation, as Bitbucket answers it: 401 also for those who are known.
pub(super) fn not_permitted(problem: Problem) -> Problem {
    match problem.status {
        StatusCode::FORBIDDEN => Problem { status: StatusCode::UNAUTHORIZED, ..problem },
        _ => problem,
    }
}

fn no_such_token() -> Problem {
    Problem::not_found("There is no such token.")
}

/// A project or repository, as paths name it.
#[derive(serde::Deserialize)]
struct NamedOwner {
    key: String,
    slug: Option<String>,
}

impl NamedOwner {
    /// Answers 404 when there is no such project or repository, to those who may know.
    async fn find(&self, session: &Session, app: &App) -> Result<(), Problem> {
        session.permit(Operation::ListAll).map_err(not_permitted)?;
        let found = match &self.slug {
            None => app.store.project(&self.key).await?.is_some(),
            Some(slug) => app.store.repository(&self.key, slug).await?.is_some(),
        };
        let missing = if self.slug.is_some() { "repository" } else { "project" };
        if found { Ok(()) } else { Err(Problem::not_found(format!("There is no such {missing}."))) }
    }
}

async fn list_of(
    session: Session,
    State(app): State<Arc<App>>,
    Path(owner): Path<NamedOwner>,
    paging: Paging,
) -> Answer<AccessToken> {
    owner.find(&session, &app).await?;
    let none: Vec<AccessToken> = Vec::new();
    Ok(paging.page(none, |_| 0, |token| token))
}

async fn create_for(
    session: Session,
    State(app): State<Arc<App>>,
    Path(owner): Path<NamedOwner>,
) -> Result<(), Problem> {
    owner.find(&session, &app).await?;
    Err(Problem::bad_request("This server issues tokens to users alone."))
}

async fn no_such_token_of(
    session: Session,
    State(app): State<Arc<App>>,
    Path(owner): Path<NamedOwner>,
) -> Result<(), Problem> {
    owner.find(&session, &app).await?;
    Err(no_such_token())
}
