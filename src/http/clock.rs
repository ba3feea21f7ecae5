//! The clock of a server as the dates of its answers show it.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Response, header};

use crate::world::system_time;

/// Dates of answers have whole seconds: what they say holds for one more.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(1);

/// How far the clock of a server is ahead of ours, between two bounds; negative when it is behind.
///
/// Several answers narrow it down. Where they contradict each other, as the nodes of a cluster may, it spans
/// what each of them says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// What each answer says at least: the least and the most of that.
    least: (SignedDuration, SignedDuration),
    /// What each answer says at most: the least and the most of that.
    most: (SignedDuration, SignedDuration),
}

impl ClockOffset {
    /// What an answer of the date `date` says, whose request was sent at `sent` by our clock, and which began
    /// to arrive at `received`.
    #[must_use]
    pub fn of_answer(date: Timestamp, sent: Timestamp, received: Timestamp) -> Self {
        let (least, most) = (date.duration_since(received), date.duration_since(sent) + RESOLUTION);
        Self { least: (least, least), most: (most, most) }
    }

    /// What two answers say together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let both = |one: (SignedDuration, SignedDuration), other: (SignedDuration, SignedDuration)| {
            (one.0.min(other.0), one.1.max(other.1))
        };
        Self { least: both(self.least, other.least), most: both(self.most, other.most) }
    }

    fn bounds(self) -> (SignedDuration, SignedDuration) {
        let agreed = (self.least.1, self.most.0);
        if agreed.0 <= agreed.1 { agreed } else { (self.least.0, self.most.1) }
    }

    /// How far the clocks may be apart at most: what is not certain counts against them.
    #[must_use]
    pub fn apart(self) -> SignedDuration {
        let (least, most) = self.bounds();
        least.abs().max(most.abs())
    }

    /// Whether the clock of the server is ahead; `None` when the answers do not tell.
    #[must_use]
    pub fn is_ahead(self) -> Option<bool> {
        let (least, most) = self.bounds();
        if least.is_positive() {
            Some(true)
        } else if most.is_negative() {
            Some(false)
        } else {
            None
        }
    }

    /// What time it is on the server when it is `ours` here: as near to that as the answers admit.
    #[must_use]
    pub fn now(self, ours: Timestamp) -> Timestamp {
        let (least, most) = self.bounds();
        moved(ours, SignedDuration::ZERO.clamp(least, most))
    }

    /// What time it is on the server at the latest when it is `ours` here.
    #[must_use]
    pub fn latest(self, ours: Timestamp) -> Timestamp {
        moved(ours, self.bounds().1)
    }
}

/// `moment` moved by `by`, within what can be written.
fn moved(moment: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    moment.checked_add(by).unwrap_or(end)
}

/// The dates that `response` has, UTC: one, unless something between us and the server adds its own.
pub(super) fn dates(response: &Response) -> impl Iterator<Item = Timestamp> + '_ {
    let dates = response.headers().get_all(header::DATE).iter().filter_map(|date| date.to_str().ok());
    dates.filter_map(|date| Timestamp::try_from(httpdate::parse_http_date(date.trim()).ok()?).ok())
}

/// Gathers what answers say of the clock.
#[derive(Default)]
pub(super) struct ClockObserver(Mutex<Option<ClockOffset>>);

impl ClockObserver {
    /// Takes note of `response`, to a request that was sent at `sent`, and which begins to arrive now. Errors
    /// of the server may result from something between us; an old answer of a cache has an old date.
    pub(super) fn note(&self, sent: Timestamp, response: &Response) {
        let received = system_time();
        let headers = response.headers();
        if response.status().is_server_error() || headers.get(header::AGE).is_some_and(|age| age != "0") {
            return;
        }
        let said =
            dates(response).map(|date| ClockOffset::of_answer(date, sent, received)).reduce(ClockOffset::and);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = known.into_iter().chain(said).reduce(ClockOffset::and);
    }

    /// What all answers say together; `None` when none had a date.
    pub(super) fn offset(&self) -> Option<ClockOffset> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn answers_that_contradict_each_other_count_with_all_that_lies_between_them() {
        let one = ClockOffset::of_answer(at(0), at(0), at(100));
        let other = ClockOffset::of_answer(at(300_000), at(200), at(300));
        let both = one.and(other);
        assert!(both.apart() > SignedDuration::from_secs(299));
        assert_eq!(both.now(at(400)), at(400));
        assert!(both.latest(at(400)) >= at(300_000));
        assert_eq!(both.is_ahead(), None);
    }

    #[test]
    fn a_date_at_the_end_of_the_calendar_is_far_ahead_and_nothing_breaks() {
        let offset = ClockOffset::of_answer(Timestamp::MAX, at(0), at(100));
        assert_eq!(offset.now(at(200)), Timestamp::MAX);
        assert_eq!(offset.is_ahead(), Some(true));
        let offset = ClockOffset::of_answer(Timestamp::MIN, at(0), at(100));
        assert!(offset.now(at(200)) < at(-1_000_000));
    }

    proptest! {
        #[test]
        fn the_bounds_hold_the_truth_and_clocks_that_agree_leave_ours_as_it_is(
            truth in -100_000_000_000i64..100_000_000_000,
            calls in prop::collection::vec((0i64..10_000, 0i64..3_000, 0i64..3_000), 1..8),
        ) {
            let said = |truth: i64| {
                calls.iter().map(|&(sent, there, back)| {
                    let on_server = at(sent + there + truth).as_second();
                    let date = Timestamp::from_second(on_server).unwrap();
                    ClockOffset::of_answer(date, at(sent), at(sent + there + back))
                }).reduce(ClockOffset::and).unwrap()
            };
            let offset = said(truth);
            let shortest = calls.iter().map(|(_, there, back)| there + back).min().unwrap();
            let server = at(50_000 + truth).as_millisecond();
            prop_assert!(offset.latest(at(50_000)).as_millisecond() >= server);
            let off = (offset.now(at(50_000)).as_millisecond() - server).abs();
            prop_assert!(off <= shortest + 1_000, "{off} ms");
            prop_assert_eq!(said(0).now(at(50_000)), at(50_000));
        }
    }
}
