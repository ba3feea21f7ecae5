//! Pages of a listing in Bitbucket's REST. Nothing is counted: a page begins at a number that the page
//! before names as `nextPageStart`, so that every page takes the same time.

use std::sync::Arc;

use axum::{Json, extract::FromRequestParts, http::request::Parts};
use schemars::JsonSchema;
use serde::Serialize;

use super::{endpoint::Parameter, query::Parameters};
use crate::serve::{App, problem::Problem, store::PageRequest};

const LIMIT_BY_DEFAULT: i64 = 25;
const LIMIT_AT_MOST: i64 = 1_000;

/// The parameters that say which page is asked for.
pub(super) const PAGING: &[Parameter] = &[
    Parameter::number("start", "Where the page begins: `nextPageStart` of the page before", 0),
    Parameter::number("limit", "The most values a page has; 25 by default, 1000 at most", 1),
];

/// A page, as Bitbucket has them.
#[derive(Serialize, JsonSchema)]
pub(super) struct Page<T> {
    /// How many values this page has.
    size: usize,
    /// The most values that a page has.
    limit: i64,
    #[serde(rename = "isLastPage")]
    is_last: bool,
    values: Vec<T>,
    start: i64,
    /// The `start` of the next page; nothing on the last one.
    #[serde(rename = "nextPageStart", skip_serializing_if = "Option::is_none")]
    next_start: Option<i64>,
}

/// A page, or why there is none.
pub(super) type Answer<T> = Result<Json<Page<T>>, Problem>;

/// Which page is asked for.
pub(super) struct Paging(PageRequest);

impl FromRequestParts<Arc<App>> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        Self::of(&Parameters::from_request_parts(parts, app).await?)
    }
}

impl Paging {
    /// Which page `parameters` ask for.
    pub(super) fn of(parameters: &Parameters) -> Result<Self, Problem> {
        Ok(Self(PageRequest {
            start: parameters.number("start", 0)?.unwrap_or(0),
            limit: parameters.number("limit", 1)?.unwrap_or(LIMIT_BY_DEFAULT).min(LIMIT_AT_MOST),
        }))
    }

    /// One row more than the page has: where the next page begins, if there is one.
    pub(super) fn one_more(&self) -> PageRequest {
        PageRequest { limit: self.0.limit + 1, ..self.0 }
    }

    /// The page of a list in which there is nothing.
    pub(super) fn empty<T>(&self) -> Json<Page<T>> {
        let PageRequest { start, limit } = self.0;
        Json(Page { size: 0, limit, is_last: true, values: Vec::new(), start, next_start: None })
    }

    /// The page of `rows`, which were asked for by [`Self::one_more`]; each is shown by `show`, and
    /// `number` is its place.
    pub(super) fn page<R, T>(
        &self,
        mut rows: Vec<R>,
        number: fn(&R) -> i64,
        show: impl Fn(R) -> T,
    ) -> Json<Page<T>> {
        let PageRequest { start, limit } = self.0;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let next_start = rows.get(most).map(number);
        rows.truncate(most);
        let values: Vec<T> = rows.into_iter().map(show).collect();
        Json(Page { size: values.len(), limit, is_last: next_start.is_none(), values, start, next_start })
    }
}
