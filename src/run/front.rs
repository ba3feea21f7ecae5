//! What a server that stands in front of another one is made of, from its gateway file.

use std::{path::Path, time::Duration};

use crate::{
    config::gateway::{GatewayConfig, Mirrored, Upstream, UpstreamKind},
    http::{self, HttpClient, HttpError},
    serve::front::{
        Front, UpstreamLimits, UpstreamUrl,
        classify::Prefixes,
        forward::Forwarder,
        judge::Browsers,
        mirror::{MirrorOptions, UnknownTokens},
    },
    targets::bitbucket::{self, Bitbucket},
};

use super::{Ending, Failure, credential, reading::read_whole};

/// What fills the mirror of the upstream in `config`, where it is mirrored, and what requests to it go through; `None`
/// without one. Files are looked for below `folder`.
///
/// # Errors
///
/// When the credential is not there, or the certificates cannot be read.
pub(crate) async fn front(
    config: &GatewayConfig,
    folder: &Path,
) -> Result<Option<(Option<MirrorOptions>, Front)>, Failure> {
    let Some(upstream) = config.upstream.clone() else { return Ok(None) };
    let (peers, folder) = (config.authz_peers.clone(), folder.to_owned());
    let make = move || -> Result<(Option<MirrorOptions>, Front), Failure> {
        let url: UpstreamUrl = upstream.url.parse().map_err(|error| Failure::new(Ending::Usage, error))?;
        let ca = upstream.tls_ca.as_ref().map(|file| read_whole(&folder.join(file))).transpose()?;
        let setup = |source| HttpError::Setup { base: upstream.url.clone(), source };
        let tls = url.has_tls().then(|| http::trusting(ca.as_deref().unwrap_or_default()).map_err(setup));
        let limits = UpstreamLimits {
            connections: usize::try_from(upstream.connections).unwrap_or(usize::MAX),
            silence: Duration::from_secs(upstream.idle_seconds.into()),
            ..UpstreamLimits::default()
        };
        let prefixes = Prefixes::new(url.context_path(), &upstream.git_prefix);
        let forwarder = Forwarder::new(url, tls.transpose()?, limits)
            .map_err(|error| HttpError::Setup { base: upstream.url.clone(), source: error.into() })?;
        Ok(match &upstream.kind {
            UpstreamKind::Bitbucket(mirrored) => {
                let source = source(&upstream, mirrored, &folder, ca.as_deref())?;
                let browsers = if mirrored.restricts_browsers { Browsers::Network } else { Browsers::Pass };
                (Some(source), Front::new(forwarder, prefixes, browsers, peers))
            }
            UpstreamKind::Header(header) => {
                let front = Front::new(forwarder, prefixes, Browsers::Network, peers);
                (None, front.with_identity_in(header).map_err(|error| Failure::new(Ending::Usage, error))?)
            }
        })
    };
    tokio::task::spawn_blocking(make).await?.map(Some)
}

fn source(
    upstream: &Upstream,
    mirrored: &Mirrored,
    folder: &Path,
    ca: Option<&[u8]>,
) -> Result<MirrorOptions, Failure> {
    let client = || -> Result<HttpClient, Failure> {
        let credential = credential::find(&mirrored.auth, folder, None)?;
        Ok(HttpClient::new(&upstream.url, credential, ca)?)
    };
    let bitbucket = Bitbucket::new(client()?, upstream.url.as_str(), bitbucket::BitbucketOptions::default());
    Ok(MirrorOptions {
        bitbucket: bitbucket.with_questions(client()?),
        refresh: Duration::from_secs(mirrored.refresh_seconds.into()),
        max_age: Duration::from_secs(mirrored.max_age_seconds.into()),
        unknown_tokens: if mirrored.asks_unknown { UnknownTokens::Ask } else { UnknownTokens::Refuse },
    })
}
