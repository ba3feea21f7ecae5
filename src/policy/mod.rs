//! What should be: from the text of policy files to a `Policy`, or to every mistake in them.
//!
//! From the text of one or more layers, with their paths, to a [`Policy`] in which every value remembers
//! the file, line and column that it came from, or to all diagnostics at once. Files (only their bytes are
//! given), servers and the time are not known here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    model::{
        Action, AddressSet, GroupName, Holders, Limit, LimitKey, Owner, Period, Permission, Rule, SettingKey,
        SettingValue, UserName,
    },
    yaml::Place,
};

pub mod document;
pub mod draft;
mod layer;
mod read;
mod rule;
pub(crate) mod validate;
mod waiver;

pub use read::{Layer, Reading, read, read_layers};
pub use rule::OwnRule;
pub use waiver::{Waiver, WaiverSubject};

/// A value and the place in the policy that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The place of its key, or of the list entry that it is.
    pub place: Place,
}

impl<T> Sourced<T> {
    /// What `change` makes of the value, at the same place.
    pub fn map<U>(&self, change: impl FnOnce(&T) -> U) -> Sourced<U> {
        Sourced { value: change(&self.value), place: self.place.clone() }
    }
}

/// What the policy says of one setting. A key that no layer has is not managed: the server keeps
/// what it has. That is never the same as an empty value.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Managed<T> {
    /// No layer has the key, or a later layer says `unmanaged`.
    #[default]
    Unmanaged,
    /// The value that the server must have.
    Set(Sourced<T>),
}

impl<T> Managed<T> {
    /// The value and its place, when the key is managed.
    pub fn get(&self) -> Option<&Sourced<T>> {
        match self {
            Self::Unmanaged => None,
            Self::Set(sourced) => Some(sourced),
        }
    }

    /// The same as the value of a setting, which `value` makes of it.
    fn into_setting(self, value: impl FnOnce(T) -> SettingValue) -> Option<Sourced<SettingValue>> {
        match self {
            Self::Unmanaged => None,
            Self::Set(set) => Some(Sourced { value: value(set.value), place: set.place }),
        }
    }
}

/// A valid policy: all layers merged, every value checked. Only the reading of a policy makes one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Policy {
    /// The settings that it manages, by their keys; not the limits, whose entries have places of their own.
    pub settings: BTreeMap<SettingKey, Sourced<SettingValue>>,
    /// The names that the policy gives to ranges, for showing them; in the order of the policy.
    pub network_names: Vec<(String, AddressSet)>,
    /// How far tokens may reach; the first entry that matches the owner counts.
    pub limits: Managed<Vec<LimitEntry>>,
    /// The policy's own rules, in the order of the layers.
    pub rules: Vec<Arc<OwnRule>>,
    /// What happens on a finding.
    pub enforcement: Enforcement,
    /// Declared exceptions, in the order of the layers.
    pub waivers: Waivers,
    /// The merged policy in one fixed form: equal policies have equal bytes, whatever their layout
    /// and layers. What a plan's fingerprint is made from.
    pub canonical: String,
}

impl Policy {
    /// The value that a managed setting must have, with its place; `None` when it is not managed.
    #[must_use]
    pub fn wanted(&self, key: SettingKey) -> Option<Sourced<SettingValue>> {
        match key {
            SettingKey::Limits => self.limits.get().map(|set| {
                set.map(|entries| {
                    SettingValue::Limits(entries.iter().map(|entry| entry.limit.clone()).collect())
                })
            }),
            key => self.settings.get(&key).cloned(),
        }
    }

    /// Who must hold `permission`, with the place of its key; `None` when it is not managed.
    #[must_use]
    pub fn holders(&self, permission: Permission) -> Option<(&Holders, &Place)> {
        let set = self.settings.get(&SettingKey::Permission(permission))?;
        match &set.value {
            SettingValue::Holders(_, holders) => Some((holders, &set.place)),
            _ => None,
        }
    }

    /// Every group that it names: those whose members must be read before anything is said of a target.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<GroupName> {
        let mut named: BTreeSet<_> = self.rules.iter().flat_map(|rule| rule.when.groups()).cloned().collect();
        for wanted in SettingKey::ALL.into_iter().filter_map(|key| self.wanted(key)) {
            named.extend(wanted.value.groups().cloned());
        }
        named
    }

    /// Whether it limits how many tokens some owners may have.
    #[must_use]
    pub fn limits_per_owner(&self) -> bool {
        let mut limits = self.limits.get().into_iter().flat_map(|limits| &limits.value);
        limits.any(|entry| entry.limit.sets(LimitKey::MaxPerOwner))
    }

    /// What looks at the descriptions of the tokens of `owner`, such as ``the rule `no-laptops` ``; `None` when
    /// nothing does. The `description` of any limit counts: which one is for an owner changes with the groups.
    #[must_use]
    pub fn reader_of_descriptions(&self, owner: &Owner) -> Option<String> {
        let mut limits = self.limits.get().into_iter().flat_map(|limits| &limits.value);
        if limits.any(|entry| entry.limit.description.is_some()) {
            return Some("the rule `description`".to_owned());
        }
        if let Some(rule) = self.rules.iter().find(|rule| rule.when.may_ask_for("description")) {
            return Some(format!("the rule `{}`", rule.name));
        }
        let owner = owner.folded();
        let mut waivers = self.waivers.entries.iter();
        let waiver = waivers.find(|waiver| {
            matches!(&waiver.subject, WaiverSubject::Owner { owner: of, description: Some(_) } if *of == owner)
        })?;
        Some(format!("the waiver at {}", waiver.place))
    }
}

/// One entry of `tokens.limits` with the places of what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitEntry {
    /// What it says.
    pub limit: Limit,
    /// Where the entry begins.
    pub place: Place,
    /// Where each of its keys stands, by the key's name in the document, such as `max_scope`.
    pub keys: BTreeMap<String, Place>,
}

impl LimitEntry {
    /// The place of `key`, or of the whole entry when it does not have that key.
    #[must_use]
    pub fn place_of(&self, key: &str) -> &Place {
        self.keys.get(key).unwrap_or(&self.place)
    }
}

/// Declared exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waivers {
    /// In the order of the layers.
    pub entries: Vec<Arc<Waiver>>,
    /// How long before the end of one there are warnings.
    pub warn: Period,
}

impl Waivers {
    /// How long before the end of a waiver there are warnings when the policy does not say.
    pub const DEFAULT_WARN: Period = Period::days(14);

    /// The users for whose tokens there is one.
    pub fn users(&self) -> impl Iterator<Item = &UserName> {
        self.entries.iter().filter_map(|waiver| match &waiver.subject {
            WaiverSubject::Owner { owner, .. } => owner.user(),
            WaiverSubject::Token(_) => None,
        })
    }
}

impl Default for Waivers {
    fn default() -> Self {
        Self { entries: Vec::new(), warn: Self::DEFAULT_WARN }
    }
}

/// What happens on a finding of each rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement {
    /// For the rules that are not named: `report` unless the policy says otherwise.
    pub default: Action,
    /// For the named ones, each an action that its rule admits.
    pub rules: BTreeMap<Rule, Sourced<Action>>,
}

impl Default for Enforcement {
    fn default() -> Self {
        Self { default: Action::Report, rules: BTreeMap::new() }
    }
}

impl Enforcement {
    /// What happens on a finding of `rule`. The default counts as `report` for a rule that does
    /// not admit it, and for those that act only when they are named.
    #[must_use]
    pub fn action(&self, rule: &Rule) -> Action {
        let only_named = matches!(rule, Rule::BuiltIn(code) if code.facts().acts_only_when_named);
        match self.rules.get(rule) {
            Some(named) => named.value,
            None if only_named || !rule.admits(self.default) => Action::Report,
            None => self.default,
        }
    }

    /// Where the policy names what happens on a finding of `rule`.
    #[must_use]
    pub fn place_of(&self, rule: &Rule) -> Option<&Place> {
        self.rules.get(rule).map(|action| &action.place)
    }
}
