//! The target `bitbucket` with `gateway`: Bitbucket as it is, and our gateway in front of it.
//!
//! Tokens, users and groups are read and revoked at Bitbucket; settings, restrictions, uses, the ledger and the lease
//! are the gateway's. Whatever Bitbucket cannot take from a token the gateway takes.

mod overlay;
mod writer;

use std::{collections::BTreeSet, error::Error, sync::Arc};

use jiff::Timestamp;

use crate::{
    http::{CallStatistics, ClockOffset},
    inventory::{
        Administrators, Caller, Capabilities, Census, Coverage, Expiry, InventoryReader, Overview, Pace,
        People, ReadError, Server,
    },
    model::{GroupName, Owner, Token, TokenId, UserName},
    plan::ApprovedPlan,
};

use super::{
    bitbucket::Bitbucket,
    gateway,
    gateway::{Gateway, Tenure},
};
use overlay::Overlay;
pub use writer::FrontedWriter;

/// Bitbucket with our gateway in front of it.
pub struct Fronted {
    bitbucket: Bitbucket,
    gateway: Arc<Gateway>,
}

/// The gateway stands in front of nothing.
#[derive(Debug, thiserror::Error)]
enum NotInFront {
    #[error("it stands in front of no other server: start it with `--upstream` or `upstream` in its config")]
    NoUpstream,
    #[error("its copy of `{0}` is too old, so that it cannot enforce anything there; see its log")]
    Stale(String),
}

impl Fronted {
    /// The server `bitbucket`, behind `gateway`.
    #[must_use]
    pub fn new(bitbucket: Bitbucket, gateway: Gateway) -> Self {
        Self { bitbucket, gateway: Arc::new(gateway) }
    }

    /// The gateway.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The server behind the gateway.
    #[must_use]
    pub fn bitbucket(&self) -> &Bitbucket {
        &self.bitbucket
    }

    /// Where the server is that the gateway stands in front of.
    ///
    /// # Errors
    ///
    /// When it stands in front of none, or cannot see it.
    pub async fn stands_in_front(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        let mirror = self.gateway.mirror().await?.ok_or(NotInFront::NoUpstream)?;
        if mirror.current { Ok(mirror.upstream) } else { Err(NotInFront::Stale(mirror.upstream).into()) }
    }

    /// A writer, for doing what `approved` says: without an approved plan there is none.
    #[must_use]
    pub fn writer(&self, approved: &ApprovedPlan, tenure: Option<Tenure>) -> FrontedWriter {
        let run = tenure.as_ref().map(|tenure| tenure.run.clone());
        FrontedWriter::new(
            self.bitbucket.writer(approved).named(approved, run.as_ref()),
            self.gateway.writer(approved, tenure),
            Arc::clone(&self.gateway),
        )
    }

    /// What the calls to both came to so far.
    #[must_use]
    pub fn calls(&self) -> CallStatistics {
        self.bitbucket.calls().and(self.gateway.calls())
    }

    /// How far the clock of the gateway, which ends tokens, is ahead of ours.
    #[must_use]
    pub fn clock(&self) -> Option<ClockOffset> {
        self.gateway.clock()
    }

    pub(in crate::targets) async fn greet(&self) -> Result<(), ReadError> {
        self.bitbucket.greet().await?;
        self.gateway.greet().await
    }

    /// Makes sure that the gateway stands in front of a server. Returns who administers the gateway.
    async fn front(&self) -> Result<BTreeSet<UserName>, Box<dyn Error + Send + Sync>> {
        self.stands_in_front().await?;
        Ok(self.gateway.own_administrators().await?)
    }

    /// What the gateway knows beside what Bitbucket tells of tokens.
    async fn overlay(&self) -> Result<Overlay, ReadError> {
        Overlay::read(&self.gateway).await.map_err(self.gateway.cannot_read("restrictions"))
    }
}

impl InventoryReader for Fronted {
    async fn overview(&self) -> Result<Overview, ReadError> {
        let behind = self.bitbucket.overview().await?;
        let Overview { server: front, settings } = self.gateway.overview().await?;
        let administrators = self.front().await.map_err(self.gateway.cannot_read("restrictions"))?;
        Ok(Overview {
            server: Server {
                caller: Caller { behind: Some(Box::new(behind.server.caller)), ..front.caller },
                // Settings are mended at the gateway, by those who administer it.
                administrators: Some(Administrators::Users(administrators)),
                calls: gateway::calls_in_front(),
                manageable: front.manageable,
                unreadable: front.unreadable,
                forms: front.forms,
                capabilities: Capabilities {
                    expiry: Expiry::Set,
                    narrows: true,
                    tokens_sent_as_passwords_are_passwords: false,
                    ..behind.server.capabilities
                },
                settings_changed: front.settings_changed,
                ..behind.server
            },
            settings,
        })
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        self.bitbucket.people(groups).await
    }

    async fn groups(&self) -> Result<Option<BTreeSet<GroupName>>, ReadError> {
        self.bitbucket.groups().await
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        let overlay = self.overlay().await?;
        self.bitbucket.tokens(&mut |token| each(overlay.over(token))).await
    }

    async fn offspring_of(&self, ids: &BTreeSet<TokenId>) -> Result<Vec<(Token, TokenId)>, ReadError> {
        self.bitbucket.offspring_of(ids).await
    }

    async fn tokens_of(
        &self,
        owners: &BTreeSet<Owner>,
        each: &mut (dyn FnMut(Token) + Send),
    ) -> Result<Coverage, ReadError> {
        let overlay = self.overlay().await?;
        self.bitbucket.tokens_of(owners, &mut |token| each(overlay.over(token))).await
    }

    fn census(&self) -> Option<&Census> {
        self.bitbucket.census()
    }

    fn pace(&self) -> Option<Pace> {
        self.bitbucket.pace()
    }

    fn latest_date(&self) -> Option<Timestamp> {
        self.bitbucket.latest_date()
    }
}
