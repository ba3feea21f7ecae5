//! The trait through which a target is changed, one change at a time, or many of tokens where the server takes them
//! together. A call that may already have taken effect is never repeated blindly.

use std::error::Error;

use futures_util::{StreamExt, stream};

use crate::plan::Change;

/// How many tokens are changed or read at once where each is a call of its own.
pub const TOKENS_AT_ONCE: usize = 8;

/// Changes a target. A target hands out its writer only against an approved plan.
pub trait TargetWriter: Sync {
    /// Makes one change. When the answer is lost on the way, what happened is read back before
    /// anything is repeated.
    ///
    /// # Errors
    ///
    /// When the change was not made, or when nobody can tell whether it was.
    fn make(&self, change: &Change) -> impl Future<Output = Result<Effect, WriteError>> + Send;

    /// How many changes of tokens [`Self::make_all`] makes better than one by one; 1 where each is a call of its own.
    fn at_most(&self) -> usize {
        1
    }

    /// Makes changes of tokens, of one verb and no more than [`Self::at_most`]. Returns what became of each, in their
    /// order.
    fn make_all(&self, changes: &[&Change]) -> impl Future<Output = Vec<Result<Effect, WriteError>>> + Send {
        one_by_one(self, changes)
    }
}

/// Makes each of `changes` by itself, several at once. Returns what became of each, in their order.
pub fn one_by_one<W: TargetWriter + ?Sized>(
    writer: &W,
    changes: &[&Change],
) -> impl Future<Output = Vec<Result<Effect, WriteError>>> + Send {
    let calls: Vec<_> = changes.iter().map(|change| writer.make(change)).collect();
    stream::iter(calls).buffered(TOKENS_AT_ONCE).collect()
}

/// What making a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It was made.
    Made,
    /// Somebody else had made it, or the token is gone: nothing was left to do.
    AlreadySo,
}

/// A change was not made.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The setting is neither as the plan saw it nor as the plan wants it.
    #[error("it was changed by somebody else since the plan was made")]
    Moved,
    /// Others kept writing the settings at the same time.
    #[error("the settings were written by others {0} times in a row meanwhile")]
    Contended(u32),
    /// Another run may be applying meanwhile.
    #[error("the lease of this run was lost: another run may be applying; nothing more was written")]
    LeaseLost,
    /// The server would not do it any more.
    #[error("the right of this run to do it ended while the run was under way; run again")]
    RightEnded,
    /// Nothing was sent: the run was asked to stop before.
    #[error("the run was interrupted before this was begun")]
    NotBegun,
    /// So much time went by that the token would end earlier than was promised.
    #[error(
        "too much time went by since the plan was made: the token would end too soon; the next run gives a later day"
    )]
    TooLate,
    /// The server refused, or could not be reached.
    #[error("the server did not do it")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// The answer was lost, and so was the attempt to read back.
    #[error("the answer was lost; whether it was done is not known")]
    Unknown(#[source] Box<dyn Error + Send + Sync>),
}
