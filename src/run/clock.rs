//! Whose clock decides: what is said, and what is refused, when the clock of a server is not ours.

use jiff::{SignedDuration, Timestamp};

use crate::{
    http::ClockOffset,
    plan::{Object, Plan, PlannedChange, Purpose},
    targets::Target,
};

/// Clocks that are further apart are a matter to speak of.
const NOTABLE: SignedDuration = SignedDuration::from_mins(2);
/// Beyond this nothing is changed unless somebody says that it may be.
const MOST: SignedDuration = SignedDuration::from_mins(10);
/// How the clock of a server stands to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockStanding {
    /// Neither matters: the moment is given.
    Given,
    /// Read from the dates of answers; `None` when none had one.
    Read(Option<ClockOffset>),
}

impl ClockStanding {
    /// That of the clock of `target`.
    pub(crate) fn of(target: &Target) -> Self {
        Self::Read(target.clock())
    }

    /// What time it is on the server when it is `ours` here.
    pub(crate) fn now(self, ours: Timestamp) -> Timestamp {
        match self {
            Self::Read(Some(offset)) => offset.now(ours),
            Self::Given | Self::Read(None) => ours,
        }
    }

    /// What time it is on the server at the latest when it is `ours` here.
    pub(crate) fn latest(self, ours: Timestamp) -> Timestamp {
        match self {
            Self::Read(Some(offset)) => offset.latest(ours),
            Self::Given | Self::Read(None) => ours,
        }
    }

    /// What is to be said of it, when there is something.
    pub(crate) fn warning(self) -> Option<String> {
        match self {
            Self::Given => None,
            Self::Read(None) => Some(
                "no response of the server has a date: the clock of this machine cannot be checked"
                    .to_owned(),
            ),
            Self::Read(Some(offset)) => (offset.apart() > NOTABLE).then(|| {
                format!("{}; what is judged by time is judged by the clock of the server", apart(offset))
            }),
        }
    }

    /// Whether the time of the server is ahead of ours.
    pub(crate) fn is_ahead(self) -> bool {
        matches!(self, Self::Read(Some(offset)) if offset.is_ahead() == Some(true))
    }

    /// Why `plan` must not be applied, when it must not, unless clocks may be `allowed` apart.
    pub(crate) fn refusal(self, plan: &Plan, allowed: Option<SignedDuration>) -> Option<String> {
        match self {
            Self::Given => None,
            Self::Read(None) => (allowed.is_none() && is_judged_by_time(plan)).then(|| {
                "no response of the server has a date, so the clock of this machine would decide what \
                 happens to tokens; if it is right, pass --allow-clock-skew 10m"
                    .to_owned()
            }),
            Self::Read(Some(offset)) => (offset.apart() > allowed.unwrap_or(MOST).max(MOST)).then(|| {
                format!(
                    "{}; correct the wrong one, or allow this run with --allow-clock-skew {}",
                    apart(offset),
                    to_write(offset.apart()),
                )
            }),
        }
    }

    /// How late the date of anything that happened on the server can be when it is `ours` here, UTC, where
    /// clocks may be `allowed` apart; `None` when the server does not tell its time.
    pub(crate) fn latest_date(self, ours: Timestamp, allowed: Option<SignedDuration>) -> Option<Timestamp> {
        match self {
            Self::Read(Some(offset)) => {
                Some(offset.latest(ours).checked_add(tolerated(allowed)).unwrap_or(Timestamp::MAX))
            }
            Self::Given | Self::Read(None) => None,
        }
    }

    /// The moment at which a token was made or used although `plan` was made for an earlier one, when that tells
    /// of a wrong clock. Clocks may be `allowed` apart.
    pub(crate) fn too_early(self, plan: &Plan, allowed: Option<SignedDuration>) -> Option<TooEarly> {
        // An incident is not judged by time: one odd date keeps no leaked token alive.
        if matches!(plan.purpose, Purpose::Revoke(_)) && self != Self::Given {
            return None;
        }
        let (target, now) = (plan.target.clone(), plan.made_for);
        let later = |tolerated| plan.latest_use.filter(|latest| latest.duration_since(now) > tolerated);
        let witness = match self {
            Self::Given => {
                let latest = later(SignedDuration::ZERO)?;
                return Some(TooEarly::Given { target, latest });
            }
            Self::Read(None) => later(tolerated(allowed))?,
            // While both clocks agree, a few tokens are wrong rather than both of them.
            Self::Read(Some(offset)) => {
                let are_odd = plan.odd_dates.are_few_of(plan.tokens.seen) && offset.apart() <= MOST;
                // What lies beyond all clocks names no bound that anybody should write.
                later(tolerated(allowed))
                    .or(plan.odd_dates.latest)
                    .filter(|_| !are_odd && plan.odd_dates.tokens > 0)?
            }
        };
        let allow = to_write(witness.duration_since(now));
        let tokens = plan.odd_dates.tokens;
        Some(TooEarly::Read { target, tokens, latest: witness, now, allow })
    }
}

/// What helps when our own server, which keeps the time that it reached, was ahead.
pub(crate) const WAY_BACK: &str = "a `tokenwarden serve` that was ahead keeps that time in its store: once the \
     clock of its machine is right, stop it and run `tokenwarden settings reset-clock`";

/// How much later than it is on a server the date of something that happened there may be.
fn tolerated(allowed: Option<SignedDuration>) -> SignedDuration {
    allowed.unwrap_or(NOTABLE).max(NOTABLE)
}

/// A plan is older than this when somebody says yes to it: much may have changed by now.
const OLD: SignedDuration = SignedDuration::from_hours(1);

/// Whether a plan for `made_for` is too old at `now`.
pub(crate) fn is_old(made_for: Timestamp, now: Timestamp) -> bool {
    now.duration_since(made_for) > OLD
}

/// A run for a moment that the target has left behind would bring ends into the past.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TooEarly {
    /// The moment was given.
    #[error("--now lies before {latest:.0}, when a token of `{target}` was made or used")]
    Given { target: String, latest: Timestamp },
    /// It is the present one of the server.
    #[error(
        "a token of `{target}` was made or used at {latest:.0}, and it is {now:.0} there{}: its clock is, \
         or was, wrong; once it is right, allow this run with --allow-clock-skew {allow}", others(*tokens)
    )]
    Read { target: String, tokens: u64, latest: Timestamp, now: Timestamp, allow: String },
}

fn others(tokens: u64) -> String {
    match tokens {
        0 | 1 => String::new(),
        tokens => format!(", and so were {} others, in its future", tokens - 1),
    }
}

/// Whether some of `plan` would be done or not with the time: what becomes of tokens is, unless they were
/// named for an incident.
fn is_judged_by_time(plan: &Plan) -> bool {
    let is_of_token = |planned: &PlannedChange| matches!(planned.change.object(), Object::Token(_));
    !matches!(plan.purpose, Purpose::Revoke(_)) && plan.changes.iter().any(is_of_token)
}

fn apart(offset: ClockOffset) -> String {
    let far = said(offset.apart());
    match offset.is_ahead() {
        Some(true) => format!("the clock of the server is {far} ahead of the one of this machine"),
        Some(false) => format!("the clock of the server is {far} behind the one of this machine"),
        None => format!("the clocks of the server and of this machine may be {far} apart"),
    }
}

/// `length` in the largest unit that it has two of, as people say it.
fn said(length: SignedDuration) -> String {
    let (size, unit) = unit_of(length);
    format!("{} {unit}", (length.as_secs() + size / 2) / size)
}

/// A duration for the command line that is at least `length`, with some room.
fn to_write(length: SignedDuration) -> String {
    let length = length + MOST;
    let (size, unit) = unit_of(length);
    format!("{}{unit}", length.as_secs() / size + 1)
}

fn unit_of(length: SignedDuration) -> (i64, &'static str) {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    units.into_iter().find(|(size, _)| length.as_secs() >= 2 * size).unwrap_or((1, "s"))
}

/// A length of time of the command line, such as `15m`, `26h` or `121d`.
pub(crate) fn parse_length(text: &str) -> Result<SignedDuration, String> {
    let bad = || format!("`{text}` is not a duration; use a number and a unit (s, m, h, d), e.g. 15m");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let size = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    let number: u32 = number.parse().map_err(|_| bad())?;
    Ok(SignedDuration::from_secs(i64::from(number) * size))
}
