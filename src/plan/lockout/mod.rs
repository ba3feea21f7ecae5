//! Who would no longer get in.
//!
//! From the settings as they are and as a plan would leave them, the caller, the people who must keep a way
//! in and their tokens one by one to everybody whom the plan would shut out, on which axis, and what to
//! change instead. [`decide`](crate::access::decide) is asked what the server would answer.
//!
//! To get in is to be able to do what a run does: somebody who may make its reading calls can plan, and
//! somebody who may make all of them can apply, and so mend the policy. Nobody is shut out who could not do
//! it before: a plan is refused only for what it makes worse.
//!
//! * **We**: our credential, from the address that the server sees. When the source of that address
//!   changes, it is the peer where the header would not be believed; where it would be, it cannot be known
//!   beforehand, and a plan that leaves the networks restricted is refused.
//! * **People** (`break_glass`, administrators): by the best of their ways in, that is by a token that has
//!   not expired and that the plan neither revokes nor makes to expire, or by a password. Every active user
//!   is taken to have one, since no server tells. A token is judged from the address it was last used from;
//!   where that is not known, and for passwords, the network does not count against them. When the source of
//!   addresses changes, they are judged from every address at which the server may see them then, and anyone
//!   who may be seen anywhere is refused unless the networks are open.
//! * A way in must last: people are judged twice, now and at the end of `lockout.horizon`, when a token that
//!   expires before that, or whose mark is due, is none any more. A plan may make neither worse. What ends
//!   within the horizon anyway stops no plan, and is warned of.
//! * Who was not seen is taken for somebody with a way in that the plan takes wherever it may: active, in those
//!   of the groups not seen whole that lose most, and no administrator who is left. Where the server may have
//!   more administrators than it showed, one such stands for them.
//! * The process that runs an embedded server for itself cannot be shut out, and is one administrator.

mod again;
mod caller;
mod people;
mod text;
mod way_in;
mod ways;

pub(super) use caller::shut_out as caller_shut_out;
pub(super) use people::PeopleFold;
pub use ways::WaysIn;

use std::net::IpAddr;

use crate::{
    access::DenialReason,
    model::{SettingKey, Settings, UserName},
    plan::TokenStep,
    yaml::Place,
};

use super::{Change, Object, PlannedChange};

/// Somebody whom a plan would shut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutOut {
    /// Who.
    pub who: Who,
    /// Every axis on which a way in is lost; never empty.
    pub losses: Vec<Loss>,
}

/// Who must keep a way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// We, with the credential of this run.
    Caller,
    /// A user whom the config file names in `break_glass`.
    BreakGlass(UserName),
    /// The administrators, of whom `min_admins` must be left.
    Administrators {
        /// How many get in now.
        before: u64,
        /// How many would.
        after: u64,
        /// How many must.
        least: u64,
    },
}

/// How a way in is lost, and where the policy says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// On which axis.
    pub axis: Axis,
    /// An address that would be refused, when it is about addresses and one is known.
    pub address: Option<IpAddr>,
    /// The setting whose change is to blame; `None` when it is the change of a token.
    pub setting: Option<SettingKey>,
    /// The line of the policy that asks for that change.
    pub place: Option<Place>,
}

/// A side on which a way in can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Axis {
    /// The server would refuse the request, for this reason.
    Refused(DenialReason),
    /// Which address the server would see cannot be known beforehand.
    UnknownAddress,
    /// The token would be made to expire.
    Expired,
    /// The token would be revoked.
    Revoked,
    /// What is left does not last until the end of the horizon.
    Ending,
    /// It was there when the plan was made, and is not any more.
    Gone,
    /// Whether it is one could not be seen.
    Unseen,
}

impl Loss {
    /// A loss on `axis`, with the first of `changes` that is to blame for it.
    fn new(axis: Axis, address: Option<IpAddr>, changes: &[PlannedChange], of: &Blame<'_>) -> Self {
        let blamed = keys(axis)
            .iter()
            .find_map(|key| changes.iter().find(|planned| planned.change.object() == Object::Setting(*key)));
        let blamed = blamed.or_else(|| changes.iter().find(|planned| of(&planned.change, axis)));
        let setting = blamed.and_then(|planned| match planned.change.object() {
            Object::Setting(key) => Some(key),
            Object::Token(_) => None,
        });
        let place = blamed.and_then(|planned| planned.reasons.iter().find_map(|reason| reason.place.clone()));
        Self { axis, address, setting, place }
    }
}

/// Whether a change of a token takes a way in on an axis.
type Blame<'a> = dyn Fn(&Change, Axis) -> bool + 'a;

/// The settings whose change can take a way in on `axis`, the likeliest one first.
fn keys(axis: Axis) -> &'static [SettingKey] {
    match axis {
        Axis::Refused(reason) => reason.settings(),
        Axis::UnknownAddress => &[SettingKey::ClientAddress, SettingKey::Networks],
        Axis::Expired | Axis::Revoked | Axis::Ending | Axis::Gone | Axis::Unseen => &[],
    }
}

/// The axis on which `change` takes something away from the token that it is about.
fn axis_of(change: &Change) -> Option<Axis> {
    match change.token_step()?.1 {
        TokenStep::Narrow { .. } => Some(Axis::Refused(DenialReason::Scope)),
        TokenStep::Expire { .. } | TokenStep::Mark { .. } => Some(Axis::Expired),
        TokenStep::Revoke => Some(Axis::Revoked),
        TokenStep::Unmark => None,
    }
}

/// `settings` as `changes` would leave them.
pub(super) fn settings_after(settings: &Settings, changes: &[PlannedChange]) -> Settings {
    let mut after = settings.clone();
    for planned in changes {
        planned.change.write_into(&mut after);
    }
    after
}
