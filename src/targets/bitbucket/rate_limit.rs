//! The rate limit of Bitbucket for a client, where it tells. It never fails: a server that does not tell
//! does not limit us as far as anybody knows.
//!
//! Bitbucket counts the calls of every user in a bucket of tokens, 60 at once and 5 a second unless an
//! administrator says something else. Anyone who is signed in may read the limit of all; that of one user,
//! and whether it is exempt, is for administrators. Paths and fields are those of the REST specifications
//! 8.19 to 10.3.

use serde::Deserialize;

use crate::{
    inventory::RateLimit,
    model::UserName,
    targets::atlassian::{Number, segment},
};

use super::Bitbucket;

const LIMITS: &str = "/rest/api/latest/admin/rate-limit/settings";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateLimitSettings {
    enabled: bool,
    default_settings: Bucket,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    capacity: Number,
    fill_rate: Number,
}

impl Bucket {
    /// `None` when these are no numbers that a bucket can have.
    fn limit(&self) -> Option<RateLimit> {
        let number = |number: &Number| number.value().and_then(|number| u64::try_from(number).ok());
        let per_second = number(&self.fill_rate).filter(|rate| *rate > 0)?;
        Some(RateLimit { at_once: number(&self.capacity)?, per_second })
    }
}

/// What is settled for one user.
#[derive(Deserialize)]
struct OfUser {
    whitelisted: Option<bool>,
    settings: Option<Bucket>,
}

impl Bitbucket {
    /// The limit that our calls are under; `None` where the server does not tell of one.
    pub async fn rate_limit(&self) -> Option<RateLimit> {
        self.read_rate_limit().await.map(|(limit, _)| limit)
    }

    /// The limit that our calls are under, and whom the server takes us for. The users must have been
    /// read, whose slugs are in paths.
    pub(super) async fn read_rate_limit(&self) -> Option<(RateLimit, Option<UserName>)> {
        let answer = self.client.get::<RateLimitSettings>(LIMITS, &[]).await.ok()?;
        let limits = Some(answer.body).filter(|limits| limits.enabled)?;
        let user = answer.user.or_else(|| self.credential().1);
        let own = match &user {
            Some(user) => self.read_own(user).await,
            None => None,
        };
        let limit = match own {
            Some(OfUser { whitelisted: Some(true), .. }) => None,
            Some(OfUser { settings: Some(bucket), .. }) => bucket.limit(),
            _ => limits.default_settings.limit(),
        };
        Some((limit?, user))
    }

    async fn read_own(&self, user: &UserName) -> Option<OfUser> {
        let slug = segment(&self.slugs.of(user)).ok()?;
        Some(self.client.get::<OfUser>(&format!("{LIMITS}/users/{slug}"), &[]).await.ok()?.body)
    }
}
