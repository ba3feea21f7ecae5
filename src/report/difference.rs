//! The difference that changes of one setting or one token make, line by line, as every report for people
//! shows it. Nothing in a line can steer a terminal.

use std::{collections::BTreeSet, fmt::Write};

use jiff::Timestamp;
use similar::{ChangeTag, TextDiff};

use crate::{
    model::{
        AddressSet, AllowedNetworks, Holders, Limit, SettingKey, SettingValue, Token, brief,
        limit::LimitDocument,
    },
    plan::{Change, Object, PlanView, PlannedChange, TokenStep},
};

use super::escape::{escape_whole, thousands};

/// How many networks of one change are listed.
const NETWORKS: usize = 24;

/// What a line says of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It will be there.
    Added,
    /// It is there, and will not be.
    Removed,
    /// It stays.
    Kept,
    /// It is said about the others.
    Note,
}

impl Sign {
    /// What is in front of the line.
    pub(super) fn lead(self) -> &'static str {
        match self {
            Self::Added => "+ ",
            Self::Removed => "- ",
            Self::Kept => "  ",
            Self::Note => "",
        }
    }
}

/// One line of what will be different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) sign: Sign,
    pub(super) text: String,
}

impl Line {
    fn new(sign: Sign, text: &str) -> Self {
        Self { sign, text: escape_whole(text).trim_end().to_owned() }
    }
}

/// All changes of one setting: from what is there before the first to what is there after the last.
pub(super) fn of_setting(plan: &PlanView, group: &[&PlannedChange]) -> Vec<Line> {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return Vec::new() };
    let (Change::Setting { before, .. }, Change::Setting { after, .. }) = (&first.change, &last.change)
    else {
        return Vec::new();
    };
    match (&**before, &**after) {
        (SettingValue::Holders(_, before), SettingValue::Holders(_, after)) => holders(before, after),
        (SettingValue::Networks(before), SettingValue::Networks(after)) => networks(plan, before, after),
        (SettingValue::Limits(before), SettingValue::Limits(after)) => limits(before, after),
        (before, after) => {
            let moved = match before {
                SettingValue::ClientAddress(_) => plan.refused_use.of_unknown_address,
                _ => 0,
            };
            let unknown = format!(
                "{moved} owners who used tokens lately may be refused: where they are seen then is not known"
            );
            let lines = [note(escape_whole(&format!("{before} -> {after}")))];
            lines.into_iter().chain((moved > 0).then(|| note(unknown))).collect()
        }
    }
}

/// What a change does to a token; `None` when it is about a setting.
pub(super) fn of_token(change: &Change) -> Option<String> {
    let (token, step) = change.token_step()?;
    Some(match step {
        TokenStep::Narrow { to } => format!("scope {} -> {to}", token.scope),
        TokenStep::Expire { at } => format!("expires {} -> {}", expiry(token.expires), day(at)),
        TokenStep::Mark { until } => format!("mark, to be revoked on {}", day(until)),
        TokenStep::Unmark => format!("unmark, was to end on {}", marked(token)),
        TokenStep::Revoke => "revoke, cannot be undone".to_owned(),
    })
}

/// A token before a change and after it, as far as the change is about it; `None` when it is about a setting.
pub(super) fn sides_of_token(change: &Change) -> Option<(String, String)> {
    let (token, step) = change.token_step()?;
    Some(match step {
        TokenStep::Narrow { to } => (token.scope.to_string(), to.to_string()),
        TokenStep::Expire { at } => {
            (format!("expires {}", expiry(token.expires)), format!("expires {}", day(at)))
        }
        TokenStep::Mark { until } => {
            (format!("ends {}", marked(token)), format!("to be revoked on {}", day(until)))
        }
        TokenStep::Unmark => (format!("to be revoked on {}", marked(token)), "no mark".to_owned()),
        TokenStep::Revoke => {
            let before = format!("{}, expires {}", token.scope, expiry(token.expires));
            (before, "revoked, cannot be undone".to_owned())
        }
    })
}

/// The day that a token is marked with, for people.
fn marked(token: &Token) -> String {
    expiry(token.mark.map(|mark| mark.until))
}

/// When a token ends, for people.
pub(super) fn expiry(expires: Option<Timestamp>) -> String {
    expires.map_or("never".to_owned(), day)
}

/// The day of a moment in UTC; with the time when it is not midnight.
pub(super) fn day(moment: Timestamp) -> String {
    let day = moment.strftime("%Y-%m-%d").to_string();
    if moment.as_second().rem_euclid(24 * 60 * 60) == 0 {
        day
    } else {
        moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }
}

fn note(text: String) -> Line {
    Line { sign: Sign::Note, text }
}

fn holders(before: &Holders, after: &Holders) -> Vec<Line> {
    let (before, after) = (holder_lines(before), holder_lines(after));
    let removed = before.difference(&after).map(|line| Line::new(Sign::Removed, &brief(line)));
    let added = after.difference(&before).map(|line| Line::new(Sign::Added, &brief(line)));
    removed.chain(added).collect()
}

fn holder_lines(holders: &Holders) -> BTreeSet<String> {
    let word = match holders {
        Holders::Everyone => Some("everyone".to_owned()),
        Holders::Nobody => Some("nobody".to_owned()),
        Holders::Groups(_) => None,
    };
    word.into_iter().chain(holders.groups().map(|group| format!("group {group}"))).collect()
}

fn networks(plan: &PlanView, before: &AllowedNetworks, after: &AllowedNetworks) -> Vec<Line> {
    match (before, after) {
        (AllowedNetworks::Anywhere, AllowedNetworks::Only(kept)) => {
            let uses: u64 = plan.refused_use.tokens.iter().map(|(_, count)| count).sum();
            let refused = format!("every other address refused{}", last_used(uses));
            let mut lines = vec![network(Sign::Removed, "anywhere else", &refused)];
            lines.extend(network_list(plan, Sign::Kept, kept, "accepted"));
            lines.extend(addresses_move(plan));
            lines
        }
        (AllowedNetworks::Only(_), AllowedNetworks::Anywhere) => {
            vec![network(Sign::Added, "anywhere", "every address admitted")]
        }
        (before, after) => {
            let (before, after) = (before.addresses(), after.addresses());
            let refused = before.difference(&after);
            let mut lines = network_list(plan, Sign::Added, &after.difference(&before), "admitted");
            lines.extend(network_list(plan, Sign::Removed, &refused, "refused"));
            lines.extend(addresses_move(plan).filter(|_| !refused.is_empty()));
            lines
        }
    }
}

/// That the counts of last uses say little, when they do.
fn addresses_move(plan: &PlanView) -> Option<Line> {
    let source = Object::Setting(SettingKey::ClientAddress);
    let moves = plan.changes.iter().any(|planned| planned.change.object() == source);
    let text = if moves {
        "the address of a client is found elsewhere then: who is refused is not known"
    } else {
        "the server does not tell where every token was used from: who is refused is not known"
    };
    let unknown = match plan.refused_use.of_unknown_address {
        0 => String::new(),
        owners => format!("; {owners} owners count as refused"),
    };
    (moves || !plan.refused_use.addresses_tell).then(|| note(format!("{text}{unknown}")))
}

fn network_list(plan: &PlanView, sign: Sign, addresses: &AddressSet, verb: &str) -> Vec<Line> {
    let pieces = addresses.pieces();
    let mut lines = Vec::new();
    for &piece in pieces.iter().take(NETWORKS) {
        let set: AddressSet = [piece].into_iter().collect();
        let mut text = format!("{} {verb}", addresses_text(set.count()));
        let named = plan.network_names.iter().find(|(_, named)| set.difference(named).is_empty());
        if let Some((name, _)) = named {
            // Writing into a `String` cannot fail.
            let _ = write!(text, " ({name})");
        }
        if sign == Sign::Removed {
            let uses = plan.refused_use.tokens.iter().find(|(used, _)| *used == piece);
            text.push_str(&last_used(uses.map_or(0, |(_, count)| *count)));
        }
        lines.push(network(sign, &piece.to_string(), &text));
    }
    let more = pieces.len().saturating_sub(NETWORKS);
    lines.extend((more > 0).then(|| network(sign, &format!("and {more} more"), &format!("networks {verb}"))));
    lines
}

fn network(sign: Sign, network: &str, text: &str) -> Line {
    Line::new(sign, &format!("{network:<25} {text}"))
}

fn limits(before: &[Limit], after: &[Limit]) -> Vec<Line> {
    let (before, after) = (limits_text(before), limits_text(after));
    let difference = TextDiff::from_lines(&before, &after);
    let lines = difference.iter_all_changes().map(|change| {
        let sign = match change.tag() {
            ChangeTag::Delete => Sign::Removed,
            ChangeTag::Insert => Sign::Added,
            ChangeTag::Equal => Sign::Kept,
        };
        Line::new(sign, change.value().trim_end())
    });
    lines.collect()
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
