//! The statistics of the tokens of a target as JSON, a part of the plan's.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compliance::{Statistics, Whose};

/// What the tokens of a target come to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StatisticsEntry {
    /// How many there are of each scope in each state.
    pub tokens: Vec<TokensEntry>,
    /// How old those are that work, in whole days.
    pub ages: Vec<DaysEntry>,
    /// When those that work end by themselves, in whole days from `planned_for`.
    pub expiries: Vec<DaysEntry>,
    /// How many of them end within 30 days.
    pub ending_in_30_days: u64,
    /// How many do not comply, waived ones too, by the groups of their owners.
    pub with_findings: Vec<WhoseEntry>,
}

/// The tokens of one scope in one state.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokensEntry {
    /// `read-only`, `read-write`, `unset`, or `unknown` where the server does not say it.
    pub scope: String,
    /// `ending`: it works and has an expiry; `endless`: it works and has none; `expired`.
    pub state: String,
    /// How many there are.
    pub count: u64,
}

/// The tokens between the days of the entry before and these.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DaysEntry {
    /// Fewer days than this; null for all the others.
    pub under_days: Option<u32>,
    /// How many there are.
    pub count: u64,
}

/// The tokens that do not comply of one group, or of an owner who is in none that is known.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WhoseEntry {
    /// The group.
    pub group: Option<String>,
    /// The owner.
    pub owner: Option<String>,
    /// How many there are. A token counts for every group of its owner.
    pub count: u64,
}

impl StatisticsEntry {
    pub(crate) fn of(statistics: &Statistics) -> Self {
        let tokens = statistics.counts().map(|(scope, state, count)| TokensEntry {
            scope: scope.to_string(),
            state: state.word().to_owned(),
            count,
        });
        let days = |(under_days, count)| DaysEntry { under_days, count };
        let with_findings = statistics.with_findings().map(|(whose, count)| match whose {
            Whose::Group(group) => WhoseEntry { group: Some(group.to_string()), owner: None, count },
            Whose::Owner(owner) => WhoseEntry { group: None, owner: Some(owner.to_string()), count },
        });
        Self {
            tokens: tokens.collect(),
            ages: statistics.ages().map(days).collect(),
            expiries: statistics.expiries().map(days).collect(),
            ending_in_30_days: statistics.ending_in_30_days(),
            with_findings: with_findings.collect(),
        }
    }

    /// The statistics that this was made from, at the moment `now`; `None` when it has no meaning.
    pub(super) fn read(&self, now: Timestamp) -> Option<Statistics> {
        let days = |entries: &[DaysEntry]| entries.iter().map(|entry| entry.count).collect::<Vec<_>>();
        let counts: Vec<u64> = self.tokens.iter().map(|entry| entry.count).collect();
        let whose = |entry: &WhoseEntry| match (&entry.group, &entry.owner) {
            (Some(group), None) => Some(Whose::Group(group.as_str().into())),
            (None, Some(owner)) => owner.parse().ok().map(Whose::Owner),
            _ => None,
        };
        let with_findings = self.with_findings.iter().map(|entry| Some((whose(entry)?, entry.count)));
        let with_findings = with_findings.collect::<Option<BTreeMap<_, _>>>()?;
        let (ages, expiries) = (days(&self.ages), days(&self.expiries));
        Statistics::told(now, &counts, &ages, &expiries, self.ending_in_30_days, with_findings)
    }
}
