//! Patience with the other end of a connection: it must begin, and take what it is sent.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum_server::accept::Accept;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::Waits;

/// What a connection in HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Makes the streams of `A` end when they are silent for too long. `A` itself limits what comes before, such as
/// the handshake of TLS.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Patience<A> {
    /// What takes the connection.
    pub(in crate::serve) inner: A,
    /// How long the other end is waited for.
    pub(in crate::serve) waits: Waits,
}

impl<A, I, S> Accept<I, S> for Patience<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
    A::Stream: Send + 'static,
    A::Service: Send + 'static,
{
    type Stream = Patient<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let (accepted, waits) = (self.inner.accept(stream, service), self.waits);
        async move { accepted.await.map(|(stream, service)| (Patient::new(stream, waits), service)) }.boxed()
    }
}

/// A stream that ends when its other end does not begin, or does not take what it is sent.
pub(in crate::serve) struct Patient<S> {
    stream: S,
    beginning: Option<Beginning>,
    take: Duration,
    /// Until when the other end must take something; `None` while it does.
    stuck: Option<Pin<Box<Sleep>>>,
}

/// A connection that has not said yet in which version of HTTP it speaks. From then on that version's own limits
/// hold.
struct Beginning {
    /// So much of the preface of HTTP/2 was seen.
    seen: usize,
    until: Pin<Box<Sleep>>,
}

impl Beginning {
    /// Whether it is over with `more`.
    fn is_over(&mut self, more: &[u8]) -> bool {
        let is_preface = PREFACE.get(self.seen..).is_some_and(|rest| rest.starts_with(more));
        self.seen += more.len();
        !is_preface || self.seen == PREFACE.len()
    }
}

impl<S> Patient<S> {
    fn new(stream: S, waits: Waits) -> Self {
        let beginning = Beginning { seen: 0, until: Box::pin(sleep(waits.begin)) };
        Self { stream, beginning: Some(beginning), take: waits.take, stuck: None }
    }

    /// `written`, or an error when the other end has taken nothing for too long.
    fn limited<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let take = self.take;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(take)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(beginning) = &mut self.beginning else { return read };
        if read.is_ready() {
            if beginning.is_over(buf.filled().get(before..).unwrap_or_default()) {
                self.beginning = None;
            }
            return read;
        }
        ready!(beginning.until.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limited(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.limited(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limited(cx, closed)
    }
}
