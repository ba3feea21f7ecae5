//! The settings that are enforced, with a strong entity tag, and who changed them last. Settings that were
//! changed meanwhile are not replaced.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    endpoint::{Endpoint, Parameter},
    json_body::Body,
    runs::{UNDER, UnderRun},
    token_json::name_of,
    values,
};
use crate::{
    access::{Operation, Permit},
    model::{LastChange, Settings, settings::SettingsDocument},
    protocol::{LAST_CHANGE, SETTINGS},
    serve::{
        App,
        live_settings::{etag, settings_text},
        problem::Problem,
        session::Session,
        store::Under,
    },
};

const HEADERS: &[Parameter] = &[
    Parameter::text("If-Match", "The entity tag of the settings that are to be replaced").required(),
    UNDER[0],
    UNDER[1],
    UNDER[2],
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get::<SettingsDocument, _, _>(
            SETTINGS,
            "The settings that are enforced; requires an administrator",
            read,
        ),
        Endpoint::get::<LastChange, _, _>(
            LAST_CHANGE,
            "Who changed the settings last, and when; requires an administrator",
            last_change,
        )
        .statuses(&[(404, "The settings are those of a new server")]),
        Endpoint::put::<SettingsDocument, _, _>(
            SETTINGS,
            "Replace the settings; requires an administrator",
            replace,
        )
        .headers(HEADERS)
        .body::<SettingsDocument>()
        .statuses(&[
            (400, "The document says what cannot be enforced; the message names the place"),
            (409, "The run does not hold the lease any more"),
            (412, "The settings are not those of `If-Match` any more"),
            (428, "`If-Match` is missing"),
        ]),
    ]
}

async fn read(session: Session) -> Result<Response, Problem> {
    session.permit(Operation::ReadSettings)?;
    let revision = &session.revision;
    Ok(([(header::ETAG, revision.etag.clone())], Json(revision.document.clone())).into_response())
}

async fn replace(
    session: Session,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    under: UnderRun,
    body: Body,
) -> Result<Response, Problem> {
    let permit = session.permit(Operation::WriteSettings)?;
    let under = under.permitted(&session, &app)?;
    let moved = || {
        let message = "The settings have changed meanwhile; read them again.";
        Problem::new(StatusCode::PRECONDITION_FAILED, "precondition", message)
    };
    if !matches(&headers, &session.revision.etag)? {
        return Err(moved());
    }
    let document: SettingsDocument = body.json()?;
    values::texts("", &serde_json::to_value(&document)?)?;
    let settings = Settings::try_from(&document).map_err(|error| Problem::bad_request(error.to_string()))?;
    let etag = write(&session, &app, &permit, &settings, None, under.as_ref()).await?.ok_or_else(moved)?;
    let document = SettingsDocument::from(&settings);
    Ok(([(header::ETAG, etag)], Json(document)).into_response())
}

/// Puts `settings` in place of those that the session began with, and what Bitbucket's configuration
/// holds beside them where it is given. When a run does it, that is kept with it. Returns the new entity
/// tag; `None` when they have changed meanwhile.
pub(super) async fn write(
    session: &Session,
    app: &App,
    permit: &Permit,
    settings: &Settings,
    basic_authentication: Option<&str>,
    under: Option<&Under>,
) -> Result<Option<String>, Problem> {
    let text = settings_text(settings)?;
    let change = LastChange { by: name_of(permit.principal()).into(), at: app.clock.now() };
    let expected = session.revision.number;
    let right = session.right(permit);
    let number =
        app.store.replace_settings(&right, expected, &text, &change, basic_authentication, under).await?;
    Ok(number.map(|number| etag(number, &text)))
}

async fn last_change(session: Session, State(app): State<Arc<App>>) -> Result<Json<LastChange>, Problem> {
    session.permit(Operation::ReadSettings)?;
    let last = app.store.last_settings_change().await?;
    last.map(Json).ok_or_else(|| Problem::not_found("The settings are those of a new server."))
}

/// Whether `If-Match` names `etag`, by strong comparison (RFC 9110, section 13.1.1).
pub(super) fn matches(headers: &HeaderMap, etag: &str) -> Result<bool, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
    if values.peek().is_none() {
        let message = "Send the entity tag of what you read as `If-Match`.";
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition", message));
    }
    // No entity tag of this server has a comma in it.
    Ok(values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == etag || tag.trim() == "*"))
}
