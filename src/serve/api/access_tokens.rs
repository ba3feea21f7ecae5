//! The endpoints of Bitbucket's HTTP access tokens, over the same tokens as the app's REST. They refuse
//! what Bitbucket refuses too: to create tokens for other users, to create one with a token, to manage
//! those of others with a token, and to change an expiry.
//!
//! Who lacks a permission gets 401, as Bitbucket says it. Where Bitbucket asks for an administrator of the
//! project or repository, this server, which knows no project permissions, asks for anyone who may manage the
//! tokens of others.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;

use super::{
    access_token_json::{AccessToken, AccessTokenRequest, CreatedAccessToken, id_number, permissions_of},
    endpoint::Endpoint,
    json_body::Body,
    links::Base,
    pages::{Answer, PAGING, Page, Paging},
    query::Parameters,
    runs::{NAMED, UnderRun},
    tokens::{CHILDREN, children, issue, permitted_token, rename_within_limits},
};
use crate::{
    access::{DenialReason, Operation, Permit, TokenOwner, TokenOwnership, limits::RequestedToken},
    model::Owner,
    serve::{
        App,
        dialect::TOKEN,
        last_uses::lay_over,
        problem::Problem,
        project_permissions::ProjectPermissions,
        session::Session,
        store::{KnownOwner, Narrowing, NewPermissions, Right, TokenFilter, TokenPage, TokenRow, UserRow},
    },
};

/// Bitbucket's words: no token carries the global permission that it takes to manage those of others.
pub(super) const NO_GLOBAL_PERMISSION: &str = "Tokens may not have the following permission: ADMIN";

const NO_SUCH_OWNER: &[(u16, &str)] = &[(404, "There is no such user, project or repository")];
const NO_SUCH_TOKEN: &[(u16, &str)] = &[(404, "There is no such user, project, repository or token")];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let owners = ["users/{user}", "projects/{key}", "projects/{key}/repos/{slug}"];
    ["/rest/access-tokens/1.0", "/rest/access-tokens/latest"]
        .into_iter()
        .flat_map(|base| owners.map(|owner| format!("{base}/{owner}")))
        .flat_map(|path| below(&path))
        .collect()
}

/// The endpoints for the tokens of the owner at `path`.
fn below(path: &str) -> [Endpoint; 5] {
    let one = format!("{path}/{{id}}");
    [
        Endpoint::get::<Page<AccessToken>, _, _>(path, "List the tokens of an owner", list)
            .query(&[PAGING])
            .statuses(NO_SUCH_OWNER),
        Endpoint::put::<CreatedAccessToken, _, _>(
            path,
            "Create a token for oneself, a project or a repository",
            create,
        )
        .body::<AccessTokenRequest>()
        .needs(&["name", "permissions"])
        .statuses(&[
            (400, "The body cannot be read, or asks for more than the limits allow"),
            (404, "There is no such user, project or repository"),
        ]),
        Endpoint::get::<AccessToken, _, _>(&one, "One token of an owner", read).statuses(NO_SUCH_TOKEN),
        Endpoint::post::<AccessToken, _, _>(&one, "Rename a token or lower its permissions", update)
            .body::<AccessTokenRequest>()
            .statuses(&[
                (400, "The body cannot be read, breaks a limit, or would let the token do more"),
                (404, "There is no such user, project, repository or token"),
                (409, "The token has changed meanwhile"),
            ]),
        Endpoint::delete::<(), _, _>(&one, "Revoke a token, and what was made with it", revoke)
            .headers(NAMED)
            .query(&[CHILDREN])
            .no_content()
            .statuses(NO_SUCH_TOKEN),
    ]
}

/// Whose tokens a path is about, and which of them.
#[derive(Deserialize)]
struct Place {
    /// The slug of a user.
    user: Option<String>,
    /// The key of a project.
    key: Option<String>,
    /// The slug of a repository in it.
    slug: Option<String>,
    /// A token.
    id: Option<String>,
}

/// The owner at a place.
struct Found {
    owner: Owner,
    /// The user, when it is one.
    user: Option<UserRow>,
    /// Whether the caller is this user.
    is_own: bool,
}

impl Place {
    /// The owner. Who may not see the tokens of others does not learn which owners exist.
    async fn find(&self, session: &Session, app: &App) -> Result<Found, Problem> {
        let caller = session.permit(Operation::Enter)?;
        let seen = || session.permit(Operation::ListAll).map_err(not_permitted);
        if let Some(slug) = &self.user {
            let Some(user) = app.store.user_by_slug(&slug.to_lowercase()).await? else {
                seen()?;
                return Err(Problem::no_such_user(slug));
            };
            let is_own = caller.principal().person().is_some_and(|person| person.name == user.name);
            return Ok(Found { owner: Owner::User(user.name.clone()), user: Some(user), is_own });
        }
        seen()?;
        let key = self.key.as_deref().unwrap_or_default();
        let owner = match &self.slug {
            None => app.store.project(key).await?.map(|project| Owner::Project(project.key)),
            Some(slug) => app.store.repository(key, slug).await?.map(|repository| Owner::Repository {
                project: repository.project.key,
                slug: repository.slug,
            }),
        };
        let owner = owner.ok_or_else(|| match &self.slug {
            None => Problem::no_such_project(key),
            Some(slug) => Problem::no_such_repository(key, slug),
        })?;
        Ok(Found { owner, user: None, is_own: false })
    }

    /// The owner, whose tokens the caller may read.
    async fn readable(&self, session: &Session, app: &App) -> Result<Found, Problem> {
        let found = self.find(session, app).await?;
        let operation = if found.is_own { Operation::ListOwn } else { Operation::ListAll };
        let permit = session.permit(operation).map_err(not_permitted)?;
        if !found.is_own {
            in_person(&permit, NO_GLOBAL_PERMISSION)?;
        }
        Ok(found)
    }

    /// The number of the token; `None` when no token has such an identifier.
    fn id(&self) -> Option<i64> {
        self.id.as_deref().and_then(id_number)
    }

    /// The token, and the user that its owner is. What is not at this place is not there, whatever is asked of it, and
    /// what the caller may not read is refused in one way.
    async fn token(&self, session: &Session, app: &App) -> Result<(TokenRow, Option<UserRow>), Problem> {
        let Found { owner, user, .. } = self.readable(session, app).await?;
        let token = match self.id() {
            Some(number) => app.store.token(number).await?,
            None => None,
        };
        let token = token.filter(|token| token.owner.folded() == owner.folded());
        Ok((token.ok_or_else(no_such_token)?, user))
    }

    /// The token, its owner and the user that this is, once it is permitted to do `operation` to it.
    async fn managed(
        &self,
        session: &Session,
        app: &App,
        operation: fn(TokenOwnership) -> Operation,
    ) -> Result<(Right, TokenRow, TokenOwner, Option<UserRow>), Problem> {
        let (there, user) = self.token(session, app).await?;
        let permitted = permitted_token(session, app, Some(there.id), operation).await;
        let (right, token, owner) = permitted.map_err(not_permitted)?;
        Ok((right, token, owner, user))
    }
}

async fn list(
    session: Session,
    State(app): State<Arc<App>>,
    Path(place): Path<Place>,
    paging: Paging,
    base: Base,
) -> Answer<AccessToken> {
    let Found { owner, user, .. } = place.readable(&session, &app).await?;
    let filter = TokenFilter { owners: vec![owner], ..TokenFilter::default() };
    let asked = paging.one_more();
    // `start` is the first number of the page.
    let page = TokenPage::After { after: asked.start - 1, until: i64::MAX, limit: asked.limit };
    // Before the store is read: a use is in one of both.
    let waiting = app.uses.waiting();
    let mut tokens = app.store.tokens(&filter, page).await?;
    lay_over(&waiting, &mut tokens);
    Ok(paging.page(tokens, |token| token.id, |token| AccessToken::new(token, user.clone(), &base)))
}

async fn read(
    session: Session,
    State(app): State<Arc<App>>,
    Path(place): Path<Place>,
    base: Base,
) -> Result<Json<AccessToken>, Problem> {
    let waiting = app.uses.waiting();
    let (mut token, user) = place.token(&session, &app).await?;
    lay_over(&waiting, [&mut token]);
    Ok(Json(AccessToken::new(token, user, &base)))
}

async fn create(
    session: Session,
    State(app): State<Arc<App>>,
    Path(place): Path<Place>,
    base: Base,
    body: Body,
) -> Result<Json<CreatedAccessToken>, Problem> {
    let Found { owner, user, is_own } = place.find(&session, &app).await?;
    let caller = session.permit(Operation::Enter)?;
    let owner = TokenOwner::of(&owner, |_| {
        let own = caller.principal().person().filter(|_| is_own);
        own.cloned().ok_or_else(|| not_permitted(DenialReason::ManageOthers.into()))
    })?;
    in_person(&caller, "A token cannot create tokens")?;
    let asked: AccessTokenRequest = body.json()?;
    let permissions = asked.new_permissions(owner.name().kind())?;
    let scope = permissions.scope();
    let operation = if is_own {
        Operation::CreateOwn { scope }
    } else {
        Operation::CreateFor { owner: Some(owner.clone()), scope }
    };
    let permit = session.permit(operation).map_err(not_permitted)?;
    let mut right = session.right(&permit);
    if !is_own {
        right = right.about(owner.name(), Some(KnownOwner::Place));
    }
    let expires = asked.expires(app.clock.now())?;
    let about = RequestedToken { scope, expires, description: asked.new_name()? };
    let (token, secret) = issue(&session, &app, (&permit, &right), &owner, about, Some(permissions)).await?;
    Ok(Json(CreatedAccessToken {
        about: AccessToken::new(token, user, &base),
        token: secret.expose().to_owned(),
    }))
}

async fn update(
    session: Session,
    State(app): State<Arc<App>>,
    Path(place): Path<Place>,
    base: Base,
    body: Body,
) -> Result<Json<AccessToken>, Problem> {
    let (right, token, owner, user) = place.managed(&session, &app, Operation::Narrow).await?;
    let asked: AccessTokenRequest = body.json()?;
    if asked.expiry_days.is_some() {
        let message = "The expiry of a token cannot be changed; create another token.";
        return Err(Problem::bad_request(message));
    }
    let narrowing = narrowing(&asked, &token)?;
    rename_within_limits(&session, &token, &owner, &narrowing)?;
    let waiting = app.uses.waiting();
    match app.store.narrow_token(&right, token.id, &narrowing, None).await? {
        Some(mut token) => {
            lay_over(&waiting, [&mut token]);
            Ok(Json(AccessToken::new(token, user, &base)))
        }
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
    Path(place): Path<Place>,
    parameters: Parameters,
    under: UnderRun,
) -> Result<StatusCode, Problem> {
    let children = children(&parameters, &under)?;
    let (right, token, ..) = place.managed(&session, &app, Operation::Revoke).await?;
    if app.store.revoke_token(&right, token.id, children, None).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_token())
    }
}

/// Lets nobody pass who comes with a token; `message` says why to the client.
pub(super) fn in_person(permit: &Permit, message: &str) -> Result<(), Problem> {
    match permit.principal().token() {
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
