//! Links of answers to what they are about. Bitbucket's lead to its pages; this server has none, so that its links
//! lead to the answers themselves, where clients that follow them find what they look for.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts, uri::Authority},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    model::percent,
    serve::{App, session::Session},
};

/// Where the client reached this server: scheme, host and port; `None` when it does not say so.
#[derive(Clone)]
pub(super) struct Base(String);

impl FromRequestParts<Arc<App>> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        if let Some(url) = &app.public_url {
            return Ok(Self(url.to_string()));
        }
        let is_proxied = parts.extensions.get::<Session>().is_some_and(Session::is_proxied);
        let told = if is_proxied { Told::by_proxy(&parts.headers) } else { Told::default() };
        let named = || parts.headers.get(header::HOST)?.to_str().ok()?.parse().ok();
        let authority = told.host.or_else(|| parts.uri.authority().cloned()).or_else(named);
        let scheme = told.scheme.unwrap_or(if app.has_tls { "https" } else { "http" });
        Ok(Self(authority.map_or_else(String::new, |authority| format!("{scheme}://{authority}"))))
    }
}

/// How a client reached the proxy in front, as far as that tells.
#[derive(Default)]
struct Told {
    scheme: Option<&'static str>,
    host: Option<Authority>,
}

impl Told {
    /// What a proxy that is trusted says. Of several values the last one is its own: the others came to it.
    fn by_proxy(headers: &HeaderMap) -> Self {
        let last = |name: &str| {
            let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            Some(line.rsplit(',').next()?.trim().to_owned())
        };
        let forwarded = last("forwarded").unwrap_or_default();
        let part = |name: &str| {
            let mut pairs = forwarded.split(';').filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
            Some(value.trim().trim_matches('"').to_owned())
        };
        let scheme = last("x-forwarded-proto").or_else(|| part("proto")).unwrap_or_default();
        let host = last("x-forwarded-host").or_else(|| part("host"));
        let host = host.and_then(|host| host.parse().ok());
        Self {
            scheme: ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(&scheme)),
            host: host.filter(|host: &Authority| !host.as_str().contains('@')),
        }
    }
}

/// The links of one thing.
#[derive(Serialize, JsonSchema)]
pub(super) struct Links {
    #[serde(rename = "self")]
    own: [Link; 1],
}

/// A link.
#[derive(Serialize, JsonSchema)]
struct Link {
    href: String,
}

impl Base {
    /// The links of what is at the path of these `segments`, such as `users` and `mary`.
    pub(super) fn links(&self, segments: &[&str]) -> Links {
        let path: String =
            segments.iter().flat_map(|segment| ["/".to_owned(), percent::encode(segment)]).collect();
        Links { own: [Link { href: format!("{}/rest/api/latest{path}", self.0) }] }
    }
}
