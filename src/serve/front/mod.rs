//! The gateway in front of another server: what of a request passes, and in which form.
//!
//! A request is read once ([`classify`], [`secret`]), judged ([`judge`]), and what is forwarded of its target and its
//! credentials is what was read: the server behind sees no byte that was not looked at. Nothing here adds to what
//! that server permits by itself.

mod authz;
mod body;
pub mod classify;
mod figures;
pub mod forward;
mod gate;
mod headers;
mod identity;
pub mod judge;
pub mod mirror;
mod pool;
mod refusal;
pub mod secret;
mod upstream;
mod uses;

use std::sync::Arc;

use axum::http::{HeaderName, header::InvalidHeaderName};

use crate::{
    model::{self, AddressSet, Owner},
    serve::callers::{self, Callers},
};

use classify::Prefixes;
use figures::Figures;
use forward::Forwarder;
use judge::Browsers;

pub(super) use authz::{Contract, answer as ask};
pub(super) use gate::{class, pass};
pub use upstream::{BadUpstream, UpstreamLimits, UpstreamUrl};

/// Who proves the credentials of requests.
enum Proof {
    /// The server behind, which is sent them. From where browsers are let in.
    Upstream(Browsers),
    /// The gateway, by its own directory and tokens. The server behind believes this header.
    Here(HeaderName),
}

/// What requests to the server behind go through.
pub struct Front {
    forwarder: Arc<Forwarder>,
    prefixes: Prefixes,
    proof: Proof,
    /// Proxies that ask before they forward by themselves.
    peers: AddressSet,
    figures: Figures,
    /// The owners for whom a token is being created: one at a time where they are counted.
    creations: Callers<Owner>,
}

impl Front {
    /// A front before the server that `forwarder` leads to, where everything is below `prefixes`. Proxies at `peers` may
    /// ask what would become of a request.
    #[must_use]
    pub fn new(forwarder: Forwarder, prefixes: Prefixes, browsers: Browsers, peers: AddressSet) -> Self {
        let (forwarder, creations) = (Arc::new(forwarder), callers::of_creations());
        let proof = Proof::Upstream(browsers);
        Self { forwarder, prefixes, proof, peers, figures: Figures::default(), creations }
    }

    /// The same before a server that believes who `header` says that a sender is: that is found out here.
    ///
    /// # Errors
    ///
    /// When there can be no such header.
    pub fn with_identity_in(self, header: &model::HeaderName) -> Result<Self, InvalidHeaderName> {
        Ok(Self { proof: Proof::Here(header.as_str().parse()?), ..self })
    }

    /// Its figures.
    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }
}
