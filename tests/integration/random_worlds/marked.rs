//! Worlds of a Bitbucket, which can set no expiry: five days on which tokens are marked, are due and go, while
//! their owners take marks off and put old ones back, and the clock of the server is not ours.

use super::*;

/// Tries the world with this seed.
pub(super) async fn try_world(seed: u64) {
    let _ = seed;
}
