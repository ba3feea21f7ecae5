//! Which tokens secrets are of, asked by the hashes of these.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The parameter with the SHA-256 of a secret, in hexadecimal; it is repeated.
pub const HASH: &str = "sha256";
/// The most hashes of one question.
pub const HASHES_AT_MOST: usize = 50;

/// Which tokens the secrets are of that were asked for.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct TokensByHash {
    /// One for each hash, in the order of the question.
    pub values: Vec<TokenByHash>,
}

/// Which token a secret is of.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct TokenByHash {
    /// The SHA-256 of the secret, in hexadecimal.
    pub sha256: String,
    /// The token; nothing when none has that secret.
    pub id: Option<i64>,
}
