//! The plan as text, which a person reads before approving it. Everything about one setting or one token is
//! kept together, however many changes it takes, and no change is left out.

use std::fmt::{self, Write};

use crate::{
    model::LastChange,
    plan::{Object, Origin, PlanView, PlannedChange, Purpose, Reason},
    yaml::Place,
};

use super::{
    Paint,
    difference::{self, Line, Sign, day},
    escape::{counted, escape, escape_whole},
    purpose::{left_out, no_changes},
    subject::{name, token_name},
    summary::{Tense, by_object, compliance_of, summary},
    unseen::unseen,
};

/// Column at which the line of the policy stands.
pub(super) const PLACE_COLUMN: usize = 68;
/// Column at which the reason stands, behind what happens.
const REASON_COLUMN: usize = 52;

/// Writes `plan` for a person.
///
/// # Errors
///
/// When `out` fails.
pub fn plan(plan: &PlanView, paint: Paint, out: &mut impl Write) -> fmt::Result {
    let mut text = PlanText { plan, paint, out };
    text.head()?;
    text.changes()?;
    text.pending()?;
    text.reported()?;
    text.waived()?;
    text.held_back()?;
    text.notes()?;
    text.summary()
}

/// What is above the changes that come from `origin`.
fn heading(origin: Origin) -> &'static str {
    match origin {
        Origin::Policy => "From the policy, which was changed:",
        Origin::Drift => "From drift, the server was changed:",
        Origin::Time => "From time, a date was reached:",
    }
}

struct PlanText<'a, W> {
    plan: &'a PlanView,
    paint: Paint,
    out: &'a mut W,
}

impl<W: Write> PlanText<'_, W> {
    fn head(&mut self) -> fmt::Result {
        let target = format!("{} ({})", self.plan.target, escape(&self.plan.url));
        if !self.plan.changes.is_empty() {
            writeln!(self.out, "tokenwarden will make these changes on {target}:\n")
        } else if self.plan.is_whole() {
            writeln!(self.out, "{}", no_changes(self.plan, &target, self.paint))
        } else if matches!(self.plan.purpose, Purpose::Revoke(_)) {
            writeln!(self.out, "Nothing can be revoked on {target}.")
        } else {
            writeln!(self.out, "Nothing can be changed on {target}, but not everything could be judged.")
        }
    }

    fn changes(&mut self) -> fmt::Result {
        let plan = self.plan;
        let without = plan.changes.iter().filter(|planned| planned.origin.is_none()).collect::<Vec<_>>();
        self.changes_of(&without)?;
        for origin in Origin::ALL {
            let of = plan.changes.iter().filter(|planned| planned.origin == Some(origin)).collect::<Vec<_>>();
            if !of.is_empty() {
                writeln!(self.out, "{}\n", self.paint.strong(heading(origin)))?;
                self.last_change(origin, &of)?;
                self.changes_of(&of)?;
                writeln!(self.out)?;
            }
        }
        Ok(())
    }

    /// Says who changed the settings last, where some of `changes` undo what was done to them.
    fn last_change(&mut self, origin: Origin, changes: &[&PlannedChange]) -> fmt::Result {
        let is_setting = |planned: &&PlannedChange| planned.change.token().is_none();
        match &self.plan.settings_changed {
            Some(LastChange { by, at }) if origin == Origin::Drift && changes.iter().any(is_setting) => {
                let at = at.strftime("%Y-%m-%d %H:%M UTC");
                writeln!(self.out, "  settings changed last by {} on {at}\n", escape(by))
            }
            _ => Ok(()),
        }
    }

    fn changes_of(&mut self, changes: &[&PlannedChange]) -> fmt::Result {
        for group in by_object(changes) {
            let Some(first) = group.first() else { continue };
            let place = first.reasons.iter().find_map(|reason| reason.place.as_ref());
            let symbol = if group.iter().any(|planned| planned.change.is_irreversible()) {
                self.paint.removed("x")
            } else {
                self.paint.changed("~")
            };
            self.line(&symbol, &name(first.change.object()), place)?;
            match first.change.object() {
                Object::Setting(_) => {
                    for line in difference::of_setting(self.plan, &group) {
                        self.different(&line)?;
                    }
                }
                Object::Token(_) => {
                    for planned in &group {
                        self.token(planned)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn token(&mut self, planned: &PlannedChange) -> fmt::Result {
        let what = difference::of_token(&planned.change).unwrap_or_default();
        self.with_reasons(&what, &planned.reasons)
    }

    /// What happens, with a reason behind it and the others below.
    fn with_reasons(&mut self, what: &str, reasons: &[Reason]) -> fmt::Result {
        let width = REASON_COLUMN - 6;
        let mut what = what;
        for reason in reasons {
            let rule = reason.rule.as_ref().map_or(String::new(), |rule| format!("{rule}: "));
            writeln!(self.out, "      {what:<width$} {rule}{}", escape_whole(&reason.text))?;
            what = "";
        }
        Ok(())
    }

    fn pending(&mut self) -> fmt::Result {
        if self.plan.pending.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\nAlready scheduled to end:\n")?;
        for pending in &self.plan.pending {
            let place = pending.reasons.iter().find_map(|reason| reason.place.as_ref());
            self.line(" ", &token_name(&pending.token), place)?;
            let by_mark = pending.token.mark.is_some_and(|mark| mark.until == pending.until);
            let then = if by_mark { ", then revoked" } else { "" };
            self.with_reasons(&format!("pending until {}{then}", day(pending.until)), &pending.reasons)?;
        }
        Ok(())
    }

    fn reported(&mut self) -> fmt::Result {
        if self.plan.reported.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\nReport only:\n")?;
        for found in &self.plan.reported {
            let place = found.findings.iter().find_map(|finding| finding.place.as_ref());
            let symbol = self.paint.changed("!");
            self.line(&symbol, &token_name(&found.token), place)?;
            for finding in &found.findings {
                writeln!(self.out, "      {}: {}", finding.rule, escape_whole(&finding.message))?;
            }
        }
        Ok(())
    }

    fn waived(&mut self) -> fmt::Result {
        if self.plan.waived.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\nWaived:\n")?;
        for found in &self.plan.waived {
            let waivers = || found.findings.iter().filter_map(|finding| finding.waiver.as_ref());
            self.line("-", &token_name(&found.token), waivers().next().map(|waiver| &waiver.place))?;
            for finding in &found.findings {
                let Some(waiver) = &finding.waiver else { continue };
                writeln!(self.out, "      {}: {}", finding.rule, escape_whole(&finding.message))?;
                let approved =
                    waiver.approved_by.as_ref().map_or(String::new(), |by| format!(", approved by {by}"));
                let why = format!("{}{approved}", waiver.reason);
                writeln!(self.out, "          until {}: {}", waiver.until, escape_whole(&why))?;
            }
        }
        Ok(())
    }

    fn held_back(&mut self) -> fmt::Result {
        if self.plan.held_back.is_empty() && self.plan.is_whole() {
            return Ok(());
        }
        writeln!(self.out, "\nHeld back:\n")?;
        for held in &self.plan.held_back {
            let symbol = self.paint.changed("?");
            self.line(&symbol, &escape(&held.subject), held.place.as_ref())?;
            let tokens = held.tokens.map_or(String::new(), |count| {
                format!(" ({})", counted(usize::try_from(count).unwrap_or(usize::MAX), "token"))
            });
            writeln!(self.out, "      {}{tokens}", escape_whole(&held.reason))?;
        }
        unseen(self.plan).try_for_each(|missing| writeln!(self.out, "  ? {}", escape_whole(&missing)))
    }

    fn notes(&mut self) -> fmt::Result {
        if !self.plan.remarks.is_empty() {
            writeln!(self.out)?;
        }
        for note in &self.plan.remarks {
            writeln!(self.out, "{} {}", self.paint.changed("Note:"), escape_whole(&note.to_string()))?;
        }
        Ok(())
    }

    fn summary(&mut self) -> fmt::Result {
        let plan = self.plan;
        if !plan.changes.is_empty() {
            let planned = summary(&plan.changes.iter().collect::<Vec<_>>(), Tense::Future);
            writeln!(self.out, "\n{} {planned}.", self.paint.strong("Plan:"))?;
            if plan.spent.is_none() && plan.notes().iter().any(|note| !note.counts.is_empty()) {
                let line = "No budget over time: without a journal, each run is judged on its own.";
                writeln!(self.out, "{line}")?;
            }
        } else if !plan.left_out.is_empty()
            || !plan.pending.is_empty()
            || !plan.reported.is_empty()
            || !plan.waived.is_empty()
            || !plan.held_back.is_empty()
            || !plan.remarks.is_empty()
            || !plan.is_whole()
        {
            writeln!(self.out)?;
        }
        if let Some(left_out) = left_out(plan) {
            writeln!(self.out, "{left_out}")?;
        }
        if matches!(plan.purpose, Purpose::Revoke(_)) {
            return writeln!(
                self.out,
                "{} seen.",
                counted(usize::try_from(plan.tokens.seen).unwrap_or(usize::MAX), "token")
            );
        }
        writeln!(self.out, "{}.", compliance_of(plan))
    }

    fn line(&mut self, symbol: &str, subject: &str, place: Option<&Place>) -> fmt::Result {
        let Some(place) = place else { return writeln!(self.out, "  {symbol} {subject}") };
        let width = PLACE_COLUMN - 4;
        let place = self.paint.faint(&escape_whole(&place.to_string()));
        writeln!(self.out, "  {symbol} {subject:<width$} {place}")
    }

    fn different(&mut self, line: &Line) -> fmt::Result {
        let text = format!("{}{}", line.sign.lead(), line.text);
        let text = match line.sign {
            Sign::Added => self.paint.added(&text),
            Sign::Removed => self.paint.removed(&text),
            Sign::Kept | Sign::Note => text,
        };
        writeln!(self.out, "      {}", text.trim_end())
    }
}
