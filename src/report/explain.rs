//! The explanation of a token, with every rule that was tried on it, or of the answer to a hypothetical
//! request, as text.

use std::fmt::{self, Write};

use crate::{
    access::DenialReason,
    compliance::{Trial, rules::RuleVerdict},
    model::{Action, SettingKey, Token},
    plan::{ExplainedToken, Forecast, TokenEvent},
    policy::Waiver,
    yaml::Place,
};

use super::{
    Paint,
    difference::{self, day},
    escape::{escape, escape_whole},
    subject::token_name,
};

/// Column at which the line of the policy stands.
const PLACE_COLUMN: usize = 78;

/// Writes what there is to say of a token for a person.
///
/// # Errors
///
/// When `out` fails.
pub fn token(explained: &ExplainedToken, paint: Paint, out: &mut impl Write) -> fmt::Result {
    let names = explained.explanation.trials.iter().map(|trial| trial.rule.code().chars().count());
    let mut text = TokenText { explained, paint, indent: names.max().unwrap_or(0) + 6, out };
    text.head()?;
    text.rules()?;
    text.plan()?;
    text.upcoming()
}

struct TokenText<'a, W> {
    explained: &'a ExplainedToken,
    paint: Paint,
    /// Column at which the result of a rule begins.
    indent: usize,
    out: &'a mut W,
}

impl<W: Write> TokenText<'_, W> {
    fn head(&mut self) -> fmt::Result {
        let ExplainedToken { target, made_for, explanation, .. } = self.explained;
        let name = self.paint.strong(&token_name(&explanation.token));
        writeln!(self.out, "{name} on {target}, as of {}:\n", day(*made_for))?;
        writeln!(self.out, "  {}", facts(&explanation.token))?;
        let limit = "under the limits of this entry";
        match &explanation.limit_place {
            Some(place) => line(self.out, &format!("  {limit}"), limit.len() + 2, Some(place), self.paint),
            None => writeln!(self.out, "  under no entry of the limits"),
        }
    }

    fn rules(&mut self) -> fmt::Result {
        writeln!(self.out, "\nRules, in the order in which they are tried:\n")?;
        for trial in &self.explained.explanation.trials {
            let (symbol, verdict) = self.verdict(trial);
            let rule = escape_whole(trial.rule.code());
            let plain = format!("  ? {rule:<width$} {verdict}", width = self.indent - 5);
            let shown = format!("  {symbol}{}", plain.get(3..).unwrap_or_default());
            line(self.out, &shown, plain.chars().count(), trial.place.as_ref(), self.paint)?;
            self.consequence(trial)?;
        }
        Ok(())
    }

    fn verdict(&self, trial: &Trial) -> (String, String) {
        match &trial.verdict {
            RuleVerdict::NotTried(why) => (self.paint.faint("-"), format!("not tried: {why}")),
            RuleVerdict::Complies { .. } => (self.paint.added("+"), "complies".to_owned()),
            RuleVerdict::Fails { message, .. } => {
                (self.paint.removed("x"), format!("fails: {}", escape_whole(message)))
            }
            RuleVerdict::Undecided { reason } => {
                (self.paint.changed("?"), format!("undecided: {}", escape_whole(&reason.to_string())))
            }
        }
    }

    /// What happens on a finding, and the waiver that it falls under.
    fn consequence(&mut self, trial: &Trial) -> fmt::Result {
        let indent = self.indent;
        let holding = trial.holding_waiver(self.explained.made_for);
        if trial.fails() && holding.is_none() {
            writeln!(self.out, "{:indent$}{}", "", action(trial.action))?;
        }
        let was_tried = !matches!(trial.verdict, RuleVerdict::NotTried(_));
        let Some(waiver) = trial.waiver.as_deref().filter(|_| was_tried) else { return Ok(()) };
        let words = match (holding, trial.fails()) {
            (Some(_), true) => format!("waived until {}, nothing is done: {}", waiver.until, why(waiver)),
            (Some(_), false) => format!("waived until {}: {}", waiver.until, why(waiver)),
            (None, _) => format!("its waiver ended on {}", waiver.until),
        };
        let words = format!("{:indent$}{words}", "");
        line(self.out, &words, words.chars().count(), Some(&waiver.place), self.paint)
    }

    fn plan(&mut self) -> fmt::Result {
        let ExplainedToken { changes, pending, held_back, reported, .. } = self.explained;
        writeln!(self.out, "\nWhat the plan does:\n")?;
        for planned in changes {
            let symbol = if planned.change.is_irreversible() {
                self.paint.removed("x")
            } else {
                self.paint.changed("~")
            };
            writeln!(self.out, "  {symbol} {}", difference::of_token(&planned.change).unwrap_or_default())?;
        }
        if let Some(pending) = pending {
            writeln!(self.out, "    pending until {}: the date is already set", day(pending.until))?;
        }
        for held in held_back {
            writeln!(self.out, "  {} held back: {}", self.paint.changed("?"), escape_whole(&held.reason))?;
        }
        for finding in reported {
            writeln!(
                self.out,
                "  {} {} is reported",
                self.paint.changed("!"),
                escape_whole(finding.rule.code())
            )?;
        }
        if changes.is_empty() && pending.is_none() && held_back.is_empty() && reported.is_empty() {
            writeln!(self.out, "  nothing")?;
        }
        Ok(())
    }

    fn upcoming(&mut self) -> fmt::Result {
        let upcoming = &self.explained.upcoming;
        if upcoming.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\nWhat happens next, if nobody intervenes:\n")?;
        for next in upcoming {
            writeln!(self.out, "  {:<23} {}", day(next.at), event(&next.event))?;
        }
        Ok(())
    }
}

/// `text`, which is `width` characters wide, with `place` behind it.
fn line(out: &mut impl Write, text: &str, width: usize, place: Option<&Place>, paint: Paint) -> fmt::Result {
    let Some(place) = place else { return writeln!(out, "{text}") };
    let gap = PLACE_COLUMN.saturating_sub(width + 1).max(1);
    writeln!(out, "{text}{:gap$}{}", "", paint.faint(&escape_whole(&place.to_string())))
}

fn facts(token: &Token) -> String {
    let mut facts = format!("scope {}, made {}", token.scope, day(token.created));
    if let Some(creator) = &token.created_by {
        let _ = write!(facts, " by {}", escape(creator.as_str()));
    }
    match token.last_used {
        None => facts.push_str(", never used"),
        Some(last) => {
            let _ = write!(facts, ", last used {}", day(last.at));
            if let Some(from) = last.from {
                let _ = write!(facts, " from {from}");
            }
        }
    }
    let _ = write!(facts, ", expires {}", token.expires.map_or("never".to_owned(), day));
    facts
}

fn action(action: Action) -> String {
    match action {
        Action::Report => "it is reported".to_owned(),
        Action::Narrow => "its scope is narrowed".to_owned(),
        Action::Expire { grace } => format!("it is made to expire in {grace}"),
        Action::Revoke => "it is revoked".to_owned(),
    }
}

fn why(waiver: &Waiver) -> String {
    let approved = waiver.approved_by.as_ref().map_or(String::new(), |by| format!(", approved by {by}"));
    escape_whole(&format!("{}{approved}", waiver.reason))
}

fn event(event: &TokenEvent) -> String {
    match event {
        TokenEvent::Expires => "it expires".to_owned(),
        TokenEvent::WouldExpire => "it expires, once the plan is applied".to_owned(),
        TokenEvent::Revoked => "a run revokes it: its mark is due".to_owned(),
        TokenEvent::WouldBeRevoked => "a run revokes it, once the plan has marked it".to_owned(),
        TokenEvent::Fails { rule, action } => {
            format!("{} begins to fail: {action}", escape_whole(rule.code()))
        }
        TokenEvent::Narrows { rule } => format!("its scope is narrowed for {}", escape_whole(rule.code())),
        TokenEvent::WaiverEnds { rules, place } => {
            let rules: Vec<_> = rules.iter().map(|rule| escape_whole(rule.code())).collect();
            format!("the waiver of {} at {} has ended", rules.join(", "), escape_whole(&place.to_string()))
        }
    }
}

/// Writes what `target` would answer to a request for a person.
///
/// # Errors
///
/// When `out` fails.
pub fn forecast(target: &str, forecast: &Forecast, paint: Paint, out: &mut impl Write) -> fmt::Result {
    let denied = forecast.answer.denied;
    let word = match denied {
        None => paint.added("permit"),
        Some(reason) => paint.removed(&format!("denied, {reason}")),
    };
    writeln!(out, "{}: {word}, with the settings as the plan leaves them", paint.strong(target))?;
    match (forecast.answer.client, denied) {
        (Some(client), _) => writeln!(out, "\n  the client is {client}")?,
        (None, _) => writeln!(out, "\n  a trusted proxy sends an invalid address")?,
    }
    for basis in &forecast.rests_on {
        let words = match basis.key {
            SettingKey::ClientAddress => "finds the address of the client",
            _ if denied.is_none() => "lets it pass",
            SettingKey::Networks => "does not have the address of the client",
            SettingKey::PasswordAuthentication => "does not take a password here",
            SettingKey::Permission(_) | SettingKey::Limits => "leaves the user out",
        };
        let from = match (&basis.place, &basis.held_back) {
            (Some(_), _) => "",
            (None, None) => " (not managed: as the server has it)",
            (None, Some(_)) => " (as the server has it)",
        };
        let text = format!("  {} {words}{from}", basis.key.path());
        line(out, &text, text.chars().count(), basis.place.as_ref(), paint)?;
        if let Some(reason) = &basis.held_back {
            writeln!(out, "      what the policy says of it is held back: {}", escape_whole(reason))?;
        }
    }
    if let (Some(reason), []) = (denied, forecast.rests_on.as_slice()) {
        writeln!(out, "  {}, whatever the settings say", without_setting(reason))?;
    }
    if forecast.differs_from_today() {
        let today = forecast.today.denied.map_or("permit".to_owned(), |reason| format!("denied, {reason}"));
        writeln!(out, "\n  {} the server answers otherwise: {today}", paint.changed("today"))
    } else {
        writeln!(out, "\n  today the server answers the same")
    }
}

/// Why a request is refused for `reason`, which lies in no setting.
fn without_setting(reason: DenialReason) -> &'static str {
    match reason {
        DenialReason::Scope => "a token of this scope does not send this method",
        DenialReason::OwnerInactive => "the owner is not active",
        DenialReason::InvalidCredentials => {
            "only users have a password, and that of somebody who is not active counts as wrong"
        }
        _ => "it lies in the request or in the directory",
    }
}
