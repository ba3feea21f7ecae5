//! Hashes of the passwords of the tests, each made once: to make one takes longer than most tests.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, SaltString},
};
use regex::{Captures, Regex};

static VARIABLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bpassword_env: ?(\w+)").unwrap());
static HASHES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// The directory file `text` with the hash of each password in the place of the variable that it comes from, whose
/// name is the password.
pub(super) fn hashed(text: &str) -> String {
    let hash = |variable: &Captures<'_>| format!("password_hash: '{}'", hash_of(&variable[1]));
    VARIABLE.replace_all(text, hash).into_owned()
}

fn hash_of(password: &str) -> String {
    let mut hashes = HASHES.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let salt = SaltString::encode_b64(password.repeat(16).as_bytes().get(..16).unwrap()).unwrap();
        Argon2::default().hash_password(password.as_bytes(), &salt).unwrap().to_string()
    };
    hashes.entry(password.to_owned()).or_insert_with(make).clone()
}
