//! The changes of settings that a policy asks for, each in up to two steps that never shut anybody out half way.

use crate::{
    inventory::Inventory,
    model::{SettingKey, SettingValue, rails::Unsupported},
    policy::Sourced,
    yaml::Place,
};

use super::{Change, ChangeReason, HeldBack, PlannedChange, Terms};

/// The changes of settings that the policy asks for, and those that are held back.
pub(super) fn diff(terms: &Terms<'_>, inventory: &Inventory) -> (Vec<PlannedChange>, Vec<HeldBack>) {
    let server = &inventory.server;
    let (mut changes, mut held_back) = (Vec::new(), Vec::new());
    for key in SettingKey::ALL {
        let Some(Sourced { value: wanted, place }) = terms.policy.wanted(key) else { continue };
        let tolerated = terms.unsupported == Unsupported::Warn;
        let obstacle = obstacle(&wanted, inventory);
        let held = match server.forms.get(&key) {
            Some(form) => form.held(wanted),
            None => Ok(wanted),
        };
        match (obstacle, held) {
            (Some(reason), _) => held_back.push(hold_back(key, place, reason, false)),
            (None, Err(reason)) => held_back.push(hold_back(key, place, reason.to_owned(), tolerated)),
            (None, Ok(wanted)) if server.manageable.contains(&key) => {
                let steps = inventory.settings.value(key).steps_to(&wanted);
                changes.extend(steps.into_iter().map(|(before, after)| planned(before, after, &place)));
            }
            (None, Ok(_)) if key != SettingKey::Limits => {
                let reason = "this kind of target has no such setting".to_owned();
                held_back.push(hold_back(key, place, reason, tolerated));
            }
            // Limits that a server does not know are kept all the same, by the rules on tokens.
            (None, Ok(_)) => {}
        }
    }
    (changes, held_back)
}

fn planned(before: SettingValue, after: SettingValue, place: &Place) -> PlannedChange {
    let reason = ChangeReason { rule: None, text: String::new(), place: Some(place.clone()) };
    PlannedChange::new(Change::Setting { before: before.into(), after: after.into() }, vec![reason])
}

/// Why a setting cannot be changed to `wanted`, when it cannot.
fn obstacle(wanted: &SettingValue, inventory: &Inventory) -> Option<String> {
    let (server, key) = (&inventory.server, wanted.key());
    if !server.manageable.contains(&key) {
        return None;
    }
    if let Some(reason) = server.unreadable.get(&key) {
        return Some(format!("it could not be read: {reason}"));
    }
    let unknown = wanted.groups().find(|group| inventory.people.is_unknown(group))?;
    Some(format!("group `{unknown}` is not known to the server"))
}

fn hold_back(key: SettingKey, place: Place, reason: String, tolerated: bool) -> HeldBack {
    HeldBack { subject: key.path().to_owned(), place: Some(place), reason, tokens: None, tolerated }
}
