//! The questions of proxies that forward by themselves: three endpoints with a contract each, and no guessing.
//!
//! nginx passes nothing on but 2xx, 401 and 403; Traefik and Caddy pass on any answer; Envoy takes 200 alone for yes.
//! A header of another contract shows that a proxy is set up for another endpoint than the one that it asks, and then
//! a client could write what the proxy does not: such a question is not answered.

use std::{net::IpAddr, time::Instant};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use super::{
    Front,
    classify::Kind,
    figures::Passage,
    gate::{Asker, Seen},
    headers::X_REQUEST_ID,
    judge::{self, Refused, Verdict},
    refusal::{self, Form},
};
use crate::{
    access::{RequestOrigin, client_address},
    model::{ClientAddressSource, HeaderName as Named, network::canonical},
    serve::{
        App, address_text::address_text, guard::record_use, problem::Problem, request_log::shown,
        throttle::network,
    },
};

const ORIGINAL_METHOD: &str = "x-original-method";
const ORIGINAL_URI: &str = "x-original-uri";
const FORWARDED_METHOD: &str = "x-forwarded-method";
const FORWARDED_URI: &str = "x-forwarded-uri";
const FORWARDED_FOR: &str = "x-forwarded-for";
const ENVOY: &str = "/authz/envoy";
/// The code of a question that a proxy asks in a way that it should not, which its operator is to see.
const MISCONFIGURED: &str = "authz-contract";

/// Identity that a proxy may copy to its upstream. A yes names all of them, so that none of a client's own stays.
const IDENTITY: [&str; 3] = ["x-tokenwarden-owner", "x-tokenwarden-token", "x-forwarded-user"];

/// How a proxy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Contract {
    Nginx,
    Forward,
    Envoy,
}

impl Contract {
    /// That of a question at `path`; `None` where nothing is asked.
    pub(in crate::serve) fn of(path: &str) -> Option<Self> {
        match path {
            "/authz/nginx" => Some(Self::Nginx),
            "/authz/forward" => Some(Self::Forward),
            path if path.strip_prefix(ENVOY).is_some_and(|rest| rest.starts_with('/')) => Some(Self::Envoy),
            _ => None,
        }
    }

    /// The headers of other contracts than this one.
    fn foreign(self) -> &'static [&'static str] {
        match self {
            Self::Nginx => &[FORWARDED_METHOD, FORWARDED_URI],
            Self::Forward => &[ORIGINAL_METHOD, ORIGINAL_URI, "x-original-url"],
            Self::Envoy => {
                &[FORWARDED_METHOD, FORWARDED_URI, ORIGINAL_METHOD, ORIGINAL_URI, "x-original-url"]
            }
        }
    }

    /// Method and target of the request that is asked about.
    fn request(self, request: &Parts) -> Result<(String, String), Problem> {
        let (method, uri) = match self {
            Self::Nginx => (ORIGINAL_METHOD, ORIGINAL_URI),
            Self::Forward => (FORWARDED_METHOD, FORWARDED_URI),
            Self::Envoy => {
                let target = request.uri.path_and_query().map_or("", |target| target.as_str());
                let target = target.strip_prefix(ENVOY).unwrap_or(target);
                return Ok((request.method.to_string(), target.to_owned()));
            }
        };
        let (method, target) = (one(&request.headers, method)?, one(&request.headers, uri)?);
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(misconfigured("The method of the request that is asked about cannot be read."));
        }
        Ok((method, target))
    }

    fn yes(self) -> StatusCode {
        match self {
            Self::Nginx | Self::Forward => StatusCode::NO_CONTENT,
            Self::Envoy => StatusCode::OK,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Nginx => "authz-nginx",
            Self::Forward => "authz-forward",
            Self::Envoy => "authz-envoy",
        }
    }

    /// `problem` as the proxy can pass it on.
    fn no(self, problem: Problem, form: Form, id: &str) -> Response {
        let code = problem.code;
        let is_understood = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&problem.status)
            || code == MISCONFIGURED;
        let mut response = match self {
            Self::Nginx if is_understood => refusal::response(problem, Form::Bare, id),
            // nginx makes a 500 of any other status; a 401 would make Git forget what it has stored.
            Self::Nginx => {
                let problem = Problem { status: StatusCode::FORBIDDEN, ..problem };
                refusal::response(problem, Form::Bare, id)
            }
            Self::Forward | Self::Envoy => refusal::response(problem, form, id),
        };
        let reason = HeaderValue::from_static(code);
        response.headers_mut().insert(refusal::REASON, reason);
        response
    }
}

/// The one value of the header `name`.
fn one(headers: &HeaderMap, name: &str) -> Result<String, Problem> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next().and_then(|line| line.to_str().ok()), lines.next()) {
        (Some(line), None) => Ok(line.to_owned()),
        _ => Err(misconfigured(&format!("The proxy is to send exactly one `{name}`."))),
    }
}

fn misconfigured(message: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, MISCONFIGURED, message)
}

/// What a proxy at `peer` is answered that asks `request` by `contract`.
pub(in crate::serve) async fn answer(
    app: &App,
    front: &Front,
    peer: IpAddr,
    id: &str,
    (contract, request): (Contract, &Parts),
) -> Response {
    let began = Instant::now();
    let mut seen = Seen::default();
    let mut form = Form::Bare;
    let question = contract.request(request);
    let path =
        question.as_ref().map_or("", |(_, target)| target.split('?').next().unwrap_or_default()).to_owned();
    let judged = judged(app, front, peer, (contract, question), &request.headers, &mut form, &mut seen).await;
    let (mut response, code) = match judged {
        Ok(identity) => (yes(contract, identity), "permit"),
        Err(problem) => {
            let code = problem.code;
            (contract.no(problem, form, id), code)
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    let status = response.status();
    front.figures.note(Passage { class: contract.word(), reason: code, status, took: began.elapsed() });
    tracing::info!(
        request = id,
        path = &*shown(&path),
        class = contract.word(),
        status = status.as_u16(),
        client = seen.client.map(address_text).map(tracing::field::display),
        peer = %address_text(peer),
        reason = code,
        "decision"
    );
    response
}

fn yes(contract: Contract, identity: [Option<HeaderValue>; 3]) -> Response {
    let mut response = contract.yes().into_response();
    for (name, value) in IDENTITY.into_iter().zip(identity) {
        let value = value.unwrap_or(HeaderValue::from_static(""));
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

/// The identity that a request is let through with, in the order of [`IDENTITY`].
async fn judged(
    app: &App,
    front: &Front,
    peer: IpAddr,
    (contract, question): (Contract, Result<(String, String), Problem>),
    headers: &HeaderMap,
    form: &mut Form,
    seen: &mut Seen,
) -> Result<[Option<HeaderValue>; 3], Problem> {
    let peer = canonical(peer);
    if !front.peers.contains(peer) {
        tracing::warn!(%peer, "a question at /authz from an address that is not in `authz.peers`");
        let message = "Questions are not answered to this address.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "authz-peer", message));
    }
    if let Some(foreign) = contract.foreign().iter().find(|name| headers.contains_key(**name)) {
        return Err(misconfigured(&format!(
            "`{foreign}` is not a header of this endpoint: is it the right one?"
        )));
    }
    let (method, target) = question?;
    let class = front.classify(&method, &target);
    if contract != Contract::Nginx {
        *form = Form::of(class.as_ref().ok(), headers);
    }
    let class = class?;
    if class.kind == Kind::Own {
        let message = "This path is the gateway's own: the proxy is to forward it to the gateway.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "authz-own", message));
    }
    let client = client(front, peer, headers)?;
    let stranger = app.strange.enter(&network(client), true).await?;
    let under_way = app.under_way.try_acquire().map_err(|_| Problem::busy())?;
    let revision = app.settings.current(&app.store).await?;
    let asker = Asker { app, front, settings: &revision.settings, peer };
    let origin = RequestOrigin::Client(client);
    let verdict = asker.judge((headers, &class), &origin, (judge::Body::Unseen, None), seen).await?;
    drop((stranger, under_way));
    match verdict {
        Verdict::Permit(forward) => {
            let held = forward.permit().principal().token();
            let text = |text: String| HeaderValue::from_str(&text).ok();
            let owner = held.and_then(|held| text(held.owner.name().to_string()));
            let token = held.and_then(|held| text(held.id.to_string()));
            // Where the server behind proves the secret, nobody is named to an upstream that would believe it.
            let identity = front.identity(forward.permit())?;
            if identity.is_some() {
                record_use(app, forward.permit()).await;
            }
            Ok([owner, token, identity.map(|(_, who)| who)])
        }
        Verdict::NeedsBody | Verdict::NeedsCount(_) => Err(refusal::problem(&Refused::Unseen, seen.client)),
        Verdict::Refused(refused) => Err(refusal::problem(&refused, seen.client)),
    }
}

/// The client, as the proxy names it.
fn client(front: &Front, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, Problem> {
    let lines: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    let unnamed = || misconfigured("The proxy is to name the client in `X-Forwarded-For`.");
    if lines.is_empty() {
        return Err(unnamed());
    }
    let name = Named::new(FORWARDED_FOR).map_err(|_| unnamed())?;
    let source = ClientAddressSource::Header { name, trusted_proxies: front.peers.clone() };
    client_address(&source, peer, &lines).map_err(|_| unnamed())
}
