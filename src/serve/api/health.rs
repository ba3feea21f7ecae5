//! The questions of a load balancer: whether the server can do its work, and in a few words why not.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use super::endpoint::Endpoint;
use crate::serve::{App, problem::Problem};

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
    let endpoint = |path, summary| Endpoint::get::<Health, _, _>(path, summary, health).statuses(statuses);
    vec![
        endpoint("/healthz", "Whether the server can do its work"),
        endpoint("/readyz", "Whether the server takes requests"),
    ]
}

async fn health(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    app.settings.current(&app.store).await?;
    app.probe.attempt(&app.store, &app.clock).await?;
    Ok(Json(Health { status: "ok" }))
}
