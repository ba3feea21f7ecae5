//! Figures of the gateway in the text format of Prometheus: requests by class, decision and status, and how long they
//! took until their answer began.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;

use super::mirror::Mirror;
use jiff::Timestamp;

/// The upper ends of the ranges of latencies, in seconds.
const RANGES: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// One request that was answered.
#[derive(Clone, Copy)]
pub(super) struct Passage {
    /// The word for what it was.
    pub(super) class: &'static str,
    /// `permit`, or why not.
    pub(super) reason: &'static str,
    pub(super) status: StatusCode,
    /// Until its answer began.
    pub(super) took: Duration,
}

/// Everything that is counted. Labels are words of ours alone, so that nobody can make more of them.
#[derive(Debug, Default)]
pub(in crate::serve) struct Figures(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<(&'static str, &'static str, u16), u64>,
    latencies: BTreeMap<&'static str, Latency>,
    unconfirmed: u64,
}

#[derive(Debug, Default)]
struct Latency {
    /// Below each end of the ranges, and all.
    below: [u64; RANGES.len()],
    count: u64,
    seconds: f64,
}

impl Figures {
    /// Counts a request.
    pub(super) fn note(&self, passage: Passage) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (passage.class, passage.reason, passage.status.as_u16());
        *counts.requests.entry(key).or_default() += 1;
        let latency = counts.latencies.entry(passage.class).or_default();
        let seconds = passage.took.as_secs_f64();
        latency.count += 1;
        latency.seconds += seconds;
        for (below, end) in latency.below.iter_mut().zip(RANGES) {
            *below += u64::from(seconds <= end);
        }
    }

    /// Counts a use that the upstream did not confirm.
    pub(super) fn unconfirmed(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unconfirmed += 1;
    }

    /// All figures, with those of `mirror` at `now`.
    pub(in crate::serve) fn text(&self, mirror: Option<&Mirror>, now: Timestamp) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        // Writing to a text never fails.
        let _ = counts.write(&mut text);
        if let Some(mirror) = mirror {
            let _ = write_mirror(&mut text, mirror, now);
        }
        text
    }
}

impl Counts {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        out.push_str("# HELP tokenwarden_requests_total Requests by class, decision and status.\n");
        out.push_str("# TYPE tokenwarden_requests_total counter\n");
        for ((class, reason, status), count) in &self.requests {
            let decision = if *reason == "permit" { "permit" } else { "refuse" };
            writeln!(
                out,
                "tokenwarden_requests_total{{class=\"{class}\",decision=\"{decision}\",reason=\"{reason}\",\
                 status=\"{status}\"}} {count}"
            )?;
        }
        out.push_str("# HELP tokenwarden_request_seconds How long a request took until its answer began.\n");
        out.push_str("# TYPE tokenwarden_request_seconds histogram\n");
        for (class, latency) in &self.latencies {
            let name = "tokenwarden_request_seconds";
            for (below, end) in latency.below.iter().zip(RANGES) {
                writeln!(out, "{name}_bucket{{class=\"{class}\",le=\"{end}\"}} {below}")?;
            }
            writeln!(out, "{name}_bucket{{class=\"{class}\",le=\"+Inf\"}} {}", latency.count)?;
            writeln!(out, "{name}_sum{{class=\"{class}\"}} {}", latency.seconds)?;
            writeln!(out, "{name}_count{{class=\"{class}\"}} {}", latency.count)?;
        }
        out.push_str(
            "# HELP tokenwarden_uses_unconfirmed_total Requests with a token that the upstream did not confirm.\n",
        );
        out.push_str("# TYPE tokenwarden_uses_unconfirmed_total counter\n");
        writeln!(out, "tokenwarden_uses_unconfirmed_total {}", self.unconfirmed)
    }
}

fn write_mirror(out: &mut String, mirror: &Mirror, now: Timestamp) -> std::fmt::Result {
    out.push_str("# HELP tokenwarden_mirror_tokens Tokens of the upstream that are known.\n");
    out.push_str("# TYPE tokenwarden_mirror_tokens gauge\n");
    writeln!(out, "tokenwarden_mirror_tokens {}", mirror.status().tokens)?;
    if let Some(age) = mirror.age(now) {
        out.push_str("# HELP tokenwarden_mirror_age_seconds How long ago the last complete reading began.\n");
        out.push_str("# TYPE tokenwarden_mirror_age_seconds gauge\n");
        writeln!(out, "tokenwarden_mirror_age_seconds {}", age.as_secs())?;
    }
    out.push_str("# HELP tokenwarden_mirror_stale Whether what is known is too old to decide on.\n");
    out.push_str("# TYPE tokenwarden_mirror_stale gauge\n");
    writeln!(out, "tokenwarden_mirror_stale {}", u8::from(mirror.is_stale(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_became_of_them_and_by_how_long_they_took() {
        let figures = Figures::default();
        let note = |reason, status, millis| {
            let (took, status) = (Duration::from_millis(millis), StatusCode::from_u16(status).unwrap());
            figures.note(Passage { class: "git-read", reason, status, took });
        };
        note("permit", 200, 20);
        note("permit", 200, 7);
        note("network", 403, 1);
        let text = figures.text(None, Timestamp::UNIX_EPOCH);
        for line in [
            "tokenwarden_requests_total{class=\"git-read\",decision=\"permit\",reason=\"permit\",status=\"200\"} 2",
            "tokenwarden_requests_total{class=\"git-read\",decision=\"refuse\",reason=\"network\",status=\"403\"} 1",
            "tokenwarden_request_seconds_bucket{class=\"git-read\",le=\"0.005\"} 1",
            "tokenwarden_request_seconds_bucket{class=\"git-read\",le=\"0.01\"} 2",
            "tokenwarden_request_seconds_bucket{class=\"git-read\",le=\"+Inf\"} 3",
            "tokenwarden_request_seconds_count{class=\"git-read\"} 3",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in {text}");
        }
    }
}
