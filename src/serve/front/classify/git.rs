//! The requests of Git and LFS over HTTP, by the end of their path (`gitprotocol-http`, `git-lfs` `docs/api`).

use super::{
    Ambiguous, Kind, by_verb,
    target::{Target, is_word},
};
use crate::model::Scope;

/// What a path of Git ends with.
const WORDS: [&str; 8] =
    ["info", "refs", "lfs", "objects", "batch", "locks", "git-upload-pack", "git-receive-pack"];

/// What a request below the prefix of Git does, by the `segments` there.
pub(super) fn below_prefix(method: &str, segments: &[&str], target: &Target) -> Result<Kind, Ambiguous> {
    // Project and repository can be called anything.
    for segment in segments.iter().skip(2) {
        for word in WORDS {
            is_word(Some(segment), word)?;
        }
    }
    Ok(kind(method, segments, target)?.unwrap_or_else(|| Kind::Git(by_verb(method))))
}

/// What a request of Git or LFS does, wherever it is sent to; `None` when it is none.
pub(super) fn kind(method: &str, segments: &[&str], target: &Target) -> Result<Option<Kind>, Ambiguous> {
    let segments = segments.strip_suffix(&[""]).unwrap_or(segments);
    Ok(match segments {
        [.., "info", "lfs", "objects", "batch"] if method == "POST" => Some(Kind::LfsBatch),
        // Who may verify locks may push.
        [.., "info", "lfs", "locks", "verify"] => Some(Kind::Lfs(Scope::ReadWrite)),
        [.., "info", "lfs", _] | [.., "info", "lfs", _, _] | [.., "info", "lfs", _, _, _] => {
            Some(Kind::Lfs(by_verb(method)))
        }
        [.., "info", "refs"] => Some(Kind::Git(advertised(target)?.max(by_verb(method)))),
        [.., "git-receive-pack"] => Some(Kind::Git(Scope::ReadWrite)),
        [.., "git-upload-pack"] if method == "POST" => Some(Kind::Git(Scope::ReadOnly)),
        _ => None,
    })
}

/// What the service takes that `info/refs` is asked about. Without one it is Git of long ago, which only reads.
fn advertised(target: &Target) -> Result<Scope, Ambiguous> {
    let mut services = target.values("service");
    match (services.next(), services.next()) {
        (_, Some(_)) => Err(Ambiguous::Service),
        (None | Some("git-upload-pack"), None) => Ok(Scope::ReadOnly),
        (Some(_), None) => Ok(Scope::ReadWrite),
    }
}
