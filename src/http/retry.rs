//! How long to wait before a failed call is retried, or that it is given up. What may have taken effect is
//! never repeated.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;

use super::HttpError;

/// How calls that failed are repeated. Waiting times double, with jitter, and are never shorter than
/// the server asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Tries in all when a connection is refused, or breaks. One that does not come about within its time
    /// is not tried again.
    pub tries_when_broken: u32,
    /// Tries in all when the server is busy.
    pub tries_when_busy: u32,
    /// How long to wait before the second try, at most.
    pub first_wait: Duration,
    /// How long to wait before any try, at most, unless the server asks for more.
    pub longest_wait: Duration,
    /// No try begins later than this after the first one began, whatever the server asks for.
    pub within: Duration,
}

impl Default for Retries {
    /// A server that is away is given up after about two seconds, one that is busy after half a
    /// minute, or after two when it says when to come back.
    fn default() -> Self {
        Self {
            tries_when_broken: 4,
            tries_when_busy: 8,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(16),
            within: Duration::from_mins(2),
        }
    }
}

/// Why a call may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// No connection came about, or it broke.
    Broken,
    /// The server is busy; how long it asks to be left alone.
    Busy(Option<Duration>),
}

impl Again {
    /// Why a call that failed with `error` may be tried again; `None` when it must not be. What is no
    /// read is repeated only when it is certain that nothing happened: without a connection, and
    /// when the server counted it as one too many.
    pub(super) fn after(error: &HttpError, is_read: bool) -> Option<Self> {
        match error {
            HttpError::Unreachable { source, .. } if source.is_builder() => None,
            // The system knocked several times meanwhile, and each try would take as long again.
            HttpError::Unreachable { source, .. } if source.is_connect() && source.is_timeout() => None,
            HttpError::Unreachable { source, .. } => (is_read || source.is_connect()).then_some(Self::Broken),
            HttpError::Refused { status, retry_after, .. } => match *status {
                StatusCode::TOO_MANY_REQUESTS => Some(Self::Busy(*retry_after)),
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                    is_read.then_some(Self::Busy(*retry_after))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl Retries {
    /// How long to wait before a call is tried again that was tried `tries` times since `elapsed`;
    /// `None` when it is given up. `random` is any number, each as likely.
    pub(super) fn wait(self, again: Again, tries: u32, elapsed: Duration, random: u64) -> Option<Duration> {
        let (most, asked) = match again {
            Again::Broken => (self.tries_when_broken, None),
            Again::Busy(asked) => (self.tries_when_busy, asked),
        };
        let ceiling = self.first_wait.saturating_mul(1 << (tries - 1).min(16)).min(self.longest_wait);
        // Half of it is fixed, so that the server gets its rest, and half is jitter.
        let jitter = share(ceiling / 2, random);
        let wait = (ceiling / 2).max(asked.unwrap_or_default()).saturating_add(jitter);
        (tries < most && elapsed.saturating_add(wait) <= self.within).then_some(wait)
    }
}

/// The share of `whole` that `random` is of all numbers.
fn share(whole: Duration, random: u64) -> Duration {
    let nanoseconds = u128::from(random).saturating_mul(whole.as_nanos()) >> 64;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// How long `value`, a `Retry-After` header (RFC 9110, section 10.2.3: seconds or an HTTP date), asks to
/// wait when it is `now`; `None` when it is neither.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "2026-11-23T12:00:00Z";

    #[test]
    fn a_server_may_ask_for_a_time_in_seconds_or_as_a_date() {
        let asked = |value| retry_after(value, NOW.parse().unwrap());
        assert_eq!(asked("120"), Some(Duration::from_mins(2)));
        assert_eq!(asked(" 0 "), Some(Duration::ZERO));
        assert_eq!(asked("Mon, 23 Nov 2026 12:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(asked("Mon, 23 Nov 2026 11:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-5"), None);
    }

    #[test]
    fn a_server_that_asks_for_more_than_we_have_is_given_up_at_once() {
        let retries = Retries::default();
        let hour = Again::Busy(Some(Duration::from_hours(1)));
        assert_eq!(retries.wait(hour, 1, Duration::ZERO, 0), None);
        let minute = Again::Busy(Some(Duration::from_mins(1)));
        assert!(retries.wait(minute, 1, Duration::ZERO, 0).is_some());
        assert_eq!(retries.wait(minute, 2, Duration::from_secs(61), 0), None);
    }

    proptest! {
        #[test]
        fn waits_grow_stay_in_their_bounds_and_heed_the_server(
            random: u64, other: u64, tries in 1u32..20, asked in prop::option::of(0u64..30), elapsed in 0u64..120,
        ) {
            let retries = Retries::default();
            let (asked, elapsed) = (asked.map(Duration::from_secs), Duration::from_secs(elapsed));
            let again = Again::Busy(asked);
            if let Some(wait) = retries.wait(again, tries, elapsed, random) {
                prop_assert!(tries < retries.tries_when_busy);
                prop_assert!(wait >= asked.unwrap_or_default());
                prop_assert!(wait <= retries.longest_wait.max(asked.unwrap_or_default() + retries.longest_wait / 2));
                prop_assert!(elapsed + wait <= retries.within);
            }
            if let (Some(now), Some(later)) =
                (retries.wait(Again::Broken, tries, elapsed, random), retries.wait(Again::Broken, tries + 1, elapsed, other))
            {
                prop_assert!(later >= now.min(retries.longest_wait / 2), "{now:?} {later:?}");
            }
        }
    }
}
