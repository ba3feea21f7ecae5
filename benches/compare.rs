//! How long a comparison of two policies takes, and how that grows with their networks. It is proof enough for a pull
//! request only when nobody waits for it.
//!
//! `cargo bench --bench compare` ends with 1 when a thousand networks take ten times as long as a hundred, with more than
//! a logarithm on top.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking and prints its result"
)]

use std::{
    fmt::Write,
    hint::black_box,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokenwarden::{
    compare::compare,
    policy::{self, Policy},
};

/// How many networks the policies allow.
const NETWORKS: [usize; 2] = [100, 1_000];
/// How many groups have permissions.
const GROUPS: usize = 50;
/// How many limits there are.
const LIMITS: usize = 20;
/// How much longer the larger comparison may take: ten times, times what the logarithm of the networks grows by.
const GROWTH_AT_MOST: f64 = 15.0;

fn main() -> ExitCode {
    let [base, larger] = NETWORKS.map(|networks| {
        let policies = policies(networks);
        let shortest = (0..20).map(|_| time(&policies)).min().unwrap();
        println!(
            "compare, {networks} networks, {GROUPS} groups, {LIMITS} limits, 10 edits: {:.1} ms",
            shortest.as_secs_f64() * 1_000.0
        );
        shortest
    });
    let growth = larger.as_secs_f64() / base.as_secs_f64();
    println!("compare, 10 times the networks   x{growth:.2}, at most x{GROWTH_AT_MOST}");
    if growth <= GROWTH_AT_MOST { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn time(policies: &(Policy, Policy)) -> Duration {
    let begun = Instant::now();
    differences(black_box(policies));
    begun.elapsed()
}

/// Compares `policies`; each of the edits is seen.
pub(crate) fn differences((before, after): &(Policy, Policy)) {
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let comparison = compare(before, after, None, now);
    assert!(comparison.differences.len() >= 8, "{} differences", comparison.differences.len());
}

/// A policy of so many networks, and the same with ten edits.
pub(crate) fn policies(networks: usize) -> (Policy, Policy) {
    (policy(networks, false), policy(networks, true))
}

fn policy(networks: usize, edited: bool) -> Policy {
    let or = |before: &'static str, after: &'static str| if edited { after } else { before };
    let mut text = "version: 1\npermissions:\n".to_owned();
    // Groups overlap, as they do where each team has some of everything.
    for (name, every, without) in [
        ("use", 1, usize::MAX),
        ("create", 2, usize::MAX),
        ("create_read_write", 3, 9),
        ("manage_others", 7, usize::MAX),
    ] {
        let groups = (0..GROUPS).filter(|group| group % every == 0 && !(edited && *group == without));
        let groups: Vec<String> = groups.map(|group| format!("group-{group}")).collect();
        let more = if name == "use" { or("", ", contractors") } else { "" };
        writeln!(text, "  {name}: [{}{more}]", groups.join(", ")).unwrap();
    }
    text.push_str("network:\n  allow:\n");
    for network in 0..networks {
        let bits = match network {
            7 if edited => 25,
            8 if edited => continue,
            _ => 24,
        };
        writeln!(text, "    - 10.{}.{}.0/{bits}", network / 100, network % 100 * 2).unwrap();
    }
    text.push_str(or("", "    - 192.0.2.0/24\n"));
    let proxies = or("[172.16.0.5]", "[172.16.0.5, 172.16.0.6]");
    writeln!(text, "  client_address: {{ header: X-Forwarded-For, trusted_proxies: {proxies} }}").unwrap();
    let users = or("[root, svc-*]", "[root, svc-*, deploy]");
    writeln!(text, "password_authentication: {{ state: disabled, except_users: {users} }}").unwrap();
    text.push_str("tokens:\n  limits:\n");
    for limit in 0..LIMITS {
        // The first two change places, and the third one lets tokens live longer.
        let group = if edited && limit < 2 { 1 - limit } else { limit };
        let days = 30 + limit + if limit == 2 && edited { 7 } else { 0 };
        writeln!(
            text,
            "    - {{ groups: [group-{group}, group-{}], max_lifetime: {days}d, max_per_owner: {} }}",
            group + LIMITS,
            limit + 1
        )
        .unwrap();
    }
    writeln!(text, "  enforcement: {{ lifetime: {} }}", or("report", "revoke")).unwrap();
    let reading = policy::read(&[(Arc::from("policy.yaml"), text.into_bytes())]);
    reading.policy.unwrap_or_else(|| panic!("{:?}", reading.diagnostics))
}
