//! The tokens of a target with what the policy finds on each, all of them held at once: for people who ask for a list.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::{
    compliance::{Compliance, Finding, TokenState},
    inventory::{Coverage, Inventory, InventoryReader, ReadError},
    model::{Token, TokenId},
    policy::Policy,
};

/// The tokens of a target.
#[derive(Debug)]
pub struct Listing {
    /// In the order of their identifiers.
    pub tokens: Vec<ListedToken>,
    /// Whether all were seen.
    pub coverage: Coverage,
}

/// A token and what the policy finds on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedToken {
    /// The token.
    pub token: Token,
    /// Whether it works, and until when.
    pub state: TokenState,
    /// What is wrong with it, in the order of the rules; findings under a waiver have it.
    pub findings: Vec<Finding>,
}

/// Reads every token of a target at `now`. `deadlines` are those that earlier runs recorded.
///
/// # Errors
///
/// When a part of the target could not be read at all.
pub async fn list(
    policy: &Policy,
    deadlines: &BTreeMap<TokenId, Timestamp>,
    now: Timestamp,
    reader: &impl InventoryReader,
) -> Result<Listing, ReadError> {
    let inventory = Inventory::read(reader, &policy.groups(), now).await?;
    let compliance = Compliance::new(policy, &inventory.people, now);
    let mut compliance = compliance.on(inventory.server.capabilities).over(reader);
    let mut tokens = Vec::new();
    let seen = reader
        .tokens(&mut |mut token| {
            if let Some(recorded) = deadlines.get(&token.id) {
                token.recall(*recorded);
            }
            compliance.observe(&token);
            tokens.push(token);
        })
        .await?;
    let found = compliance.finish().tokens;
    let mut findings: HashMap<TokenId, Vec<Finding>> =
        found.into_iter().map(|found| (found.token.id.clone(), found.findings)).collect();
    tokens.sort_by(|a, b| a.id.cmp(&b.id));
    let listed = |token: Token| ListedToken {
        state: TokenState::of(&token, now),
        findings: findings.remove(&token.id).unwrap_or_default(),
        token,
    };
    Ok(Listing { tokens: tokens.into_iter().map(listed).collect(), coverage: inventory.coverage.and(&seen) })
}
