//! In: a plan. Out: what a person reads before saying yes. Everything about one setting or one
//! token stands together, however many changes it takes. It refuses to leave out anything that
//! would be done.

use std::fmt::{self, Write};

use jiff::Timestamp;
use similar::{ChangeTag, TextDiff};

use crate::{
    model::{AddressSet, AllowedNetworks, Holders, Limit, settings::LimitDocument},
    plan::{Change, HoldersChange, NetworksChange, Object, Plan, PlannedChange, Reason},
    policy::Place,
};

use super::{
    Paint,
    escape::{counted, escape, escape_whole, thousands},
    subject::{name, token_name},
    summary::{Tense, by_object, summary},
};

/// Column at which the line of the policy stands.
const PLACE_COLUMN: usize = 68;
/// Column at which the reason stands, behind what happens.
const REASON_COLUMN: usize = 52;
/// How many networks of one change are listed.
const NETWORKS: usize = 24;

/// Writes `plan` for a person.
///
/// # Errors
///
/// When `out` fails.
pub fn plan(plan: &Plan, paint: Paint, out: &mut impl Write) -> fmt::Result {
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

struct PlanText<'a, W> {
    plan: &'a Plan,
    paint: Paint,
    out: &'a mut W,
}

impl<W: Write> PlanText<'_, W> {
    fn head(&mut self) -> fmt::Result {
        let target = format!("{} ({})", self.plan.target, escape(&self.plan.server.url));
        if !self.plan.changes.is_empty() {
            writeln!(self.out, "tokenwarden will make these changes on {target}:\n")
        } else if self.plan.is_whole() {
            let line = self.paint.strong("No changes.");
            writeln!(self.out, "{line} {target} is as the policy says.")
        } else {
            writeln!(self.out, "Nothing can be changed on {target}, but not everything could be judged.")
        }
    }

    fn changes(&mut self) -> fmt::Result {
        for group in by_object(&self.plan.changes.iter().collect::<Vec<_>>()) {
            let Some(first) = group.first() else { continue };
            let place = first.reasons.iter().find_map(|reason| reason.place.as_ref());
            let symbol = if group.iter().any(|planned| planned.change.is_irreversible()) {
                self.paint.removed("x")
            } else {
                self.paint.changed("~")
            };
            self.line(&symbol, &name(first.change.object()), place)?;
            match first.change.object() {
                Object::Setting(_) => self.setting(&group)?,
                Object::Token(_) => {
                    for planned in &group {
                        self.token(planned)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// All changes of one setting: from what is there before the first to what is there after the last.
    fn setting(&mut self, group: &[&PlannedChange]) -> fmt::Result {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        match (&first.change, &last.change) {
            (
                Change::Grant(HoldersChange { before, .. }) | Change::Withdraw(HoldersChange { before, .. }),
                Change::Grant(HoldersChange { after, .. }) | Change::Withdraw(HoldersChange { after, .. }),
            ) => self.holders(before, after),
            (
                Change::Admit(NetworksChange { before, .. }) | Change::Refuse(NetworksChange { before, .. }),
                Change::Admit(NetworksChange { after, .. }) | Change::Refuse(NetworksChange { after, .. }),
            ) => self.networks(before, after),
            (Change::SetClientAddress { before, .. }, Change::SetClientAddress { after, .. }) => {
                writeln!(self.out, "      {before} -> {after}")
            }
            (
                Change::SetPasswordAuthentication { before, .. },
                Change::SetPasswordAuthentication { after, .. },
            ) => {
                writeln!(self.out, "      {} -> {}", escape(&before.to_string()), escape(&after.to_string()))
            }
            (Change::SetLimits { before, .. }, Change::SetLimits { after, .. }) => self.limits(before, after),
            _ => Ok(()),
        }
    }

    fn holders(&mut self, before: &Holders, after: &Holders) -> fmt::Result {
        for line in holder_lines(before).filter(|line| !holder_lines(after).any(|kept| kept == *line)) {
            self.sign("-", &line)?;
        }
        for line in holder_lines(after).filter(|line| !holder_lines(before).any(|kept| kept == *line)) {
            self.sign("+", &line)?;
        }
        Ok(())
    }

    fn networks(&mut self, before: &AllowedNetworks, after: &AllowedNetworks) -> fmt::Result {
        match (before, after) {
            (AllowedNetworks::Anywhere, AllowedNetworks::Only(kept)) => {
                let uses: u64 = self.plan.refused_use.tokens.iter().map(|(_, count)| count).sum();
                self.network(
                    "-",
                    "anywhere else",
                    &format!("every other address refused{}", last_used(uses)),
                )?;
                self.network_list(" ", kept, "accepted")?;
                self.addresses_move()
            }
            (AllowedNetworks::Only(_), AllowedNetworks::Anywhere) => {
                self.network("+", "anywhere", "every address admitted")
            }
            (before, after) => {
                let (before, after) = (before.addresses(), after.addresses());
                self.network_list("+", &after.difference(&before), "admitted")?;
                let refused = before.difference(&after);
                self.network_list("-", &refused, "refused")?;
                if refused.is_empty() { Ok(()) } else { self.addresses_move() }
            }
        }
    }

    /// That the counts of last uses say little, when they do.
    fn addresses_move(&mut self) -> fmt::Result {
        if self.plan.refused_use.addresses_stay {
            return Ok(());
        }
        writeln!(
            self.out,
            "      the address of a client is found elsewhere then: who is refused is not known"
        )
    }

    fn network_list(&mut self, sign: &str, addresses: &AddressSet, verb: &str) -> fmt::Result {
        let pieces = addresses.pieces();
        for &piece in pieces.iter().take(NETWORKS) {
            let set: AddressSet = [piece].into_iter().collect();
            let mut text = format!("{} {verb}", addresses_text(set.count()));
            let named = self.plan.network_names.iter().find(|(_, named)| set.difference(named).is_empty());
            if let Some((name, _)) = named {
                let _ = write!(text, " ({})", escape(name));
            }
            if sign == "-" {
                let uses = self.plan.refused_use.tokens.iter().find(|(used, _)| *used == piece);
                text.push_str(&last_used(uses.map_or(0, |(_, count)| *count)));
            }
            self.network(sign, &piece.to_string(), &text)?;
        }
        match pieces.len().checked_sub(NETWORKS) {
            Some(more) if more > 0 => {
                self.network(sign, &format!("and {more} more"), &format!("networks {verb}"))
            }
            _ => Ok(()),
        }
    }

    fn network(&mut self, sign: &str, network: &str, text: &str) -> fmt::Result {
        self.sign(sign, &format!("{network:<25} {text}"))
    }

    fn limits(&mut self, before: &[Limit], after: &[Limit]) -> fmt::Result {
        let (before, after) = (limits_text(before), limits_text(after));
        for change in TextDiff::from_lines(&before, &after).iter_all_changes() {
            let sign = match change.tag() {
                ChangeTag::Delete => "-",
                ChangeTag::Insert => "+",
                ChangeTag::Equal => " ",
            };
            self.sign(sign, change.value().trim_end())?;
        }
        Ok(())
    }

    fn token(&mut self, planned: &PlannedChange) -> fmt::Result {
        let what = match &planned.change {
            Change::Narrow { token, to } => format!("scope {} -> {to}", token.scope),
            Change::Expire { token, at } => {
                format!("expires {} -> {}", token.expires.map_or("never".to_owned(), day), day(*at))
            }
            Change::Mark { until, .. } => format!("mark, to be revoked on {}", day(*until)),
            Change::Unmark { token } => {
                format!(
                    "unmark, was to end on {}",
                    token.mark.map_or("no day".to_owned(), |mark| day(mark.until))
                )
            }
            _ => "revoke, cannot be undone".to_owned(),
        };
        self.with_reasons(&what, &planned.reasons)
    }

    /// What happens, with a reason behind it and the others below.
    fn with_reasons(&mut self, what: &str, reasons: &[Reason]) -> fmt::Result {
        let width = REASON_COLUMN - 6;
        let mut what = what;
        for reason in reasons {
            let rule = reason.rule.as_ref().map_or(String::new(), |rule| format!("{rule}: "));
            writeln!(self.out, "      {what:<width$} {rule}{}", escape(&reason.text))?;
            what = "";
        }
        Ok(())
    }

    fn pending(&mut self) -> fmt::Result {
        if self.plan.pending.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\nEnding already, the date is set:\n")?;
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
        writeln!(self.out, "\nReported, nothing is done about it:\n")?;
        for found in &self.plan.reported {
            let place = found.findings.iter().find_map(|finding| finding.place.as_ref());
            let symbol = self.paint.changed("!");
            self.line(&symbol, &token_name(&found.token), place)?;
            for finding in &found.findings {
                writeln!(self.out, "      {}: {}", finding.rule, escape(&finding.message))?;
            }
        }
        Ok(())
    }

    fn waived(&mut self) -> fmt::Result {
        if self.plan.waived.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\nWaived, nothing is done about it for now:\n")?;
        for found in &self.plan.waived {
            let waivers = || found.findings.iter().filter_map(|finding| finding.waiver.as_ref());
            self.line("-", &token_name(&found.token), waivers().next().map(|waiver| &waiver.place))?;
            for finding in &found.findings {
                let Some(waiver) = &finding.waiver else { continue };
                writeln!(self.out, "      {}: {}", finding.rule, escape(&finding.message))?;
                let approved =
                    waiver.approved_by.as_ref().map_or(String::new(), |by| format!(", approved by {by}"));
                let why = format!("{}{approved}", waiver.reason);
                writeln!(self.out, "          until {}: {}", waiver.until, escape(&why))?;
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
        // What was held back for it says so already.
        let missing = self.plan.coverage.missing().map(ToString::to_string);
        for missing in
            missing.filter(|missing| self.plan.held_back.iter().all(|held| held.reason != *missing))
        {
            writeln!(self.out, "  ? {}", escape(&missing))?;
        }
        Ok(())
    }

    fn notes(&mut self) -> fmt::Result {
        if !self.plan.notes.is_empty() {
            writeln!(self.out)?;
        }
        for note in &self.plan.notes {
            writeln!(self.out, "{} {}", self.paint.changed("Note:"), escape_whole(&note.to_string()))?;
        }
        Ok(())
    }

    fn summary(&mut self) -> fmt::Result {
        let plan = self.plan;
        if !plan.changes.is_empty() {
            let planned = summary(&plan.changes.iter().collect::<Vec<_>>(), Tense::Future);
            writeln!(self.out, "\n{} {planned}.", self.paint.strong("Plan:"))?;
        } else if !plan.pending.is_empty()
            || !plan.reported.is_empty()
            || !plan.waived.is_empty()
            || !plan.held_back.is_empty()
            || !plan.notes.is_empty()
            || !plan.is_whole()
        {
            writeln!(self.out)?;
        }
        let (seen, complying) = (plan.tokens.seen, plan.tokens.complying);
        let verb = if seen == 1 { "complies" } else { "comply" };
        write!(self.out, "{} of {} {verb}", thousands(complying.into()), tokens(seen))?;
        match plan.tokens.waived {
            0 => {}
            1 => write!(self.out, "; 1 is waived")?,
            more => write!(self.out, "; {} are waived", thousands(more.into()))?,
        }
        match plan.tokens.unjudged {
            0 => writeln!(self.out, "."),
            unjudged => writeln!(self.out, "; {} could not be judged.", thousands(unjudged.into())),
        }
    }

    fn line(&mut self, symbol: &str, subject: &str, place: Option<&Place>) -> fmt::Result {
        let Some(place) = place else { return writeln!(self.out, "  {symbol} {subject}") };
        let width = PLACE_COLUMN - 4;
        let place = self.paint.faint(&escape(&place.to_string()));
        writeln!(self.out, "  {symbol} {subject:<width$} {place}")
    }

    fn sign(&mut self, sign: &str, text: &str) -> fmt::Result {
        let line = format!("{sign} {}", escape(text));
        let line = match sign {
            "+" => self.paint.added(&line),
            "-" => self.paint.removed(&line),
            _ => line,
        };
        writeln!(self.out, "      {}", line.trim_end())
    }
}

fn holder_lines(holders: &Holders) -> impl Iterator<Item = String> {
    let word = match holders {
        Holders::Everyone => Some("everyone".to_owned()),
        Holders::Nobody => Some("nobody".to_owned()),
        Holders::Groups(_) => None,
    };
    word.into_iter().chain(holders.groups().map(|group| format!("group {group}")))
}

fn limits_text(limits: &[Limit]) -> String {
    let mut text = String::new();
    for limit in limits {
        // The words of the policy, one line a key, so that the difference reads like one of the policy.
        let Ok(serde_json::Value::Object(entry)) = serde_json::to_value(LimitDocument::from(limit)) else {
            continue;
        };
        let mut lead = "- ";
        for (key, value) in &entry {
            let value = match value {
                serde_json::Value::String(text)
                    if text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') =>
                {
                    text.clone()
                }
                serde_json::Value::Array(items) => {
                    let items: Vec<_> = items.iter().filter_map(serde_json::Value::as_str).collect();
                    format!("[{}]", items.join(", "))
                }
                other => other.to_string(),
            };
            let _ = writeln!(text, "{lead}{key}: {value}");
            lead = "  ";
        }
        if entry.is_empty() {
            text.push_str("- {}\n");
        }
    }
    text
}

fn last_used(tokens: u64) -> String {
    match tokens {
        0 => String::new(),
        1 => "; 1 token was last used from there".to_owned(),
        more => format!("; {} tokens were last used from there", thousands(more.into())),
    }
}

fn addresses_text(count: u128) -> String {
    match count {
        1 => "1 address".to_owned(),
        2..=99_999_999_999 => format!("{} addresses", thousands(count)),
        more => format!("2^{} addresses", more.ilog2()),
    }
}

fn tokens(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} token{plural}", thousands(count.into()))
}

/// The day of a moment in UTC; with the time when it is not midnight.
fn day(moment: Timestamp) -> String {
    let day = moment.strftime("%Y-%m-%d").to_string();
    if moment.as_second().rem_euclid(24 * 60 * 60) == 0 {
        day
    } else {
        moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }
}
