//! A Code Insights report of the commit, with annotations on lines of the policy. What exceeds the limits
//! of Bitbucket is counted and left out.

use std::fmt::Write;

use reqwest::{Method, StatusCode};
use serde::Serialize;

use crate::http::{HttpClient, HttpError};

use super::{LONGEST, Publication, PullRequest, segment, shorten};

/// Numbers that a report may have.
pub const DATA_AT_MOST: usize = 6;
/// Annotations that a report may have; with more, Bitbucket refuses them all.
pub const ANNOTATIONS_AT_MOST: usize = 1000;
/// Longest text of a report or an annotation, in characters.
pub(super) const DETAILS: usize = 2000;
/// What is left of the details to say how many annotations have no room, in characters.
const NO_ROOM: usize = 60;

/// A number worth seeing.
#[derive(Clone, Debug, Serialize)]
pub struct DataItem {
    /// What it counts.
    pub title: &'static str,
    /// It.
    #[serde(flatten)]
    pub value: DataValue,
}

/// The value of a number worth seeing.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", content = "value", rename_all = "UPPERCASE")]
pub enum DataValue {
    /// A count.
    Number(u64),
    /// A share in percent.
    Percentage(u64),
    /// Words.
    Text(String),
}

/// A remark on a line of the policy.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotation {
    /// What there is to say.
    pub message: String,
    /// How much it matters.
    pub severity: AnnotationSeverity,
    /// Path of the file in the repository; without one the remark is on the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Line, from 1; 0 is the whole file.
    pub line: u32,
}

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AnnotationSeverity {
    /// It stops the plan from being applied, or cannot be undone.
    High,
    /// Something changes.
    Medium,
    /// Something is worth knowing.
    Low,
}

#[derive(Serialize)]
struct Report<'a> {
    title: &'a str,
    details: String,
    result: &'a str,
    reporter: &'a str,
    data: &'a [DataItem],
}

#[derive(Serialize)]
struct Annotations<'a> {
    annotations: &'a [Annotation],
}

/// Replaces the report of `commit`, and returns how many annotations there was no room for.
pub(super) async fn publish(
    client: &HttpClient,
    pull_request: &PullRequest,
    commit: &str,
    publication: &Publication,
) -> Result<usize, HttpError> {
    let path = format!(
        "{}/commits/{}/reports/tokenwarden.{}",
        pull_request.repository_path("insights/latest"),
        segment(commit),
        segment(&publication.key)
    );
    // Annotations are added to those that are there, so that the old report goes first.
    match client.send(Method::DELETE, &path, &[], None::<&()>).await {
        Err(error) if error.status() != Some(StatusCode::NOT_FOUND) => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let left_out = publication.annotations.len().saturating_sub(ANNOTATIONS_AT_MOST);
    let mut details = shorten(&publication.summary, DETAILS - NO_ROOM);
    if left_out > 0 {
        // Writing into a `String` cannot fail.
        let _ = write!(details, " {left_out} remarks are left out for lack of room.");
    }
    let report = Report {
        title: &publication.title,
        details,
        result: if publication.passed { "PASS" } else { "FAIL" },
        reporter: "tokenwarden",
        data: publication.data.get(..DATA_AT_MOST).unwrap_or(&publication.data),
    };
    client.send(Method::PUT, &path, &[], Some(&report)).await?;
    let mut annotations = publication.annotations.clone();
    annotations.sort_by_key(|annotation| annotation.severity);
    annotations.truncate(ANNOTATIONS_AT_MOST);
    for annotation in &mut annotations {
        annotation.message = shorten(&annotation.message, DETAILS);
        // A path that is too long is none that a repository has.
        annotation.path = annotation.path.take().filter(|path| path.chars().count() <= LONGEST);
    }
    if !annotations.is_empty() {
        let body = Annotations { annotations: &annotations };
        client.send(Method::POST, &format!("{path}/annotations"), &[], Some(&body)).await?;
    }
    Ok(left_out)
}
