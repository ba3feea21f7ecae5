//! The guard of every request: a [`Session`] when its client is let in and its sender is known, otherwise
//! the refusal. Each request leaves one line in the log, without secrets: no header, no query. What a
//! request wants is not known here: the handler asks its session for the permit.
//!
//! A request is judged before its body is read, so that nobody who is refused sends one, and again when
//! something that it was permitted on changes before its effect is committed.

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::{
    body::{Body, HttpBody},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    App,
    authentication::{PresentedCredential, Recognised},
    body::Arrived,
    connections::Peer,
    dialect::error_body,
    entry::{EndpointAccess, reads},
    head,
    problem::Problem,
    random::request_id,
    request_log::shown,
    session::{RequestFacts, Session},
    store::{Sender, Use, Whence},
    throttle::network,
};
use crate::{
    access::{self, Credentials, Operation, Permit, RequestOrigin},
    model::{ClientAddressSource, LastUse, Owner, Settings, percent},
};

/// How often a request is carried out when its right ends under way and is found again.
const ATTEMPTS: usize = 3;

/// What the log tells of a request, as far as it got.
#[derive(Default)]
struct Seen {
    client: Option<IpAddr>,
    /// Who sends it; nothing for the operator, and before that is known.
    sender: Option<Owner>,
}

/// Lets `request` through, or refuses it, and logs it.
pub(super) async fn guard(
    State(app): State<Arc<App>>,
    ConnectInfo(connection): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let _request = connection.request();
    let peer = connection.ip();
    let began = Instant::now();
    let id = request_id();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut seen = Seen::default();
    let answered = answer(&app, (peer, &id), request, next, &mut seen).await;
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    let problem =
        response.extensions_mut().remove::<Problem>().or_else(|| Problem::unsaid(response.status()));
    if let Some(problem) = &problem {
        response = with_body(response, problem, &path, &id);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    let user = seen.sender.as_ref().and_then(Owner::user);
    // Encoded, as Bitbucket does.
    let name = user.map(|user| percent::encode(user.as_str()));
    if let Some(name) = name.and_then(|name| HeaderValue::from_str(&name).ok()) {
        response.headers_mut().insert("x-ausername", name);
    }
    // Anybody can send what nobody has to answer for, and as much as the line takes.
    if seen.sender.is_none() && !app.strangers.gets_line(seen.client.unwrap_or(peer), began) {
        return response;
    }
    tracing::info!(
        request = id,
        method = &*shown(method.as_str()),
        path = &*shown(&path),
        status = response.status().as_u16(),
        user = seen.sender.as_ref().map(tracing::field::display),
        client = seen.client.map(tracing::field::display),
        %peer,
        reason = problem.as_ref().map_or("permit", |problem| problem.code),
        cause = problem.as_ref().and_then(Problem::why).map(tracing::field::display),
        microseconds = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    response
}

async fn answer(
    app: &App,
    (peer, id): (IpAddr, &str),
    request: Request,
    next: Next,
    seen: &mut Seen,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    head::check(&parts)?;
    let address = network(counted_address(app, peer, &parts.headers));
    let stranger = app.strange.enter(&address, true).await?;
    let entry = EndpointAccess::of(parts.uri.path());
    if entry == EndpointAccess::Outside {
        return Ok(next.run(Request::from_parts(parts, Body::empty())).await);
    }
    let under_way = app.under_way.try_acquire().map_err(|_| Problem::busy())?;
    let session = enter(app, (peer, id), &parts, entry, seen).await?;
    // Who is known is counted by name from here on, wherever that one comes from.
    let _stranger = seen.sender.is_none().then_some(stranger);
    let has_body = entry == EndpointAccess::Permitted && !body.is_end_stream();
    if has_body || !parts.method.is_safe() {
        head::check_content(&parts.headers)?;
    }
    // Who waits, for a body or for other reads of the same caller, is not under way.
    drop(under_way);
    let body = if has_body { app.bodies.read(&parts.headers, body).await? } else { Arrived::default() };
    let present = match (&seen.sender, entry) {
        (Some(caller), EndpointAccess::Permitted) => {
            Some(app.callers.enter(caller, reads(&parts.method, parts.uri.path())).await?)
        }
        _ => None,
    };
    let _under_way = app.under_way.try_acquire().map_err(|_| Problem::busy())?;
    let mut may_have_ended = has_body || present.as_ref().is_some_and(|present| present.waited);
    parts.extensions.insert(session);
    for _ in 0..ATTEMPTS {
        let ended = match parts.extensions.get::<Session>() {
            Some(session) if may_have_ended => {
                app.settings.current(&app.store).await?.etag != session.revision.etag
                    || !app.store.holds(&session.grounds()).await?
            }
            _ => false,
        };
        if ended {
            let session = enter(app, (peer, id), &parts, entry, seen).await?;
            parts.extensions.insert(session);
        }
        let request = Request::from_parts(parts.clone(), Body::from(body.bytes.clone()));
        let response = next.clone().run(request).await;
        may_have_ended = response.extensions().get().is_some_and(Problem::is_right_ended);
        if !may_have_ended {
            return Ok(response);
        }
    }
    Err(Problem::right_ended())
}

/// The session of a request, in the order of `access`: client address, network, credentials.
async fn enter(
    app: &App,
    (peer, id): (IpAddr, &str),
    request: &Parts,
    entry: EndpointAccess,
    seen: &mut Seen,
) -> Result<Session, Problem> {
    let revision = app.settings.current(&app.store).await?;
    let presented = PresentedCredential::of(&request.headers);
    let origin = origin(&revision.settings, peer, &request.headers);
    let path = request.uri.path().to_owned();
    seen.client = origin.client(&revision.settings.client_address).ok();
    let Recognised { credentials, sender } = if app.is_operator(&presented) {
        Recognised { credentials: Credentials::Operator, sender: Sender::Operator }
    } else {
        // INVARIANT: behind this line the client is let in; nothing was looked up before.
        let client = access::admit(&revision.settings, &origin)?;
        app.authenticate(&revision.settings, presented, &path, client).await?
    };
    seen.sender = credentials.sender();
    let method = request.method.as_str().to_owned();
    let whence = Whence { client: seen.client, request: id.to_owned() };
    let known = RequestFacts { origin, method, path, credentials, sender, clock: app.clock.clone(), whence };
    let session = Session::new(revision, known);
    if entry == EndpointAccess::Permitted {
        // What would be refused whatever it wants is refused before its body is read.
        let permit = session.permit(Operation::Enter)?;
        record_use(app, &permit).await;
    }
    Ok(session)
}

/// Takes note that the token of the caller was used.
pub(super) async fn record_use(app: &App, permit: &Permit) {
    let number = permit.principal().token().and_then(|held| held.id.as_str().parse().ok());
    if let Some(token) = number {
        let last_use = LastUse { at: app.clock.now(), from: permit.client() };
        app.uses.record(&app.store, Use { token, last_use }).await;
    }
}

/// The address that a request counts for before anything is read for it: that of the client behind a proxy that is
/// trusted, by the settings that were read last.
pub(super) fn counted_address(app: &App, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let client = app.settings.last().and_then(|revision| {
        let settings = &revision.settings;
        origin(settings, peer, headers).client(&settings.client_address).ok()
    });
    client.unwrap_or(peer)
}

pub(super) fn origin(settings: &Settings, peer: IpAddr, headers: &HeaderMap) -> RequestOrigin {
    let header_lines = match &settings.client_address {
        ClientAddressSource::Peer => Vec::new(),
        ClientAddressSource::Header { name, .. } => headers
            .get_all(name.as_str())
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect(),
    };
    RequestOrigin::Connection { peer, header_lines }
}

/// The refusal with a body in the form that clients of `path` read.
fn with_body(response: Response, problem: &Problem, path: &str, id: &str) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let message = if problem.status.is_server_error() || problem.status == StatusCode::FORBIDDEN {
        format!("{} The request is {id} in the server's log.", problem.message)
    } else {
        problem.message.clone()
    };
    let body = error_body(path, problem, &message);
    (parts.status, parts.headers, axum::Json(body)).into_response()
}
