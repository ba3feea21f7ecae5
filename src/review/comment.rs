//! The comment on a pull request, new or updated. Comments of others are never touched, whatever they hold.

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::{http::HttpClient, model::UserName};

use super::{Cause, Publication, PullRequest, ReviewError, cannot};

/// How often a comment is written again when somebody changed it meanwhile.
const TRIES: u32 = 3;
/// Activities on a page.
const PAGE: &str = "100";

/// What became of the comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentOutcome {
    /// There was none before.
    New,
    /// The one before says something new now.
    Updated,
    /// It said the same already.
    Unchanged,
}

/// An entry of the history of a pull request; Bitbucket's own description leaves out the comment.
#[derive(Deserialize, Hash)]
struct Activity {
    /// What tells it from others that say the same.
    id: Option<u64>,
    action: String,
    comment: Option<Comment>,
}

#[derive(Clone, Deserialize, Hash)]
struct Comment {
    id: u64,
    version: u64,
    text: String,
    author: Author,
}

#[derive(Clone, Deserialize, Hash)]
struct Author {
    name: UserName,
}

#[derive(Serialize)]
struct Body<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

/// What marks our comment, in a form that Markdown does not show: the definition of a link that nothing
/// refers to.
fn marker(publication: &Publication) -> String {
    format!("[tokenwarden-{}]: # (kept up to date by tokenwarden)", publication.key)
}

/// Makes our comment say what `publication` says.
///
/// Of several comments of ours with the marker, such as two runs at once make, the oldest is kept up to
/// date and the others are taken away.
pub(super) async fn publish(
    client: &HttpClient,
    pull_request: &PullRequest,
    publication: &Publication,
) -> Result<CommentOutcome, ReviewError> {
    let marker = marker(publication);
    let text = format!("{}\n\n{marker}\n", publication.comment.trim_end());
    let path = format!("{}/comments", pull_request.path());
    for _ in 0..TRIES {
        let mut own =
            own_comments(client, pull_request, &marker).await.map_err(cannot("read", "the comments"))?;
        let Some(first) = own.first().cloned() else {
            let body = Body { text: &text, version: None };
            client
                .send(Method::POST, &path, &[], Some(&body))
                .await
                .map_err(cannot("written", "the comment"))?;
            return Ok(CommentOutcome::New);
        };
        for surplus in own.drain(1..) {
            let surplus = format!("{path}/{}?version={}", surplus.id, surplus.version);
            // One that has an answer cannot be taken away, and does no harm.
            let _ = client.send(Method::DELETE, &surplus, &[], None::<&()>).await;
        }
        if first.text.trim_end() == text.trim_end() {
            return Ok(CommentOutcome::Unchanged);
        }
        let body = Body { text: &text, version: Some(first.version) };
        match client.send(Method::PUT, &format!("{path}/{}", first.id), &[], Some(&body)).await {
            Ok(()) => return Ok(CommentOutcome::Updated),
            Err(error) if matches!(error.status(), Some(StatusCode::CONFLICT | StatusCode::NOT_FOUND)) => {}
            Err(error) => return Err(cannot("written", "the comment")(error)),
        }
    }
    Err(cannot("written", "the comment")(Cause::Contended(TRIES)))
}

/// Our comments with `marker`, the oldest first.
async fn own_comments(
    client: &HttpClient,
    pull_request: &PullRequest,
    marker: &str,
) -> Result<Vec<Comment>, Cause> {
    // The answer to any call says whom the server takes us for.
    let head = client.get::<serde::de::IgnoredAny>(&pull_request.path(), &[]).await?;
    let own_name = head.user.ok_or(Cause::Nobody)?;
    let path = format!("{}/activities", pull_request.path());
    let activities: Vec<Activity> = client.pages(&path, &[], PAGE).await?;
    let mut own: Vec<Comment> = activities
        .into_iter()
        .filter(|activity| activity.action == "COMMENTED")
        .filter_map(|activity| activity.comment)
        .filter(|comment| comment.author.name == own_name)
        .filter(|comment| comment.text.lines().any(|line| line.trim() == marker))
        .collect();
    own.sort_by_key(|comment| comment.id);
    own.dedup_by_key(|comment| comment.id);
    Ok(own)
}
