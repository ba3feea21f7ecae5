//! The text of a policy: every mistake has a place, a valid policy can be written down again, and a layer that
//! says nothing changes nothing.
#![no_main]

use std::{collections::BTreeSet, sync::Arc};

use libfuzzer_sys::fuzz_target;
use tokenwarden::{
    model::{GroupName, SettingKey, Settings},
    policy::{self, Policy, draft},
};

fuzz_target!(|bytes: &[u8]| {
    let file: Arc<str> = Arc::from("policy.yaml");
    let mut layers = vec![(Arc::clone(&file), bytes.to_vec())];
    let reading = policy::read(&layers);
    fuzz::diagnostics_hold(&file, &reading.diagnostics, &reading.sources);
    assert_eq!(reading.policy.is_some(), !reading.diagnostics.have_errors());
    let Some(policy) = reading.policy else { return };

    layers.push((Arc::from("silent.yaml"), b"version: 1\n".to_vec()));
    let layered = policy::read(&layers).policy.expect("a layer that says nothing makes no mistake");
    assert_eq!(layered.canonical, policy.canonical);

    let settings = wanted(&policy);
    let (manageable, unknown) = (SettingKey::ALL.into(), BTreeSet::new());
    let drafted = draft::Drafted {
        heading: "drafted",
        settings: &settings,
        manageable: &manageable,
        unknown: &unknown,
    };
    let drafted = draft::settings(&drafted);
    let again = policy::read(&[(file, drafted.clone().into_bytes())]).policy;
    let again = again.unwrap_or_else(|| panic!("what is drafted is no policy:\n{drafted}"));
    assert_eq!(wanted(&again), settings, "{drafted}");
});

/// The settings that `policy` asks for, on a new server.
fn wanted(policy: &Policy) -> Settings {
    let mut settings = Settings::initial(GroupName::new("administrators"));
    for set in SettingKey::ALL.into_iter().filter_map(|key| policy.wanted(key)) {
        settings.set(set.value);
    }
    settings
}
