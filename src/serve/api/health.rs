//! The questions of a load balancer: whether the server can do its work, and in a few words why not.

use std::sync::Arc;

use axum::{Json, extract::State, http::header, response::IntoResponse};
use schemars::JsonSchema;
use serde::Serialize;

use super::endpoint::Endpoint;
use crate::serve::{App, front::mirror::Unanswered, problem::Problem};

/// The server can do its work.
#[derive(Serialize, JsonSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    let statuses = &[(
        503,
        "The store is away, its settings cannot be read, it cannot be written to, or its audit is damaged",
    )];
    vec![
        Endpoint::get::<Health, _, _>("/healthz", "Whether the server can do its work", health)
            .statuses(statuses),
        Endpoint::get::<Health, _, _>("/readyz", "Whether the server takes requests", ready)
            .statuses(statuses),
    ]
}

/// As [`health`]; in front of another server, what is known of that one must not be too old either.
async fn ready(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    if app.mirror.as_ref().is_some_and(|mirror| mirror.is_stale(app.clock.passing())) {
        return Err(Unanswered::Stale(None).into());
    }
    health(State(app)).await
}

/// The figures of what stands in front of another server, in the text format of Prometheus.
pub(super) async fn figures(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let missing = || Problem::not_found("This server stands in front of no other.");
    let figures = app.front.as_ref().ok_or_else(missing)?.figures();
    let text = figures.text(app.mirror.as_ref(), app.clock.passing());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

async fn health(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    // The first says what is damaged; without an audit no settings are read either.
    app.probe.attempt(&app.store, &app.clock).await?;
    app.settings.current(&app.store).await?;
    Ok(Json(Health { status: "ok" }))
}
