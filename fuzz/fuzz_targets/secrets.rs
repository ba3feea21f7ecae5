//! Secrets: the text of a token is read as it is and in no other way, and no config file, however broken, shows
//! a secret that somebody wrote into it.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tokenwarden::{config, model::TokenSecret};

/// What must not be shown.
const SECRET: &str = "hunter2";
/// Secrets in every wrong place.
const BEFORE: &str = "\
version: 1
targets:
  prod:
    kind: gateway
    url: https://me:hunter2@example.com
    auth: { user: me, password: hunter2, password: 'hunter2' }
    policy: [policy.yaml]
  other:
    kind: gateway
    url: https://example.com
    auth:
      token: |
        hunter2
      bearer_env: hunter2 hunter2
    policy: [policy.yaml]
    secret: !hunter2
";

fuzz_target!(|bytes: &[u8]| {
    let file: Arc<str> = Arc::from("tokenwarden.yaml");
    let broken = [BEFORE.as_bytes(), bytes].concat();
    let reading = config::read(&file, &broken);
    assert!(reading.diagnostics.have_errors());
    let shown = fuzz::diagnostics_hold(&file, &reading.diagnostics, &reading.sources);
    // What the fuzzer wrote itself is no secret.
    let is_own = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    assert!(is_own || !shown.contains(SECRET), "{shown}");

    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(secret) = TokenSecret::parse(text) {
        assert_eq!(secret.expose(), text);
    }
    let random = bytes.iter().chain(&[0; 32]).take(32).copied().collect::<Vec<u8>>();
    let secret = TokenSecret::from_random(random.try_into().expect("32 bytes"));
    let same = TokenSecret::parse(secret.expose()).is_some_and(|read| read.hash() == secret.hash());
    assert!(same, "a secret that was made is read");
    // Another text is another secret, and one with another character is none.
    let mut other = secret.expose().to_owned();
    let place = bytes.len() % other.len();
    other.replace_range(place..=place, text.get(..1).unwrap_or("_"));
    assert_eq!(TokenSecret::parse(&other).is_some(), other == secret.expose(), "{other}");
});
