//! How far a credential from an address gets with the calls of a run, under given settings.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;

use crate::{
    access::{Credentials, Decision, DenialReason, Operation, Request, RequestOrigin, decide},
    inventory::Call,
    model::Settings,
};

/// How far somebody gets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Not far enough to plan.
    #[default]
    Shut,
    /// Far enough to plan.
    Reading,
    /// Far enough to apply.
    Writing,
}

/// How far somebody gets in, and why not farther.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) level: Level,
    pub(super) obstacle: Option<DenialReason>,
}

/// A server under some settings, for asking what it would answer.
pub(super) struct Gate {
    pub(super) settings: Settings,
    calls: Vec<Call>,
    /// An address that is let in, for anyone who must not be judged by the address.
    welcome: IpAddr,
}

impl Gate {
    pub(super) fn new(settings: Settings, calls: &[Call]) -> Self {
        let pieces = settings.networks.addresses().pieces();
        let welcome = pieces.first().map_or(Ipv4Addr::UNSPECIFIED.into(), |range| range.first());
        Self { settings, calls: calls.to_vec(), welcome }
    }

    /// How far one gets with `credentials` from the address `from`, which is one that is let in when it
    /// is not known.
    pub(super) fn way_in(&self, credentials: Credentials, from: Option<IpAddr>) -> Way {
        let mut request = Request {
            origin: RequestOrigin::Client(from.unwrap_or(self.welcome)),
            method: "",
            path: "",
            credentials,
            operation: Operation::Enter,
            // When credentials end is looked at by those who ask.
            at: Timestamp::MIN,
        };
        let mut way = Way { level: Level::Writing, obstacle: None };
        for call in &self.calls {
            (request.method, request.path) = (&call.method, &call.path);
            let level = if call.reads() { Level::Shut } else { Level::Reading };
            if level < way.level
                && let Decision::Denied(reason) = decide(&self.settings, &request)
            {
                way = Way { level, obstacle: Some(reason) };
            }
        }
        way
    }
}
