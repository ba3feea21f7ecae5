//! The endpoints of the app "API Token Authentication". A secret is shown once only.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};

use super::{
    endpoint::{Endpoint, Parameter},
    json_body::Body,
    query::Parameters,
    runs::{NAMED, UNDER, UnderRun},
    token_filter::{self, FILTER, PAGING},
    token_json::{
        CreateToken, CreatedToken, PatchToken, TokenItem, TokenList, date_time, name_of, number_of,
    },
};
use crate::{
    access::{
        Memberships, Operation, Permit, Person, TokenOwner, TokenOwnership,
        limits::{self, LimitBroken, Parent, RequestedToken},
    },
    model::{Owner, TokenScope, TokenSecret, UserName},
    protocol::TOKENS as OWN,
    serve::{
        App,
        last_uses::lay_over,
        problem::Problem,
        project_permissions::ProjectPermissions,
        random::random_bytes,
        session::Session,
        store::{
            Between, Children, KnownOwner, Narrowing, NewToken, Right, TokenFilter, TokenPage, TokenRow,
        },
    },
};

macro_rules! path {
    ($rest:literal) => {
        concat!("/rest/de.resolution.apitokenauth/latest/user/", $rest)
    };
}

/// What is said beside the token that is to be revoked.
pub(super) const CHILDREN: &[Parameter] = &[Parameter::text(
    "children",
    "What becomes of tokens that were made with it, and with these: `revoke` or `keep`. When it is left out they are \
     revoked, unless a run asks: it has a change for each token",
)];

const NOT_REVOKED: &[(u16, &str)] = &[
    (400, "The query cannot be read"),
    (404, "There is no such token"),
    (409, "The run does not hold the lease any more"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::post::<CreatedToken, _, _>(OWN, "Create a token of this server, also in front of another", create)
            .body::<CreateToken>()
            .statuses(&[(400, "The body cannot be read, or asks for more than the limits allow")]),
        Endpoint::get::<TokenList, _, _>(OWN, "List one's own tokens of this server", list_own).query(&[PAGING]),
        Endpoint::delete::<bool, _, _>(
            &format!("{OWN}/{{id}}"),
            "Revoke a token of this server, and what was made with it",
            revoke,
        )
        .headers(UNDER)
        .query(&[CHILDREN])
        .statuses(NOT_REVOKED),
        Endpoint::post::<CreatedToken, _, _>(path!("token"), "Create a token", create)
            .body::<CreateToken>()
            .statuses(&[(400, "The body cannot be read, or asks for more than the limits allow")]),
        Endpoint::get::<TokenList, _, _>(path!("token"), "List one's own tokens", list_own).query(&[PAGING]),
        Endpoint::get::<TokenList, _, _>(path!("tokensByFilter"), "List the tokens of all users", list_all)
            .query(&[FILTER, PAGING]),
        Endpoint::patch::<TokenItem, _, _>(
            path!("token/{id}"),
            "Rename a token, lower its scope or bring its expiry nearer",
            narrow,
        )
        .headers(UNDER)
        .body::<PatchToken>()
        .statuses(&[
            (400, "The body cannot be read, breaks a limit, or would let the token reach farther or live longer"),
            (404, "There is no such token"),
            (409, "The run does not hold the lease any more"),
        ]),
        Endpoint::delete::<bool, _, _>(
            path!("token/{id}"),
            "Revoke a token, and what was made with it",
            revoke,
        )
            .headers(UNDER)
            .query(&[CHILDREN])
            .statuses(NOT_REVOKED),
        Endpoint::delete::<bool, _, _>(
            path!("token/deleteAllFor/{userKey}"),
            "Revoke all tokens of a user, and what was made with them",
            revoke_all_for,
        )
        .headers(NAMED)
        .query(&[CHILDREN])
        .statuses(&[(400, "The query cannot be read"), (404, "There is no such user")]),
    ]
}

async fn create(
    session: Session,
    State(app): State<Arc<App>>,
    body: Body,
) -> Result<Json<CreatedToken>, Problem> {
    let asked: CreateToken = body.json()?;
    let (permit, right, owner) = permit_to_create(&session, &app, &asked).await?;
    let about = RequestedToken {
        scope: asked.scope()?,
        expires: asked.expires(app.clock.now())?,
        description: asked.description()?,
    };
    let name = owner.name.to_string();
    let (token, secret) = issue(&session, &app, (&permit, &right), &owner.into(), about, None).await?;
    Ok(Json(CreatedToken {
        id: token.id,
        plain_text_token: secret.expose().to_owned(),
        token_description: token.description,
        token_scope: token.scope.number(),
        user_key: name.clone(),
        user_name: name,
        token_validity_time_in_months: asked.months.unwrap_or(0),
        token_expiration_date_time: token.expires.map(date_time),
        token_expiration_date_time_millis: token.expires.map_or(0, jiff::Timestamp::as_millisecond),
    }))
}

/// Makes the token that `asked` describes for `owner`, within the limits, and answers its secret with it.
pub(super) async fn issue(
    session: &Session,
    app: &App,
    (permit, right): (&Permit, &Right),
    owner: &TokenOwner,
    asked: RequestedToken<'_>,
    permissions: Option<ProjectPermissions>,
) -> Result<(TokenRow, TokenSecret), Problem> {
    let now = app.clock.now();
    let parent = permit.principal().token();
    let granted = limits::grant(
        &session.revision.settings.limits,
        owner,
        asked,
        parent.map(|held| Parent { scope: held.scope.effective(), expires: held.expires }),
        now,
    )?;
    let secret = TokenSecret::from_random(random_bytes()?);
    let new = NewToken {
        owner: owner.name(),
        description: asked.description.to_owned(),
        scope: TokenScope::Set(granted.scope),
        created: now,
        created_by: Some(name_of(permit.principal())),
        parent: parent.and_then(number_of),
        last_used: None,
        expires: granted.expires,
        secret_hash: secret.hash(),
        permissions,
    };
    let most = granted.max_per_owner;
    let id = app.store.create_token(right, &new, most).await?;
    let id = id.ok_or_else(|| LimitBroken::PerOwner(most.unwrap_or_default()))?;
    Ok((new.into_row(id), secret))
}

/// The permit to create what is `asked` for, and whose the token is going to be.
async fn permit_to_create(
    session: &Session,
    app: &App,
    asked: &CreateToken,
) -> Result<(Permit, Right, Person), Problem> {
    let caller = session.permit(Operation::Enter)?;
    let own = caller.principal().person();
    let named = asked.for_user.as_deref().map(UserName::new);
    let other = named.filter(|named| own.is_none_or(|own| own.name != *named));
    let Some(other) = other else {
        let permit = session.permit(Operation::CreateOwn { scope: asked.scope()? })?;
        let own = own.cloned().ok_or(crate::access::DenialReason::NoUser)?;
        let right = session.right(&permit);
        return Ok((permit, right, own));
    };
    let account = app.store.account(&other).await?;
    let owner = account.clone().map(|account| app.person(account));
    let permit = session
        .permit(Operation::CreateFor { owner: owner.clone().map(TokenOwner::User), scope: asked.scope()? })?;
    match owner {
        Some(owner) if owner.active => {
            let right = session.right(&permit).about(Owner::User(other), account.map(KnownOwner::User));
            Ok((permit, right, owner))
        }
        _ => Err(Problem::bad_request("`tokenForUserKey` names no active user.")),
    }
}

async fn list_own(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<TokenList>, Problem> {
    let permit = session.permit(Operation::ListOwn)?;
    let filter =
        TokenFilter { owners: vec![Owner::User(name_of(permit.principal()))], ..TokenFilter::default() };
    list(&app, &filter, &parameters).await
}

async fn list_all(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<TokenList>, Problem> {
    session.permit(Operation::ListAll)?;
    let Json(mut listed) = list(&app, &token_filter::filter(&parameters)?, &parameters).await?;
    if matches!(token_filter::page(&parameters)?.page, TokenPage::After { after: 0, .. }) {
        listed.ancestors = app.store.ancestors().await?;
    }
    Ok(Json(listed))
}

async fn list(app: &App, filter: &TokenFilter, parameters: &Parameters) -> Result<Json<TokenList>, Problem> {
    let asked = token_filter::page(parameters)?;
    if filter.last_used != Between::default() {
        // The store selects by what it has.
        app.uses.flush_or_warn(&app.store).await;
    }
    // Before the store is read: a use is in one of both.
    let waiting = app.uses.waiting();
    let mut tokens = app.store.tokens(filter, asked.page).await?;
    lay_over(&waiting, &mut tokens);
    // Counting on every page would be quadratic: only who pages by counting gets a count.
    let total_elements = match asked.number {
        Some(_) => Some(app.store.count_tokens(filter).await?),
        None => None,
    };
    Ok(Json(TokenList {
        content: tokens.into_iter().map(TokenItem::from).collect(),
        page: asked.number,
        limit: asked.limit,
        total_elements,
        last_id: app.store.last_token().await?,
        ancestors: Vec::new(),
    }))
}

async fn narrow(
    session: Session,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    under: UnderRun,
    body: Body,
) -> Result<Json<TokenItem>, Problem> {
    let (right, token, owner) = permitted_token(&session, &app, id.parse().ok(), Operation::Narrow).await?;
    let under = under.permitted(&session, &app)?;
    let patch: PatchToken = body.json()?;
    let narrowing = patch.narrowing()?;
    rename_within_limits(&session, &token, &owner, &narrowing)?;
    let waiting = app.uses.waiting();
    let narrowed = app.store.narrow_token(&right, token.id, &narrowing, under.as_ref()).await?;
    match narrowed {
        Some(mut token) => {
            lay_over(&waiting, [&mut token]);
            Ok(Json(token.into()))
        }
        None if app.store.token(token.id).await?.is_none() => Err(no_such_token()),
        None => Err(Problem::bad_request(
            "A token's scope can only be lowered, and its expiry only be brought nearer.",
        )),
    }
}

/// Refuses a new description that breaks the limits of `owner`.
pub(super) fn rename_within_limits(
    session: &Session,
    token: &TokenRow,
    owner: &TokenOwner,
    narrowing: &Narrowing,
) -> Result<(), LimitBroken> {
    match narrowing.description.as_ref().filter(|new| **new != token.description) {
        Some(description) => limits::rename(&session.revision.settings.limits, owner, description),
        None => Ok(()),
    }
}

async fn revoke(
    session: Session,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: Parameters,
    under: UnderRun,
) -> Result<Json<bool>, Problem> {
    let children = children(&parameters, &under)?;
    let (right, token, _) = permitted_token(&session, &app, id.parse().ok(), Operation::Revoke).await?;
    let under = under.permitted(&session, &app)?;
    let was_there = app.store.revoke_token(&right, token.id, children, under.as_ref()).await?;
    if was_there { Ok(Json(true)) } else { Err(no_such_token()) }
}

/// What is to become of tokens that were made with one that is revoked.
///
/// A run says of each token that it is to go: without a word it means only that one.
pub(super) fn children(parameters: &Parameters, under: &UnderRun) -> Result<Children, Problem> {
    match parameters.one("children")? {
        None if under.is_of_run() => Ok(Children::Keep),
        None | Some("revoke") => Ok(Children::Revoke),
        Some("keep") => Ok(Children::Keep),
        Some(_) => Err(Problem::bad_request("`children` takes `revoke` or `keep`.")),
    }
}

/// The token with the number `id` and its owner, once it is permitted to do `operation` to it. Who may not
/// manage the tokens of others does not learn which ids exist.
pub(super) async fn permitted_token(
    session: &Session,
    app: &App,
    id: Option<i64>,
    operation: fn(TokenOwnership) -> Operation,
) -> Result<(Right, TokenRow, TokenOwner), Problem> {
    let caller = session.permit(Operation::Enter)?;
    let token = match id {
        Some(id) => app.store.token(id).await?,
        None => None,
    };
    let Some(token) = token else {
        session.permit(operation(TokenOwnership::Others { owner_is_administrator: false }))?;
        return Err(no_such_token());
    };
    if let Some(own) = own_person(&caller, &token.owner) {
        let permit = session.permit(operation(TokenOwnership::Own))?;
        return Ok((session.right(&permit), token, own.clone().into()));
    }
    let known = app.store.known_owner(&token.owner).await?;
    let permit = session.permit(operation(target(app, &caller, &token.owner, known.as_ref())))?;
    let owner = owner(app, &token.owner, known.clone());
    Ok((session.right(&permit).about(token.owner.clone(), known), token, owner))
}

/// Whose the tokens of `owner` are, of whom the directory knows `known`, seen from the sender.
pub(super) fn target(app: &App, sender: &Permit, name: &Owner, known: Option<&KnownOwner>) -> TokenOwnership {
    if own_person(sender, name).is_some() {
        return TokenOwnership::Own;
    }
    let owner = owner(app, name, known.cloned());
    TokenOwnership::Others { owner_is_administrator: owner.person().is_some_and(|owner| owner.administrator) }
}

/// The sender, if that is `owner`.
fn own_person<'a>(sender: &'a Permit, owner: &Owner) -> Option<&'a Person> {
    sender.principal().person().filter(|own| Some(&own.name) == owner.user())
}

/// The owner with this name, of whom the directory knows `known`; somebody without groups for a user whom it does
/// not know.
fn owner(app: &App, name: &Owner, known: Option<KnownOwner>) -> TokenOwner {
    let unknown = |user: &UserName| Person {
        name: user.clone(),
        groups: Memberships::default(),
        active: false,
        administrator: false,
    };
    let Ok(owner) = TokenOwner::of(name, |user| {
        Ok::<_, Infallible>(match known {
            Some(KnownOwner::User(account)) => app.person(account),
            Some(KnownOwner::Place) | None => unknown(user),
        })
    });
    owner
}

fn no_such_token() -> Problem {
    Problem::not_found("There is no such token.")
}

async fn revoke_all_for(
    session: Session,
    State(app): State<Arc<App>>,
    Path(user): Path<String>,
    parameters: Parameters,
    under: UnderRun,
) -> Result<Json<bool>, Problem> {
    let children = children(&parameters, &under)?;
    let permit = session.permit(Operation::RevokeAllFor)?;
    let user = UserName::new(user);
    let revoked = app.store.revoke_all_for(&session.right(&permit), &user, children).await?;
    // Who left the directory may have tokens still.
    if revoked == 0 && app.store.account(&user).await?.is_none() {
        return Err(Problem::not_found("There is no such user."));
    }
    Ok(Json(true))
}
