//! What a policy asks of a token, told a second time and more simply: with a day of doubt around each limit,
//! so that it never has to agree on the hour.

use std::fmt::Write as _;

use fastrand::Rng;

use super::DAY;

/// What the policy does about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Report,
    Narrow,
    /// With so many days of grace.
    Expire(i64),
    Revoke,
}

impl Action {
    fn yaml(self) -> String {
        match self {
            Self::Report => "report".to_owned(),
            Self::Narrow => "narrow".to_owned(),
            Self::Expire(days) => format!("{{action: expire, grace: {days}d}}"),
            Self::Revoke => "revoke".to_owned(),
        }
    }
}

/// A token as the test sees it. Moments are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) owner: String,
    pub(super) words: String,
    pub(super) writes: bool,
    pub(super) created: i64,
    pub(super) last_used: Option<i64>,
    pub(super) expires: Option<i64>,
}

/// A policy: one limit for everybody, and what happens.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    read_only: bool,
    lifetime: Option<i64>,
    idle: Option<i64>,
    unused: Option<i64>,
    on_scope: Action,
    on_lifetime: Action,
    on_idle: Action,
    on_unused: Action,
    on_inactive: Action,
    on_expired: Action,
    /// Tokens, by id, whose every rule a waiver holds.
    waived: Vec<String>,
}

/// Whether a rule finds a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finds {
    No,
    Perhaps,
    Yes,
}

/// `days` against a limit of days.
fn over(days: f64, limit: Option<i64>) -> Finds {
    #[expect(clippy::cast_precision_loss, reason = "days")]
    match limit.map(|limit| days - limit as f64) {
        None => Finds::No,
        Some(over) if over < -2.0 => Finds::No,
        Some(over) if over < 3.0 => Finds::Perhaps,
        Some(_) => Finds::Yes,
    }
}

fn days(milliseconds: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "days")]
    let days = milliseconds as f64 / DAY as f64;
    days
}

impl Policy {
    /// Any policy, for a server whose tokens have the `ids`; where tokens are marked nothing is said of expired
    /// ones, which no mark ends.
    pub(super) fn random(random: &mut Rng, ids: &[String]) -> Self {
        let any = |random: &mut Rng| match random.u8(0..5) {
            0 => Action::Report,
            1 | 2 => Action::Expire(random.i64(1..40)),
            _ => Action::Revoke,
        };
        let limit =
            |random: &mut Rng, limits: [i64; 3]| random.choice(limits).filter(|_| random.u8(0..3) > 0);
        Self {
            read_only: random.bool(),
            lifetime: limit(random, [30, 90, 365]),
            idle: limit(random, [20, 60, 120]),
            unused: limit(random, [10, 30, 60]),
            on_scope: if random.bool() { Action::Narrow } else { any(random) },
            on_lifetime: any(random),
            on_idle: any(random),
            on_unused: any(random),
            on_inactive: any(random),
            on_expired: if random.bool() { Action::Revoke } else { Action::Report },
            waived: ids.iter().filter(|_| random.u8(0..8) == 0).cloned().collect(),
        }
    }

    /// The same as a policy file.
    pub(super) fn yaml(&self) -> String {
        let mut limit =
            vec![format!("max_scope: {}", if self.read_only { "read-only" } else { "read-write" })];
        for (key, days) in
            [("max_lifetime", self.lifetime), ("max_idle", self.idle), ("max_unused", self.unused)]
        {
            limit.extend(days.map(|days| format!("{key}: {days}d")));
        }
        let mut text = format!("version: 1\ntokens:\n  limits: [{{{}}}]\n  enforcement:\n", limit.join(", "));
        for (rule, action) in self.actions() {
            writeln!(text, "    {rule}: {}", action.yaml()).unwrap();
        }
        if !self.waived.is_empty() {
            text.push_str("waivers:\n");
        }
        for id in &self.waived {
            let rules: Vec<_> = self.actions().map(|(rule, _)| rule).into();
            let rules = rules.join(", ");
            writeln!(text, "  - {{token: \"{id}\", rules: [{rules}], reason: agreed on, until: 2099-12-31}}")
                .unwrap();
        }
        text
    }

    fn actions(&self) -> [(&'static str, Action); 6] {
        [
            ("scope", self.on_scope),
            ("lifetime", self.on_lifetime),
            ("idle", self.on_idle),
            ("never-used", self.on_unused),
            ("owner-inactive", self.on_inactive),
            ("expired", self.on_expired),
        ]
    }

    /// What may and what must happen to the token `id` at the moment `now`.
    pub(super) fn asks(&self, id: &str, token: &Token, active: bool, now: i64) -> Asked {
        let mut asked = Asked::default();
        if self.waived.iter().any(|waived| waived == id) {
            return asked;
        }
        let is_expired = token.expires.is_some_and(|expires| expires <= now);
        for (rule, action) in self.actions() {
            let finds = match rule {
                "expired" => match token.expires {
                    Some(expires) if is_expired => over(days(now - expires), Some(30)),
                    _ => Finds::No,
                },
                _ if is_expired => Finds::No,
                "scope" if self.read_only && token.writes => Finds::Yes,
                "lifetime" => match token.expires {
                    Some(expires) => over(days(expires - token.created), self.lifetime),
                    None if self.lifetime.is_some() => Finds::Yes,
                    None => Finds::No,
                },
                "idle" => token.last_used.map_or(Finds::No, |used| over(days(now - used), self.idle)),
                "never-used" if token.last_used.is_none() => over(days(now - token.created), self.unused),
                "owner-inactive" if !active => Finds::Yes,
                _ => Finds::No,
            };
            if finds == Finds::No {
                continue;
            }
            match action {
                Action::Report => {}
                Action::Narrow => asked.may_narrow = true,
                Action::Expire(grace) => {
                    asked.grace = Some(asked.grace.map_or(grace, |least| least.min(grace)));
                }
                Action::Revoke => asked.may_revoke = true,
            }
        }
        asked
    }
}

/// What a policy may do with a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) may_revoke: bool,
    pub(super) may_narrow: bool,
    /// The least grace, in days, of the rules that may make it end.
    pub(super) grace: Option<i64>,
}
