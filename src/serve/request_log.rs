//! What the log shows of requests: no secrets, and only a bounded part of what anybody may send.

use std::{
    borrow::Cow,
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::throttle::network;
use crate::model::{leak::BITBUCKET_PREFIX, secret::PREFIX};

/// The most bytes shown of what a client sent.
const SHOWN: usize = 256;
/// How long lines are counted together.
const WINDOW: Duration = Duration::from_secs(10);
/// The most lines for one address in that time; further ones are counted.
const LINES: u64 = 50;
/// The most addresses that are told apart; further ones are counted together.
const ADDRESSES: usize = 10_000;
/// A word this long may be a secret of any product, in bytes.
const SECRET_AT_LEAST: usize = 40;
/// What replaces a secret.
const HIDDEN: &str = "(hidden)";

/// `text`, which a client sent, without secrets and cut.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if is_harmless(text) { Cow::Borrowed(text) } else { Cow::Owned(without_secrets(text)) }
}

/// Whether `text` is short and has nothing in it that could be hidden, as nearly everything that is sent.
fn is_harmless(text: &str) -> bool {
    let mut of_one_word = 0;
    let is_short = |byte: u8| {
        of_one_word = if is_of_secret(byte.into()) { of_one_word + 1 } else { 0 };
        of_one_word < SECRET_AT_LEAST
    };
    text.len() <= SHOWN
        && text.is_ascii()
        && text.bytes().all(is_short)
        && !text.contains(BITBUCKET_PREFIX)
        && !text.contains(PREFIX)
}

fn without_secrets(text: &str) -> String {
    let mut shown = String::new();
    for word in text.split_inclusive(|c: char| !is_of_secret(c)) {
        let end = word.find(|c: char| !is_of_secret(c)).unwrap_or(word.len());
        let (word, rest) = word.split_at(end);
        if word.contains(BITBUCKET_PREFIX) {
            // Its secrets are in Base64, of which a slash is part as well.
            shown.push_str(HIDDEN);
            break;
        }
        shown.push_str(if looks_secret(word) { HIDDEN } else { word });
        shown.push_str(rest);
        if shown.len() > SHOWN {
            let end = shown.floor_char_boundary(SHOWN);
            shown.truncate(end);
            shown.push_str("..");
            break;
        }
    }
    shown
}

/// Whether `c` can be part of a secret, also of one that is percent-encoded or of another product.
fn is_of_secret(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '%' | '+' | '=' | '.' | '~')
}

/// Whether `word` is as long as a secret and looks as random. What this server calls by such long names is known by
/// its number.
fn looks_secret(word: &str) -> bool {
    let kinds = [
        word.bytes().any(|byte| byte.is_ascii_lowercase()),
        word.bytes().any(|byte| byte.is_ascii_uppercase()),
        word.bytes().any(|byte| byte.is_ascii_digit()),
    ];
    word.contains(PREFIX)
        || (word.len() >= SECRET_AT_LEAST && kinds.iter().filter(|kind| **kind).count() >= 2)
}

/// Counts the requests of unknown senders.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<HashMap<IpAddr, Window>>);

#[derive(Debug)]
struct Window {
    since: Instant,
    requests: u64,
}

impl Strangers {
    /// Whether one more request from `address` gets a line of its own at `now`.
    pub(super) fn gets_line(&self, address: IpAddr, now: Instant) -> bool {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut address = network(address);
        if windows.len() >= ADDRESSES && !windows.contains_key(&address) {
            address = Ipv6Addr::UNSPECIFIED.into();
        }
        let window = windows.entry(address).or_insert(Window { since: now, requests: 0 });
        window.requests += 1;
        window.requests <= LINES
    }

    /// How many requests got no line, by address, in the times that are over at `now`, which are forgotten.
    fn over(&self, now: Instant) -> Vec<(IpAddr, u64)> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        windows
            .extract_if(|_, window| now.duration_since(window.since) >= WINDOW)
            .map(|(address, window)| (address, window.requests.saturating_sub(LINES)))
            .filter(|(_, silent)| *silent > 0)
            .collect()
    }

    /// Logs the requests that got no line, again and again, until it is dropped.
    pub(super) async fn keep_telling(&self) {
        loop {
            tokio::time::sleep(WINDOW / 2).await;
            for (network, requests) in self.over(Instant::now()) {
                tracing::info!(%network, requests, "further requests without valid credentials");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::model::TokenSecret;

    #[test]
    fn a_path_is_cut_and_shows_no_secret() {
        assert_eq!(shown("/rest/api/latest/users/mary"), "/rest/api/latest/users/mary");
        let run = "/rest/tokenwarden/1/runs/11111111-2222-3333-4444-555555555555/end";
        assert_eq!(shown(run), run);
        assert!(shown(&"/x".repeat(100_000)).len() <= SHOWN + 2);
        assert!(shown(&format!("/{}", "ä".repeat(500))).len() <= SHOWN + 2);
        let secret = TokenSecret::from_random([7; 32]).expose().to_owned();
        let encoded = secret.replace('_', "%5F");
        let foreign = "BBDC-MDEyMzQ1Njc4OTAxOnrWkMZtMtLkLkLkLkLkLkLkLkLk";
        let with_slashes = "BBDC-MDEyMzQ1Njc4/OTAxOnrWkMZtMtLk/kLkLkLkLkLk";
        assert!(!shown(&format!("/x/{with_slashes}")).contains("OTAxOnrW"));
        for hidden in [&*secret, &encoded, foreign, with_slashes, &format!("x{secret}")] {
            for path in
                [format!("/{hidden}"), format!("/token/{hidden}/x"), format!("{}{hidden}", "/x".repeat(127))]
            {
                let shown = shown(&path);
                assert!(!shown.contains(hidden.get(..10).unwrap()), "{shown}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_at_once_is_what_would_be_shown_of_it(
            words in vec(select(vec!["/", "rest", "tw_", "BBDC-", "a1B2", "%2f", "ä", "...", "tokens", " "]), 0..90),
        ) {
            let text = words.concat();
            prop_assert_eq!(shown(&text), without_secrets(&text));
        }
    }

    #[test]
    fn of_many_requests_of_one_address_a_few_get_a_line_and_the_others_are_counted() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        let address = |number: u32| IpAddr::V4(number.into());
        let lines = (0..LINES + 7).filter(|_| strangers.gets_line(address(1), now)).count();
        assert_eq!(lines as u64, LINES);
        assert!(strangers.gets_line(address(2), now), "another address has lines of its own");
        assert_eq!(strangers.over(now), []);
        assert_eq!(strangers.over(now + WINDOW), [(address(1), 7)]);
        assert!(strangers.gets_line(address(1), now + WINDOW));
        for number in 0..u32::try_from(ADDRESSES).unwrap() + 100 {
            strangers.gets_line(address(number), now);
        }
        assert!(strangers.0.lock().unwrap().len() <= ADDRESSES + 1);
    }
}
