//! Links of answers to what they are about. Bitbucket's lead to its pages; this server has none, so that its links
//! lead to the answers themselves, where clients that follow them find what they look for.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts, uri::Authority},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{model::percent, serve::App};

/// Where the client reached this server: scheme, host and port; nothing when it does not say so.
#[derive(Clone)]
pub(super) struct Base(String);

impl FromRequestParts<Arc<App>> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let named = || parts.headers.get(header::HOST)?.to_str().ok()?.parse().ok();
        let authority: Option<Authority> = parts.uri.authority().cloned().or_else(named);
        let scheme = if app.has_tls { "https" } else { "http" };
        Ok(Self(authority.map_or_else(String::new, |authority| format!("{scheme}://{authority}"))))
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
    /// The links of what stands at the path of these `segments`, such as `users` and `mary`.
    pub(super) fn links(&self, segments: &[&str]) -> Links {
        let path: String =
            segments.iter().flat_map(|segment| ["/".to_owned(), percent::encode(segment)]).collect();
        Links { own: [Link { href: format!("{}/rest/api/latest{path}", self.0) }] }
    }
}
