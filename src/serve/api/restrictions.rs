//! How tokens of the server behind this one are restricted: an earlier end, a lower scope. All of it requires an
//! administrator. A restriction that was changed meanwhile is not replaced.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    endpoint::{Endpoint, Parameter},
    json_body::Body,
    pages::{Answer, PAGING, Page, Paging},
    runs::{UNDER, UnderRun},
    settings::matches,
    token_json::name_of,
    upstream::{NO_UPSTREAM, mirror, token_id},
    values,
};
use crate::{
    access::Operation,
    model::{LastChange, Restriction},
    protocol::{RESTRICTIONS, RestrictionItem, WantedRestriction},
    serve::{
        App,
        front::mirror::identifier,
        problem::Problem,
        session::Session,
        store::{Restricted, RestrictionRow},
    },
};

const HEADERS: &[Parameter] = &[
    Parameter::text("If-Match", "The entity tag of the restriction that is to be replaced or removed"),
    Parameter::text("If-None-Match", "`*` where there is to be none yet"),
    UNDER[0],
    UNDER[1],
    UNDER[2],
];

const REFUSALS: &[(u16, &str)] = &[
    (400, "The path names no token, or the body says what cannot be enforced"),
    (404, NO_UPSTREAM),
    (409, "The run does not hold the lease any more"),
    (412, "The restriction is not that of the precondition any more"),
    (428, "The precondition is missing"),
];

fn item(row: RestrictionRow) -> RestrictionItem {
    RestrictionItem {
        id: identifier(row.token.unsigned_abs()).to_string(),
        not_after: row.restriction.not_after,
        max_scope: row.restriction.max_scope,
        last_change: row.change,
    }
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    let of_token = format!("{RESTRICTIONS}/{{id}}");
    vec![
        Endpoint::get::<Page<RestrictionItem>, _, _>(
            RESTRICTIONS,
            "How tokens of the server behind are restricted; requires an administrator",
            list,
        )
        .query(&[PAGING])
        .statuses(&[(404, NO_UPSTREAM)]),
        Endpoint::get::<RestrictionItem, _, _>(
            &of_token,
            "How a token of the server behind is restricted; requires an administrator",
            read,
        )
        .statuses(&[
            (400, "The path names no token"),
            (404, "It is not restricted, or there is no server behind"),
        ]),
        Endpoint::put::<RestrictionItem, _, _>(
            &of_token,
            "Restrict a token of the server behind; requires an administrator",
            restrict,
        )
        .headers(HEADERS)
        .body::<WantedRestriction>()
        .statuses(REFUSALS),
        Endpoint::delete::<bool, _, _>(
            &of_token,
            "Take the restriction of a token off; requires an administrator",
            remove,
        )
        .headers(HEADERS)
        .statuses(REFUSALS),
    ]
}

async fn list(session: Session, State(app): State<Arc<App>>, paging: Paging) -> Answer<RestrictionItem> {
    session.permit(Operation::ReadSettings)?;
    mirror(&app)?;
    let rows = app.store.restrictions(paging.one_more()).await?;
    Ok(paging.page(rows, |row| row.token, item))
}

async fn read(
    session: Session,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    session.permit(Operation::ReadSettings)?;
    mirror(&app)?;
    let row = app.store.restriction(token_id(&id)?).await?;
    Ok(shown(row.ok_or_else(|| Problem::not_found("The token is not restricted."))?))
}

async fn restrict(
    session: Session,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    under: UnderRun,
    body: Body,
) -> Result<Response, Problem> {
    session.permit(Operation::WriteSettings)?;
    let WantedRestriction { not_after, max_scope } = body.json()?;
    not_after.map_or(Ok(()), |end| values::moment("not_after", end))?;
    let wanted = Restriction { not_after, max_scope };
    if wanted == Restriction::default() {
        return Err(Problem::bad_request("`not_after` or `max_scope` is needed; use DELETE to take it off."));
    }
    let row = change(&session, &app, &id, &headers, under, wanted).await?;
    Ok(row.map_or_else(|| StatusCode::NO_CONTENT.into_response(), shown))
}

async fn remove(
    session: Session,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    under: UnderRun,
) -> Result<Json<bool>, Problem> {
    change(&session, &app, &id, &headers, under, Restriction::default()).await?;
    Ok(Json(true))
}

/// Restricts the token `id` as `wanted`, in place of what the precondition in `headers` names.
async fn change(
    session: &Session,
    app: &App,
    id: &str,
    headers: &HeaderMap,
    under: UnderRun,
    wanted: Restriction,
) -> Result<Option<RestrictionRow>, Problem> {
    let permit = session.permit(Operation::WriteSettings)?;
    mirror(app)?;
    let token = token_id(id)?;
    let under = under.permitted(session, app)?;
    let moved = || {
        let message = "The restriction of the token has changed meanwhile; read it again.";
        Problem::new(StatusCode::PRECONDITION_FAILED, "precondition", message)
    };
    let now = app.store.restriction(token).await?;
    let is_to_be_new = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*");
    let holds = match &now {
        None if is_to_be_new => true,
        // Nothing has an entity tag.
        None => matches(headers, "").map(|_| false)?,
        Some(_) if is_to_be_new => false,
        Some(row) => matches(headers, &etag(row))?,
    };
    if !holds {
        return Err(moved());
    }
    let change = LastChange { by: name_of(permit.principal()).into(), at: app.clock.now() };
    let expected = now.map(|row| row.number);
    let right = session.right(&permit);
    match app.store.restrict(&right, (token, expected), wanted, &change, under.as_ref()).await? {
        Restricted::Now(row) => Ok(row),
        Restricted::Moved => Err(moved()),
    }
}

fn shown(row: RestrictionRow) -> Response {
    ([(header::ETAG, etag(&row))], Json(item(row))).into_response()
}

/// Another one for each restriction that there ever was.
fn etag(row: &RestrictionRow) -> String {
    format!("\"{}-{:x}\"", row.number, row.change.at.as_millisecond())
}
