//! What a comparison of policies comes to, and what may be required of it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shift;

/// What all differences of a policy from an earlier one come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyVerdict {
    /// What it was compared with, as the user named it.
    pub baseline: String,
    /// `equivalent`, `looser`, `stricter`, `mixed` or `not proved`.
    pub verdict: String,
    /// How many differences permit more.
    pub permit_more: usize,
    /// How many permit less; one may do both.
    pub permit_less: usize,
    /// Of how many that is not proved.
    pub not_proved: usize,
    /// Why nothing could be compared; null when something was.
    #[serde(default)]
    pub error: Option<String>,
    /// What was required of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<Requirement>,
}

/// What is required of a policy that is compared with an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// It permits exactly the same.
    Equivalent,
    /// It permits nothing that was not permitted.
    NoLooser,
    /// It permits less, and nothing that was not permitted.
    Stricter,
}

impl PolicyVerdict {
    /// The verdict on differences of these `shifts` from `baseline`; or that they could not be found, and why.
    #[must_use]
    pub fn of(
        baseline: &str,
        shifts: &[Shift],
        error: Option<String>,
        required: Option<Requirement>,
    ) -> Self {
        let count = |is: fn(&Shift) -> bool| shifts.iter().copied().filter(is).count();
        let all: Shift = shifts.iter().copied().chain(error.as_ref().map(|_| Shift::UNPROVED)).collect();
        Self {
            baseline: baseline.to_owned(),
            verdict: all.word().to_owned(),
            permit_more: count(|shift| shift.looser),
            permit_less: count(|shift| shift.stricter),
            not_proved: count(|shift| shift.unproved),
            error,
            required,
        }
    }

    /// Whether more is permitted, or less.
    #[must_use]
    pub fn shift(&self) -> Shift {
        Shift {
            looser: self.permit_more > 0,
            stricter: self.permit_less > 0,
            unproved: self.not_proved > 0 || self.error.is_some(),
        }
    }

    /// What was required and is not so.
    #[must_use]
    pub fn missed(&self) -> Option<Requirement> {
        self.required.filter(|required| !required.is_met_by(self.shift()))
    }
}

impl Requirement {
    /// Whether `shift` is as required; what is not proved meets nothing.
    #[must_use]
    pub fn is_met_by(self, shift: Shift) -> bool {
        match self {
            Self::Equivalent => shift == Shift::SAME,
            Self::NoLooser => !shift.looser && !shift.unproved,
            Self::Stricter => shift == Shift::STRICTER,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equivalent => "equivalent",
            Self::NoLooser => "no-looser",
            Self::Stricter => "stricter",
        })
    }
}
