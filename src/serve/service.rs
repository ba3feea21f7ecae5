//! What answers the requests of a connection: a gateway forwards, and everything else is for the endpoints.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{ConnectInfo, Request},
    response::Response,
};
use futures_util::{FutureExt, future::BoxFuture};
use tower_service::Service;

use super::{App, connections::Peer, front, random::request_id, unread};

/// Makes the service of each connection.
pub(super) struct Services {
    /// What all requests share.
    pub(super) app: Arc<App>,
    /// What is answered here.
    pub(super) endpoints: Router,
}

/// The service of the connection from `peer`.
#[derive(Clone)]
pub(super) struct Requests {
    app: Arc<App>,
    endpoints: Router,
    peer: Peer,
}

impl Service<Peer> for Services {
    type Response = Requests;
    type Error = Infallible;
    type Future = Ready<Result<Requests, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: Peer) -> Self::Future {
        ready(Ok(Requests { app: Arc::clone(&self.app), endpoints: self.endpoints.clone(), peer }))
    }
}

impl<B> Service<axum::http::Request<B>> for Requests
where
    B: HttpBody<Data = axum::body::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: axum::http::Request<B>) -> Self::Future {
        let Self { app, mut endpoints, peer } = self.clone();
        let mut request = unread::watch(request.map(Body::new), &peer);
        async move {
            if let Some(front) = &app.front {
                let id = request_id();
                match forwarded(&app, front, &peer, &id, request).await {
                    Ok(response) => return Ok(unread::end(response, &peer)),
                    Err(own) => request = own,
                }
            }
            request.extensions_mut().insert(ConnectInfo(peer.clone()));
            endpoints.call(request).await.map(|response| unread::end(response, &peer))
        }
        .boxed()
    }
}

/// The answer of the gateway.
///
/// # Errors
///
/// The request, when it is for an endpoint.
async fn forwarded(
    app: &App,
    front: &front::Front,
    peer: &Peer,
    id: &str,
    request: Request,
) -> Result<Response, Request> {
    // A proxy may ask with the query of its client, which is no part of the question.
    if let Some(contract) = front::Contract::of(request.uri().path()) {
        let _held = peer.request();
        let (parts, _) = request.into_parts();
        // Boxed: every request that is forwarded would have the room for it.
        return Ok(Box::pin(front::ask(app, front, peer.ip(), id, (contract, &parts))).await);
    }
    match front::class(front, &request) {
        Some(class) => Ok(front::pass(app, front, peer, id, request, class).await),
        None => Err(request),
    }
}
