//! Limits for a first policy, each with the number of tokens that it would touch today.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use crate::{
    compliance::{Compliance, TokenFindings},
    inventory::{Coverage, Inventory, InventoryReader, ReadError},
    policy::{Layer, Policy, read_layers},
};

/// The limits that are tried, the rules that they make tokens break, and their values from the strictest on.
const TRIED: [(&str, &[&str], &[&str]); 5] = [
    ("max_lifetime", &["lifetime"], &["90d", "180d", "1y", "2y"]),
    ("max_idle", &["idle"], &["30d", "90d", "180d", "1y"]),
    ("max_unused", &["never-used"], &["7d", "30d", "90d"]),
    ("max_per_owner", &["per-owner"], &["3", "5", "10", "20"]),
    ("max_scope", &["scope", "scope-unset"], &["read-only"]),
];
/// A limit is proposed when it touches at most one token in this many.
const ONE_IN: usize = 10;

/// What limits would do to the tokens of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestions {
    /// How many tokens were seen.
    pub tokens: usize,
    /// Whether all were seen.
    pub is_whole: bool,
    /// Each limit with its values, from the strictest on, and how many tokens each touches.
    pub limits: Vec<(&'static str, Vec<(&'static str, usize)>)>,
}

/// Tries the limits on every token that `reader` shows at `now`.
///
/// # Errors
///
/// When the target cannot be read.
pub async fn suggest(now: Timestamp, reader: &impl InventoryReader) -> Result<Suggestions, ReadError> {
    let inventory = Inventory::read(reader, &BTreeSet::new(), now).await?;
    let tried = TRIED.iter().flat_map(|(key, _, values)| values.iter().map(move |value| (*key, *value)));
    let policies: Vec<Policy> = tried.map(|(key, value)| policy(key, value)).collect();
    let mut folds: Vec<_> =
        policies.iter().map(|policy| Compliance::new(policy, &inventory.people, now).over(reader)).collect();
    let mut tokens = 0;
    let seen = reader
        .tokens(&mut |token| {
            tokens += 1;
            for fold in &mut folds {
                fold.observe(&token);
            }
        })
        .await?;
    let mut found = folds.into_iter().map(|fold| fold.finish().tokens);
    let limits = TRIED.iter().map(|(key, rules, values)| {
        let breaks =
            |token: &TokenFindings| token.findings.iter().any(|finding| rules.contains(&finding.rule.code()));
        let touched = |found: Vec<TokenFindings>| found.iter().filter(|token| breaks(token)).count();
        (*key, values.iter().copied().zip(found.by_ref().map(touched)).collect())
    });
    let limits = limits.collect();
    let is_whole = seen == Coverage::Complete;
    Ok(Suggestions { tokens, is_whole, limits })
}

/// A policy with one limit, and no rule that says anything else of a token.
fn policy(key: &str, value: &str) -> Policy {
    let text = format!("version: 1\ntokens:\n  limits:\n    - {key}: {value}\n");
    let layer = Layer::read(Arc::from("suggested"), text.as_bytes());
    read_layers(&[&layer]).policy.unwrap_or_default()
}

impl Suggestions {
    /// As comments below a policy: what to write, and what each value would touch.
    #[must_use]
    pub fn comments(&self) -> String {
        let seen = self.tokens;
        let whole = if self.is_whole { "" } else { ", and not all could be seen" };
        let mut lines = vec![format!("# What limits would do to these {seen} tokens{whole}:")];
        for (key, values) in &self.limits {
            let values: Vec<_> =
                values.iter().map(|(value, touched)| format!("{value} would touch {touched}")).collect();
            lines.push(format!("#   {key}: {} of {seen} tokens", values.join(", ")));
        }
        let few = |values: &[(&'static str, usize)]| {
            values.iter().find(|(_, touched)| touched * ONE_IN <= seen).copied()
        };
        let proposed = self.limits.iter().filter_map(|(key, values)| Some((key, few(values)?)));
        let mut lead = "# Below `tokens`, these would touch few:\n#   limits:\n#     - ";
        for (key, (value, touched)) in proposed {
            lines.push(format!(
                "{lead}{:<26} # would touch {touched} of {seen} tokens",
                format!("{key}: {value}")
            ));
            lead = "#       ";
        }
        lines.join("\n") + "\n"
    }
}
