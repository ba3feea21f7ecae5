//! The servers that policy is applied to: we call out.
//!
//! In: an address and a credential. Out: a reader for anybody, and a writer against an approved
//! plan. Nothing else of the program knows HTTP paths and JSON fields.

pub mod bitbucket;
pub mod gateway;
pub mod http;

use std::collections::BTreeSet;

use crate::{
    apply::{Effect, TargetWriter, WriteError},
    inventory::{Call, Coverage, InventoryReader, Overview, People, ReadError},
    model::{GroupName, Token},
    plan::{ApprovedPlan, Change},
};

use bitbucket::{Bitbucket, BitbucketWriter};
use gateway::{Gateway, GatewayWriter, Tenure};
use http::CallStatistics;

/// A server of whatever kind.
pub enum Target {
    /// Our own server, embedded or elsewhere.
    Gateway(Gateway),
    /// Bitbucket Data Center with its own tokens.
    Bitbucket(Bitbucket),
}

/// What a run calls on a server of `kind`, as the settings file writes it; nothing for a kind that this
/// version cannot plan for.
#[must_use]
pub fn calls_of(kind: &str) -> Option<Vec<Call>> {
    matches!(kind, "gateway" | "embedded").then(gateway::calls)
}

impl Target {
    /// A writer, for doing what `approved` says: without an approved plan there is none. With a `tenure`
    /// our own server keeps what is done.
    #[must_use]
    pub fn writer(&self, approved: &ApprovedPlan, tenure: Option<Tenure>) -> Writer {
        match self {
            Self::Gateway(gateway) => Writer::Gateway(gateway.writer(approved, tenure)),
            Self::Bitbucket(bitbucket) => Writer::Bitbucket(bitbucket.writer(approved)),
        }
    }

    /// Our own server, which keeps a ledger of runs and has a lease; nothing for any other.
    #[must_use]
    pub fn gateway(&self) -> Option<&Gateway> {
        match self {
            Self::Gateway(gateway) => Some(gateway),
            Self::Bitbucket(_) => None,
        }
    }

    /// What the calls to it came to so far, those of its writers included.
    #[must_use]
    pub fn calls(&self) -> CallStatistics {
        match self {
            Self::Gateway(gateway) => gateway.calls(),
            Self::Bitbucket(bitbucket) => bitbucket.calls(),
        }
    }
}

impl InventoryReader for Target {
    async fn overview(&self) -> Result<Overview, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.overview().await,
            Self::Bitbucket(bitbucket) => bitbucket.overview().await,
        }
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.people(groups).await,
            Self::Bitbucket(bitbucket) => bitbucket.people(groups).await,
        }
    }

    async fn groups(&self) -> Result<Option<BTreeSet<GroupName>>, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.groups().await,
            Self::Bitbucket(bitbucket) => bitbucket.groups().await,
        }
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.tokens(each).await,
            Self::Bitbucket(bitbucket) => bitbucket.tokens(each).await,
        }
    }
}

/// The writer of a server of whatever kind.
pub enum Writer {
    /// That of our own server.
    Gateway(GatewayWriter),
    /// That of Bitbucket Data Center.
    Bitbucket(BitbucketWriter),
}

impl TargetWriter for Writer {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        match self {
            Self::Gateway(writer) => writer.make(change).await,
            Self::Bitbucket(writer) => writer.make(change).await,
        }
    }
}
