//! Counts of the tokens of a target: how many of which kind, how old they are, when they end and whose do
//! not comply. The size does not grow with the tokens.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    inventory::People,
    model::{GroupName, Owner, Scope, Token, TokenScope},
};

use super::TokenFindings;

/// Where one class of age ends and the next begins, in days.
const AGES: [u32; 5] = [30, 90, 180, 365, 730];
/// How many weeks ahead expiries are counted week by week: a quarter of a year.
const WEEKS: usize = 13;
const SECONDS_A_DAY: i64 = 24 * 60 * 60;
const SCOPES: [TokenScope; 4] = [
    TokenScope::Unset,
    TokenScope::Set(Scope::ReadOnly),
    TokenScope::Set(Scope::ReadWrite),
    TokenScope::Unknown,
];

/// Whether a token works, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It works, and ends by itself.
    Ending,
    /// It works, and never ends.
    Endless,
    /// It expired, and is still listed.
    Expired,
}

impl TokenState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ending, Self::Endless, Self::Expired];

    /// How reports write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ending => "ending",
            Self::Endless => "endless",
            Self::Expired => "expired",
        }
    }

    /// That of `token` at `now`.
    #[must_use]
    pub fn of(token: &Token, now: Timestamp) -> Self {
        match token.expires {
            None => Self::Endless,
            Some(_) if token.is_expired(now) => Self::Expired,
            Some(_) => Self::Ending,
        }
    }
}

/// Whose token it is, as statistics count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Somebody's in this group, one of those that the policy or the permission to use tokens names.
    Group(GroupName),
    /// This owner's, who is in none of those groups.
    Owner(Owner),
}

/// What all tokens of a target come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    now: Timestamp,
    /// By scope, in the order of [`SCOPES`], then by state, in the order of [`TokenState::ALL`].
    counts: [[u64; TokenState::ALL.len()]; SCOPES.len()],
    ages: [u64; AGES.len() + 1],
    expiries: [u64; WEEKS + 1],
    ending_in_30_days: u64,
    with_findings: BTreeMap<Whose, u64>,
}

impl Statistics {
    /// Begins to count at the moment `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            counts: [[0; TokenState::ALL.len()]; SCOPES.len()],
            ages: [0; AGES.len() + 1],
            expiries: [0; WEEKS + 1],
            ending_in_30_days: 0,
            with_findings: BTreeMap::new(),
        }
    }

    /// What somebody tells of them, such as a saved plan, in the order of [`Self::counts`],
    /// [`Self::ages`] and [`Self::expiries`]; `None` when there are more or fewer counts than these have.
    #[must_use]
    pub fn told(
        now: Timestamp,
        counts: &[u64],
        ages: &[u64],
        expiries: &[u64],
        ending_in_30_days: u64,
        with_findings: BTreeMap<Whose, u64>,
    ) -> Option<Self> {
        let states = |scope: &[u64]| scope.try_into().ok();
        let counts: Option<Vec<[u64; 3]>> = counts.chunks(TokenState::ALL.len()).map(states).collect();
        Some(Self {
            now,
            counts: counts?.try_into().ok()?,
            ages: ages.try_into().ok()?,
            expiries: expiries.try_into().ok()?,
            ending_in_30_days,
            with_findings,
        })
    }

    /// Counts a token.
    pub fn observe(&mut self, token: &Token) {
        let state = TokenState::of(token, self.now);
        let of_scope = SCOPES.iter().zip(&mut self.counts).find(|(scope, _)| **scope == token.scope);
        if let Some(count) = of_scope.and_then(|(_, states)| states.get_mut(state as usize)) {
            *count += 1;
        }
        if state == TokenState::Expired {
            return;
        }
        let age = days(token.created, self.now);
        count_at(&mut self.ages, AGES.iter().take_while(|&&limit| age >= i64::from(limit)).count());
        if let Some(expires) = token.expires {
            let left = days(self.now, expires);
            count_at(&mut self.expiries, usize::try_from(left / 7).unwrap_or(0).min(WEEKS));
            self.ending_in_30_days += u64::from(left < 30);
        }
    }

    /// Counts a token that does not comply, for every group that its owner is in, or for the owner.
    pub fn observe_findings(&mut self, found: &TokenFindings, people: &People) {
        let owner = &found.token.owner;
        let mut groups = owner.user().into_iter().flat_map(|user| people.groups_of(user)).peekable();
        if groups.peek().is_none() {
            *self.with_findings.entry(Whose::Owner(owner.clone())).or_default() += 1;
        }
        for group in groups {
            *self.with_findings.entry(Whose::Group(group.clone())).or_default() += 1;
        }
    }

    /// How many tokens there are of each scope in each state, those of which there are none too.
    pub fn counts(&self) -> impl Iterator<Item = (TokenScope, TokenState, u64)> {
        SCOPES.into_iter().zip(&self.counts).flat_map(|(scope, states)| {
            TokenState::ALL.into_iter().zip(states).map(move |(state, count)| (scope, state, *count))
        })
    }

    /// How old the tokens that work are: each class by the days that its tokens are younger than,
    /// `None` for the oldest ones, with how many are in it.
    pub fn ages(&self) -> impl Iterator<Item = (Option<u32>, u64)> {
        AGES.into_iter().map(Some).chain([None]).zip(self.ages)
    }

    /// When the tokens that work and end by themselves do so, counted from the moment of the plan: each
    /// week by the days that it is over after, `None` for all later ones, with how many end in it.
    pub fn expiries(&self) -> impl Iterator<Item = (Option<u32>, u64)> {
        (1..=u32::try_from(WEEKS).unwrap_or(0)).map(|week| Some(week * 7)).chain([None]).zip(self.expiries)
    }

    /// How many tokens end by themselves within 7 days.
    #[must_use]
    pub fn ending_in_7_days(&self) -> u64 {
        self.expiries.first().copied().unwrap_or(0)
    }

    /// How many tokens end by themselves within 30 days.
    #[must_use]
    pub fn ending_in_30_days(&self) -> u64 {
        self.ending_in_30_days
    }

    /// How many tokens work and never end.
    #[must_use]
    pub fn endless(&self) -> u64 {
        self.counts().filter(|(_, state, _)| *state == TokenState::Endless).map(|(.., count)| count).sum()
    }

    /// How many tokens do not comply, by the groups of their owners; a token counts once for each.
    #[must_use]
    pub fn with_findings(&self) -> impl ExactSizeIterator<Item = (&Whose, u64)> {
        self.with_findings.iter().map(|(whose, count)| (whose, *count))
    }
}

/// Whole days from one moment to another.
fn days(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_second() - from.as_second()).div_euclid(SECONDS_A_DAY)
}

fn count_at(classes: &mut [u64], index: usize) {
    if let Some(count) = classes.get_mut(index) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TokenId;

    const NOW: &str = "2026-11-23T12:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn observed(tokens: &[(&str, Option<&str>)]) -> Statistics {
        let mut statistics = Statistics::new(at(NOW));
        for (created, expires) in tokens {
            statistics.observe(&Token {
                mark: None,
                id: TokenId::new("1"),
                owner: Owner::User("mary".into()),
                description: String::new(),
                scope: TokenScope::Set(Scope::ReadOnly),
                created: at(created),
                created_by: None,
                last_used: None,
                expires: expires.map(at),
            });
        }
        statistics
    }

    fn classes(of: impl Iterator<Item = (Option<u32>, u64)>) -> Vec<(Option<u32>, u64)> {
        of.filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn a_token_is_in_the_class_of_age_that_its_whole_days_fall_into() {
        let statistics = observed(&[
            (NOW, None),
            ("2026-10-24T12:00:01Z", None),
            ("2026-10-24T12:00:00Z", None),
            ("2024-11-24T12:00:00Z", None),
            ("2024-11-23T12:00:00Z", None),
        ]);
        let expected = [(Some(30), 2), (Some(90), 1), (Some(730), 1), (None, 1)];
        assert_eq!(classes(statistics.ages()), expected);
        assert_eq!(statistics.endless(), 5);
    }

    #[test]
    fn an_expiry_is_in_the_week_that_it_falls_into_and_expired_tokens_have_neither_age_nor_expiry() {
        let created = "2026-11-01T00:00:00Z";
        let statistics = observed(&[
            (created, Some("2026-11-23T12:00:01Z")),
            (created, Some("2026-11-30T11:59:59Z")),
            (created, Some("2026-11-30T12:00:00Z")),
            (created, Some("2026-12-23T11:59:59Z")),
            (created, Some("2026-12-23T12:00:00Z")),
            (created, Some("2030-01-01T00:00:00Z")),
            (created, Some(NOW)),
        ]);
        let expected = [(Some(7), 2), (Some(14), 1), (Some(35), 2), (None, 1)];
        assert_eq!(classes(statistics.expiries()), expected);
        assert_eq!((statistics.ending_in_7_days(), statistics.ending_in_30_days()), (2, 4));
        assert_eq!(statistics.ages().map(|(_, count)| count).sum::<u64>(), 6);
    }

    #[test]
    fn every_token_is_counted_exactly_once_by_scope_and_state() {
        let created = "2026-11-01T00:00:00Z";
        let statistics =
            observed(&[(created, None), (created, Some(NOW)), (created, Some("2027-01-01T00:00:00Z"))]);
        let counted: Vec<_> = statistics.counts().filter(|(.., count)| *count > 0).collect();
        let read_only = TokenScope::Set(Scope::ReadOnly);
        assert_eq!(counted, TokenState::ALL.map(|state| (read_only, state, 1)));
        assert_eq!(statistics.counts().count(), 12);
    }
}
