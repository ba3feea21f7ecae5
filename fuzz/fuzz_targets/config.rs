//! The config file: every mistake has a place.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tokenwarden::config;

fuzz_target!(|bytes: &[u8]| {
    let file: Arc<str> = Arc::from("tokenwarden.yaml");
    let reading = config::read(&file, bytes);
    fuzz::diagnostics_hold(&file, &reading.diagnostics, &reading.sources);
    assert_eq!(reading.config.is_some(), !reading.diagnostics.have_errors());
    let Some(read) = reading.config else { return };
    assert_eq!(reading.policies.len(), read.targets.len());
    for target in &read.targets {
        assert!(!target.policy.iter().any(|layer| layer.path.split('/').any(|part| part == "..")));
    }
});
