//! The way of one request through the gateway: read, judged, forwarded, and its answer taken note of.
//!
//! A request is judged before its body is asked for, so that a refused one costs nothing. Who is let in is found out
//! before anything is looked up.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header, request::Parts},
    response::Response,
};
use jiff::Timestamp;

use super::{
    Front, Proof,
    classify::{Ambiguous, Class, Kind, OwnerPath},
    figures::Passage,
    forward::{Outgoing, Room, UpstreamError},
    headers::X_REQUEST_ID,
    judge::{self, BODY_AT_MOST, Case, Forward, Known, SenderLookup, Verdict, wanted},
    mirror::{Mirror, TokenQuestion},
    refusal::{self, Form},
    secret::Presented,
};
use crate::{
    access::{Credentials, RequestOrigin, TokenOwner, admit},
    model::{Owner, Settings, TokenId, UserName},
    serve::{
        App,
        address_text::address_text,
        callers::Present,
        connections::Peer,
        guard::{counted_address, origin, record_use},
        head,
        problem::Problem,
        request_log::shown,
        throttle::network,
    },
};

/// What was read no longer ago counts as read at this moment: it is less than a thread may be held up between a look
/// and the byte that goes out.
const AT_ONCE: Duration = Duration::from_millis(1);
/// How often a request is judged at most.
const ATTEMPTS: usize = 8;

/// What is told of a request, as far as it got.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) client: Option<IpAddr>,
    token: Option<TokenId>,
    /// Whose the token is, which only the answer of the upstream proves.
    owner: Option<String>,
    /// Whether the upstream took the token for what it is.
    is_confirmed: bool,
}

/// Lets `request`, which is `class`, through to the upstream, or refuses it, and logs it.
pub(in crate::serve) async fn pass(
    app: &App,
    front: &Front,
    connection: &Peer,
    id: &str,
    request: Request,
    class: Result<Class, Ambiguous>,
) -> Response {
    let began = Instant::now();
    let held = connection.request();
    let (parts, body) = request.into_parts();
    let form = Form::of(class.as_ref().ok(), &parts.headers);
    let word = class.as_ref().map_or("ambiguous", |class| class.kind.word());
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let ends = asks_to_switch(&parts) && parts.version < Version::HTTP_2;
    let mut seen = Seen::default();
    let passed = forwarded(app, front, (connection.ip(), id), (parts, body), class, held, &mut seen).await;
    let (mut response, code, cause) = match passed {
        Ok(response) => (response, "permit", None),
        Err(problem) => {
            let (code, cause) = (problem.code, problem.why());
            (refusal::response(problem, form, id), code, cause)
        }
    };
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    if ends {
        // What follows may be meant for the other protocol: it is no request.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status();
    let took = began.elapsed();
    front.figures.note(Passage { class: word, reason: code, status, took });
    let address = seen.client.unwrap_or(connection.ip());
    if seen.is_confirmed || app.strangers.gets_line(address, began) {
        tracing::info!(
            request = id,
            method = &*shown(method.as_str()),
            path = &*shown(&path),
            class = word,
            status = status.as_u16(),
            token = seen.token.as_ref().map(tracing::field::display),
            owner = seen.owner,
            client = seen.client.map(address_text).map(tracing::field::display),
            peer = %address_text(connection.ip()),
            reason = code,
            cause = cause.map(tracing::field::display),
            microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "decision"
        );
    }
    response
}

async fn forwarded(
    app: &App,
    front: &Front,
    (peer, id): (IpAddr, &str),
    (parts, body): (Parts, Body),
    class: Result<Class, Ambiguous>,
    held: impl Send + 'static,
    seen: &mut Seen,
) -> Result<Response, Problem> {
    match front.proof {
        Proof::Upstream(_) => drop(head::check_framing(&parts)?),
        // A browser may know a password for it.
        Proof::Here(_) => head::check(&parts)?,
    }
    if asks_to_switch(&parts) {
        let message = "Connections are not handed over to another protocol here.";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "upgrade", message));
    }
    let class = class?;
    let address = network(counted_address(app, peer, &parts.headers));
    let (mut body, mut read, mut tokens) = (Some(body), None, None);
    let (mut room, mut creation, mut has_waited) = (None, None, false);
    // Whatever was waited for, a right may have ended meanwhile: it is judged again.
    for _ in 0..ATTEMPTS {
        let stranger = app.strange.enter(&address, true).await?;
        let under_way = app.under_way.try_acquire().map_err(|_| Problem::busy())?;
        let (revision, since) = (app.settings.current(&app.store).await?, Instant::now());
        let settings = &revision.settings;
        let origin = origin(settings, peer, &parts.headers);
        let asker = Asker { app, front, settings, peer };
        let known_body = read.as_ref().map_or(judge::Body::Unread, |bytes: &Bytes| judge::Body::Read(bytes));
        let verdict = asker.judge((&parts.headers, &class), &origin, (known_body, tokens), seen).await?;
        drop((stranger, under_way));
        match verdict {
            Verdict::Refused(refused) => return Err(refusal::problem(&refused, seen.client)),
            Verdict::NeedsBody => {
                let unread = body.take().ok_or_else(|| Problem::bad_request("The body cannot be read."))?;
                let arrived = app.bodies.read_at_most(&parts.headers, unread, BODY_AT_MOST).await?;
                read = Some(arrived.bytes);
            }
            Verdict::NeedsCount(owner) => {
                if creation.is_none() {
                    creation = Some(front.creations.enter(&owner.folded(), true).await?);
                }
                let mirror = app.mirror.as_ref().ok_or_else(no_mirror)?;
                tokens = Some(mirror.count(&owner, app.clock.passing()).await?);
            }
            Verdict::Permit(forward) => {
                let taken = match room.take() {
                    Some(taken) => taken,
                    None => front.forwarder.enter(forward.client().unwrap_or(peer)).await?,
                };
                let is_first = taken.waited && !std::mem::replace(&mut has_waited, true);
                let is_old = since.elapsed() > AT_ONCE;
                if is_first || (is_old && app.settings.current(&app.store).await?.etag != revision.etag) {
                    room = Some(taken);
                    continue;
                }
                let identity = front.identity(forward.permit())?;
                if identity.is_some() {
                    record_use(app, forward.permit()).await;
                    seen.is_confirmed = true;
                }
                let is_proxied = settings.client_address.trusts(crate::model::network::canonical(peer));
                let held = Held { room: taken, creation, request: held };
                let sent =
                    send(asker, (parts, body, read), *forward, (id, is_proxied), (identity, held)).await;
                return sent.map(|(response, is_confirmed)| {
                    seen.is_confirmed |= is_confirmed;
                    response
                });
            }
        }
    }
    Err(Problem::busy())
}

/// What a request keeps while it is forwarded.
struct Held<R> {
    room: Room,
    /// The turn to create a token, until the answer to that.
    creation: Option<Present<Owner>>,
    /// What is kept until the answer has ended.
    request: R,
}

/// Whether the connection is to be handed over to another protocol.
fn asks_to_switch(parts: &Parts) -> bool {
    parts.headers.contains_key(header::UPGRADE) || parts.method == Method::CONNECT
}

/// Sends on what passes, and takes note of what the upstream confirms: whether it took a token for what it is comes with
/// its answer.
async fn send(
    asker: Asker<'_>,
    (mut parts, body, read): (Parts, Option<Body>, Option<Bytes>),
    forward: Forward,
    (id, is_proxied): (&str, bool),
    (identity, held): (Option<(HeaderName, HeaderValue)>, Held<impl Send + 'static>),
) -> Result<(Response, bool), Problem> {
    let client = forward.client();
    let body = match forward.body.clone().map(Bytes::from).or(read) {
        Some(bytes) => {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            Body::from(bytes)
        }
        None => body.unwrap_or_default(),
    };
    let (request, peer, id) = (Request::from_parts(parts, body), asker.peer, id.to_owned());
    let (authorization, drops_cookies) = (forward.authorization.clone(), forward.drops_cookies);
    let tells_who = identity.is_some();
    let (forwarder, is_counted) = (Arc::clone(&asker.front.forwarder), held.creation.is_some());
    let sending = async move {
        let client = client.or(Some(peer));
        let authorization = authorization.as_ref();
        let Held { room, creation, request: held } = held;
        let out =
            Outgoing { authorization, identity, drops_cookies, client, id: &id, is_proxied, peer, held };
        let sent = forwarder.send_in(room, request, out).await;
        drop(creation);
        sent
    };
    let response = if is_counted {
        // A client that breaks off does not bring the next token of the owner forward.
        tokio::spawn(sending).await.map_err(|_| Problem::busy())??
    } else {
        sending.await?
    };
    if tells_who && response.status() == StatusCode::UNAUTHORIZED {
        // The credentials are right: Git would forget them.
        let message = "The server behind does not accept who it was told that the sender is.";
        return Err(Problem::new(StatusCode::BAD_GATEWAY, "upstream-identity", message));
    }
    let (Some(confirms), Some(mirror)) = (&forward.confirms, &asker.app.mirror) else {
        return Ok((response, false));
    };
    let answer = (response.status(), response.headers());
    let is_confirmed = mirror.confirm(answer, confirms, client, asker.app.clock.passing()).await;
    if !is_confirmed {
        asker.front.figures.unconfirmed();
    }
    Ok((response, is_confirmed))
}

/// What a decision on a request takes.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) app: &'a App,
    pub(super) front: &'a Front,
    pub(super) settings: &'a Settings,
    pub(super) peer: IpAddr,
}

impl Asker<'_> {
    /// What becomes of a request of this `class` with these `headers` from `origin`, with as much of its `body` as was
    /// read, and as many `tokens` of the owner as were counted.
    pub(super) async fn judge(
        &self,
        (headers, class): (&HeaderMap, &Class),
        origin: &RequestOrigin,
        (body, tokens): (judge::Body<'_>, Option<u64>),
        seen: &mut Seen,
    ) -> Result<Verdict, Problem> {
        seen.client = origin.client(&self.settings.client_address).ok();
        let presented = self.presented(headers, class, origin).await?;
        if let Presented::Recognised(Credentials::Token(held)) = &presented {
            seen.token = Some(held.id.clone());
            seen.owner = Some(held.owner.name().to_string());
        }
        let browsers = match self.front.proof {
            Proof::Upstream(browsers) => browsers,
            Proof::Here(_) => judge::Browsers::Network,
        };
        let is_browser = matches!(presented, Presented::None | Presented::Session);
        // INVARIANT: of a client that is not let in nothing is looked up.
        let is_let_in = admit(self.settings, origin).is_ok();
        let is_looked_up = is_let_in || (is_browser && browsers == judge::Browsers::Pass);
        let known = if is_looked_up && !matches!(presented, Presented::Recognised(_)) {
            self.known(headers, class, &presented, seen).await?
        } else {
            Known::default()
        };
        let case = Case {
            settings: self.settings,
            browsers,
            origin: origin.clone(),
            class,
            presented: &presented,
            known: Known { tokens, ..known },
            body,
            at: self.app.clock.now(),
        };
        Ok(judge::judge(&case))
    }

    /// What a decision needs to know, from the mirror.
    async fn known(
        &self,
        headers: &HeaderMap,
        class: &Class,
        presented: &Presented,
        seen: &mut Seen,
    ) -> Result<Known, Problem> {
        let (wanted, now) = (wanted(class, presented), self.app.clock.passing());
        let mirror = self.app.mirror.as_ref().ok_or_else(no_mirror)?;
        let client = seen.client.unwrap_or(self.peer);
        let authorization = match presented {
            Presented::Bitbucket { authorization, .. } | Presented::Password { authorization, .. } => {
                authorization.to_str().ok()
            }
            Presented::OtherBearer { authorization } => {
                authorization.as_ref().and_then(|value| value.to_str().ok())
            }
            Presented::None
            | Presented::Session
            | Presented::Ours
            | Presented::Recognised(_)
            | Presented::Unknown => None,
        };
        let mut known = Known::default();
        if let (Some(token), Some(authorization)) = (wanted.token, authorization) {
            let asked = TokenQuestion { token, authorization, client };
            known.token = mirror.token(self.settings, asked, now).await?;
            seen.token = Some(token.clone());
            seen.owner = known.token.as_ref().map(|held| held.owner.name().to_string());
        }
        known.sender = match (wanted.sender, authorization) {
            (SenderLookup::Any, _) => None,
            (SenderLookup::Named(user), _) => mirror.person(self.settings, user, now).await?,
            (SenderLookup::Asked, Some(authorization)) => {
                mirror.sender(self.settings, authorization, client, now).await?
            }
            (SenderLookup::Asked, None) => match Box::pin(self.name_of_session(headers, client)).await? {
                Some(name) => mirror.person(self.settings, &name, now).await?,
                None => None,
            },
        };
        known.holder = wanted.holder.and_then(|token| mirror.owner_of(token));
        known.owner = match wanted.owner {
            Some(owner) => self.owner(mirror, owner, now).await?,
            None => None,
        };
        Ok(known)
    }

    /// The owner at a place; `None` for one who is not known.
    async fn owner(
        &self,
        mirror: &Mirror,
        owner: &OwnerPath,
        now: Timestamp,
    ) -> Result<Option<TokenOwner>, Problem> {
        Ok(match owner {
            OwnerPath::Project { key } => Some(TokenOwner::Project(key.clone())),
            OwnerPath::Repository { project, slug } => {
                Some(TokenOwner::Repository { project: project.clone(), slug: slug.clone() })
            }
            OwnerPath::User { slug } => {
                let Some(name) = mirror.source().bitbucket.user_of_slug(slug) else { return Ok(None) };
                mirror.person(self.settings, &name, now).await?.map(TokenOwner::from)
            }
        })
    }

    /// Whose session the cookies in `headers` are, which the upstream alone knows.
    async fn name_of_session(
        &self,
        headers: &HeaderMap,
        client: IpAddr,
    ) -> Result<Option<UserName>, Problem> {
        let path = format!("{}/rest/api/latest/application-properties", self.front.forwarder.context_path());
        let mut request = Request::get(path);
        for cookie in headers.get_all(header::COOKIE) {
            request = request.header(header::COOKIE, cookie);
        }
        let request =
            request.body(Body::empty()).map_err(|_| Problem::bad_request("The cookie cannot be read."))?;
        let out = Outgoing {
            authorization: None,
            drops_cookies: false,
            client: Some(client),
            identity: None,
            id: "",
            is_proxied: false,
            peer: self.peer,
            held: (),
        };
        let response = self.front.forwarder.send(request, out).await?;
        let name = response.headers().get("x-ausername").and_then(|name| name.to_str().ok());
        let name = name.and_then(crate::model::percent::decode);
        Ok(name.filter(|name| response.status().is_success() && !name.is_empty()).map(UserName::new))
    }
}

fn no_mirror() -> Problem {
    let message = "The server cannot do its work at the moment.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
}

impl From<UpstreamError> for Problem {
    fn from(error: UpstreamError) -> Self {
        let (status, code, message) = match &error {
            UpstreamError::Unreachable(_) => {
                (StatusCode::BAD_GATEWAY, "upstream-unreachable", "The server behind cannot be reached.")
            }
            UpstreamError::BrokeOff(_) | UpstreamError::Switched => {
                (StatusCode::BAD_GATEWAY, "upstream-broke-off", "The server behind broke off.")
            }
            UpstreamError::Silent => {
                (StatusCode::GATEWAY_TIMEOUT, "upstream-silent", "The server behind does not answer in time.")
            }
            UpstreamError::Busy => {
                let message = "Too many requests to the server behind are under way.";
                (StatusCode::SERVICE_UNAVAILABLE, "upstream-busy", message)
            }
            UpstreamError::ClientBrokeOff => (StatusCode::BAD_REQUEST, "body", "The body broke off."),
            UpstreamError::ClientSilent => {
                (StatusCode::REQUEST_TIMEOUT, "body", "The body did not arrive in time.")
            }
            UpstreamError::NoPath => {
                (StatusCode::BAD_REQUEST, "ambiguous", "The target of the request is not a path.")
            }
        };
        let mut problem = Self::new(status, code, message);
        problem.cause = Some(Arc::new(error));
        problem
    }
}

/// What a request to the upstream is; `None` for one that the gateway answers by itself.
pub(in crate::serve) fn class(front: &Front, request: &Request) -> Option<Result<Class, Ambiguous>> {
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let class = front.classify(request.method().as_str(), target);
    (!matches!(&class, Ok(class) if class.kind == Kind::Own)).then_some(class)
}
