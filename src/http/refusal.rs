//! What a refusal of a server means, and what it says of it. Text from a server is shown without control characters.

use std::fmt;

use reqwest::StatusCode;

/// How much of a server's own words is shown, in characters.
const WORDS: usize = 300;

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The credential is not accepted. Bitbucket answers the same when it may not do this.
    NotAccepted,
    /// The credential may not do this.
    NotPermitted,
    /// There is no such thing.
    NotFound,
    /// The server has no such endpoint: it is older, or something else.
    NotSupported,
    /// Too many calls.
    TooMany,
    /// The port is one for HTTPS, and was spoken to without encryption.
    NotEncrypted,
    /// Anything else.
    Other,
}

impl RefusalKind {
    /// What the answer of `status` with `body` means. A thing that is missing is said in one of the
    /// forms of [`words`]; a missing endpoint is said by a page, by nothing, or by the REST library
    /// (`{"message": "null for uri: ..", "status-code": 404}`).
    pub(super) fn of(status: StatusCode, body: &[u8]) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::NotAccepted,
            StatusCode::FORBIDDEN => Self::NotPermitted,
            StatusCode::TOO_MANY_REQUESTS => Self::TooMany,
            StatusCode::METHOD_NOT_ALLOWED => Self::NotSupported,
            StatusCode::BAD_REQUEST if wants_encryption(body) => Self::NotEncrypted,
            StatusCode::NOT_FOUND => match serde_json::from_slice::<serde_json::Value>(body) {
                Ok(body) if body.get("errors").is_some() || body.get("errorMessage").is_some() => {
                    Self::NotFound
                }
                Ok(body) if body.get("message").is_some() && body.get("status-code").is_none() => {
                    Self::NotFound
                }
                _ => Self::NotSupported,
            },
            _ => Self::Other,
        }
    }

    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::NotAccepted => "; the credential is not accepted, or may not do this",
            Self::NotPermitted => "; the credential may not do this",
            Self::NotSupported => {
                "; the server does not have this: is it the right URL, or an older version? A context path such as \
                 `/bitbucket` may be missing"
            }
            Self::NotEncrypted => "; the port is one for HTTPS: write `https://`",
            Self::NotFound | Self::TooMany | Self::Other => "",
        }
    }
}

/// Whether `body` says, as the pages of nginx, Apache and Tomcat do, that the port is one for HTTPS.
fn wants_encryption(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    ["plain HTTP request was sent to HTTPS port", "speaking plain HTTP to an SSL", "requires TLS"]
        .iter()
        .any(|words| body.contains(words))
}

/// What a server said about a refusal. Text from a server: control characters are taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMessage(String);

impl ServerMessage {
    /// Only the words.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// Finds the message in an error body: `{"errors": [{"message"}]}` (Bitbucket), `{"message"}`
/// (its shared modules), `{"errorMessage"}` (the app) or `{"errorMessages": []}` (Jira).
pub(super) fn words(body: &[u8]) -> ServerMessage {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = parsed.as_ref().and_then(|body| {
        ["/errors/0/message", "/message", "/errorMessage", "/errorMessages/0"]
            .into_iter()
            .find_map(|pointer| body.pointer(pointer).and_then(serde_json::Value::as_str))
    });
    let sentence = message.unwrap_or_default().trim().trim_end_matches('.');
    let mut shown = sentence.chars().filter(|c| !c.is_control());
    let mut words: String = shown.by_ref().take(WORDS).collect();
    if shown.next().is_some() {
        words.push('…');
    }
    ServerMessage(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_of_error_bodies_is_read_and_anything_else_is_left_out() {
        let said = |body: &str| words(body.as_bytes()).to_string();
        assert_eq!(said(r#"{"errors":[{"context":null,"message":"No such group"}]}"#), ": No such group");
        assert_eq!(said(r#"{"message":"Basic is disabled"}"#), ": Basic is disabled");
        assert_eq!(said(r#"{"errorMessage":"too far"}"#), ": too far");
        assert_eq!(said(r#"{"errorMessages":["No such group"],"errors":{}}"#), ": No such group");
        assert_eq!(said("{\"message\":\"a\\u001b[31mb\"}"), ": a[31mb");
        assert_eq!(said("<html>Log in</html>"), "");
    }

    #[test]
    fn a_missing_thing_is_told_from_a_missing_endpoint() {
        let of =
            |status: u16, body: &str| RefusalKind::of(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert_eq!(of(404, r#"{"errors":[{"message":"No such user"}]}"#), RefusalKind::NotFound);
        assert_eq!(of(404, r#"{"errorMessage":"There is no such token."}"#), RefusalKind::NotFound);
        assert_eq!(of(404, r#"{"message":"No such rule"}"#), RefusalKind::NotFound);
        assert_eq!(
            of(404, r#"{"message":"null for uri: https://x/rest/y","status-code":404}"#),
            RefusalKind::NotSupported
        );
        assert_eq!(of(404, "<html>Oops</html>"), RefusalKind::NotSupported);
        assert_eq!(of(404, ""), RefusalKind::NotSupported);
        assert_eq!(of(405, r#"{"errors":[]}"#), RefusalKind::NotSupported);
        assert_eq!(of(401, ""), RefusalKind::NotAccepted);
        assert_eq!(of(403, ""), RefusalKind::NotPermitted);
        assert_eq!(of(409, ""), RefusalKind::Other);
        let nginx = "<center>The plain HTTP request was sent to HTTPS port</center>";
        assert_eq!(of(400, nginx), RefusalKind::NotEncrypted);
        assert_eq!(of(400, "<html>Oops</html>"), RefusalKind::Other);
    }
}
