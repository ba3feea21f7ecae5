//! What every HTTP client of ours has in common.

use std::error::Error;

use reqwest::{Client, ClientBuilder, redirect::Policy};

use crate::model::is_loopback;

use super::{install_crypto, trusting};

/// A client that calls `url`, with TLS that trusts the certificates in `extra_ca` (PEM) and those of the system. It
/// follows no redirect.
pub(super) fn client_of(url: &str, extra_ca: &[u8]) -> Result<ClientBuilder, Box<dyn Error + Send + Sync>> {
    install_crypto();
    let mut builder = Client::builder()
        .user_agent(concat!("tokenwarden/", env!("CARGO_PKG_VERSION")))
        // Ours to follow: the library would carry on what is not a read, and knows no reason why not.
        .redirect(Policy::none());
    if is_loopback(url) {
        // A proxy has no business between us and a server on this machine, and would see the credential.
        builder = builder.no_proxy();
    }
    Ok(if is_loopback(url) && url.starts_with("http:") {
        // A certificate is of no use then, and a small container has none.
        builder.tls_certs_only([])
    } else {
        builder.tls_backend_preconfigured(trusting(extra_ca)?)
    })
}
