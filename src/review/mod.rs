//! Publishing a plan into a pull request of Bitbucket Data Center.
//!
//! From a [`Publication`] and a pull request to one comment, which is found again and updated; a Code
//! Insights report with annotations on lines of the policy; and a build status. It runs no code of the pull
//! request and needs no credentials of the targets.
//!
//! The REST is that of Bitbucket 8.19 to 10.4 (its OpenAPI documents, modules `api` and `insights`). What
//! is published a second time replaces what was there, so that a run that broke half way is finished by
//! the next one.

mod comment;
mod insights;
mod publication;

pub use comment::CommentOutcome;
pub use insights::{ANNOTATIONS_AT_MOST, Annotation, AnnotationSeverity, DATA_AT_MOST, DataItem, DataValue};

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{
    http::{HttpClient, HttpError},
    model::percent,
};

/// Longest text that Bitbucket takes in the places that are used here, in characters.
const LONGEST: usize = 450;

/// A pull request.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// Key of the project, such as `OPS`, or `~mary`.
    pub project: String,
    /// Slug of the repository.
    pub repository: String,
    /// Its number.
    pub number: u64,
}

impl PullRequest {
    fn repository_path(&self, api: &str) -> String {
        let (project, repository) = (segment(&self.project), segment(&self.repository));
        format!("/rest/{api}/projects/{project}/repos/{repository}")
    }

    fn path(&self) -> String {
        format!("{}/pull-requests/{}", self.repository_path("api/latest"), self.number)
    }

    /// Where a person reads it, below the base address.
    fn page(&self) -> String {
        let (project, repository) = (segment(&self.project), segment(&self.repository));
        format!("/projects/{project}/repos/{repository}/pull-requests/{}", self.number)
    }
}

/// `text` as one segment of a path.
fn segment(text: &str) -> String {
    match text {
        "." | ".." => text.replace('.', "%2E"),
        _ => percent::encode(text),
    }
}

/// What is published.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Tells it from others in the same pull request, such as plans of other folders: letters, digits,
    /// `.`, `-`.
    pub key: String,
    /// The title of the report, which says what a plan that can be applied does beyond repair: its result
    /// only knows pass and fail.
    pub title: String,
    /// The comment, in the Markdown that Bitbucket knows.
    pub comment: String,
    /// Whether the plan can be applied.
    pub passed: bool,
    /// What it comes to, in one line.
    pub summary: String,
    /// Numbers worth seeing; [`DATA_AT_MOST`] of them are shown.
    pub data: Vec<DataItem>,
    /// Remarks on lines of the policy.
    pub annotations: Vec<Annotation>,
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The commit that it was published for.
    pub commit: String,
    /// What became of the comment.
    pub comment: CommentOutcome,
    /// How many annotations there was no room for.
    pub annotations_left_out: usize,
}

/// Something could not be published. Publishing again finishes.
#[derive(Debug, thiserror::Error)]
#[error("{what} of the pull request could not be {verb}")]
pub struct ReviewError {
    what: &'static str,
    verb: &'static str,
    #[source]
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(
        "the server does not say who we are (header `X-AUSERNAME`), so that our own comment cannot be told from others"
    )]
    Nobody,
    #[error("it was changed by somebody else {0} times in a row meanwhile")]
    Contended(u32),
}

fn cannot<E: Into<Cause>>(verb: &'static str, what: &'static str) -> impl FnOnce(E) -> ReviewError {
    move |cause| ReviewError { what, verb, cause: cause.into() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    from_ref: Reference,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    id: String,
    latest_commit: String,
}

/// Publishes `publication` into `pull_request` of the server at `base`, which `client` speaks to.
///
/// # Errors
///
/// When a part of it could not be read or written. The parts before it are published.
pub async fn publish(
    client: &HttpClient,
    base: &str,
    pull_request: &PullRequest,
    publication: &Publication,
) -> Result<Published, ReviewError> {
    let head = client.get::<Head>(&pull_request.path(), &[]).await.map_err(cannot("read", "the head"))?;
    let Head { from_ref: Reference { id: branch, latest_commit: commit } } = head.body;
    let annotations_left_out = insights::publish(client, pull_request, &commit, publication)
        .await
        .map_err(cannot("written", "the report"))?;
    let status = Status {
        key: format!("tokenwarden.{}", publication.key),
        state: if publication.passed { "SUCCESSFUL" } else { "FAILED" },
        url: format!("{base}{}", pull_request.page()),
        name: "tokenwarden",
        description: shorten(&publication.summary, LONGEST),
        reference: branch,
    };
    let builds =
        format!("{}/commits/{}/builds", pull_request.repository_path("api/latest"), segment(&commit));
    client
        .send(Method::POST, &builds, &[], Some(&status))
        .await
        .map_err(cannot("written", "the build status"))?;
    let comment = comment::publish(client, pull_request, publication).await?;
    Ok(Published { commit, comment, annotations_left_out })
}

#[derive(Serialize)]
struct Status<'a> {
    key: String,
    state: &'a str,
    url: String,
    name: &'a str,
    description: String,
    #[serde(rename = "ref")]
    reference: String,
}

/// The first `most` characters of `text`.
fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most.saturating_sub(1)) {
        Some((cut, last)) if text.len() > cut + last.len_utf8() => format!("{}…", &text[..cut]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_nothing_in_it_that_leads_elsewhere() {
        assert_eq!(segment("~mary.o'neil"), "~mary.o%27neil");
        assert_eq!(segment("../admin?x#y"), "..%2Fadmin%3Fx%23y");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn text_is_cut_at_a_character_and_says_so() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äö…");
    }
}
