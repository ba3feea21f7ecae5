//! The metrics of a run in the text format of Prometheus, for a textfile collector or a push gateway. No
//! token or owner is named: labels must stay few. Every sample has the label `target`, so that runs on
//! other targets that write into the same folder never produce the same series twice.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    compliance::WaiverStanding,
    plan::{Origin, PlanView, TokenCounts},
};

use super::{Run, TargetRun, escape::escape_whole};

const LAST_SUCCESS: &str = "tokenwarden_last_success_timestamp_seconds";

/// The run as metrics. `earlier` is what this wrote for the run before, empty when there is none: from
/// it a target that could not be read keeps the moment of its last success.
#[must_use]
pub fn report(run: &Run<'_>, earlier: &str) -> String {
    let mut metrics = Metrics::default();
    metrics.tokens(run);
    metrics.findings(run);
    metrics.work(run);
    metrics.health(run, earlier);
    metrics.text
}

/// The labels of one sample.
type Labels<'a> = Vec<(&'a str, &'a str)>;

#[derive(Default)]
struct Metrics {
    text: String,
}

impl Metrics {
    fn tokens(&mut self, run: &Run<'_>) {
        let counts = latest(run).flat_map(|(target, plan)| {
            plan.statistics
                .counts()
                .map(move |(scope, state, count)| (target, scope.to_string(), state.word(), count))
        });
        let counts: Vec<_> = counts.collect();
        self.gauge(
            "tokenwarden_tokens",
            "API tokens by scope and by state: ending, endless or expired.",
            counts.iter().map(|(target, scope, state, count)| {
                (vec![("target", *target), ("scope", scope), ("state", state)], *count)
            }),
        );
        self.gauge(
            "tokenwarden_tokens_judged",
            "API tokens that comply with every rule, whose findings waivers hold, or that could not be judged.",
            latest(run).flat_map(|(target, plan)| {
                let TokenCounts { complying, waived, unjudged, .. } = plan.tokens;
                [("complying", complying), ("waived", waived), ("unjudged", unjudged)]
                    .map(|(word, count)| (vec![("target", target), ("standing", word)], count))
            }),
        );
        self.gauge(
            "tokenwarden_tokens_ending",
            "API tokens that end by themselves within the given number of days.",
            latest(run).flat_map(|(target, plan)| {
                [("7", plan.statistics.ending_in_7_days()), ("30", plan.statistics.ending_in_30_days())]
                    .map(|(days, count)| (vec![("target", target), ("days", days)], count))
            }),
        );
    }

    fn findings(&mut self, run: &Run<'_>) {
        let mut findings: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        for (target, found) in run.found() {
            *findings.entry((target.name, found.rule.code(), found.remedy.word())).or_default() += 1;
        }
        self.gauge(
            "tokenwarden_findings",
            "Tokens that break a rule, by what is done about it.",
            findings.into_iter().map(|((target, rule, action), count)| {
                (vec![("target", target), ("rule", rule), ("action", action)], count)
            }),
        );
        let standings = [
            ("ended", WaiverStanding::Ended),
            ("ends-soon", WaiverStanding::EndsSoon),
            ("holds-nothing", WaiverStanding::HoldsNothing),
        ];
        self.gauge(
            "tokenwarden_waivers",
            "Waivers that ended, end soon or have no effect.",
            latest(run).flat_map(|(target, plan)| {
                standings.map(|(word, standing)| {
                    let warnings = plan.waiver_warnings.iter();
                    let count = warnings.filter(|warning| warning.standing == standing).count();
                    (vec![("target", target), ("standing", word)], count as u64)
                })
            }),
        );
    }

    fn work(&mut self, run: &Run<'_>) {
        let mut pending: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        for (target, plan) in latest(run) {
            for planned in &plan.changes {
                let origin = planned.origin.map_or("not-compared", Origin::word);
                *pending.entry((target, planned.change.verb().word(), origin)).or_default() += 1;
            }
        }
        self.gauge(
            "tokenwarden_pending_changes",
            "Changes that are left to do, by action and by where they come from: policy, drift or time.",
            pending.into_iter().map(|((target, action, origin), count)| {
                (vec![("target", target), ("action", action), ("origin", origin)], count)
            }),
        );
        self.gauge(
            "tokenwarden_held_back",
            "What the policy wants and cannot be done for now.",
            latest(run).map(|(target, plan)| (vec![("target", target)], plan.held_back.len() as u64)),
        );
        self.gauge(
            "tokenwarden_refusals",
            "Reasons for which the plan is not applied: rails, and those whom it would shut out.",
            run.targets.iter().map(|target| (vec![("target", target.name)], target.refusals.len() as u64)),
        );
        let applied = run.targets.iter().filter_map(|target| Some((target.name, target.applied?.outcome)));
        self.gauge(
            "tokenwarden_applied_changes",
            "Changes of this run, by what became of them.",
            applied.flat_map(|(target, outcome)| {
                [
                    ("done", outcome.done() + outcome.along.len()),
                    ("failed", outcome.failed()),
                    ("not-tried", outcome.not_tried()),
                ]
                .map(|(word, count)| (vec![("target", target), ("result", word)], count as u64))
            }),
        );
    }

    fn health(&mut self, run: &Run<'_>, earlier: &str) {
        self.gauge(
            "tokenwarden_success",
            "Whether everything was seen and judged, and nothing failed or was refused: 1 or 0.",
            run.targets.iter().map(|target| (vec![("target", target.name)], u64::from(target.is_success()))),
        );
        let moments: Vec<_> = run
            .targets
            .iter()
            .filter_map(|target| Some((vec![("target", target.name)], last_success(run, target, earlier)?)))
            .collect();
        self.gauge(LAST_SUCCESS, "The last run that was a success, in seconds since 1970, UTC.", moments);
        self.gauge(
            "tokenwarden_run_timestamp_seconds",
            "The time that this run is for, in seconds since 1970, UTC.",
            run.targets.iter().map(|target| (vec![("target", target.name)], run.at.as_second())),
        );
        self.gauge(
            "tokenwarden_run_duration_seconds",
            "How long this run took, for all its targets together.",
            run.took.iter().flat_map(|took| {
                run.targets.iter().map(|target| (vec![("target", target.name)], took.as_secs_f64()))
            }),
        );
        self.gauge(
            "tokenwarden_calls",
            "Calls that this run made on the server.",
            run.targets.iter().filter_map(|target| Some((vec![("target", target.name)], target.calls?.sent))),
        );
    }

    /// Writes one metric with its samples, unless it has none.
    fn gauge<'a, N: std::fmt::Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, N)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        // Writing into a `String` cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{} {value}", series(name, &labels));
        }
    }
}

/// A name with its labels, such as `tokenwarden_held_back{target="prod"}`.
fn series(name: &str, labels: &[(&str, &str)]) -> String {
    let labels: Vec<_> =
        labels.iter().map(|(label, value)| format!("{label}=\"{}\"", quoted(value))).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

/// A value of a label as it is between quotes, whole, so that two of them never become one.
/// [`escape_whole`] leaves no line end in it.
fn quoted(value: &str) -> String {
    escape_whole(value).replace('\\', "\\\\").replace('"', "\\\"")
}

/// The last success of `target` in seconds since 1970: this run, or the one that `earlier` knows.
fn last_success(run: &Run<'_>, target: &TargetRun<'_>, earlier: &str) -> Option<i64> {
    if target.is_success() {
        return Some(run.at.as_second());
    }
    let series = series(LAST_SUCCESS, &[("target", target.name)]);
    let value = |line: &str| line.strip_prefix(&series)?.strip_prefix(' ')?.parse().ok();
    earlier.lines().find_map(value)
}

/// The plans that fit what the targets were seen to be last, with the names of the targets.
fn latest<'r, 'a>(run: &'r Run<'a>) -> impl Iterator<Item = (&'a str, &'a PlanView)> + use<'r, 'a> {
    run.targets.iter().filter_map(|target| Some((target.name, target.latest()?)))
}
