//! The plan as text, which a person reads before approving it. Everything about one setting or one token is
//! kept together, however many changes it takes. What is not listed is counted.

use std::{
    fmt::{self, Write},
    mem,
};

use jiff::Timestamp;

use crate::{
    model::{LastChange, Token},
    plan::{ChangeReason, Object, Origin, PlanView, PlannedChange, Purpose},
    yaml::Place,
};

use super::{
    DetailLevel, Paint, Run, View,
    difference::{self, Line, Sign},
    escape::{counted, escape, escape_whole},
    layout::Fitted,
    purpose::{left_out, no_changes},
    subject::name,
    summary::{Tense, by_object, compliance_of, summary},
};

mod drift;
mod overview;
mod unchanged;

/// Writes all of `plan` for a person, as a file or a pipe has it.
///
/// # Errors
///
/// When `out` fails.
pub fn plan(plan: &PlanView, paint: Paint, out: &mut impl Write) -> fmt::Result {
    shown(plan, &View::whole(paint), out)
}

/// Writes what `view` shows of `plan`.
///
/// # Errors
///
/// When `out` fails.
pub fn shown(plan: &PlanView, view: &View, out: &mut impl Write) -> fmt::Result {
    let mut fitted = Fitted::new(view.layout, out);
    let mut text = PlanText { plan, view, paint: view.paint, out: &mut fitted };
    match view.detail {
        DetailLevel::Summary => text.overview()?,
        DetailLevel::Drift => text.drift()?,
        DetailLevel::Brief | DetailLevel::All => text.listing()?,
    }
    fitted.finish()
}

/// Whether the policy of `run` permits more or less than its baseline, above its plans; nothing without a baseline.
#[must_use]
pub fn lead(run: &Run<'_>, view: &View) -> String {
    let lead = run.lead().map(|line| view.paint.strong(&escape_whole(&line)) + "\n");
    view.layout.fit(&lead.unwrap_or_default())
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
    view: &'a View,
    paint: Paint,
    out: &'a mut W,
}

impl<W: Write> PlanText<'_, W> {
    fn listing(&mut self) -> fmt::Result {
        self.head()?;
        self.changes()?;
        if self.plan.changes.is_empty() && self.view.is_short() {
            self.rest_in_short()?;
        } else {
            self.pending()?;
            self.reported()?;
            self.waived()?;
        }
        self.held_back()?;
        self.notes()?;
        self.summary()
    }

    fn target(&self) -> String {
        format!("{} ({})", self.plan.target, escape(&self.plan.url))
    }

    fn head(&mut self) -> fmt::Result {
        let target = self.target();
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
        let mut is_first = without.is_empty();
        for origin in Origin::ALL {
            let of = plan.changes.iter().filter(|planned| planned.origin == Some(origin)).collect::<Vec<_>>();
            if !of.is_empty() {
                if !mem::take(&mut is_first) {
                    writeln!(self.out)?;
                }
                writeln!(self.out, "{}\n", self.paint.strong(heading(origin)))?;
                self.last_change(origin, &of)?;
                self.changes_of(&of)?;
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
        let groups = by_object(changes);
        let is_irreversible =
            |group: &&Vec<&PlannedChange>| group.iter().any(|planned| planned.change.is_irreversible());
        // What cannot be undone is never crowded out by what can.
        let (last, first): (Vec<_>, Vec<_>) = groups.iter().partition(is_irreversible);
        self.groups(&first)?;
        self.groups(&last)
    }

    fn groups(&mut self, groups: &[&Vec<&PlannedChange>]) -> fmt::Result {
        let is_shown =
            |group: &&&Vec<&PlannedChange>| group.iter().any(|planned| self.view.shows_change(planned));
        let (mut room, mut unlisted) = (self.view.at_most(), Vec::new());
        for group in groups.iter().filter(is_shown).copied().collect::<Vec<_>>() {
            let Some(first) = group.first() else { continue };
            if first.change.token().is_some() {
                if room == 0 {
                    unlisted.extend(group.iter().copied());
                    continue;
                }
                room -= 1;
            }
            let place = first.reasons.iter().find_map(|reason| reason.place.as_ref());
            let symbol = if group.iter().any(|planned| planned.change.is_irreversible()) {
                self.paint.removed("x")
            } else {
                self.paint.changed("~")
            };
            self.line(&symbol, &name(first.change.object()), place)?;
            match first.change.object() {
                Object::Setting(_) => {
                    for line in difference::of_setting(self.plan, group) {
                        self.different(&line)?;
                    }
                }
                Object::Token(_) => {
                    for planned in group {
                        self.token(planned)?;
                    }
                }
            }
        }
        if unlisted.is_empty() { Ok(()) } else { self.more(&summary(&unlisted, Tense::Future)) }
    }

    /// What a list leaves out.
    fn more(&mut self, what: &str) -> fmt::Result {
        let rest = self.paint.strong(&format!("and {what}"));
        writeln!(self.out, "  ... {rest}, not listed here; `--all` lists everything")
    }

    fn token(&mut self, planned: &PlannedChange) -> fmt::Result {
        let what = difference::of_token(&planned.change).unwrap_or_default();
        self.with_reasons(&what, &planned.reasons)?;
        match planned.change.token() {
            Some(token) if matches!(self.plan.purpose, Purpose::Revoke(_)) => {
                writeln!(self.out, "          {}", life(token, self.plan.made_for))
            }
            _ => Ok(()),
        }
    }

    /// What happens, with a reason behind it and the others below.
    fn with_reasons(&mut self, what: &str, reasons: &[ChangeReason]) -> fmt::Result {
        let layout = self.view.layout;
        let why = |reason: &ChangeReason| {
            let rule = reason.rule.as_ref().map_or(String::new(), |rule| format!("{rule}: "));
            format!("{rule}{}", escape_whole(&reason.text))
        };
        let reasons: Vec<_> = reasons.iter().map(why).collect();
        if reasons.is_empty() {
            return Ok(());
        }
        let rows = layout.two_columns(&format!("      {what}"), layout.reason_column(), &reasons);
        writeln!(self.out, "{rows}")
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
        if let Some(only) = self.view.confined_to() {
            writeln!(self.out, "\nListed are only {}.", escape_whole(&only))?;
        }
        if !plan.changes.is_empty() {
            let planned = summary(&plan.changes.iter().collect::<Vec<_>>(), Tense::Future);
            writeln!(self.out, "\n{} {planned}.", self.paint.strong("Plan:"))?;
            if plan.spent.is_none() && plan.notes().any(|note| !note.counts.is_empty()) {
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
        let left = format!("  {symbol} {subject}");
        let Some(place) = place else { return writeln!(self.out, "{left}") };
        let layout = self.view.layout;
        let place = self.paint.faint(&escape_whole(&place.to_string()));
        writeln!(self.out, "{}", layout.whole_behind(&left, layout.place_column(), &place))
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

/// What is known of the life of `token` at `now`, for who has to decide about it at once.
fn life(token: &Token, now: Timestamp) -> String {
    let created = token.created.strftime("%Y-%m-%d");
    let used = token.last_used.map_or("never used".to_owned(), |used| {
        let from = used.from.map_or("an unknown address".to_owned(), |from| from.to_string());
        format!("last used {} from {from}", used.at.strftime("%Y-%m-%d %H:%M UTC"))
    });
    let age = now.duration_since(token.created).as_hours() / 24;
    let age = match age {
        ..0 => String::new(),
        0 => " (today)".to_owned(),
        1 => " (1 day ago)".to_owned(),
        days => format!(" ({days} days ago)"),
    };
    format!("{}, created {created}{age}, {used}", token.scope)
}
