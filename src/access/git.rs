//! What the requests of Git and LFS over HTTP take, by the end of their path (`gitprotocol-http`, `git-lfs`
//! `docs/api`). Their methods say little: who asks where to push sends `GET`, and who fetches sends `POST`.

use crate::model::Scope;

/// A request of Git or LFS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitRequest {
    /// One of Git, which takes this scope.
    Git(Scope),
    /// One of LFS, which takes this scope.
    Lfs(Scope),
    /// The batch of LFS, which reads or writes as its body says.
    LfsBatch,
}

impl GitRequest {
    /// What the request to the path of these `segments` is, which asks about `service` in its query; `None` when it is
    /// none of Git.
    #[must_use]
    pub fn of(method: &str, segments: &[&str], service: Option<&str>) -> Option<Self> {
        let segments = segments.strip_suffix(&[""]).unwrap_or(segments);
        let by_method = Scope::needed_for(method);
        Some(match segments {
            [.., "info", "lfs", "objects", "batch"] if method == "POST" => Self::LfsBatch,
            // Who may verify locks may push.
            [.., "info", "lfs", "locks", "verify"] => Self::Lfs(Scope::ReadWrite),
            [.., "info", "lfs", _] | [.., "info", "lfs", _, _] | [.., "info", "lfs", _, _, _] => {
                Self::Lfs(by_method)
            }
            [.., "info", "refs"] => Self::Git(by_method.max(advertised(service))),
            [.., "git-receive-pack"] => Self::Git(Scope::ReadWrite),
            [.., "git-upload-pack"] if method == "POST" => Self::Git(Scope::ReadOnly),
            _ => return None,
        })
    }

    /// How far a token must reach for it, at the most.
    #[must_use]
    pub fn needs(self) -> Scope {
        match self {
            Self::Git(needs) | Self::Lfs(needs) => needs,
            Self::LfsBatch => Scope::ReadWrite,
        }
    }
}

/// What the service takes that `info/refs` is asked about. Without one it is Git of long ago, which only reads.
fn advertised(service: Option<&str>) -> Scope {
    match service {
        None | Some("git-upload-pack") => Scope::ReadOnly,
        Some(_) => Scope::ReadWrite,
    }
}
