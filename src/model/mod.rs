//! The nouns of the whole program: values that cannot be wrong once they exist.
//!
//! Types whose shape forbids the mistakes that token governance cannot afford, such as an empty list that
//! means both "nobody" and "everybody". Where a value came from is not known here: no file, no server, no
//! clock.

pub mod action;
pub(crate) mod address_credential;
pub mod audit;
mod blank;
pub mod brief;
pub mod digest;
pub mod expression;
pub mod identity;
mod last_change;
pub mod leak;
pub mod lifetime;
pub mod limit;
mod limit_value;
pub mod mapping;
pub mod mark;
pub mod network;
mod pattern;
pub mod percent;
pub mod permission;
pub mod question;
pub mod rails;
mod restriction;
pub mod rule;
pub mod run;
pub mod schema;
pub mod scope;
pub mod secret;
pub mod server_identity;
pub mod settings;
mod shift;
pub mod time_bound;
pub mod token;
pub(crate) mod variable;
mod verb;
mod verdict;
mod why;
mod wildcard;

pub use action::Action;
pub use blank::is_blank;
pub use brief::brief;
pub use expression::Expression;
pub use identity::{BadOwner, GroupName, Owner, OwnerKind, OwnerMark, UserName};
pub use last_change::LastChange;
pub use lifetime::Period;
pub use limit::{Limit, LimitKey};
pub use limit_value::{LimitReader, LimitText};
pub use mark::{Mark, MarkKey, Marker, NoRoom};
pub use network::{AddressSet, AllowedNetworks};
pub use pattern::{BadPattern, Pattern};
pub use permission::{Holders, Permission};
pub use question::Question;
pub use restriction::Restriction;
pub use rule::{GoesBy, Rule, RuleCode};
pub use scope::Scope;
pub use secret::TokenSecret;
pub use server_identity::{ServerIdentity, canonical_address, is_loopback};
pub use settings::{
    SettingKey, SettingValue, Settings,
    client_address::{ClientAddressSource, HeaderName},
    password::PasswordAuthentication,
};
pub use shift::Shift;
pub use time_bound::TimeBound;
pub use token::{LastUse, Token, TokenId, TokenScope};
pub use verb::Verb;
pub use verdict::{PolicyVerdict, Requirement};
pub use why::Why;
pub use wildcard::wildcard;

/// Values that open a door wider or less wide, so that a change can be taken in two safe steps:
/// first open for the old and the new, later close for what only the old had.
pub trait Reach: Sized + PartialEq {
    /// What is open when both `self` and `other` are.
    #[must_use]
    fn union(&self, other: &Self) -> Self;
}
