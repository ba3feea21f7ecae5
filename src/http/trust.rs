//! The TLS trust of connections: the certificate authorities of the system and those of a PEM file.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

/// What was made so far, by the authorities beside those of the system. The latter are more than a hundred
/// files, which dozens of targets need not read again.
static MADE: Mutex<BTreeMap<Vec<u8>, ClientConfig>> = Mutex::new(BTreeMap::new());

/// TLS that trusts the certificates in `extra_ca` (PEM) and those of the system, as they were when this
/// was asked for the first time.
pub(crate) fn trusting(extra_ca: &[u8]) -> Result<ClientConfig, Box<dyn Error + Send + Sync>> {
    // Who comes meanwhile waits, and finds it made.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(config) = made.get(extra_ca) {
        return Ok(config.clone());
    }
    let extra = CertificateDer::pem_slice_iter(extra_ca).collect::<Result<Vec<_>, _>>()?;
    let provider = CryptoProvider::get_default().map_or_else(|| ring::default_provider().into(), Arc::clone);
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        // The only way to the verifier of the system with further authorities; it checks everything.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    made.insert(extra_ca.to_owned(), config.clone());
    Ok(config)
}
