//! A plan in counts: what happens to how many tokens, by rule and by owner.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use crate::{
    model::{Owner, Rule},
    plan::{Object, PlanView},
};

use super::{
    super::{
        escape::{counted, escape, escape_whole, thousands},
        findings::{Remedy, found},
        layout::pad,
        purpose::no_changes,
        unseen::unseen,
    },
    PlanText,
};

/// How many owners are named.
const OWNERS: usize = 10;
/// How many settings and reasons are named on one line.
const NAMED: usize = 20;

/// How many findings there are, by what is done about them.
#[derive(Clone, Copy, Debug, Default)]
struct FindingCounts {
    changed: usize,
    pending: usize,
    reported: usize,
    waived: usize,
}

impl FindingCounts {
    fn add(&mut self, remedy: Remedy<'_>) {
        let count = match remedy {
            Remedy::Change(_) => &mut self.changed,
            Remedy::Pending(_) => &mut self.pending,
            Remedy::Report => &mut self.reported,
            Remedy::Waived(_) => &mut self.waived,
        };
        *count += 1;
    }

    fn all(self) -> usize {
        self.changed + self.pending + self.reported + self.waived
    }
}

impl<W: Write> PlanText<'_, W> {
    /// Counts in place of lists.
    pub(super) fn overview(&mut self) -> fmt::Result {
        let target = self.target();
        if self.plan.changes.is_empty() && self.plan.is_whole() {
            writeln!(self.out, "{}", no_changes(self.plan, &target, self.paint))?;
        } else {
            writeln!(self.out, "{}", self.paint.strong(&format!("Summary of the plan for {target}:")))?;
        }
        self.settings()?;
        let (rules, owners) = counts(self.plan, self.view);
        let rules: Vec<_> = rules.iter().map(|(rule, counts)| (escape_whole(rule.code()), *counts)).collect();
        self.table("findings of", &rules)?;
        let mut owners: Vec<_> =
            owners.iter().map(|(owner, counts)| (escape(&owner.to_string()), *counts)).collect();
        owners.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.all()));
        let more = owners.len().saturating_sub(OWNERS);
        owners.truncate(OWNERS);
        self.table("tokens of", &owners)?;
        if more > 0 {
            writeln!(self.out, "  ... and {}", counted(more, "more owner"))?;
        }
        if !self.plan.held_back.is_empty() || !self.plan.is_whole() {
            self.held_back_by_reason()?;
        }
        self.notes()?;
        self.summary()
    }

    fn settings(&mut self) -> fmt::Result {
        let mut keys: Vec<_> = Vec::new();
        for planned in &self.plan.changes {
            if let Object::Setting(key) = planned.change.object()
                && !keys.contains(&key.path())
            {
                keys.push(key.path());
            }
        }
        if keys.is_empty() {
            Ok(())
        } else {
            writeln!(self.out, "\n  settings to change: {}", keys.join(", "))
        }
    }

    fn table(&mut self, what: &str, rows: &[(String, FindingCounts)]) -> fmt::Result {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(
            self.out,
            "\n  {} {:>9} {:>9} {:>9} {:>9}",
            pad(what, 30),
            "to change",
            "pending",
            "reported",
            "waived"
        )?;
        for (name, counts) in rows {
            let [changed, pending, reported, waived] =
                [counts.changed, counts.pending, counts.reported, counts.waived]
                    .map(|count| thousands(count as u128));
            let name = pad(&format!("  {name}"), 30);
            writeln!(self.out, "  {name} {changed:>9} {pending:>9} {reported:>9} {waived:>9}")?;
        }
        Ok(())
    }

    fn held_back_by_reason(&mut self) -> fmt::Result {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for held in &self.plan.held_back {
            *reasons.entry(held.reason.as_str()).or_default() += 1;
        }
        writeln!(self.out, "\nHeld back:\n")?;
        for (reason, count) in reasons.iter().take(NAMED) {
            writeln!(self.out, "  {:>6} {}", thousands(*count as u128), escape_whole(reason))?;
        }
        if reasons.len() > NAMED {
            writeln!(self.out, "  ... and {} more reasons", reasons.len() - NAMED)?;
        }
        unseen(self.plan).try_for_each(|missing| writeln!(self.out, "  ? {}", escape_whole(&missing)))
    }
}

/// The findings that `view` shows, by rule and by owner.
fn counts(
    plan: &PlanView,
    view: &super::View,
) -> (BTreeMap<Rule, FindingCounts>, BTreeMap<Owner, FindingCounts>) {
    let (mut rules, mut owners): (BTreeMap<_, FindingCounts>, BTreeMap<_, FindingCounts>) =
        Default::default();
    for found in found(plan).filter(|found| view.shows(found.token, [found.rule])) {
        rules.entry(found.rule.clone()).or_default().add(found.remedy);
        owners.entry(found.token.owner.clone()).or_default().add(found.remedy);
    }
    (rules, owners)
}
