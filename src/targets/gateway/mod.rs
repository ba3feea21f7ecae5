//! The target `gateway`: our own server, over HTTP, whether it runs elsewhere or embedded.
//!
//! From a client of the server to a reader, and against an approved plan to a writer. It speaks the same
//! REST as everybody else.

mod audit;
mod batch;
mod descent;
mod front;
mod ledger;
mod reader;
mod wire;
mod writer;

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use crate::{
    http::{CallStatistics, ClockOffset, HttpClient},
    inventory::Call,
    model::TokenId,
    plan::{ApprovedPlan, Plan, Purpose},
    protocol::{CHANGES_AT_MOST, MIRROR, MIRROR_TOKENS, RESTRICTIONS, USES},
    targets::{bitbucket::wire::MEMBERS, directory::Named, grounds::RevocationGrounds},
};

use descent::Descent;
pub use ledger::{HeldLease, LeaseError, Tenure};
pub use writer::GatewayWriter;

/// What a run calls on a gateway.
#[must_use]
pub fn calls() -> Vec<Call> {
    wire::calls()
}

/// What a run calls on a gateway in front of a server whose tokens it applies a policy to.
#[must_use]
pub(in crate::targets) fn calls_in_front() -> Vec<Call> {
    let mut calls = wire::calls();
    calls.retain(|call| call.path.starts_with("/rest/tokenwarden/") || call.path == MEMBERS);
    let below = |path: &str| format!("{path}/{}", Call::ANY);
    calls.extend([RESTRICTIONS, USES, MIRROR].map(|path| Call::new("GET", path)));
    calls.extend(["GET", "PUT"].map(|method| Call::new(method, below(RESTRICTIONS))));
    calls.push(Call::new("DELETE", below(MIRROR_TOKENS)));
    calls
}

/// A gateway that policy is applied to.
pub struct Gateway {
    client: Arc<HttpClient>,
    shown: String,
    store: OnceLock<String>,
    /// How many changes it takes in one call, once an answer told it; older servers take none.
    changes_at_most: OnceLock<usize>,
    named: Named,
    descent: Descent,
}

impl Gateway {
    /// The gateway that `client` speaks to; people know it as `shown`.
    #[must_use]
    pub fn new(client: HttpClient, shown: impl Into<String>) -> Self {
        let (client, shown) = (Arc::new(client), shown.into());
        Self {
            client,
            shown,
            store: OnceLock::new(),
            changes_at_most: OnceLock::new(),
            named: Named::default(),
            descent: Descent::default(),
        }
    }

    /// A writer, for doing what `approved` says: without an approved plan there is none. With a `tenure`
    /// the server keeps what is done, and refuses it once another run has the lease.
    #[must_use]
    pub fn writer(&self, approved: &ApprovedPlan, tenure: Option<Tenure>) -> GatewayWriter {
        let plan = approved.plan();
        let notes = tenure.map(|tenure| ledger::Signature::new(tenure, plan));
        let grounds = RevocationGrounds::of(plan).within(self.descent.limits(plan));
        let at_most = self.changes_at_most.get().map_or(1, |most| (*most).clamp(1, CHANGES_AT_MOST));
        GatewayWriter::new(Arc::clone(&self.client), notes, grounds, self.alone(plan), at_most)
    }

    /// The tokens whose revocation by `plan` takes nothing along that came of them; `None` for all. Those of an incident
    /// do, whatever was made with them since the plan, unless the credential of the run is among it.
    fn alone(&self, plan: &Plan) -> Option<BTreeSet<TokenId>> {
        if !matches!(plan.purpose, Purpose::Revoke(_)) {
            return None;
        }
        let own = plan.server.caller.token().and_then(descent::number);
        let above = own.map(|own| self.descent.above(own)).unwrap_or_default();
        Some(above.into_iter().map(|id| TokenId::new(id.to_string())).collect())
    }

    pub(in crate::targets) fn client(&self) -> &HttpClient {
        &self.client
    }

    /// By what its store is known, whatever leads to it, once an answer told it; older servers do not.
    #[must_use]
    pub fn store(&self) -> Option<&str> {
        self.store.get().map(String::as_str)
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
}
