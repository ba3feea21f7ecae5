//! Everything the server answers.
//!
//! One table of endpoints makes both the router and the OpenAPI document, so that neither can have what the
//! other lacks. Nothing is done without the permit for it.

mod access_token_json;
mod access_tokens;
mod audit;
mod basic_authentication;
mod by_hash;
mod directory;
mod directory_json;
mod endpoint;
mod health;
mod json_body;
mod links;
mod openapi;
mod pages;
mod permissions;
mod projects;
mod query;
mod restrictions;
mod runs;
mod settings;
mod token_changes;
mod token_filter;
mod token_json;
mod tokens;
mod upstream;
mod values;
mod whoami;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use jiff::fmt::rfc2822::DateTimePrinter;

use super::{App, dialect::Dialect, guard::guard, problem::Problem, session::Session};
use crate::access::Operation;
use endpoint::Endpoint;

/// All endpoints.
fn endpoints() -> Vec<Endpoint> {
    let mut all = health::endpoints();
    all.extend(tokens::endpoints());
    all.extend(token_changes::endpoints());
    all.extend(by_hash::endpoints());
    all.extend(settings::endpoints());
    all.extend(runs::endpoints());
    all.extend(restrictions::endpoints());
    all.extend(upstream::endpoints());
    all.extend(audit::endpoints());
    all.extend(whoami::endpoints());
    all.extend(directory::endpoints());
    all.extend(projects::endpoints());
    all.extend(permissions::endpoints());
    all.extend(access_tokens::endpoints());
    all.extend(basic_authentication::endpoints());
    all.extend(openapi::endpoints());
    all
}

/// The router over all endpoints, behind the guard.
pub(super) fn router(app: Arc<App>) -> Router {
    endpoints()
        .into_iter()
        .map(Endpoint::routed)
        // With a slash at the end, too, as Bitbucket answers it.
        .fold(Router::new(), |router, (path, handler)| {
            router.route(&format!("{path}/"), handler.clone()).route(&path, handler)
        })
        .route("/metrics", get(health::figures))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_way)
        // The guard has read the body, and bounded it.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .layer(middleware::map_response_with_state(Arc::clone(&app), with_headers))
        .layer(middleware::from_fn(named_charset))
        .with_state(app)
}

/// `response` with the date by which this server judges, so that clients measure the clock that matters, and with
/// what browsers and caches are to know: nothing here is kept, taken for another kind, or sent without TLS again.
async fn with_headers(State(app): State<Arc<App>>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if app.has_tls {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&app.clock.now());
    if let Some(date) = date.ok().and_then(|date| HeaderValue::try_from(date).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// The response with the media type that Bitbucket names since 9.0: clients look for the charset.
async fn named_charset(request: Request, next: Next) -> Response {
    let dialect = Dialect::of(request.uri().path());
    let mut response = next.run(request).await;
    if let Some(named) = response.headers_mut().get_mut(header::CONTENT_TYPE)
        && *named == "application/json"
    {
        *named = HeaderValue::from_static(dialect.media_type());
    }
    response
}

async fn nothing_here(session: Session) -> Result<(), Problem> {
    session.permit(Operation::Enter)?;
    Err(Problem::not_found("There is nothing at this path."))
}

async fn not_this_way() -> Problem {
    let message = "This path does not take this method.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message)
}
