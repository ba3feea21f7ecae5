//! The uses of tokens that the server behind confirmed, and no others: whoever knows the number of a token could keep
//! it in use otherwise.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::{
    judge::Confirms,
    mirror::{Mirror, number},
};
use crate::{model::LastUse, serve::store::Use, targets::bitbucket};

impl Mirror {
    /// Takes note that the token was used from `client` at `now`, if the answer with this `status` and these `headers`
    /// `confirms` it: the server behind took it for what it is. Returns whether it did.
    pub async fn confirm(
        &self,
        (status, headers): (StatusCode, &HeaderMap),
        confirms: &Confirms,
        client: Option<IpAddr>,
        now: Timestamp,
    ) -> bool {
        let is_confirmed =
            status != StatusCode::UNAUTHORIZED && bitbucket::confirms(headers, &confirms.owner);
        let number = number(&confirms.token).and_then(|number| i64::try_from(number).ok());
        if let Some(token) = number.filter(|_| is_confirmed) {
            let last_use = LastUse { at: now, from: client };
            self.uses.record(self.store(), Use { token, last_use }).await;
        }
        is_confirmed
    }
}
