//! The servers that policy is applied to: we call out.
//!
//! From an address and a credential to a reader for anybody, and to a writer against an approved plan.
//! Nothing else of the program knows HTTP paths and JSON fields.

mod atlassian;
pub mod bitbucket;
mod directory;
pub mod fronted;
pub mod gateway;
mod grounds;
mod let_in;
mod millis;
mod odd;
mod ours;
pub mod resolution;
mod side;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    apply::{Effect, TargetWriter, WriteError},
    http::{CallStatistics, ClockOffset},
    inventory::{Call, Census, Coverage, InventoryReader, Overview, Pace, People, ReadError},
    model::{
        GroupName, Owner, OwnerKind, Token, TokenId,
        mapping::{Product, SettingsMapping},
        secret::SecretHash,
    },
    plan::{ApprovedPlan, Change},
};

use bitbucket::{Bitbucket, BitbucketWriter};
use fronted::{Fronted, FrontedWriter};
use gateway::{Gateway, GatewayWriter, Tenure};
use resolution::{Resolution, ResolutionWriter};
pub use side::{FORGED_ADDRESS, Forged, Side};

/// A server of whatever kind.
pub enum Target {
    /// Our own server, embedded or elsewhere.
    Gateway(Gateway),
    /// Bitbucket Data Center with its own tokens.
    Bitbucket(Bitbucket),
    /// The same with our gateway in front of it.
    Fronted(Box<Fronted>),
    /// A product with the app "API Token Authentication".
    Resolution(Resolution),
}

/// What of a server a run looks at, as far as that decides on its calls.
#[derive(Clone, Copy, Default)]
pub struct Sight<'a> {
    /// With `resolution`: the product that the app is in.
    pub product: Product,
    /// With `resolution`: where the settings of the app are.
    pub settings: Option<&'a SettingsMapping>,
    /// With `bitbucket`: whose tokens; all when empty.
    pub areas: &'a [OwnerKind],
    /// With `bitbucket`: the keys of the projects, `*` is any text; all when empty.
    pub projects: &'a [String],
    /// With `bitbucket`: whether our gateway stands in front of it.
    pub has_gateway: bool,
}

/// What a run calls on a server of `kind`, as the config file writes it, for what it looks at there; `None`
/// for a kind that this version does not know.
#[must_use]
pub fn calls_of(kind: &str, sight: Sight<'_>) -> Option<Vec<Call>> {
    match kind {
        "gateway" | "embedded" => Some(gateway::calls()),
        "bitbucket" if sight.has_gateway => Some(gateway::calls_in_front()),
        "bitbucket" => Some(bitbucket::calls(sight.areas, sight.projects)),
        "resolution" => Some(resolution::calls(sight.product, sight.settings)),
        _ => None,
    }
}

impl Target {
    /// A writer, for doing what `approved` says: without an approved plan there is none. With a `tenure`
    /// our own server keeps what is done.
    #[must_use]
    pub fn writer(&self, approved: &ApprovedPlan, tenure: Option<Tenure>) -> Writer {
        match self {
            Self::Gateway(gateway) => Writer::Gateway(gateway.writer(approved, tenure)),
            Self::Bitbucket(bitbucket) => Writer::Bitbucket(
                bitbucket.writer(approved).named(approved, tenure.map(|held| held.run).as_ref()),
            ),
            Self::Fronted(fronted) => Writer::Fronted(Box::new(fronted.writer(approved, tenure))),
            Self::Resolution(resolution) => Writer::Resolution(
                resolution.writer(approved).named(approved, tenure.map(|held| held.run).as_ref()),
            ),
        }
    }

    /// Our own server, which keeps a ledger of runs and has a lease, by itself or in front; `None` for any other.
    #[must_use]
    pub fn gateway(&self) -> Option<&Gateway> {
        match self {
            Self::Gateway(gateway) => Some(gateway),
            Self::Fronted(fronted) => Some(fronted.gateway()),
            Self::Bitbucket(_) | Self::Resolution(_) => None,
        }
    }

    /// Bitbucket, by itself or behind our gateway; `None` for any other server.
    #[must_use]
    pub fn bitbucket(&self) -> Option<&Bitbucket> {
        match self {
            Self::Bitbucket(bitbucket) => Some(bitbucket),
            Self::Fronted(fronted) => Some(fronted.bitbucket()),
            Self::Gateway(_) | Self::Resolution(_) => None,
        }
    }

    /// What the calls to it came to so far, those of its writers included.
    #[must_use]
    pub fn calls(&self) -> CallStatistics {
        match self {
            Self::Gateway(gateway) => gateway.calls(),
            Self::Bitbucket(bitbucket) => bitbucket.calls(),
            Self::Fronted(fronted) => fronted.calls(),
            Self::Resolution(resolution) => resolution.calls(),
        }
    }

    /// Asks the server whether it lets us in, for the first answer: from then on its clock is known.
    ///
    /// # Errors
    ///
    /// When it does not answer, or does not let us in.
    pub async fn greet(&self) -> Result<(), ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.greet().await,
            Self::Bitbucket(bitbucket) => bitbucket.greet().await,
            Self::Fronted(fronted) => fronted.greet().await,
            Self::Resolution(resolution) => resolution.greet().await,
        }
    }

    /// How far the clock of the server is ahead of ours, as its answers so far show; `None` when none had a
    /// date.
    #[must_use]
    pub fn clock(&self) -> Option<ClockOffset> {
        match self {
            Self::Gateway(gateway) => gateway.clock(),
            Self::Bitbucket(bitbucket) => bitbucket.clock(),
            Self::Fronted(fronted) => fronted.clock(),
            Self::Resolution(resolution) => resolution.clock(),
        }
    }
}

impl InventoryReader for Target {
    async fn overview(&self) -> Result<Overview, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.overview().await,
            Self::Bitbucket(bitbucket) => bitbucket.overview().await,
            Self::Fronted(fronted) => fronted.overview().await,
            Self::Resolution(resolution) => resolution.overview().await,
        }
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.people(groups).await,
            Self::Bitbucket(bitbucket) => bitbucket.people(groups).await,
            Self::Fronted(fronted) => fronted.people(groups).await,
            Self::Resolution(resolution) => resolution.people(groups).await,
        }
    }

    async fn groups(&self) -> Result<Option<BTreeSet<GroupName>>, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.groups().await,
            Self::Bitbucket(bitbucket) => bitbucket.groups().await,
            Self::Fronted(fronted) => fronted.groups().await,
            Self::Resolution(resolution) => resolution.groups().await,
        }
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.tokens(each).await,
            Self::Bitbucket(bitbucket) => bitbucket.tokens(each).await,
            Self::Fronted(fronted) => fronted.tokens(each).await,
            Self::Resolution(resolution) => resolution.tokens(each).await,
        }
    }

    async fn tokens_by_hash(&self, hashes: &[SecretHash]) -> Result<Option<Vec<Option<TokenId>>>, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.tokens_by_hash(hashes).await,
            Self::Bitbucket(bitbucket) => bitbucket.tokens_by_hash(hashes).await,
            Self::Fronted(fronted) => fronted.tokens_by_hash(hashes).await,
            Self::Resolution(resolution) => resolution.tokens_by_hash(hashes).await,
        }
    }

    async fn offspring_of(&self, ids: &BTreeSet<TokenId>) -> Result<Vec<(Token, TokenId)>, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.offspring_of(ids).await,
            Self::Bitbucket(bitbucket) => bitbucket.offspring_of(ids).await,
            Self::Fronted(fronted) => fronted.offspring_of(ids).await,
            Self::Resolution(resolution) => resolution.offspring_of(ids).await,
        }
    }

    async fn tokens_of(
        &self,
        owners: &BTreeSet<Owner>,
        each: &mut (dyn FnMut(Token) + Send),
    ) -> Result<Coverage, ReadError> {
        match self {
            Self::Gateway(gateway) => gateway.tokens_of(owners, each).await,
            Self::Bitbucket(bitbucket) => bitbucket.tokens_of(owners, each).await,
            Self::Fronted(fronted) => fronted.tokens_of(owners, each).await,
            Self::Resolution(resolution) => resolution.tokens_of(owners, each).await,
        }
    }

    fn census(&self) -> Option<&Census> {
        match self {
            Self::Gateway(gateway) => gateway.census(),
            Self::Bitbucket(bitbucket) => bitbucket.census(),
            Self::Fronted(fronted) => fronted.census(),
            Self::Resolution(resolution) => resolution.census(),
        }
    }

    fn pace(&self) -> Option<Pace> {
        match self {
            Self::Gateway(gateway) => gateway.pace(),
            Self::Bitbucket(bitbucket) => bitbucket.pace(),
            Self::Fronted(fronted) => fronted.pace(),
            Self::Resolution(resolution) => resolution.pace(),
        }
    }

    fn latest_date(&self) -> Option<Timestamp> {
        match self {
            Self::Gateway(gateway) => gateway.latest_date(),
            Self::Bitbucket(bitbucket) => bitbucket.latest_date(),
            Self::Fronted(fronted) => fronted.latest_date(),
            Self::Resolution(resolution) => resolution.latest_date(),
        }
    }
}

/// The writer of a server of whatever kind.
pub enum Writer {
    /// That of our own server.
    Gateway(GatewayWriter),
    /// That of Bitbucket Data Center.
    Bitbucket(BitbucketWriter),
    /// That of Bitbucket with our gateway in front of it.
    Fronted(Box<FrontedWriter>),
    /// That of the app.
    Resolution(ResolutionWriter),
}

impl TargetWriter for Writer {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        match self {
            Self::Gateway(writer) => writer.make(change).await,
            Self::Bitbucket(writer) => writer.make(change).await,
            Self::Fronted(writer) => writer.make(change).await,
            Self::Resolution(writer) => writer.make(change).await,
        }
    }

    fn at_most(&self) -> usize {
        match self {
            Self::Gateway(writer) => writer.at_most(),
            Self::Bitbucket(writer) => writer.at_most(),
            Self::Fronted(writer) => writer.at_most(),
            Self::Resolution(writer) => writer.at_most(),
        }
    }

    async fn make_all(&self, changes: &[&Change]) -> Vec<Result<Effect, WriteError>> {
        match self {
            Self::Gateway(writer) => writer.make_all(changes).await,
            Self::Bitbucket(writer) => writer.make_all(changes).await,
            Self::Fronted(writer) => writer.make_all(changes).await,
            Self::Resolution(writer) => writer.make_all(changes).await,
        }
    }
}
