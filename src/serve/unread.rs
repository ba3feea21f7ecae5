//! Bodies that are not read to their end, such as those of refused requests. What is left of one comes before the next
//! request on its connection, so that this connection ends with the answer, says so, and takes what is still sent.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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

/// Whether the body of a request was read to its end.
pub(super) struct Unread(Option<Arc<AtomicBool>>);

impl Unread {
    /// `request` with a body that takes note of that.
    pub(super) fn watch(request: Request) -> (Request, Self) {
        // In HTTP/2 every request is by itself.
        if request.body().is_end_stream() || request.version() >= Version::HTTP_2 {
            return (request, Self(None));
        }
        let is_read = Arc::<AtomicBool>::default();
        let watched = Arc::clone(&is_read);
        (request.map(|body| Body::new(Watched { body, is_read: watched })), Self(Some(is_read)))
    }

    /// `response`, with which the connection to `peer` ends unless the body was read to its end.
    pub(super) fn end(self, mut response: Response, peer: &Peer) -> Response {
        if self.0.is_some_and(|is_read| !is_read.load(Ordering::Relaxed)) {
            peer.sends_on();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

struct Watched {
    body: Body,
    is_read: Arc<AtomicBool>,
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
            self.is_read.store(true, Ordering::Relaxed);
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
