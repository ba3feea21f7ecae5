//! The requests of Git and LFS over HTTP.

use super::{
    Ambiguous, Kind,
    target::{RequestTarget, is_word},
};
use crate::{access::GitRequest, model::Scope};

/// What a path of Git ends with.
const WORDS: [&str; 8] =
    ["info", "refs", "lfs", "objects", "batch", "locks", "git-upload-pack", "git-receive-pack"];

/// What a request below the prefix of Git does, by the `segments` there.
pub(super) fn below_prefix(
    method: &str,
    segments: &[&str],
    target: &RequestTarget<'_>,
) -> Result<Kind, Ambiguous> {
    // Project and repository can be called anything.
    for segment in segments.iter().skip(2) {
        for word in WORDS {
            is_word(Some(segment), word)?;
        }
    }
    Ok(kind(method, segments, target)?.unwrap_or_else(|| Kind::Git(Scope::needed_for(method))))
}

/// What a request of Git or LFS does, wherever it is sent to; `None` when it is none.
pub(super) fn kind(
    method: &str,
    segments: &[&str],
    target: &RequestTarget<'_>,
) -> Result<Option<Kind>, Ambiguous> {
    let mut services = target.values("service");
    let request = GitRequest::of(method, segments, services.next());
    if request.is_some() && services.next().is_some() {
        return Err(Ambiguous::Service);
    }
    Ok(request.map(|request| match request {
        GitRequest::Git(needs) => Kind::Git(needs),
        GitRequest::Lfs(needs) => Kind::Lfs(needs),
        GitRequest::LfsBatch => Kind::LfsBatch,
    }))
}
