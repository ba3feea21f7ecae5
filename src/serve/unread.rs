//! Bodies that are not read to their end, such as those of refused requests. What is left of one comes before the next
//! request on its connection, so that this connection ends with the answer, says so, and takes what is still sent.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderValue, Version, header},
    response::Response,
};
use http_body::{Frame, SizeHint};

use super::connections::Peer;

/// `request` of `peer`, with a body of which is taken note whether it was read to its end.
pub(super) fn watch(request: Request, peer: &Peer) -> Request {
    // In HTTP/2 every request is by itself.
    if request.body().is_end_stream() || request.version() >= Version::HTTP_2 {
        return request;
    }
    peer.set_sending(true);
    request.map(|body| Body::new(Watched { body, peer: peer.clone() }))
}

/// `response`, with which the connection to `peer` ends while more of the request is coming.
pub(super) fn end(mut response: Response, peer: &Peer) -> Response {
    if peer.is_sending() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The body of a request of `peer`.
struct Watched {
    body: Body,
    peer: Peer,
}

impl HttpBody for Watched {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.peer.set_sending(false);
        }
        polled
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
