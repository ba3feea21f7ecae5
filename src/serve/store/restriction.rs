//! Restrictions of tokens of the server behind a gateway, as the store keeps them.

use crate::model::{LastChange, Restriction};

/// How a token of the server behind a gateway is restricted, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestrictionRow {
    /// The number of the token on its server.
    pub token: i64,
    /// What is taken from it; never nothing.
    pub restriction: Restriction,
    /// Another one each time that it changes, also after it was taken off.
    pub number: i64,
    /// Who restricted it so, and when.
    pub change: LastChange,
}

/// What restricting a token came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restricted {
    /// It is restricted so now, or not at all.
    Now(Option<RestrictionRow>),
    /// It was restricted in another way meanwhile.
    Moved,
}
