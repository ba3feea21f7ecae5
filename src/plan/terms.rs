//! In: what somebody who makes a plan knows beside the target itself. Out: that in one value. It
//! refuses to look anything up: the time and what earlier runs did are told.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    model::{Period, TokenId, rails::RailClass},
    policy::{
        Policy,
        settings_file::{Lockout, Unsupported},
    },
};

/// What a plan is made from, beside the target.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The name of the target in the settings file.
    pub target: &'a str,
    /// What should be.
    pub policy: &'a Policy,
    /// Who must keep a way in.
    pub lockout: &'a Lockout,
    /// What happens when the policy has keys that the target cannot hold.
    pub unsupported: Unsupported,
    /// What earlier runs did.
    pub history: &'a History,
    /// The moment that the plan is for, UTC.
    pub now: Timestamp,
}

/// What earlier runs on the target did, as far as somebody kept a record of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The first deadline, UTC, of every token that was marked and whose mark no run has taken off since:
    /// an owner who takes it off wins no time.
    pub deadlines: BTreeMap<TokenId, Timestamp>,
    /// What counts against the rails of this run already; nothing when no record is kept.
    pub spent: Option<Spent>,
}

/// What runs did within the window that rails look back on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// How far back.
    pub window: Period,
    /// How many objects of each class.
    pub counts: BTreeMap<RailClass, u64>,
}
