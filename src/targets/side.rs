//! One server that a target calls, for looking at it and not at its tokens: its clock, its certificate, and whether it
//! believes headers that anybody can send.

use std::net::IpAddr;

use serde::de::IgnoredAny;

use crate::{
    http::{ClockOffset, HttpClient, HttpError, RequestHeader},
    protocol::{WHOAMI, WhoAmI},
};

use super::{Target, bitbucket::wire::PROBE};

/// An address of nobody, of a network for documentation (RFC 5737).
pub const FORGED_ADDRESS: &str = "203.0.113.254";
/// A name that nobody has.
const FORGED_USER: &str = "tokenwarden-doctor";

/// One server that a target calls.
pub struct Side<'a> {
    /// How people are told of it.
    pub name: &'static str,
    /// How far its clock is ahead of ours, as its answers so far show.
    pub clock: Option<ClockOffset>,
    /// The certificate that it showed last, as DER; `None` without TLS.
    pub certificate: Option<Vec<u8>>,
    client: &'a HttpClient,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Ours,
    Bitbucket,
    Other,
}

/// What a server makes of forged headers.
pub struct Forged {
    /// The address that it takes for that of the client, where it tells.
    pub address: Option<IpAddr>,
    /// Whether it takes the sender for somebody else than without them.
    pub changed_user: bool,
}

impl Target {
    /// Every server that it calls.
    #[must_use]
    pub fn sides(&self) -> Vec<Side<'_>> {
        let side = |name, client: &'_ HttpClient, kind| (name, client.clock(), client.certificate(), kind);
        let of = |client, (name, clock, certificate, kind)| Side { name, clock, certificate, client, kind };
        match self {
            Self::Gateway(gateway) => {
                let client = gateway.client();
                vec![of(client, side("gateway", client, Kind::Ours))]
            }
            Self::Bitbucket(bitbucket) => {
                let client = bitbucket.client();
                vec![of(client, side("Bitbucket", client, Kind::Bitbucket))]
            }
            Self::Fronted(fronted) => {
                let (front, behind) = (fronted.gateway().client(), fronted.bitbucket().client());
                vec![
                    of(front, side("gateway", front, Kind::Ours)),
                    of(behind, side("Bitbucket", behind, Kind::Bitbucket)),
                ]
            }
            Self::Resolution(resolution) => {
                let client = resolution.client();
                vec![of(client, side("server", client, Kind::Other))]
            }
        }
    }
}

impl Side<'_> {
    /// What it makes of headers that only a proxy may send; `None` where it does not tell whom it sees.
    pub async fn forged(&self) -> Option<Result<Forged, HttpError>> {
        match self.kind {
            Kind::Ours => Some(self.forged_to_ours().await),
            Kind::Bitbucket => Some(self.forged_to_bitbucket().await),
            Kind::Other => None,
        }
    }

    async fn forged_to_ours(&self) -> Result<Forged, HttpError> {
        let usual = self.client.get::<WhoAmI>(WHOAMI, &[]).await?.body;
        let told = self.client.get_beside::<WhoAmI>(&headers(), WHOAMI, &[]).await?.body;
        Ok(Forged { address: told.client_address, changed_user: told.user != usual.user })
    }

    async fn forged_to_bitbucket(&self) -> Result<Forged, HttpError> {
        let query = [("limit", "1")];
        let usual = self.client.get::<IgnoredAny>(PROBE, &query).await?.user;
        let told = self.client.get_beside::<IgnoredAny>(&headers(), PROBE, &query).await?.user;
        Ok(Forged { address: None, changed_user: told != usual })
    }
}

/// Headers by which proxies tell of the client and the user.
fn headers() -> Vec<RequestHeader> {
    let of = |name: &'static str, value: &str| (name, value.to_owned());
    let forwarded = format!("for={FORGED_ADDRESS}");
    let addresses = ["x-forwarded-for", "x-real-ip", "x-client-ip"].map(|name| of(name, FORGED_ADDRESS));
    let users = ["x-forwarded-user", "x-remote-user", "remote-user"].map(|name| of(name, FORGED_USER));
    addresses.into_iter().chain(users).chain([of("forwarded", &forwarded)]).collect()
}
