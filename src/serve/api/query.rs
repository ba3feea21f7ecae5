//! Query strings as clients send them, taken apart, or words on what is wrong with them.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use jiff::Timestamp;

use crate::serve::problem::Problem;

/// The parts of a query string, in order; a name may come more than once.
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(parameters)| Self(parameters))
            .map_err(|_| Problem::bad_request("The query string cannot be read."))
    }
}

impl Parameters {
    /// All values of `name`. An empty one is a value: taking it for none would answer too much.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| &**value)
    }

    /// The value of `name`; `None` when it is not given.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Problem::bad_request(format!("`{name}` can be given once only."))),
            (value, None) => Ok(value),
        }
    }

    /// The number `name`, from `least` on.
    pub(super) fn number(&self, name: &str, least: i64) -> Result<Option<i64>, Problem> {
        let bad = || Problem::bad_request(format!("`{name}` takes a whole number from {least} on."));
        self.one(name)?
            .map(|text| text.parse().ok().filter(|&number| number >= least).ok_or_else(bad))
            .transpose()
    }

    /// The moment `name`, in milliseconds since 1970-01-01T00:00:00Z.
    pub(super) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let bad = || Problem::bad_request(format!("`{name}` takes milliseconds since 1970-01-01T00:00:00Z."));
        self.one(name)?
            .map(|text| text.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).ok_or_else(bad))
            .transpose()
    }

    /// Refuses names that are not among `known`, in which `N` between dots matches any number.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        for (given, _) in &self.0 {
            let parts: Vec<_> =
                given.split('.').map(|part| if is_number(part) { "N" } else { part }).collect();
            if !known.contains(&&*parts.join(".")) {
                let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let message = format!("Unknown parameter `{given}`; this list takes {known}.");
                return Err(Problem::bad_request(message));
            }
        }
        Ok(())
    }

    /// The names and values whose name begins with `name`, by itself or before a dot.
    pub(super) fn below<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(|(given, value)| (&**given, &**value)).filter(move |(given, _)| {
            given.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}
