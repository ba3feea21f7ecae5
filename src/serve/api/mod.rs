//! Everything the server answers.
//!
//! In: requests with their session. Out: answers. One table of endpoints makes both the router and
//! the OpenAPI document, so that none can have what the other lacks. It refuses to do anything
//! without the permit for it.

mod directory;
mod endpoint;
mod health;
mod openapi;
mod query;
mod runs;
mod settings;
mod token_filter;
mod token_json;
mod tokens;
mod whoami;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, http::StatusCode, middleware};
use serde_json::{Value, json};

use super::{
    App,
    guard::{Session, guard},
    problem::Problem,
};
use crate::access::Operation;
use endpoint::Endpoint;
pub(super) use endpoint::Entry;

/// The largest body that is read, in bytes.
const BODY_AT_MOST: usize = 1 << 20;

/// All endpoints.
fn endpoints() -> Vec<Endpoint> {
    let mut all = health::endpoints();
    all.extend(tokens::endpoints());
    all.extend(settings::endpoints());
    all.extend(runs::endpoints());
    all.extend(whoami::endpoints());
    all.extend(directory::endpoints());
    all.extend(openapi::endpoints());
    all
}

/// The router over all endpoints, behind the guard.
pub(super) fn router(app: Arc<App>) -> Router {
    endpoints()
        .into_iter()
        .fold(Router::new(), |router, endpoint| router.route(&endpoint.path, endpoint.handler))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_way)
        .layer(DefaultBodyLimit::max(BODY_AT_MOST))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

async fn nothing_here(session: Session) -> Result<(), Problem> {
    session.permit(Operation::Enter)?;
    Err(Problem::not_found("There is nothing at this path."))
}

async fn not_this_way() -> Problem {
    let message = "This path does not take this method.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message)
}

/// An error in the form that clients of `path` read: Bitbucket's below its own REST, the app's elsewhere.
pub(super) fn error_body(path: &str, message: &str) -> Value {
    if path.starts_with("/rest/api/") {
        json!({"errors": [{"context": null, "message": message, "exceptionName": null}]})
    } else {
        json!({"errorMessage": message})
    }
}
