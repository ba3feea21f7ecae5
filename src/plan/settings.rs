//! In: the settings as they are and as the policy wants them. Out: the changes of settings, each
//! in up to two steps that never shut anybody out half way. It refuses to know tokens.

use crate::{
    inventory::Inventory,
    model::{GroupName, Holders, Permission, Reach, SettingKey, rails::Unsupported},
    policy::Policy,
    yaml::Place,
};

use super::{
    Change, HeldBack, PlannedChange, Reason, Terms,
    change::{HoldersChange, NetworksChange},
};

/// The changes of settings that `policy` asks for, and those that are held back.
pub(super) fn diff(terms: &Terms<'_>, inventory: &Inventory) -> (Vec<PlannedChange>, Vec<HeldBack>) {
    let policy = terms.policy;
    let mut diff = Diff { policy, inventory, changes: Vec::new(), held_back: Vec::new() };
    for key in SettingKey::ALL {
        let Some(place) = policy.place_of(key) else { continue };
        if let Some(reason) = diff.obstacle(key) {
            diff.hold_back(key, place, reason, false);
        } else if let Some(reason) = diff.misfit(key) {
            diff.hold_back(key, place, reason.to_owned(), terms.unsupported == Unsupported::Warn);
        } else if inventory.server.manageable.contains(&key) {
            diff.setting(key, place);
        } else if key != SettingKey::Limits {
            let tolerated = terms.unsupported == Unsupported::Warn;
            diff.hold_back(key, place, "this kind of target has no such setting".to_owned(), tolerated);
        }
        // Limits that a server does not know are kept all the same, by the rules on tokens.
    }
    (diff.changes, diff.held_back)
}

struct Diff<'a> {
    policy: &'a Policy,
    inventory: &'a Inventory,
    changes: Vec<PlannedChange>,
    held_back: Vec<HeldBack>,
}

impl Diff<'_> {
    fn setting(&mut self, key: SettingKey, place: &Place) {
        let (policy, settings) = (self.policy, &self.inventory.settings);
        match key {
            SettingKey::Permission(permission) => {
                if let Some(wanted) = policy.permissions.get(&permission) {
                    self.permission(permission, &wanted.value, place);
                }
            }
            SettingKey::Networks => {
                if let Some(wanted) = policy.networks.get() {
                    let change = |before, after| NetworksChange { before, after };
                    let steps = steps(&settings.networks, &wanted.value);
                    self.add(steps.open.map(|(b, a)| Change::Admit(change(b, a))), place);
                    self.add(steps.close.map(|(b, a)| Change::Refuse(change(b, a))), place);
                }
            }
            SettingKey::ClientAddress => {
                if let Some(wanted) = policy.client_address.get() {
                    let (before, after) = (&settings.client_address, &wanted.value);
                    let change = (before != after)
                        .then(|| Change::SetClientAddress { before: before.clone(), after: after.clone() });
                    self.add(change, place);
                }
            }
            SettingKey::PasswordAuthentication => {
                if let Some(wanted) = policy.password_authentication.get() {
                    let steps = steps(&settings.password_authentication, &wanted.value);
                    for (before, after) in steps.open.into_iter().chain(steps.close) {
                        self.add(Some(Change::SetPasswordAuthentication { before, after }), place);
                    }
                }
            }
            SettingKey::Limits => {
                if let Some(wanted) = policy.limits.get() {
                    let before = &settings.limits;
                    let after: Vec<_> = wanted.value.iter().map(|entry| entry.limit.clone()).collect();
                    let form = self.inventory.server.forms.get(&key);
                    let after = form.map_or_else(|| Ok(after.clone()), |form| form.of_limits(&after));
                    let Ok(after) = after else { return };
                    let change =
                        (*before != after).then(|| Change::SetLimits { before: before.clone(), after });
                    self.add(change, place);
                }
            }
        }
    }

    fn permission(&mut self, permission: Permission, wanted: &Holders, place: &Place) {
        let change = |before, after| HoldersChange { permission, before, after };
        let steps = steps(self.inventory.settings.permissions.of(permission), wanted);
        self.add(steps.open.map(|(b, a)| Change::Grant(change(b, a))), place);
        self.add(steps.close.map(|(b, a)| Change::Withdraw(change(b, a))), place);
    }

    fn add(&mut self, change: Option<Change>, place: &Place) {
        let reason = Reason { rule: None, text: String::new(), place: Some(place.clone()) };
        self.changes.extend(change.map(|change| PlannedChange::new(change, vec![reason])));
    }

    /// Why a setting cannot be changed as the policy wants, when it cannot.
    fn obstacle(&self, key: SettingKey) -> Option<String> {
        if !self.inventory.server.manageable.contains(&key) {
            return None;
        }
        if let Some(reason) = self.inventory.server.unreadable.get(&key) {
            return Some(format!("it could not be read: {reason}"));
        }
        let unknown = groups_of(self.policy, key).find(|group| self.inventory.people.is_unknown(group))?;
        Some(format!("group `{unknown}` is not known to the server"))
    }

    /// Why the server cannot hold in a setting what the policy wants there, when it cannot.
    fn misfit(&self, key: SettingKey) -> Option<&'static str> {
        let (policy, form) = (self.policy, self.inventory.server.forms.get(&key)?);
        match key {
            SettingKey::Permission(permission) => {
                form.refuses_holders(&policy.permissions.get(&permission)?.value)
            }
            SettingKey::ClientAddress => form.refuses_client_address(&policy.client_address.get()?.value),
            SettingKey::PasswordAuthentication => {
                form.refuses_passwords(&policy.password_authentication.get()?.value)
            }
            SettingKey::Limits => {
                let limits: Vec<_> =
                    policy.limits.get()?.value.iter().map(|entry| entry.limit.clone()).collect();
                form.of_limits(&limits).err()
            }
            SettingKey::Networks => None,
        }
    }

    fn hold_back(&mut self, key: SettingKey, place: &Place, reason: String, tolerated: bool) {
        self.held_back.push(HeldBack {
            subject: key.path().to_owned(),
            place: Some(place.clone()),
            reason,
            tokens: None,
            tolerated,
        });
    }
}

/// The groups that the wanted value of `key` names.
pub(super) fn groups_of(policy: &Policy, key: SettingKey) -> Box<dyn Iterator<Item = &GroupName> + '_> {
    match key {
        SettingKey::Permission(permission) => {
            Box::new(policy.permissions.get(&permission).into_iter().flat_map(|set| set.value.groups()))
        }
        SettingKey::Limits => Box::new(
            policy
                .limits
                .get()
                .into_iter()
                .flat_map(|limits| &limits.value)
                .filter_map(|entry| entry.limit.groups.as_ref())
                .flat_map(crate::model::permission::Groups::iter),
        ),
        SettingKey::Networks | SettingKey::ClientAddress | SettingKey::PasswordAuthentication => {
            Box::new(std::iter::empty())
        }
    }
}

/// The way from one value to another in up to two steps, each with before and after.
struct Steps<T> {
    /// To the union of both.
    open: Option<(T, T)>,
    /// From the union to the wanted value.
    close: Option<(T, T)>,
}

fn steps<T: Reach + Clone>(is: &T, wanted: &T) -> Steps<T> {
    let both = is.union(wanted);
    Steps {
        open: (both != *is).then(|| (is.clone(), both.clone())),
        close: (both != *wanted).then(|| (both.clone(), wanted.clone())),
    }
}
