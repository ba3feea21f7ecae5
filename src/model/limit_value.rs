//! The kinds of values that limits have: how one is written, read, shown and compared.

use std::cmp::Ordering;

use super::{Pattern, Period, Scope, Shift, lifetime::BadPeriod};

/// A value of a limit.
pub trait LimitValue: Sized {
    /// Its form in JSON.
    type Written;
    /// Whether it is a length of time.
    const IS_PERIOD: bool = false;

    /// As it is written.
    fn written(&self) -> Self::Written;

    /// The value that is `written`.
    ///
    /// # Errors
    ///
    /// Why it cannot be enforced.
    fn read(written: &Self::Written) -> Result<Self, String>;

    /// As it is shown.
    fn text(&self) -> LimitText;

    /// Whether every token that `before` admits is admitted by this.
    fn admits_all_of(&self, before: &Self) -> bool;

    /// What having this in place of `before` lets through or stops.
    fn shift_from(&self, before: &Self) -> Shift;
}

/// A value of a limit as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitText {
    /// A word of a policy or a number, which can be written without quotes.
    Plain(String),
    /// What somebody wrote.
    Written(String),
}

/// What reads the values of one entry, each by its key.
pub trait LimitReader {
    /// A scope.
    fn scope(&mut self, key: &'static str) -> Option<Scope>;
    /// A length of time.
    fn period(&mut self, key: &'static str) -> Option<Period>;
    /// A count of at least one.
    fn count(&mut self, key: &'static str) -> Option<u32>;
    /// A regular expression.
    fn pattern(&mut self, key: &'static str) -> Option<Pattern>;
}

/// Whether the limit `now` admits every token that `before` does; `None` admits all.
pub(super) fn is_no_narrower<T: LimitValue>(now: Option<&T>, before: Option<&T>) -> bool {
    match (now, before) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(now), Some(before)) => now.admits_all_of(before),
    }
}

/// What having the limit `now` in place of `before` lets through or stops; `None` lets everything through.
pub(super) fn shift<T: LimitValue>(now: Option<&T>, before: Option<&T>) -> Shift {
    match (now, before) {
        (None, None) => Shift::SAME,
        (None, Some(_)) => Shift::LOOSER,
        (Some(_), None) => Shift::STRICTER,
        (Some(now), Some(before)) => now.shift_from(before),
    }
}

/// What having a most that compares so with the one before lets through or stops.
fn of_most(order: Ordering) -> Shift {
    match order {
        Ordering::Less => Shift::STRICTER,
        Ordering::Equal => Shift::SAME,
        Ordering::Greater => Shift::LOOSER,
    }
}

impl LimitValue for Scope {
    type Written = Self;

    fn written(&self) -> Self {
        *self
    }

    fn read(written: &Self) -> Result<Self, String> {
        Ok(*written)
    }

    fn text(&self) -> LimitText {
        LimitText::Plain(self.to_string())
    }

    fn admits_all_of(&self, before: &Self) -> bool {
        self >= before
    }

    fn shift_from(&self, before: &Self) -> Shift {
        of_most(self.cmp(before))
    }
}

impl LimitValue for Period {
    type Written = String;
    const IS_PERIOD: bool = true;

    fn written(&self) -> String {
        self.to_string()
    }

    fn read(written: &String) -> Result<Self, String> {
        written.parse().map_err(|error: BadPeriod| error.to_string())
    }

    fn text(&self) -> LimitText {
        LimitText::Plain(self.to_string())
    }

    fn admits_all_of(&self, before: &Self) -> bool {
        self >= before
    }

    fn shift_from(&self, before: &Self) -> Shift {
        self.shift(*before)
    }
}

/// How many tokens an owner may have.
impl LimitValue for u32 {
    type Written = Self;

    fn written(&self) -> Self {
        *self
    }

    fn read(written: &Self) -> Result<Self, String> {
        match written {
            0 => Err("`0` lets nobody have a token; use `permissions.use`".to_owned()),
            count => Ok(*count),
        }
    }

    fn text(&self) -> LimitText {
        LimitText::Plain(self.to_string())
    }

    fn admits_all_of(&self, before: &Self) -> bool {
        self >= before
    }

    fn shift_from(&self, before: &Self) -> Shift {
        of_most(self.cmp(before))
    }
}

impl LimitValue for Pattern {
    type Written = String;

    fn written(&self) -> String {
        self.as_str().to_owned()
    }

    fn read(written: &String) -> Result<Self, String> {
        Self::new(written).map_err(|error| error.to_string())
    }

    fn text(&self) -> LimitText {
        LimitText::Written(self.as_str().to_owned())
    }

    /// Nobody can tell which of two patterns matches more.
    fn admits_all_of(&self, before: &Self) -> bool {
        self == before
    }

    fn shift_from(&self, before: &Self) -> Shift {
        if self == before { Shift::SAME } else { Shift::UNPROVED }
    }
}
