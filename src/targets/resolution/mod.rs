//! The target `resolution`: the app "API Token Authentication" in Bitbucket, Jira or Confluence.
//!
//! From a client of the product and the config file to a reader, and against an approved plan to a writer.
//! The REST of the app's own settings is not public: where they are, and where in them each setting is, the
//! operator says. The scope and the expiry of a token are never changed, for which the app has no call:
//! tokens are marked instead.

mod directory;
mod mapping;
mod place;
mod reader;
mod tokens;
pub(in crate::targets) mod wire;
mod writer;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    http::{CallStatistics, ClockOffset, HttpClient, PagedList},
    inventory::Call,
    model::{
        MarkKey, Marker, TokenId,
        mapping::{Product, SettingsMapping},
    },
    plan::ApprovedPlan,
    targets::directory::Named,
};

use directory::ProductUser;

pub use writer::ResolutionWriter;

/// What the config file says of a server beside its address.
#[derive(Default)]
pub struct ResolutionOptions {
    /// The product that the app is in.
    pub product: Product,
    /// Where the app's settings are; without it they are not managed.
    pub settings: Option<SettingsMapping>,
    /// Makes and reads marks; without one no token is made to end.
    pub marker: Option<Marker>,
    /// Whether our credential is a password, and so no token.
    pub password: bool,
    /// The token that our credential is.
    pub token_id: Option<TokenId>,
    /// The address that the server sees for us, when it is known.
    pub address: Option<IpAddr>,
}

/// What a run calls on `product` and the app in it, whose settings are where `settings` says.
#[must_use]
pub fn calls(product: Product, settings: Option<&SettingsMapping>) -> Vec<Call> {
    let of_settings = settings.into_iter().flat_map(|SettingsMapping { path, read, write, .. }| {
        [read, write].map(|method| Call::new(method.clone(), path.clone()))
    });
    directory::calls(product).into_iter().chain(wire::calls()).chain(of_settings).collect()
}

/// A product with the app.
pub struct Resolution {
    client: Arc<HttpClient>,
    shown: String,
    options: ResolutionOptions,
    named: Named,
    /// The users as they were read last: their tokens are found by their keys.
    people: Mutex<Option<Arc<PagedList<ProductUser>>>>,
}

impl Resolution {
    /// The product that `client` speaks to; people know it as `shown`.
    #[must_use]
    pub fn new(client: HttpClient, shown: impl Into<String>, options: ResolutionOptions) -> Self {
        let (client, shown) = (Arc::new(client), shown.into());
        Self { client, shown, options, named: Named::default(), people: Mutex::default() }
    }

    /// What makes and reads the marks of the server known as `server` with `key`.
    #[must_use]
    pub fn marker(key: MarkKey, server: &str) -> Marker {
        Marker::new(key, server, wire::DESCRIPTION)
    }

    pub(in crate::targets) fn client(&self) -> &HttpClient {
        &self.client
    }

    /// A writer, for doing what `approved` says: without an approved plan there is none.
    #[must_use]
    pub fn writer(&self, approved: &ApprovedPlan) -> ResolutionWriter {
        let (marker, settings) = (self.options.marker.clone(), self.options.settings.clone());
        let people = self.known_people().unwrap_or_default();
        let client = Arc::clone(&self.client);
        ResolutionWriter::new(client, marker, settings, &people.values, approved.plan())
    }

    /// What the calls to it came to so far, those of its writers included.
    #[must_use]
    pub fn calls(&self) -> CallStatistics {
        self.client.statistics()
    }

    /// How far the clock of the server is ahead of ours, as its answers so far show; `None` when none had a
    /// date.
    #[must_use]
    pub fn clock(&self) -> Option<ClockOffset> {
        self.client.clock()
    }

    /// The users, when they were read before.
    fn known_people(&self) -> Option<Arc<PagedList<ProductUser>>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
