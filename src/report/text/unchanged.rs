//! What a plan does not change: tokens that end already, that are only reported or waived, and what is held back.

use std::fmt::{self, Write};

use super::PlanText;
use crate::{
    compliance::TokenFindings,
    model::{Rule, Token},
    plan::Pending,
    report::{
        difference::day,
        escape::{counted, escape, escape_whole},
        subject::token_name,
        unseen::unseen,
    },
};

impl<W: Write> PlanText<'_, W> {
    pub(super) fn pending(&mut self) -> fmt::Result {
        let rules =
            |pending: &Pending| pending.reasons.iter().filter_map(|reason| reason.rule.clone()).collect();
        self.section(
            "Already scheduled to end:",
            &self.plan.pending,
            |pending| &pending.token,
            rules,
            Self::pending_one,
        )
    }

    fn pending_one(&mut self, pending: &Pending) -> fmt::Result {
        let place = pending.reasons.iter().find_map(|reason| reason.place.as_ref());
        self.line(" ", &token_name(&pending.token), place)?;
        let by_mark = pending.token.mark.is_some_and(|mark| mark.until == pending.until);
        let then = if by_mark { ", then revoked" } else { "" };
        self.with_reasons(&format!("pending until {}{then}", day(pending.until)), &pending.reasons)
    }

    pub(super) fn reported(&mut self) -> fmt::Result {
        self.section("Report only:", &self.plan.reported, |found| &found.token, rules_of, Self::reported_one)
    }

    fn reported_one(&mut self, found: &TokenFindings) -> fmt::Result {
        let place = found.findings.iter().find_map(|finding| finding.place.as_ref());
        let symbol = self.paint.changed("!");
        self.line(&symbol, &token_name(&found.token), place)?;
        for finding in &found.findings {
            writeln!(self.out, "      {}: {}", finding.rule, escape_whole(&finding.message))?;
        }
        Ok(())
    }

    pub(super) fn waived(&mut self) -> fmt::Result {
        self.section("Waived:", &self.plan.waived, |found| &found.token, rules_of, Self::waived_one)
    }

    fn waived_one(&mut self, found: &TokenFindings) -> fmt::Result {
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
        Ok(())
    }

    /// Those of `items` that are shown, under a heading, each as `one` writes it.
    fn section<T>(
        &mut self,
        heading: &str,
        items: &[T],
        token: impl Fn(&T) -> &Token,
        rules: impl Fn(&T) -> Vec<Rule>,
        one: impl Fn(&mut Self, &T) -> fmt::Result,
    ) -> fmt::Result {
        let shown: Vec<&T> = items.iter().filter(|item| self.view.shows(token(item), &rules(item))).collect();
        if shown.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n{heading}\n")?;
        let at_most = self.view.at_most();
        shown.iter().take(at_most).try_for_each(|item| one(self, item))?;
        match shown.len().saturating_sub(at_most) {
            0 => Ok(()),
            more => self.more(&counted(more, "token")),
        }
    }

    /// What is neither done nor held back, counted.
    pub(super) fn rest_in_short(&mut self) -> fmt::Result {
        let plan = self.plan;
        let counts = [
            (plan.pending.len(), "already scheduled to end"),
            (plan.reported.len(), "with findings that are only reported"),
            (plan.waived.len(), "waived"),
        ];
        let parts: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", counted(count, "token")))
            .collect();
        if parts.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n{}; `--all` lists them.", parts.join(", "))
    }

    pub(super) fn held_back(&mut self) -> fmt::Result {
        if self.plan.held_back.is_empty() && self.plan.is_whole() {
            return Ok(());
        }
        writeln!(self.out, "\nHeld back:\n")?;
        let at_most = self.view.at_most();
        for held in self.plan.held_back.iter().take(at_most) {
            let symbol = self.paint.changed("?");
            self.line(&symbol, &escape(&held.subject), held.place.as_ref())?;
            let tokens = held.tokens.map_or(String::new(), |count| {
                format!(" ({})", counted(usize::try_from(count).unwrap_or(usize::MAX), "token"))
            });
            writeln!(self.out, "      {}{tokens}", escape_whole(&held.reason))?;
        }
        match self.plan.held_back.len().saturating_sub(at_most) {
            0 => {}
            more => self.more(&format!("{more} more"))?,
        }
        unseen(self.plan).try_for_each(|missing| writeln!(self.out, "  ? {}", escape_whole(&missing)))
    }
}

/// The rules that found something.
fn rules_of(found: &TokenFindings) -> Vec<Rule> {
    found.findings.iter().map(|finding| finding.rule.clone()).collect()
}
