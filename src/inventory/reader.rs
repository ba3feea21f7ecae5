//! The trait through which a target is read. HTTP, a file and a test implement it alike.

use std::{collections::BTreeSet, error::Error};

use jiff::Timestamp;

use crate::model::{GroupName, Owner, Token, TokenId, secret::SecretHash};

use super::{Census, Coverage, Overview, Pace, People};

/// Reads a target. Nothing that plans has a type with more than this in reach.
pub trait InventoryReader: Sync {
    /// The server, whom it takes us for, and its settings.
    ///
    /// # Errors
    ///
    /// When the server could not be reached, refused the credential or answered nonsense.
    fn overview(&self) -> impl Future<Output = Result<Overview, ReadError>> + Send;

    /// All users, and the members of each of `groups`.
    ///
    /// # Errors
    ///
    /// As for [`Self::overview`]. A group that the server does not know is not an error.
    fn people(&self, groups: &BTreeSet<GroupName>) -> impl Future<Output = Result<People, ReadError>> + Send;

    /// Every group that the server has; `None` when it does not list them.
    ///
    /// # Errors
    ///
    /// As for [`Self::overview`].
    fn groups(&self) -> impl Future<Output = Result<Option<BTreeSet<GroupName>>, ReadError>> + Send {
        async { Ok(None) }
    }

    /// Hands every token to `each`, once, in any order, and returns whether there may be others that our
    /// credential could not see.
    ///
    /// # Errors
    ///
    /// As for [`Self::overview`].
    fn tokens(
        &self,
        each: &mut (dyn FnMut(Token) + Send),
    ) -> impl Future<Output = Result<Coverage, ReadError>> + Send;

    /// The tokens that were made with one of `ids`, or with one that was, each with the token that it was made with.
    /// Only those that [`Self::tokens`] or [`Self::tokens_of`] came across last are known. A server that does not
    /// say what tokens were made with has none.
    ///
    /// # Errors
    ///
    /// As for [`Self::overview`].
    fn offspring_of(
        &self,
        _ids: &BTreeSet<TokenId>,
    ) -> impl Future<Output = Result<Vec<(Token, TokenId)>, ReadError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// The token whose secret has each of `hashes`, in their order; `None` when the server does not know tokens by
    /// the hash of their secret.
    ///
    /// # Errors
    ///
    /// As for [`Self::overview`].
    fn tokens_by_hash(
        &self,
        _hashes: &[SecretHash],
    ) -> impl Future<Output = Result<Option<Vec<Option<TokenId>>>, ReadError>> + Send {
        async { Ok(None) }
    }

    /// Hands every token of `owners` to `each`, as [`Self::tokens`] does, and returns whether they may have
    /// others. Names compare without regard to case. A server that lists tokens by their owners is asked for
    /// these alone.
    ///
    /// # Errors
    ///
    /// As for [`Self::overview`].
    fn tokens_of(
        &self,
        owners: &BTreeSet<Owner>,
        each: &mut (dyn FnMut(Token) + Send),
    ) -> impl Future<Output = Result<Coverage, ReadError>> + Send {
        let owners: BTreeSet<_> = owners.iter().map(Owner::folded).collect();
        let mut of_theirs = move |token: Token| {
            if owners.contains(&token.owner.folded()) {
                each(token);
            }
        };
        async move { self.tokens(&mut of_theirs).await }
    }

    /// How many tokens each owner has, where the same tokens are read again at no cost; `None` where reading them
    /// again would be another look at a server.
    fn census(&self) -> Option<&Census> {
        None
    }

    /// How far the server slows the reading of tokens down, once they were read; `None` when it does not,
    /// or does not say so.
    fn pace(&self) -> Option<Pace> {
        None
    }

    /// How late the date of anything that happened on the target can be by now, UTC; `None` when nobody
    /// knows.
    fn latest_date(&self) -> Option<Timestamp> {
        None
    }
}

/// A part of a target could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what} of {server}")]
pub struct ReadError {
    /// What was to be read, such as `tokens`.
    pub what: &'static str,
    /// Address of the server, without credentials.
    pub server: String,
    /// Why it could not be read.
    #[source]
    pub cause: Box<dyn Error + Send + Sync>,
}

#[cfg(test)]
mod tests {
    /// The names of the functions of a trait or of its implementation.
    fn functions(code: &str) -> Vec<&str> {
        let names = code.lines().filter_map(|line| {
            let line = line.strip_prefix("    ").filter(|line| !line.starts_with(' '))?;
            let line = line.strip_prefix("async ").unwrap_or(line);
            line.strip_prefix("fn ")?.split(['(', '<']).next()
        });
        names.collect()
    }

    /// The part of `code` between `begin` and the brace that ends it.
    fn part<'a>(code: &'a str, begin: &str) -> &'a str {
        let (_, rest) = code.split_once(begin).unwrap();
        rest.split_once("\n}\n").unwrap().0
    }

    #[test]
    fn whoever_stands_before_a_reader_hands_every_question_on() {
        let all = functions(part(include_str!("reader.rs"), "pub trait InventoryReader: Sync {"));
        assert!(all.len() >= 9 && all.contains(&"tokens_of"), "{all:?}");
        for (file, code) in [
            ("dated.rs", include_str!("dated.rs")),
            ("watch.rs", include_str!("watch.rs")),
            ("targets/mod.rs", include_str!("../targets/mod.rs")),
        ] {
            let code = part(code, "InventoryReader for ");
            let answered = functions(code.split_once('{').unwrap().1);
            let missing: Vec<_> = all.iter().filter(|name| !answered.contains(name)).collect();
            assert!(missing.is_empty(), "{file} would answer for itself: {missing:?}");
        }
    }
}
