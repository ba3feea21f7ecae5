//! The value of one setting, whichever it is: what changes, plans and servers do with all settings alike.

use std::{fmt, iter};

use serde::Serialize;
use serde_json::Value;

use crate::model::{
    AllowedNetworks, ClientAddressSource, GroupName, Holders, Limit, PasswordAuthentication, Permission,
    Reach, Verb, limit::LimitDocument, permission::Groups, rails::RailClass,
};

use super::{
    SettingKey, Settings,
    document::{
        ClientAddressDocument, PasswordAuthenticationDocument, WordOrList, client_address, holders, limit,
        networks, password_authentication,
    },
};

/// A value that a setting has, or is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingValue {
    /// Who holds a permission.
    Holders(Permission, Holders),
    /// From which networks a client is accepted.
    Networks(AllowedNetworks),
    /// Where the address of a client is found.
    ClientAddress(ClientAddressSource),
    /// Whether passwords still work.
    PasswordAuthentication(PasswordAuthentication),
    /// How far new tokens may reach.
    Limits(Vec<Limit>),
}

/// What going from one value of a setting to another does to the door that the setting guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Whatever was let in still is.
    Open,
    /// Neither wider nor narrower: what is let in is found out in another way.
    Replace,
    /// Something that was let in no longer is.
    Close,
}

impl SettingValue {
    /// The setting that it is a value of.
    #[must_use]
    pub fn key(&self) -> SettingKey {
        match self {
            Self::Holders(permission, _) => SettingKey::Permission(*permission),
            Self::Networks(_) => SettingKey::Networks,
            Self::ClientAddress(_) => SettingKey::ClientAddress,
            Self::PasswordAuthentication(_) => SettingKey::PasswordAuthentication,
            Self::Limits(_) => SettingKey::Limits,
        }
    }

    /// The values before and after each step on the way from `self` to `wanted`: first everything is open that
    /// either of them opens, then what only `self` opens is closed. None when they are equal, one when nothing
    /// lies between them.
    #[must_use]
    pub fn steps_to(&self, wanted: &Self) -> Vec<(Self, Self)> {
        let between = self.union(wanted).unwrap_or_else(|| wanted.clone());
        [(self, &between), (&between, wanted)]
            .into_iter()
            .filter(|(before, after)| before != after)
            .map(|(before, after)| (before.clone(), after.clone()))
            .collect()
    }

    /// What going from `self` to `after` does.
    #[must_use]
    pub fn step_to(&self, after: &Self) -> Step {
        let opens = match (self, after) {
            (Self::ClientAddress(_), _) => return Step::Replace,
            (Self::Limits(before), Self::Limits(after)) => loosens(before, after),
            (before, after) => before.union(after).as_ref() == Some(after),
        };
        if opens { Step::Open } else { Step::Close }
    }

    /// The verb of going from `self` to `after`.
    #[must_use]
    pub fn verb_to(&self, after: &Self) -> Verb {
        match (self, self.step_to(after)) {
            (Self::Holders(..), Step::Open) => Verb::Grant,
            (Self::Holders(..), Step::Replace | Step::Close) => Verb::Withdraw,
            (Self::Networks(_), Step::Open) => Verb::Admit,
            (Self::Networks(_), Step::Replace | Step::Close) => Verb::Refuse,
            (Self::ClientAddress(_) | Self::PasswordAuthentication(_) | Self::Limits(_), _) => Verb::Set,
        }
    }

    /// The rail that going from `self` to `after` counts for; `None` for what only opens or can be set back at once.
    #[must_use]
    pub fn rail_to(&self, after: &Self) -> Option<RailClass> {
        match (self, self.step_to(after)) {
            (Self::Holders(..), Step::Close | Step::Replace) => Some(RailClass::WithdrawnGroups),
            (Self::Networks(_), Step::Close | Step::Replace) | (Self::ClientAddress(_), _) => {
                Some(RailClass::RefusedCallers)
            }
            (Self::Holders(..) | Self::Networks(_), Step::Open)
            | (Self::PasswordAuthentication(_) | Self::Limits(_), _) => None,
        }
    }

    /// What is open when both are; `None` if no value says that.
    fn union(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Holders(permission, one), Self::Holders(same, other)) if permission == same => {
                Some(Self::Holders(*permission, one.union(other)))
            }
            (Self::Networks(one), Self::Networks(other)) => Some(Self::Networks(one.union(other))),
            (Self::PasswordAuthentication(one), Self::PasswordAuthentication(other)) => {
                Some(Self::PasswordAuthentication(one.union(other)))
            }
            _ => None,
        }
    }

    /// The groups that it names; some perhaps more than once.
    #[must_use]
    pub fn groups(&self) -> Box<dyn Iterator<Item = &GroupName> + '_> {
        match self {
            Self::Holders(_, holders) => Box::new(holders.groups()),
            Self::Limits(limits) => Box::new(groups_of(limits)),
            Self::Networks(_) | Self::ClientAddress(_) | Self::PasswordAuthentication(_) => {
                Box::new(iter::empty())
            }
        }
    }

    /// It as JSON, in the words of the policy; null should that fail, which it does not.
    #[must_use]
    pub fn to_json(&self) -> Value {
        fn json(document: impl Serialize) -> Value {
            serde_json::to_value(document).unwrap_or_default()
        }
        match self {
            Self::Holders(_, holders) => json(WordOrList::from(holders)),
            Self::Networks(networks) => json(WordOrList::from(networks)),
            Self::ClientAddress(source) => json(ClientAddressDocument::from(source)),
            Self::PasswordAuthentication(passwords) => json(PasswordAuthenticationDocument::from(passwords)),
            Self::Limits(limits) => json(limits.iter().map(LimitDocument::from).collect::<Vec<_>>()),
        }
    }

    /// The value of `key` that [`to_json`](Self::to_json) wrote; `None` when `value` means none.
    #[must_use]
    pub fn of_json(key: SettingKey, value: &Value) -> Option<Self> {
        fn document<'a, T: serde::Deserialize<'a>>(value: &'a Value) -> Option<T> {
            T::deserialize(value).ok()
        }
        match key {
            SettingKey::Permission(permission) => {
                Some(Self::Holders(permission, holders(&document(value)?, permission).ok()?))
            }
            SettingKey::Networks => Some(Self::Networks(networks(&document(value)?).ok()?)),
            SettingKey::ClientAddress => Some(Self::ClientAddress(client_address(&document(value)?).ok()?)),
            SettingKey::PasswordAuthentication => {
                Some(Self::PasswordAuthentication(password_authentication(&document(value)?).ok()?))
            }
            SettingKey::Limits => {
                let entries: Vec<LimitDocument> = document(value)?;
                let limits = entries.iter().enumerate().map(|(index, entry)| limit(entry, index).ok());
                limits.collect::<Option<_>>().map(Self::Limits)
            }
        }
    }
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holders(_, holders) => holders.fmt(f),
            Self::Networks(networks) => networks.fmt(f),
            Self::ClientAddress(source) => source.fmt(f),
            Self::PasswordAuthentication(passwords) => passwords.fmt(f),
            Self::Limits(limits) => write!(f, "{} limits", limits.len()),
        }
    }
}

impl Settings {
    /// The value of the setting `key`.
    #[must_use]
    pub fn value(&self, key: SettingKey) -> SettingValue {
        match key {
            SettingKey::Permission(permission) => {
                SettingValue::Holders(permission, self.permissions.of(permission).clone())
            }
            SettingKey::Networks => SettingValue::Networks(self.networks.clone()),
            SettingKey::ClientAddress => SettingValue::ClientAddress(self.client_address.clone()),
            SettingKey::PasswordAuthentication => {
                SettingValue::PasswordAuthentication(self.password_authentication.clone())
            }
            SettingKey::Limits => SettingValue::Limits(self.limits.clone()),
        }
    }

    /// Gives one setting the value `value`, and touches no other.
    pub fn set(&mut self, value: SettingValue) {
        match value {
            SettingValue::Holders(permission, holders) => *self.permissions.of_mut(permission) = holders,
            SettingValue::Networks(networks) => self.networks = networks,
            SettingValue::ClientAddress(source) => self.client_address = source,
            SettingValue::PasswordAuthentication(passwords) => self.password_authentication = passwords,
            SettingValue::Limits(limits) => self.limits = limits,
        }
    }
}

/// The groups that `limits` name; some perhaps more than once.
pub(super) fn groups_of(limits: &[Limit]) -> impl Iterator<Item = &GroupName> {
    limits.iter().filter_map(|limit| limit.groups.as_ref()).flat_map(Groups::iter)
}

/// Whether no token that `before` admits is refused by `after`: the same owners in the same order, each under
/// limits that are at least as high. Anything else counts as closing.
fn loosens(before: &[Limit], after: &[Limit]) -> bool {
    after.is_empty()
        || before.len() == after.len()
            && before.iter().zip(after).all(|(before, after)| after.is_no_narrower_than(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_set_read_and_written_by_itself() {
        let initial = Settings::initial("administrators".into());
        for key in SettingKey::ALL {
            let value = initial.value(key);
            assert_eq!(value.key(), key);
            assert_eq!(SettingValue::of_json(key, &value.to_json()).as_ref(), Some(&value));
            assert_eq!(value.steps_to(&value), []);
            let mut settings = initial.clone();
            settings.set(value);
            assert_eq!(settings, initial);
        }
    }

    #[test]
    fn a_way_that_opens_and_closes_goes_over_what_both_open() {
        let holders = |names: &[&str]| {
            SettingValue::Holders(
                Permission::Use,
                Holders::of(names.iter().map(|name| GroupName::new(*name))),
            )
        };
        let (one, both, other) = (holders(&["a"]), holders(&["a", "b"]), holders(&["b"]));
        assert_eq!(one.steps_to(&other), [(one.clone(), both.clone()), (both.clone(), other.clone())]);
        assert_eq!((one.verb_to(&both), both.verb_to(&other)), (Verb::Grant, Verb::Withdraw));
        let limits =
            |max: Option<u32>| SettingValue::Limits(vec![Limit { max_per_owner: max, ..Limit::default() }]);
        assert_eq!(limits(Some(1)).step_to(&limits(Some(2))), Step::Open);
        assert_eq!(limits(Some(2)).step_to(&limits(Some(1))), Step::Close);
        assert_eq!(limits(None).steps_to(&limits(Some(1))).len(), 1);
    }
}
