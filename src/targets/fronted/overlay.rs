//! What the gateway knows of tokens beside what the server behind it tells: how they are restricted, and when and from
//! where they were used.

use std::collections::HashMap;

use jiff::SignedDuration;

use crate::{
    http::HttpError,
    model::{LastUse, Restriction, Token, TokenScope},
    targets::gateway::Gateway,
};

/// So much later the server behind may note the use that the gateway saw: both clocks are compared with ours, and none
/// is off by more.
const SAME_USE: SignedDuration = SignedDuration::from_mins(10);

/// What the gateway knows of tokens, by their numbers.
#[derive(Default)]
pub(super) struct Overlay {
    restrictions: HashMap<u64, Restriction>,
    uses: HashMap<u64, LastUse>,
}

impl Overlay {
    /// What `gateway` knows.
    pub(super) async fn read(gateway: &Gateway) -> Result<Self, HttpError> {
        let mut overlay = Self::default();
        let Self { restrictions, uses } = &mut overlay;
        let number = |id: &str| id.parse().ok();
        gateway.restrictions(|id, held| restrictions.extend(number(id).map(|id| (id, held)))).await?;
        gateway.uses(|id, used| uses.extend(number(id).map(|id| (id, used)))).await?;
        Ok(overlay)
    }

    /// `token` as it is with what the gateway takes from it and saw of it.
    pub(super) fn over(&self, token: Token) -> Token {
        let number: Option<u64> = token.id.as_str().parse().ok();
        let restriction = number.and_then(|number| self.restrictions.get(&number)).copied();
        let used = number.and_then(|number| self.uses.get(&number)).copied();
        over(token, restriction.unwrap_or_default(), used)
    }
}

/// `token` as it is with `restriction`, and with the last use that the gateway saw.
pub(super) fn over(token: Token, restriction: Restriction, used: Option<LastUse>) -> Token {
    let scope = match restriction.max_scope {
        // Of one whose own scope is not told it is known that it reaches no farther.
        Some(most) if token.scope == TokenScope::Unknown || token.scope.effective() > most => {
            TokenScope::Set(most)
        }
        _ => token.scope,
    };
    let expires = [token.expires, restriction.not_after].into_iter().flatten().min();
    Token { scope, expires, last_used: last_of(token.last_used, used), ..token }
}

/// The last use, of what the server behind noted and what the gateway saw. A use that the gateway did not see was from
/// an address that nobody knows.
fn last_of(noted: Option<LastUse>, seen: Option<LastUse>) -> Option<LastUse> {
    match (noted, seen) {
        (Some(noted), Some(seen)) if noted.at <= seen.at => Some(seen),
        (Some(noted), Some(seen)) if noted.at.duration_since(seen.at) <= SAME_USE => {
            Some(LastUse { from: seen.from, ..noted })
        }
        (noted, seen) => noted.or(seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scope;

    fn used(at: &str, from: Option<&str>) -> LastUse {
        LastUse { at: at.parse().unwrap(), from: from.map(|from| from.parse().unwrap()) }
    }

    #[test]
    fn a_use_that_the_gateway_did_not_see_has_no_address() {
        let seen = used("2026-11-23T12:00:00Z", Some("10.0.0.1"));
        for (noted, last) in [
            (None, seen),
            (Some("2026-11-23T11:00:00Z"), seen),
            (Some("2026-11-23T12:03:00Z"), used("2026-11-23T12:03:00Z", Some("10.0.0.1"))),
            (Some("2026-11-23T13:00:00Z"), used("2026-11-23T13:00:00Z", None)),
        ] {
            assert_eq!(last_of(noted.map(|at| used(at, None)), Some(seen)), Some(last), "{noted:?}");
        }
        assert_eq!(last_of(Some(used("2026-11-23T11:00:00Z", None)), None).unwrap().from, None);
    }

    #[test]
    fn a_restriction_lowers_the_scope_and_brings_the_end_nearer_and_never_the_other_way() {
        let token = |scope, expires: Option<&str>| Token {
            id: crate::model::TokenId::new("1"),
            owner: crate::model::Owner::Project("PLAT".to_owned()),
            description: String::new(),
            scope,
            created: jiff::Timestamp::UNIX_EPOCH,
            created_by: None,
            last_used: None,
            expires: expires.map(|text| text.parse().unwrap()),
            mark: None,
        };
        let restriction = |max_scope, end: Option<&str>| Restriction {
            max_scope,
            not_after: end.map(|text| text.parse().unwrap()),
        };
        let (low, high) = (Scope::ReadOnly, Scope::ReadWrite);
        let (near, far) = (Some("2027-01-01T00:00:00Z"), Some("2028-01-01T00:00:00Z"));
        for (scope, most, is) in [
            (TokenScope::Set(high), Some(low), TokenScope::Set(low)),
            (TokenScope::Set(low), Some(high), TokenScope::Set(low)),
            (TokenScope::Unset, Some(low), TokenScope::Set(low)),
            (TokenScope::Unknown, Some(low), TokenScope::Set(low)),
            (TokenScope::Unknown, None, TokenScope::Unknown),
        ] {
            assert_eq!(over(token(scope, None), restriction(most, None), None).scope, is);
        }
        for (own, end, is) in [(None, near, near), (far, near, near), (near, far, near), (near, None, near)] {
            let expires = over(token(TokenScope::Set(low), own), restriction(None, end), None).expires;
            assert_eq!(expires, is.map(|text| text.parse().unwrap()));
        }
    }
}
