//! The least time a reading must take, from the number of its calls and the rate limit of the server.

use crate::model::UserName;

/// A reading of more calls than a server lets us make at once. It counts calls by what there is to read,
/// and not by how often one had to be repeated, so that the same state says the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Users, projects and repositories that are asked for their tokens, by at least one call each.
    pub owners: u64,
    /// The limit that they are under.
    pub limit: RateLimit,
    /// Whom the server takes us for, where it tells.
    pub user: Option<UserName>,
}

/// How many calls a server lets one user make: a bucket of tokens, of which each call takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many at once.
    pub at_once: u64,
    /// And how many in each second after that; never 0.
    pub per_second: u64,
}

impl Pace {
    /// How many seconds the reading takes at least; 0 when the limit does not matter.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        let RateLimit { at_once, per_second } = self.limit;
        self.owners.saturating_sub(at_once).div_ceil(per_second.max(1))
    }
}
