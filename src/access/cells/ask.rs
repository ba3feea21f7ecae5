//! A request whatever the settings are that it is decided under.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::{
    access::{Credentials, Decision, DenialReason, Operation, Request, RequestOrigin, decide},
    model::{ClientAddressSource, Settings},
};

/// A request, with all its header lines: which of them count is up to the settings that it is decided under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Name and value of each header line, in order.
    pub headers: Vec<(String, String)>,
    /// The HTTP method, upper case.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// Who sends it, as far as that was found out.
    pub credentials: Credentials,
    /// What it wants.
    pub operation: Operation,
    /// When it is decided on, UTC.
    pub at: Timestamp,
}

impl Ask {
    /// Why it does not pass under `settings`; `None` when it does.
    #[must_use]
    pub fn denied(&self, settings: &Settings) -> Option<DenialReason> {
        let request = Request {
            origin: origin(self.peer, &self.headers, &settings.client_address),
            method: &self.method,
            path: &self.path,
            credentials: self.credentials.clone(),
            operation: self.operation.clone(),
            at: self.at,
        };
        match decide(settings, &request) {
            Decision::Permit(_) => None,
            Decision::Denied(reason) => Some(reason),
        }
    }
}

/// Where a request from `peer` with `headers` comes from, for a server that finds the client as `source` says.
#[must_use]
pub fn origin(peer: IpAddr, headers: &[(String, String)], source: &ClientAddressSource) -> RequestOrigin {
    let header_lines = match source {
        ClientAddressSource::Peer => Vec::new(),
        ClientAddressSource::Header { name, .. } => {
            let named = headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name.as_str()));
            named.map(|(_, value)| value.clone()).collect()
        }
    };
    RequestOrigin::Connection { peer, header_lines }
}
