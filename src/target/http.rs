//! In: methods, paths and JSON. Out: JSON, or an error that names the URL without secrets. It
//! refuses to follow redirects, which could carry a credential to somebody else, and to read
//! answers without an end.

use std::{fmt, net::IpAddr, sync::Once, time::Duration};

use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one call may take, its answer included.
const CALL: Duration = Duration::from_mins(1);
/// The largest answer that is read, in bytes.
const ANSWER_BYTES: usize = 64 << 20;
/// How much of a server's own words is shown, in characters.
const WORDS: usize = 300;

/// What we present to a server.
pub enum Credential {
    /// A user and a password, or a user and a token.
    Basic {
        /// The user.
        user: String,
        /// Password or token.
        secret: SecretString,
    },
    /// A token alone.
    Bearer(SecretString),
}

/// A client of one server.
pub struct HttpClient {
    base: String,
    client: reqwest::Client,
    credential: Credential,
}

/// The answer to a call that reads or writes a resource with a version.
pub struct Versioned<T> {
    /// The resource.
    pub body: T,
    /// Its `ETag`, when the server sent one.
    pub etag: Option<String>,
}

impl HttpClient {
    /// A client of the server at `base` (`http://` or `https://`), which trusts the certificates
    /// in `extra_ca` (PEM) beside those of the system.
    ///
    /// # Errors
    ///
    /// When the certificates cannot be read.
    pub fn new(base: &str, credential: Credential, extra_ca: Option<&[u8]>) -> Result<Self, HttpError> {
        install_crypto();
        let setup = |source| HttpError::Setup { base: base.to_owned(), source };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tokenwarden/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(CALL)
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(base) {
            // A proxy has no business between us and a server on this machine, and would see the credential.
            builder = builder.no_proxy();
        }
        if let Some(pem) = extra_ca {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(setup)?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client, credential })
    }

    /// `GET path` with `query`.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, answers another status than a 2xx, or no JSON of this form.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Versioned<T>, HttpError> {
        let call = Call { method: Method::GET, path, query, headers: &[] };
        let answer = self.call(call, None::<&()>).await?;
        let body = serde_json::from_slice(&answer.body)
            .map_err(|source| HttpError::NotUnderstood { call: answer.call, source })?;
        Ok(Versioned { body, etag: answer.etag })
    }

    /// Sends `body` to `path` and answers what the server does.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, answers another status than a 2xx, or no JSON of this form.
    pub async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, HttpError> {
        let answer = self.call(Call { method, path, query: &[], headers: &[] }, Some(body)).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|source| HttpError::NotUnderstood { call: answer.call, source })
    }

    /// Sends `body` to `path`, with `headers` beside the usual ones, and discards what the server answers.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or answers another status than a 2xx.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, String)],
        body: Option<&impl Serialize>,
    ) -> Result<(), HttpError> {
        self.call(Call { method, path, query: &[], headers }, body).await.map(|_| ())
    }

    async fn call(&self, call: Call<'_>, body: Option<&impl Serialize>) -> Result<Answer, HttpError> {
        let url = format!("{}{}", self.base, call.path);
        let name = format!("{} {url}", call.method);
        let unreachable = |source: reqwest::Error| HttpError::Unreachable {
            call: name.clone(),
            source: source.without_url(),
        };
        let mut request = self
            .client
            .request(call.method, &url)
            .query(call.query)
            .header(header::ACCEPT, "application/json");
        request = match &self.credential {
            Credential::Basic { user, secret } => request.basic_auth(user, Some(secret.expose_secret())),
            Credential::Bearer(secret) => request.bearer_auth(secret.expose_secret()),
        };
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let text_of = |name: header::HeaderName| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (etag, kind) = (text_of(header::ETAG), text_of(header::CONTENT_TYPE).unwrap_or_default());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err(HttpError::TooLarge { call: name });
            }
            body.extend_from_slice(&chunk);
        }
        tracing::debug!(call = %name, status = status.as_u16(), bytes = body.len(), "called");
        if !status.is_success() {
            return Err(HttpError::Refused { call: name, status, words: words(&body) });
        }
        if !body.is_empty() && !kind.contains("json") {
            return Err(HttpError::NotJson { call: name, kind });
        }
        Ok(Answer { call: name, body, etag })
    }
}

struct Call<'a> {
    method: Method,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    headers: &'a [(header::HeaderName, String)],
}

struct Answer {
    call: String,
    body: Vec<u8>,
    etag: Option<String>,
}

/// A call that did not come to what it was for. Names the URL without query and credentials.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client could not be set up.
    #[error("cannot set up the connection to {base}")]
    Setup {
        /// Address of the server.
        base: String,
        /// What the HTTP library says.
        #[source]
        source: reqwest::Error,
    },
    /// No answer came: the server is away, or the connection broke.
    #[error("{call}: no answer")]
    Unreachable {
        /// Method and URL.
        call: String,
        /// What the HTTP library says.
        #[source]
        source: reqwest::Error,
    },
    /// The server answered that it will not.
    #[error("{call}: {status}{words}")]
    Refused {
        /// Method and URL.
        call: String,
        /// The status that it answered.
        status: StatusCode,
        /// Its own words, when it said any.
        words: Words,
    },
    /// The answer is something else than JSON, often a login page.
    #[error("{call}: answered `{kind}` where JSON was expected; is this the right URL?")]
    NotJson {
        /// Method and URL.
        call: String,
        /// The content type.
        kind: String,
    },
    /// The answer is JSON of another form.
    #[error("{call}: the answer has another form than expected")]
    NotUnderstood {
        /// Method and URL.
        call: String,
        /// Where it differs.
        #[source]
        source: serde_json::Error,
    },
    /// The answer does not end.
    #[error("{call}: the answer is larger than {} MiB", ANSWER_BYTES >> 20)]
    TooLarge {
        /// Method and URL.
        call: String,
    },
}

impl HttpError {
    /// The status that the server answered, when it did.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the call may have taken effect although the server's own answer did not come: the
    /// connection broke, or something between us answered in its place.
    #[must_use]
    pub fn is_lost_answer(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(
                *status,
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
            ),
            Self::Unreachable { source, .. } => !source.is_connect() && !source.is_builder(),
            _ => false,
        }
    }
}

/// What a server said about a refusal. Text from a server: control characters are taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// The words alone.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// Finds the message in an error body: `{"errors": [{"message"}]}` (Bitbucket), `{"message"}`
/// (its shared modules) or `{"errorMessage"}` (the app).
fn words(body: &[u8]) -> Words {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = parsed.as_ref().and_then(|body| {
        ["/errors/0/message", "/message", "/errorMessage"]
            .into_iter()
            .find_map(|pointer| body.pointer(pointer).and_then(serde_json::Value::as_str))
    });
    let shown = message.unwrap_or_default().chars().filter(|c| !c.is_control()).take(WORDS);
    Words(shown.collect())
}

/// Whether the server at `base` is on this machine.
fn is_loopback(base: &str) -> bool {
    let url = reqwest::Url::parse(base).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Makes ring the crypto provider of this process, once.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody who embeds the library may have chosen another provider: theirs stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn every_dialect_of_error_bodies_is_read_and_anything_else_is_left_out() {
        let said = |body: &str| words(body.as_bytes()).to_string();
        assert_eq!(said(r#"{"errors":[{"context":null,"message":"No such group"}]}"#), ": No such group");
        assert_eq!(said(r#"{"message":"Basic is disabled"}"#), ": Basic is disabled");
        assert_eq!(said(r#"{"errorMessage":"too far"}"#), ": too far");
        assert_eq!(said("{\"message\":\"a\\u001b[31mb\"}"), ": a[31mb");
        assert_eq!(said("<html>Log in</html>"), "");
    }
}
