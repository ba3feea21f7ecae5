//! The HTTP client: methods, paths and JSON to JSON, or to an error that names the URL without secrets. It
//! never carries a credential to another origin, never reads a response without an end, and never repeats a
//! write unless it is certain that nothing happened.

mod answer;
mod builder;
mod call;
mod caller;
mod cause;
mod clock;
mod concurrency;
mod delivery;
mod error;
mod page;
mod pages;
mod redirect;
mod refusal;
mod retry;
mod statistics;
mod trust;

use std::{
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use secrecy::SecretString;
use serde::{Serialize, de::DeserializeOwned};

pub use answer::Versioned;
pub(crate) use caller::names;
pub use clock::ClockOffset;
pub use delivery::{Delivery, SIGNATURE, Undelivered};
pub use error::{Called, HttpError};
pub use page::PagingFault;
pub(crate) use page::{Claims, ListEntry, PageClaim, PageProgress, flag, next_by_count, shown, told};
pub(crate) use pages::{Page, PageContent, PagedList};
pub use redirect::{Obstacle, Redirect};
pub use refusal::{RefusalKind, ServerMessage};
pub use retry::Retries;
pub use statistics::CallStatistics;
pub(crate) use trust::trusting;

use builder::client_of;
use call::{Call, random};
use clock::ClockObserver;
use concurrency::Concurrency;
use retry::Again;
use statistics::Counters;

/// What we present to a server.
pub enum HttpCredential {
    /// A user and a password, or a user and a token.
    Basic {
        /// The user.
        user: String,
        /// Password or token.
        secret: SecretString,
    },
    /// Only a token.
    Bearer(SecretString),
}

/// How long calls may take, and how much of everything there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long one try of a call may take, its answer included.
    pub call: Duration,
    /// The largest answer that is read, in bytes, after decompression.
    pub answer: usize,
    /// How many pages of one list are read at most.
    pub pages: usize,
    /// How many calls are under way at once.
    pub at_once: usize,
    /// How calls that failed are repeated.
    pub retries: Retries,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            call: Duration::from_mins(1),
            answer: 64 << 20,
            pages: 10_000,
            at_once: 8,
            retries: Retries::default(),
        }
    }
}

/// A client of one server.
pub struct HttpClient {
    base: String,
    client: reqwest::Client,
    credential: HttpCredential,
    limits: CallLimits,
    concurrency: Concurrency,
    counters: Counters,
    clock: ClockObserver,
    is_ours: AtomicBool,
    certificate: Mutex<Option<Vec<u8>>>,
}

impl HttpClient {
    /// A client of the server at `base` (`http://` or `https://`) with the usual limits, which trusts the
    /// certificates in `extra_ca` (PEM) beside those of the system.
    ///
    /// # Errors
    ///
    /// When the certificates cannot be read.
    pub fn new(base: &str, credential: HttpCredential, extra_ca: Option<&[u8]>) -> Result<Self, HttpError> {
        Self::with_limits(base, credential, extra_ca, CallLimits::default())
    }

    /// As [`Self::new`], with other `limits`.
    ///
    /// # Errors
    ///
    /// As for [`Self::new`].
    pub fn with_limits(
        base: &str,
        credential: HttpCredential,
        extra_ca: Option<&[u8]>,
        limits: CallLimits,
    ) -> Result<Self, HttpError> {
        let setup = |source| HttpError::Setup { base: base.to_owned(), source };
        let builder = client_of(base, extra_ca.unwrap_or_default()).map_err(setup)?;
        let builder = builder.connect_timeout(limits.connect).timeout(limits.call).tls_info(true);
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            client: builder.build().map_err(|error| setup(error.into()))?,
            credential,
            concurrency: Concurrency::new(limits.at_once),
            limits,
            counters: Counters::default(),
            clock: ClockObserver::default(),
            is_ours: AtomicBool::new(false),
            certificate: Mutex::default(),
        })
    }

    /// What it presents to the server.
    pub(crate) fn credential(&self) -> &HttpCredential {
        &self.credential
    }

    /// The server said that it is our own.
    pub(crate) fn note_ours(&self) {
        self.is_ours.store(true, Ordering::Relaxed);
    }

    /// Whether the server said that it is our own.
    pub(crate) fn is_ours(&self) -> bool {
        self.is_ours.load(Ordering::Relaxed)
    }

    /// What its calls came to so far.
    #[must_use]
    pub fn statistics(&self) -> CallStatistics {
        self.counters.statistics()
    }

    /// How far the clock of the server is ahead of ours, as all its answers so far show; `None` when none
    /// had a date.
    #[must_use]
    pub fn clock(&self) -> Option<ClockOffset> {
        self.clock.offset()
    }

    /// `GET path` with `query`. Repeated when the connection breaks or the server is busy.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, answers another status than a 2xx, or no JSON of this form.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Versioned<T>, HttpError> {
        self.read(Method::GET, path, query).await
    }

    /// As [`Self::get`], with another method. Only `GET` is repeated.
    ///
    /// # Errors
    ///
    /// As for [`Self::get`].
    pub async fn read<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Versioned<T>, HttpError> {
        let call = self.as_ourselves(method, path, query);
        self.call(&call, None::<&()>).await?.json()
    }

    /// As [`Self::get`], with `headers` beside the usual ones.
    ///
    /// # Errors
    ///
    /// As for [`Self::get`].
    pub(crate) async fn get_beside<T: DeserializeOwned>(
        &self,
        headers: &[RequestHeader],
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Versioned<T>, HttpError> {
        let call = Call { headers, ..self.as_ourselves(Method::GET, path, query) };
        self.call(&call, None::<&()>).await?.json()
    }

    /// The certificate that the server showed last, as DER; `None` without TLS.
    pub(crate) fn certificate(&self) -> Option<Vec<u8>> {
        self.certificate.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As [`Self::get`], on behalf of somebody else, who presents `credential`.
    ///
    /// # Errors
    ///
    /// As for [`Self::get`].
    pub(crate) async fn get_as<T: DeserializeOwned>(
        &self,
        credential: &HttpCredential,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Versioned<T>, HttpError> {
        let call = Call { credential, ..self.as_ourselves(Method::GET, path, query) };
        self.call(&call, None::<&()>).await?.json()
    }

    fn as_ourselves<'a>(
        &'a self,
        method: Method,
        path: &'a str,
        query: &'a [(&'a str, &'a str)],
    ) -> Call<'a> {
        Call { method, path, query, headers: &[], credential: &self.credential }
    }

    /// Sends `body` to `path` and returns what the server does. Repeated only when it is certain that
    /// nothing happened: see [`HttpError::is_lost_answer`] for the rest.
    ///
    /// # Errors
    ///
    /// As for [`Self::get`].
    pub async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, HttpError> {
        let call = self.as_ourselves(method, path, &[]);
        Ok(self.call(&call, Some(body)).await?.json()?.body)
    }

    /// Sends `body` to `path`, with `headers` beside the usual ones, and discards what the server answers.
    /// Repeated as [`Self::exchange`] is.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or answers another status than a 2xx.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[RequestHeader],
        body: Option<&impl Serialize>,
    ) -> Result<(), HttpError> {
        let call = Call { headers, ..self.as_ourselves(method, path, &[]) };
        self.call(&call, body).await.map(|_| ())
    }

    /// `DELETE path`, with `headers` beside the usual ones. Whether the server says that it did, which it does by a 2xx without the body `false`.
    ///
    /// # Errors
    ///
    /// As for [`Self::send`].
    pub async fn delete(&self, path: &str, headers: &[RequestHeader]) -> Result<bool, HttpError> {
        let call = Call { headers, ..self.as_ourselves(Method::DELETE, path, &[]) };
        let answer = self.call(&call, None::<&()>).await?;
        Ok(answer.body.trim_ascii() != b"false")
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Waits as long as before a call is repeated to a busy server for the time `tries`, from 1. For those
    /// who begin a write again.
    pub(crate) async fn pause(&self, tries: u32) {
        let wait = self.limits.retries.wait(Again::Busy(None), tries, Duration::ZERO, random());
        tokio::time::sleep(wait.unwrap_or(self.limits.retries.longest_wait)).await;
    }
}

/// Name and value of a header beside the usual ones.
pub type RequestHeader = (&'static str, String);

/// The name of the header with the version that a write is to replace (RFC 9110, section 13.1.1).
pub const IF_MATCH: &str = "If-Match";

/// Makes ring the crypto provider of this process, once.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody who embeds the library may have chosen another provider: theirs stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
