//! Whether the server lets us in, from the first call, which is not open to anonymous users; otherwise why
//! not, and what to do about it.

use std::error::Error;

use crate::http::{HttpError, RefusalKind};

/// The server does not let us in at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLetIn {
    /// Bitbucket 10 is installed like that; Jira and Confluence have the same switch.
    #[error(
        "the server refuses passwords, and tokens that are sent as passwords, as Bitbucket 10 does from the start: \
         use a bearer credential in `auth`, or add the user to the exceptions of basic authentication on the server"
    )]
    BasicDisabled(#[source] HttpError),
    #[error("the server does not accept the credential: is it still valid?")]
    NotAccepted(#[source] HttpError),
    /// Some answer everybody, and say whom they take us for.
    #[error("the server treated the request as anonymous: is the credential still valid?")]
    Nobody,
}

/// What `error`, the answer to the first call, says of being let in. Anything else than a refusal of
/// no matter who we are stays what it is.
pub(super) fn not_let_in(error: HttpError) -> Box<dyn Error + Send + Sync> {
    let words = error.words().unwrap_or_default();
    match error.refusal() {
        Some(RefusalKind::NotPermitted) if words.contains("Basic Authentication has been disabled") => {
            NotLetIn::BasicDisabled(error).into()
        }
        Some(RefusalKind::NotAccepted) => NotLetIn::NotAccepted(error).into(),
        _ => error.into(),
    }
}
