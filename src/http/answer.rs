//! A response as JSON or as an error, from its head and body. An HTML page is never taken for JSON.

use reqwest::{Method, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{model::UserName, world::system_time};

use super::{
    Called, HttpClient, HttpCredential, HttpError, RefusalKind, caller::caller, clock, refusal, retry,
};

/// The answer to a call that reads or writes a resource with a version.
pub struct Versioned<T> {
    /// The resource.
    pub body: T,
    /// Its `ETag`, when the server sent one.
    pub etag: Option<String>,
    /// Whom the server takes us for, when it says so in the header `X-AUSERNAME`, as Bitbucket does.
    pub user: Option<UserName>,
}

/// An answer that says that the call was carried out.
pub(super) struct CallAnswer {
    call: Called,
    pub(super) body: Vec<u8>,
    etag: Option<String>,
    user: Option<UserName>,
}

impl CallAnswer {
    /// The body as JSON of this form.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<Versioned<T>, HttpError> {
        let Self { call, body, etag, user } = self;
        if body.is_empty() {
            return Err(HttpError::Empty { call });
        }
        match serde_json::from_slice(&body) {
            Ok(body) => Ok(Versioned { body, etag, user }),
            Err(error) if error.is_eof() => Err(HttpError::Truncated { call }),
            Err(source) => Err(HttpError::NotUnderstood { call, source }),
        }
    }
}

impl HttpClient {
    /// The refusal of one part of a call of `method` to `path` that was answered as a whole: what the server tells of that
    /// part.
    pub(crate) fn refused_part(&self, method: &Method, path: &str, status: u16, message: &str) -> HttpError {
        let call = Called { name: format!("{method} {}", self.url(path)), tries: 1, sent_on: None };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({ "errorMessage": message }).to_string();
        let (kind, words) = (RefusalKind::of(status, body.as_bytes()), refusal::words(body.as_bytes()));
        HttpError::Refused { call, status, refusal: kind, words, retry_after: None }
    }
}

/// Where `response` leads, when it is elsewhere.
pub(super) fn location(response: &Response) -> Option<&str> {
    let location = response.headers().get(header::LOCATION).filter(|_| response.status().is_redirection());
    location.and_then(|value| value.to_str().ok())
}

/// What the answer with this head and `body` to a caller with the credential `presented` comes to.
pub(super) fn judge(
    response: &Response,
    call: Called,
    body: Vec<u8>,
    presented: &HttpCredential,
) -> Result<CallAnswer, HttpError> {
    let status = response.status();
    let text_of = |name: header::HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    if !status.is_success() {
        let retry_after = text_of(header::RETRY_AFTER);
        // Until when is said by the clock of the server.
        let now = clock::dates(response).next().unwrap_or_else(system_time);
        return Err(HttpError::Refused {
            call,
            status,
            refusal: RefusalKind::of(status, &body),
            words: refusal::words(&body),
            retry_after: retry_after.and_then(|value| retry::retry_after(&value, now)),
        });
    }
    let kind = text_of(header::CONTENT_TYPE).unwrap_or_default();
    if !body.is_empty() && !kind.contains("json") {
        return Err(HttpError::NotJson { call, kind });
    }
    let user = caller(response.headers(), presented);
    Ok(CallAnswer { call, body, etag: text_of(header::ETAG), user })
}
