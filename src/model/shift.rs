//! Whether something new lets more through than something old, or less.

use std::fmt;

/// Whether something new lets more through than something old, or less: nothing of it means that both are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shift {
    /// It lets something through that was stopped.
    pub looser: bool,
    /// It stops something that was let through.
    pub stricter: bool,
    /// Something about it could not be found out.
    pub unproved: bool,
}

impl Shift {
    /// Both are the same.
    pub const SAME: Self = Self { looser: false, stricter: false, unproved: false };
    /// The new one lets more through, and stops nothing else.
    pub const LOOSER: Self = Self { looser: true, ..Self::SAME };
    /// The new one lets less through, and nothing else.
    pub const STRICTER: Self = Self { stricter: true, ..Self::SAME };
    /// Each lets something through that the other stops.
    pub const MIXED: Self = Self { looser: true, stricter: true, unproved: false };
    /// Nothing is known.
    pub const UNPROVED: Self = Self { unproved: true, ..Self::SAME };

    /// What two of them come to together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            looser: self.looser || other.looser,
            stricter: self.stricter || other.stricter,
            unproved: self.unproved || other.unproved,
        }
    }

    /// The same, seen from the new one.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { looser: self.stricter, stricter: self.looser, ..self }
    }

    /// The word for it, of what is known: `equivalent`, `looser`, `stricter`, `mixed` or `not proved`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match (self.looser, self.stricter, self.unproved) {
            (true, true, _) => "mixed",
            (true, false, _) => "looser",
            (false, true, _) => "stricter",
            (false, false, true) => "not proved",
            (false, false, false) => "equivalent",
        }
    }
}

impl FromIterator<Shift> for Shift {
    fn from_iter<I: IntoIterator<Item = Self>>(shifts: I) -> Self {
        shifts.into_iter().fold(Self::SAME, Self::and)
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        if self.unproved && (self.looser || self.stricter) {
            f.write_str(", and not all is proved")?;
        }
        Ok(())
    }
}
