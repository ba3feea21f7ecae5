//! The target `gateway`: our own server, over HTTP, whether it runs elsewhere or embedded.
//!
//! In: a client of the server. Out: a reader, and against an approved plan a writer. It refuses to
//! know what the server enforces: it speaks the same REST as everybody else.

mod reader;
mod wire;
mod writer;

use std::sync::Arc;

use crate::{
    plan::ApprovedPlan,
    target::http::{CallStatistics, HttpClient},
};

pub use writer::GatewayWriter;

/// A gateway that policy is applied to.
pub struct Gateway {
    client: Arc<HttpClient>,
    shown: String,
}

impl Gateway {
    /// The gateway that `client` speaks to; people know it as `shown`.
    #[must_use]
    pub fn new(client: HttpClient, shown: impl Into<String>) -> Self {
        Self { client: Arc::new(client), shown: shown.into() }
    }

    /// A writer, for doing what `_approved` says: without an approved plan there is none.
    #[must_use]
    pub fn writer(&self, _approved: &ApprovedPlan) -> GatewayWriter {
        GatewayWriter::new(Arc::clone(&self.client))
    }

    /// What the calls to it came to so far, those of its writers included.
    #[must_use]
    pub fn calls(&self) -> CallStatistics {
        self.client.statistics()
    }
}
