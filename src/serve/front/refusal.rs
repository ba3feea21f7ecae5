//! A refusal in the form that clients read where they sent their request: Bitbucket's errors for its REST, lines
//! that Git shows, a page for browsers, and nothing but the head for a proxy that asks on behalf of a client.

use std::net::IpAddr;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    super::{dialect, problem::Problem},
    classify::{Ambiguous, Class, Kind},
    headers::X_REQUEST_ID,
    judge::Refused,
    secret::Odd,
};
use crate::access::DenialReason;

/// Where a proxy finds why it was told no.
pub(super) const REASON: HeaderName = HeaderName::from_static("x-tokenwarden-reason");

/// How clients read a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Bitbucket's REST.
    Rest,
    /// Git, which shows every line of a plain text.
    Git,
    /// LFS.
    Lfs,
    /// A browser.
    Page,
    /// Anything else that reads.
    Text,
    /// A proxy, which passes the status on at the most.
    Bare,
}

impl Form {
    /// The form for a request of this `class`, with these `headers`; `None` when nobody knows what it is.
    pub(super) fn of(class: Option<&Class>, headers: &HeaderMap) -> Self {
        let says = |name, what: &str| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.into_iter().any(|value| value.to_ascii_lowercase().contains(what))
        };
        match class.map(|class| &class.kind) {
            Some(Kind::Git(_)) => Self::Git,
            Some(Kind::Lfs(_) | Kind::LfsBatch | Kind::LfsStorage) => Self::Lfs,
            Some(Kind::Page) | None if says(header::ACCEPT, "text/html") => Self::Page,
            None if says(header::USER_AGENT, "git-lfs/") => Self::Lfs,
            Some(Kind::Page) | None if says(header::USER_AGENT, "git/") => Self::Git,
            Some(Kind::Page) => Self::Text,
            Some(Kind::Rest | Kind::Tokens(_) | Kind::Own) | None => Self::Rest,
        }
    }
}

/// `refused` in words, for a request of the client at this address.
pub(super) fn problem(refused: &Refused, client: Option<IpAddr>) -> Problem {
    match refused {
        Refused::Reason(reason) => Problem { message: told(*reason, client), ..Problem::from(*reason) },
        Refused::Limit(broken) => broken.clone().into(),
        Refused::Body(bad) => Problem::bad_request(sentence(bad)),
        Refused::Unseen => Problem::new(StatusCode::FORBIDDEN, "unseen", sentence(refused)),
    }
}

impl From<Ambiguous> for Problem {
    fn from(ambiguous: Ambiguous) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ambiguous", sentence(&ambiguous))
    }
}

impl From<Odd> for Problem {
    fn from(odd: Odd) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ambiguous", sentence(&odd))
    }
}

/// What the client is told of a reason. Whose a token is and what that one may do is told to nobody, since only the
/// server behind knows whether the secret is right.
fn told(reason: DenialReason, client: Option<IpAddr>) -> String {
    let words = match reason {
        DenialReason::Network => {
            return client.map_or_else(
                || "Requests from your address are not accepted.".to_owned(),
                |client| format!("Requests from {client} are not accepted."),
            );
        }
        DenialReason::NoCredentials => "This takes a token.",
        DenialReason::InvalidCredentials => "The token or password is wrong, expired or revoked.",
        DenialReason::PasswordDisabled => "Passwords are disabled here: send a token.",
        DenialReason::Expired => "This token has expired: create another one.",
        DenialReason::RestrictedExpiry => "By policy this token has ended: create another one.",
        DenialReason::Scope => "This token only reads, and this takes one that writes.",
        DenialReason::RestrictedScope => "By policy this token only reads, and this takes one that writes.",
        DenialReason::ClientAddress
        | DenialReason::OwnerInactive
        | DenialReason::Use
        | DenialReason::Create
        | DenialReason::CreateReadWrite
        | DenialReason::ManageOthers
        | DenialReason::Administrator
        | DenialReason::NoUser
        | DenialReason::UnknownSender
        | DenialReason::UnknownOwner => "You are not permitted to do this.",
    };
    words.to_owned()
}

/// A message as a sentence.
fn sentence(message: &impl ToString) -> String {
    let message = message.to_string();
    let mut letters = message.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

/// The answer with `problem` in this `form` to the request that the log knows by `id`.
pub(super) fn response(problem: Problem, form: Form, id: &str) -> Response {
    let (status, code) = (problem.status, problem.code);
    let (kind, body) = match form {
        Form::Rest => ("application/json;charset=UTF-8", rest(&problem, id).to_string()),
        Form::Lfs => {
            let body = json!({"message": problem.message, "request_id": id});
            ("application/vnd.git-lfs+json", body.to_string())
        }
        Form::Git | Form::Text => {
            ("text/plain; charset=utf-8", format!("{} (tokenwarden, request {id})\n", problem.message))
        }
        Form::Page => ("text/html; charset=utf-8", page(&problem, id)),
        Form::Bare => ("", String::new()),
    };
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    let is_over_soon =
        [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT]
            .contains(&status);
    if is_over_soon && !headers.contains_key(header::RETRY_AFTER) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(5));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    if form == Form::Bare {
        headers.insert(REASON, HeaderValue::from_static(code));
        return response;
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if form == Form::Page {
        let nothing_else = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, nothing_else);
    }
    *response.status_mut() = status;
    *response.body_mut() = Body::from(body);
    response
}

/// The errors of Bitbucket's REST. Passwords it refuses in the form of a module.
fn rest(problem: &Problem, id: &str) -> serde_json::Value {
    if problem.code == DenialReason::PasswordDisabled.code() {
        return json!({"message": dialect::NO_PASSWORDS});
    }
    let message = format!("{} (tokenwarden, request {id})", problem.message);
    let exception = dialect::exception(problem);
    json!({"errors": [{"context": null, "message": message, "exceptionName": exception}]})
}

fn page(problem: &Problem, id: &str) -> String {
    let title = problem.status.canonical_reason().unwrap_or("Refused");
    let message: String = problem.message.chars().map(escaped).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body><h1>{title}</h1><p>{message}</p><p>tokenwarden, request {id}</p></body></html>\n"
    )
}

fn escaped(letter: char) -> String {
    match letter {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        letter => letter.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::limits::LimitBroken,
        model::Scope,
        serve::front::{
            classify::{Prefixes, classify},
            judge::BadBody,
        },
    };

    const ID: &str = "1f2e3d4c5b6a7988";

    fn form(method: &str, target: &str, lines: &[(&'static str, &'static str)]) -> Form {
        let class = classify(method, target, &Prefixes::new("", "/scm")).ok();
        let headers = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Form::of(class.as_ref(), &headers.collect())
    }

    /// The answer as it is sent, with the lines of its head in the order of their names.
    async fn sent(response: Response) -> String {
        let mut lines: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        let (status, head) = (response.status(), lines.join("\n"));
        let body = axum::body::to_bytes(response.into_body(), 64 * 1024).await.unwrap();
        format!("{status}\n{head}\n\n{}", String::from_utf8(body.to_vec()).unwrap())
    }

    async fn refused(refused: impl Into<Refused>, form: Form) -> String {
        sent(response(problem(&refused.into(), Some([203, 0, 113, 9].into())), form, ID)).await
    }

    #[tokio::test]
    async fn what_may_be_over_soon_says_when_to_ask_again() {
        let refused = |form| async move {
            sent(response(Problem::unavailable(std::io::Error::other("full")), form, ID)).await
        };
        for form in [Form::Rest, Form::Git, Form::Lfs, Form::Page, Form::Bare] {
            let text = refused(form).await;
            assert!(text.starts_with("503") && text.contains("\nretry-after: 5\n"), "{text}");
        }
    }

    #[test]
    fn the_form_is_that_of_the_clients_that_ask() {
        let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
        let git = [("accept", "*/*"), ("user-agent", "git/2.47.0")];
        let lfs = [("user-agent", "git-lfs/3.3.0 (GitHub; linux amd64)")];
        let refs = "/scm/P/r.git/info/refs?service=git-receive-pack";
        assert_eq!(form("GET", refs, &git), Form::Git);
        assert_eq!(form("GET", refs, &[]), Form::Git);
        assert_eq!(form("GET", "/scm/P/../info/refs", &git), Form::Git);
        assert_eq!(form("POST", "/scm/P/r.git/info/lfs/objects/batch", &lfs), Form::Lfs);
        assert_eq!(form("POST", "/scm/P/r.git//info/lfs/locks", &lfs), Form::Lfs);
        assert_eq!(form("PUT", "/rest/git-lfs/storage/P/r/1", &[]), Form::Lfs);
        assert_eq!(form("GET", "/rest/api/latest/users", &browser), Form::Rest);
        assert_eq!(form("PUT", "/rest/access-tokens/latest/users/mary", &[]), Form::Rest);
        assert_eq!(form("GET", "/rest/../x", &[]), Form::Rest);
        assert_eq!(form("GET", "/projects", &browser), Form::Page);
        assert_eq!(form("GET", "/projects/..", &browser), Form::Page);
        assert_eq!(form("GET", "/projects", &[]), Form::Text);
    }

    #[tokio::test]
    async fn git_shows_why_and_keeps_what_it_stored_unless_that_is_over() {
        insta::assert_snapshot!(refused(DenialReason::Scope, Form::Git).await, @r#"
        403 Forbidden
        cache-control: no-store
        content-type: text/plain; charset=utf-8
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        This token only reads, and this takes one that writes. (tokenwarden, request 1f2e3d4c5b6a7988)
        "#);
        insta::assert_snapshot!(refused(DenialReason::Expired, Form::Git).await, @r#"
        401 Unauthorized
        cache-control: no-store
        content-type: text/plain; charset=utf-8
        www-authenticate: Basic realm="tokenwarden", charset="UTF-8"
        www-authenticate: Bearer realm="tokenwarden"
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        This token has expired: create another one. (tokenwarden, request 1f2e3d4c5b6a7988)
        "#);
        insta::assert_snapshot!(refused(DenialReason::Network, Form::Git).await, @r#"
        403 Forbidden
        cache-control: no-store
        content-type: text/plain; charset=utf-8
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        Requests from 203.0.113.9 are not accepted. (tokenwarden, request 1f2e3d4c5b6a7988)
        "#);
    }

    #[tokio::test]
    async fn rest_has_the_errors_of_bitbucket() {
        insta::assert_snapshot!(refused(DenialReason::InvalidCredentials, Form::Rest).await, @r#"
        401 Unauthorized
        cache-control: no-store
        content-type: application/json;charset=UTF-8
        www-authenticate: Basic realm="tokenwarden", charset="UTF-8"
        www-authenticate: Bearer realm="tokenwarden"
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        {"errors":[{"context":null,"message":"The token or password is wrong, expired or revoked. (tokenwarden, request 1f2e3d4c5b6a7988)","exceptionName":"com.atlassian.plugins.rest.api.security.exception.AuthenticationRequiredException"}]}
        "#);
        insta::assert_snapshot!(refused(DenialReason::PasswordDisabled, Form::Rest).await, @r#"
        403 Forbidden
        cache-control: no-store
        content-type: application/json;charset=UTF-8
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        {"message":"Basic Authentication has been disabled on this instance."}
        "#);
        insta::assert_snapshot!(refused(DenialReason::Use, Form::Rest).await, @r#"
        403 Forbidden
        cache-control: no-store
        content-type: application/json;charset=UTF-8
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        {"errors":[{"context":null,"message":"You are not permitted to do this. (tokenwarden, request 1f2e3d4c5b6a7988)","exceptionName":null}]}
        "#);
        insta::assert_snapshot!(refused(LimitBroken::Scope(Scope::ReadOnly), Form::Rest).await, @r#"
        400 Bad Request
        cache-control: no-store
        content-type: application/json;charset=UTF-8
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        {"errors":[{"context":null,"message":"The scope you've asked for is wider than the maximum defined by your administrator, which is read-only. (tokenwarden, request 1f2e3d4c5b6a7988)","exceptionName":null}]}
        "#);
        insta::assert_snapshot!(refused(BadBody::Form, Form::Rest).await, @r#"
        400 Bad Request
        cache-control: no-store
        content-type: application/json;charset=UTF-8
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        {"errors":[{"context":null,"message":"The body is not the JSON of this request, in UTF-8, with every field once. (tokenwarden, request 1f2e3d4c5b6a7988)","exceptionName":null}]}
        "#);
        insta::assert_snapshot!(sent(response(Ambiguous::Segment.into(), Form::Rest, ID)).await, @r#"
        400 Bad Request
        cache-control: no-store
        content-type: application/json;charset=UTF-8
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        {"errors":[{"context":null,"message":"A path has no empty segments, none of dots, and none that begins or ends with a space. (tokenwarden, request 1f2e3d4c5b6a7988)","exceptionName":null}]}
        "#);
    }

    #[tokio::test]
    async fn lfs_browsers_and_proxies_have_theirs() {
        insta::assert_snapshot!(refused(DenialReason::RestrictedScope, Form::Lfs).await, @r#"
        403 Forbidden
        cache-control: no-store
        content-type: application/vnd.git-lfs+json
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        {"message":"By policy this token only reads, and this takes one that writes.","request_id":"1f2e3d4c5b6a7988"}
        "#);
        insta::assert_snapshot!(refused(DenialReason::Network, Form::Page).await, @r#"
        403 Forbidden
        cache-control: no-store
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: text/html; charset=utf-8
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><title>Forbidden</title></head>
        <body><h1>Forbidden</h1><p>Requests from 203.0.113.9 are not accepted.</p><p>tokenwarden, request 1f2e3d4c5b6a7988</p></body></html>
        "#);
        insta::assert_snapshot!(refused(DenialReason::RestrictedExpiry, Form::Text).await, @r#"
        401 Unauthorized
        cache-control: no-store
        content-type: text/plain; charset=utf-8
        www-authenticate: Basic realm="tokenwarden", charset="UTF-8"
        www-authenticate: Bearer realm="tokenwarden"
        x-content-type-options: nosniff
        x-request-id: 1f2e3d4c5b6a7988

        By policy this token has ended: create another one. (tokenwarden, request 1f2e3d4c5b6a7988)
        "#);
        insta::assert_snapshot!(refused(DenialReason::OwnerInactive, Form::Bare).await, @r#"
        403 Forbidden
        cache-control: no-store
        x-request-id: 1f2e3d4c5b6a7988
        x-tokenwarden-reason: owner-inactive
        "#);
        insta::assert_snapshot!(refused(Refused::Unseen, Form::Bare).await, @r#"
        403 Forbidden
        cache-control: no-store
        x-request-id: 1f2e3d4c5b6a7988
        x-tokenwarden-reason: unseen
        "#);
    }

    #[tokio::test]
    async fn a_401_always_challenges_in_every_form_and_nothing_else_does() {
        for reason in DenialReason::ALL {
            for form in [Form::Rest, Form::Git, Form::Lfs, Form::Page, Form::Text, Form::Bare] {
                let response = response(problem(&reason.into(), None), form, ID);
                let challenges: Vec<_> =
                    response.headers().get_all(header::WWW_AUTHENTICATE).iter().collect();
                let is_basic = challenges.iter().any(|value| value.as_bytes().starts_with(b"Basic realm="));
                assert_eq!(is_basic, reason.status() == 401, "{reason} {form:?}");
                assert_eq!(response.status().as_u16(), reason.status());
                assert!(response.headers().contains_key(X_REQUEST_ID));
            }
        }
    }

    #[test]
    fn a_page_shows_no_markup_of_a_message() {
        let problem = Problem::bad_request("<script>\"&\"</script>");
        assert!(page(&problem, ID).contains("<p>&lt;script&gt;&quot;&amp;&quot;&lt;/script&gt;</p>"));
    }
}
