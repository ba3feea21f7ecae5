//! Bodies that are passed on as they come, in both directions, with a limit on silence and none on length.
//!
//! Nothing is read ahead but what came along with the head of an answer: each side is asked for more only when the
//! other has taken what there was.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::body::{Body, Bytes};
use futures_util::FutureExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// One request on its way to the upstream and the answer on its way back, as both bodies and the clock see them.
pub(super) struct Exchange {
    state: Mutex<State>,
    silence: Duration,
}

struct State {
    /// When the last bytes passed, in either direction.
    since: Instant,
    upload: Upload,
    /// Whether the next bytes are for the client to send.
    waits_for_client: bool,
    client_broke_off: bool,
    uploading: Option<Waker>,
    /// The answer, and what is held until it has ended.
    answer: Option<Answer>,
    downloading: Option<Waker>,
    /// The end of the answer was not its own.
    was_cut: bool,
}

struct Answer {
    /// What came along with its head.
    first: Option<Result<Frame<Bytes>, axum::Error>>,
    body: Pin<Box<dyn HttpBody<Data = Bytes, Error = axum::Error> + Send>>,
    _held: Box<dyn Send>,
}

/// How far the body of a request is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    /// As far as the client sends it.
    Open,
    /// No further: the upstream has refused it.
    Stopped,
    /// It is over, complete or not.
    Over,
}

/// Nothing passed for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silent {
    /// The client did not send what it announced.
    Client,
    /// The upstream did not answer.
    Upstream,
}

/// A body broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenOff {
    #[error("nothing passed for too long")]
    Silence,
    #[error("the answer came before the body ended")]
    Answered,
    #[error(transparent)]
    Other(#[from] axum::Error),
}

impl Exchange {
    /// An exchange in which nothing may pass for as long as `silence`.
    pub(super) fn new(silence: Duration) -> Arc<Self> {
        let state = State {
            since: Instant::now(),
            upload: Upload::Open,
            waits_for_client: false,
            client_broke_off: false,
            uploading: None,
            answer: None,
            downloading: None,
            was_cut: false,
        };
        Arc::new(Self { state: Mutex::new(state), silence })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body of the request as the upstream is sent it.
    pub(super) fn up(self: &Arc<Self>, body: Body) -> Body {
        if body.is_end_stream() {
            self.state().upload = Upload::Over;
            return Body::empty();
        }
        Body::new(Up { body, exchange: Arc::clone(self) })
    }

    /// Reads no more of the request: the upstream has answered without waiting for the rest.
    pub(super) fn stop_upload(&self) {
        let mut state = self.state();
        if state.upload == Upload::Open {
            state.upload = Upload::Stopped;
        }
    }

    /// The answer as the client is sent it; `held` is dropped when it has ended.
    pub(super) fn down<B>(self: &Arc<Self>, mut body: B, held: impl Send + 'static) -> Body
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if body.is_end_stream() {
            self.end();
            // Before what is held: whoever comes next finds its connection.
            drop(body);
            return Body::empty();
        }
        let size = body.size_hint();
        let first = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).now_or_never().flatten();
        if let Some(Ok(frame)) = &first
            && let Some(data) = frame.data_ref()
            && body.is_end_stream()
        {
            self.end();
            drop(body);
            return Body::from(data.clone());
        }
        let first = first.map(|frame| frame.map_err(axum::Error::new));
        let answer = Answer { first, body: Box::pin(Body::new(body)), _held: Box::new(held) };
        let mut state = self.state();
        state.since = Instant::now();
        state.answer = Some(answer);
        drop(state);
        let exchange = Arc::clone(self);
        let watch = tokio::spawn(async move {
            exchange.silent().await;
            exchange.cut();
        });
        Body::new(Down { exchange: Arc::clone(self), size, watch })
    }

    /// Ready when nothing passed for too long.
    pub(super) async fn silent(&self) -> Silent {
        loop {
            let (end, who) = {
                let state = self.state();
                let who = if state.waits_for_client { Silent::Client } else { Silent::Upstream };
                (state.since + self.silence, who)
            };
            if end <= Instant::now() {
                return who;
            }
            sleep_until(end).await;
        }
    }

    /// Ends both directions, whoever may still ask for more.
    fn cut(&self) {
        let mut state = self.state();
        state.was_cut = state.answer.is_some();
        let waker = state.downloading.take();
        drop(state);
        self.end();
        wake(waker);
    }

    /// The answer is over, and with it everything.
    fn end(&self) {
        let mut state = self.state();
        state.upload = Upload::Over;
        let (answer, waker) = (state.answer.take(), state.uploading.take());
        drop(state);
        // A connection ends, and that asks for the lock.
        drop(answer);
        wake(waker);
    }

    /// Whether the client did not send the whole of the request.
    pub(super) fn client_broke_off(&self) -> bool {
        self.state().client_broke_off
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The body of a request.
struct Up {
    body: Body,
    exchange: Arc<Exchange>,
}

impl HttpBody for Up {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            match self.exchange.state() {
                state if state.upload == Upload::Over => {
                    return Poll::Ready(Some(Err(BrokenOff::Answered)));
                }
                mut state if state.upload == Upload::Stopped => {
                    state.uploading = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                _ => {}
            }
            let polled = Pin::new(&mut self.body).poll_frame(cx);
            let mut state = self.exchange.state();
            state.waits_for_client = polled.is_pending();
            let frame = match polled {
                Poll::Pending => {
                    state.uploading = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(None) => {
                    state.since = Instant::now();
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(error))) => {
                    state.client_broke_off = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            state.since = Instant::now();
            // Trailers are of one connection.
            if frame.is_data() {
                return Poll::Ready(Some(Ok(frame)));
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// The body of an answer.
struct Down {
    exchange: Arc<Exchange>,
    size: SizeHint,
    watch: JoinHandle<()>,
}

impl HttpBody for Down {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let mut state = self.exchange.state();
        let polled = loop {
            let Some(answer) = &mut state.answer else {
                let cut = state.was_cut.then_some(Err(BrokenOff::Silence));
                return Poll::Ready(cut);
            };
            let polled = match answer.first.take() {
                Some(first) => Poll::Ready(Some(first)),
                None => answer.body.as_mut().poll_frame(cx),
            };
            match polled {
                Poll::Ready(Some(Ok(frame))) if !frame.is_data() => {}
                polled => break polled,
            }
        };
        match polled {
            Poll::Pending => {
                state.downloading = Some(cx.waker().clone());
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                state.since = Instant::now();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(over) => {
                drop(state);
                self.exchange.end();
                Poll::Ready(over.map(|over| over.map_err(BrokenOff::from)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        self.watch.abort();
        self.exchange.end();
    }
}
