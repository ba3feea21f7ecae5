//! The servers that policy is applied to: we call out.
//!
//! In: an address and a credential. Out: a reader for anybody, and a writer against an approved
//! plan. Nothing else of the program knows HTTP paths and JSON fields.

pub mod gateway;
pub mod http;

use std::collections::BTreeSet;

use crate::{
    apply::{Effect, TargetWriter, WriteError},
    inventory::{Coverage, InventoryReader, Overview, People, ReadError},
    model::{GroupName, Token},
    plan::{ApprovedPlan, Change},
};

use gateway::{Gateway, GatewayWriter};

/// A server of whatever kind.
pub enum Target {
    /// Our own server, embedded or elsewhere.
    Gateway(Gateway),
}

impl Target {
    /// A writer, for doing what `approved` says: without an approved plan there is none.
    #[must_use]
    pub fn writer(&self, approved: &ApprovedPlan) -> Writer {
        match self {
            Self::Gateway(gateway) => Writer::Gateway(gateway.writer(approved)),
        }
    }
}

impl InventoryReader for Target {
    async fn overview(&self) -> Result<Overview, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.overview().await,
        }
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.people(groups).await,
        }
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.tokens(each).await,
        }
    }
}

/// The writer of a server of whatever kind.
pub enum Writer {
    /// That of our own server.
    Gateway(GatewayWriter),
}

impl TargetWriter for Writer {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        match self {
            Self::Gateway(writer) => writer.make(change).await,
        }
    }
}
