//! The limits on one run, for every class of change, with the defaults filled in.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Period, UserName};

/// What a rail counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RailClass {
    /// Tokens that are revoked before they have expired.
    Revocations,
    /// Tokens that are revoked once they have expired.
    Cleanups,
    /// Tokens whose expiry is brought nearer.
    Expiries,
    /// Tokens whose scope is lowered.
    Narrowings,
    /// Groups that lose a permission.
    WithdrawnGroups,
    /// Owners of tokens used lately from addresses that are no longer allowed.
    RefusedCallers,
    /// Network entries that are taken away, where the addresses of callers are unknown.
    WithdrawnNetworks,
}

impl RailClass {
    /// All of them, in the order of the config file.
    pub const ALL: [Self; 7] = [
        Self::Revocations,
        Self::Cleanups,
        Self::Expiries,
        Self::Narrowings,
        Self::WithdrawnGroups,
        Self::RefusedCallers,
        Self::WithdrawnNetworks,
    ];

    /// Its key in the config file and in `--allow`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Revocations => "revocations",
            Self::Cleanups => "cleanups",
            Self::Expiries => "expiries",
            Self::Narrowings => "narrowings",
            Self::WithdrawnGroups => "withdrawn_groups",
            Self::RefusedCallers => "refused_callers",
            Self::WithdrawnNetworks => "withdrawn_networks",
        }
    }

    /// The limit where the config file does not say another one.
    #[must_use]
    pub fn default_rail(self) -> Rail {
        let rail = |amount, percent, floor| Rail { amount, percent, floor };
        match self {
            Self::Revocations | Self::Cleanups => rail(10, 5, 3),
            Self::Expiries | Self::Narrowings => rail(50, 20, 10),
            Self::WithdrawnGroups | Self::WithdrawnNetworks => rail(3, 50, 1),
            Self::RefusedCallers => rail(0, 0, 0),
        }
    }
}

impl fmt::Display for RailClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// The limit of one class. A count is refused when it is over `floor` and also over `amount` or
/// over `percent` of the live objects of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rail {
    /// Most objects one run may change.
    pub amount: u64,
    /// At most this percentage of the live objects, 0 to 100.
    pub percent: u8,
    /// Counts up to this are always allowed.
    pub floor: u64,
}

impl Rail {
    /// Whether a run may change `count` of `live` objects.
    #[must_use]
    pub fn admits(self, count: u64, live: u64) -> bool {
        let share_is_over = u128::from(count) * 100 > u128::from(live) * u128::from(self.percent);
        count <= self.floor || (count <= self.amount && !share_is_over)
    }
}

/// The limits of every class.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rails(BTreeMap<RailClass, Rail>);

impl Rails {
    /// Sets another limit than the default.
    pub fn set(&mut self, class: RailClass, rail: Rail) {
        self.0.insert(class, rail);
    }

    /// The limit of `class`.
    #[must_use]
    pub fn of(&self, class: RailClass) -> Rail {
        self.0.get(&class).copied().unwrap_or_else(|| class.default_rail())
    }
}

/// What happens when the policy has keys that a target cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unsupported {
    /// The run ends with an error.
    #[default]
    Error,
    /// The keys are shown, and the run goes on.
    Warn,
}

/// Who must still get in after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// Users whose way in stays open.
    pub break_glass: Vec<UserName>,
    /// How many administrators must be left; at least one.
    pub min_admins: u64,
    /// How long a way in must last to count.
    pub horizon: Period,
}

impl Default for Lockout {
    fn default() -> Self {
        Self { break_glass: Vec::new(), min_admins: 1, horizon: Period::days(7) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rail, RailClass};

    #[test]
    fn a_count_is_refused_over_the_floor_when_it_is_over_the_amount_or_over_the_share() {
        let rail = Rail { amount: 10, percent: 5, floor: 3 };
        for (count, live, admitted) in
            [(0, 0, true), (3, 3, true), (4, 10, false), (4, 80, true), (10, 200, true), (11, 10_000, false)]
        {
            assert_eq!(rail.admits(count, live), admitted, "{count} of {live}");
        }
        assert!(!RailClass::RefusedCallers.default_rail().admits(1, 1_000));
    }
}
