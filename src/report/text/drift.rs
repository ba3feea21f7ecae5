//! What was changed on a server other than by the policy, as something that happened: who did what, and when.

use std::fmt::{self, Write};

use crate::{
    model::Token,
    plan::{Change, Object, Origin, PlannedChange},
};

use super::{
    super::{
        difference::{self, day},
        escape::{counted, escape},
        subject::name,
        summary::{Tense, by_object, summary},
    },
    PlanText, heading,
};

impl<W: Write> PlanText<'_, W> {
    /// What was changed, and what is not drift, one line each.
    pub(super) fn drift(&mut self) -> fmt::Result {
        let plan = self.plan;
        let of = |origin: Option<Origin>| {
            let of_origin = plan.changes.iter().filter(move |planned| planned.origin == origin);
            of_origin.collect::<Vec<_>>()
        };
        let (drifted, untold) = (of(Some(Origin::Drift)), of(None));
        let target = self.target();
        if drifted.is_empty() && untold.is_empty() {
            let line = self.paint.strong("No drift.");
            if plan.is_whole() {
                writeln!(self.out, "{line} Nobody changed {target} other than by the policy.")?;
            } else {
                writeln!(self.out, "No drift was found on {target}, but not everything could be judged.")?;
            }
        } else {
            writeln!(self.out, "What was changed on {target} other than by the policy:\n")?;
        }
        if !drifted.is_empty() {
            writeln!(self.out, "{}\n", self.paint.strong(heading(Origin::Drift)))?;
            self.happened(&drifted)?;
        }
        if !untold.is_empty() {
            if !drifted.is_empty() {
                writeln!(self.out)?;
            }
            let line = "From drift or from the policy, which cannot be told apart here:";
            writeln!(self.out, "{}\n", self.paint.strong(line))?;
            self.happened(&untold)?;
        }
        for origin in [Origin::Policy, Origin::Time] {
            let other = of(Some(origin));
            if !other.is_empty() {
                let what = summary(&other, Tense::Future);
                writeln!(self.out, "\n{} {what}. That is no drift; `plan` shows it.", heading(origin))?;
            }
        }
        if !plan.is_whole() {
            self.held_back()?;
        }
        self.notes()?;
        let all: Vec<_> = drifted.into_iter().chain(untold).collect();
        if all.is_empty() {
            return Ok(());
        }
        let undone = summary(&all, Tense::Future);
        writeln!(self.out, "\n{} `apply` undoes it: {undone}.", self.paint.strong("Drift:"))
    }

    fn happened(&mut self, changes: &[&PlannedChange]) -> fmt::Result {
        self.last_change(Origin::Drift, changes)?;
        let groups = by_object(changes);
        let is_shown =
            |group: &&Vec<&PlannedChange>| group.iter().any(|planned| self.view.shows_change(planned));
        let groups: Vec<_> = groups.iter().filter(is_shown).collect();
        let at_most = self.view.at_most();
        for group in groups.iter().take(at_most) {
            let Some(first) = group.first() else { continue };
            let place = first.reasons.iter().find_map(|reason| reason.place.as_ref());
            let symbol = self.paint.changed("~");
            self.line(&symbol, &name(first.change.object()), place)?;
            match first.change.object() {
                Object::Setting(_) => self.setting(group)?,
                Object::Token(token) => self.token_happened(token, group)?,
            }
        }
        match groups.len().saturating_sub(at_most) {
            0 => Ok(()),
            more => self.more(&counted(more, "change")),
        }
    }

    /// What somebody did to a setting: the reverse of what a run would do.
    fn setting(&mut self, group: &[&PlannedChange]) -> fmt::Result {
        let undone: Vec<PlannedChange> = group.iter().rev().map(|planned| undo(planned)).collect();
        let undone: Vec<&PlannedChange> = undone.iter().collect();
        for line in difference::of_setting(self.plan, &undone) {
            self.different(&line)?;
        }
        Ok(())
    }

    /// What is known of how a token came to be as it is, and what a run would do about it.
    fn token_happened(&mut self, token: &Token, group: &[&PlannedChange]) -> fmt::Result {
        let by = token.created_by.as_ref().map_or(String::new(), |by| format!(" by {}", escape(by.as_str())));
        let used = match token.last_used {
            None => "never used".to_owned(),
            Some(last) => {
                let from = last.from.map_or(String::new(), |from| format!(" from {from}"));
                format!("last used {}{from}", day(last.at))
            }
        };
        let expires = difference::expiry(token.expires);
        let scope = token.scope;
        writeln!(
            self.out,
            "      made {}{by}, scope {scope}, expires {expires}, {used}",
            day(token.created)
        )?;
        for planned in group {
            self.token(planned)?;
        }
        Ok(())
    }
}

/// The change that leads to what is there from what a run would make of it.
fn undo(planned: &PlannedChange) -> PlannedChange {
    let mut undone = planned.clone();
    if let Change::Setting { before, after, .. } = &mut undone.change {
        std::mem::swap(before, after);
    }
    undone
}
