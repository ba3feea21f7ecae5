//! TLS: the files it takes, which are read again when they change, and how long the certificate is still good.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum_server::tls_rustls::RustlsConfig;
use jiff::{SignedDuration, Timestamp};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version,
};
use sha2::{Digest, Sha256};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    model::Why,
    world::{regular_file, system_time},
};

use super::{ServeError, certificate_end};

/// The most bytes of a file.
const BYTES_AT_MOST: u64 = 4 << 20;
/// How often the files are looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(2);
/// How often the end of the certificate is told.
const TOLD_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// A certificate that is good for less than this is told of.
const ENOUGH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The files that TLS needs, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

impl TlsVersion {
    fn and_above(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Self::V1_2 => vec![&version::TLS13, &version::TLS12],
            Self::V1_3 => vec![&version::TLS13],
        }
    }
}

/// Where everything is read from, and how TLS is spoken with it.
#[derive(Debug)]
struct TlsSource {
    tls: Tls,
    client_ca: Option<PathBuf>,
    min_version: TlsVersion,
}

/// What was read from the files of TLS.
struct Loaded {
    config: ServerConfig,
    /// When the first certificate of the chain ends.
    end: Timestamp,
}

/// The files as they were when they were last looked at: their digest, or why they cannot be read.
type Seen = Result<[u8; 32], String>;

/// The certificate of a server that runs. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct Certificate {
    source: Arc<TlsSource>,
    config: RustlsConfig,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    seen: Seen,
    end: Timestamp,
    /// When the end was told.
    told: Option<Timestamp>,
}

impl Certificate {
    /// Reads the files of `tls`. Clients must show a certificate of one of the authorities in `client_ca`, if that
    /// is given, and speak `min_version` at least.
    ///
    /// # Errors
    ///
    /// When the files cannot be used.
    pub(super) fn read(
        tls: Tls,
        client_ca: Option<PathBuf>,
        min_version: TlsVersion,
    ) -> Result<Self, ServeError> {
        let source = TlsSource { tls, client_ca, min_version };
        let unusable = |cause| ServeError::Tls { certificate: source.tls.certificate.clone(), cause };
        let bytes = source.bytes().map_err(unusable)?;
        let Loaded { config, end } = source.load(&bytes).map_err(unusable)?;
        let state = State { seen: Ok(digest(&bytes)), end, told: None };
        Ok(Self {
            source: Arc::new(source),
            config: RustlsConfig::from_config(Arc::new(config)),
            state: Arc::new(Mutex::new(state)),
        })
    }

    /// What new connections are taken with.
    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Reads the files again when they have changed. Those that cannot be used are told of, once, and change nothing.
    pub async fn reload(&self) {
        let certificate = self.clone();
        // An error means that the server stops.
        let _ = spawn_blocking(move || certificate.reload_now()).await;
    }

    fn reload_now(&self) {
        let bytes = self.source.bytes();
        let seen = bytes.as_ref().map(digest).map_err(ToString::to_string);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.seen == seen {
            return;
        }
        state.seen = seen;
        let certificate = self.source.tls.certificate.display();
        match bytes.and_then(|bytes| self.source.load(&bytes)) {
            Ok(Loaded { config, end }) => {
                self.config.reload_from_config(Arc::new(config));
                (state.end, state.told) = (end, None);
                tracing::info!(%certificate, %end, "the certificate was read again");
            }
            Err(error) => tracing::warn!(
                %certificate,
                error = %Why::of(&error),
                "the new certificate cannot be used with its key; the old one stays in use"
            ),
        }
    }

    /// Tells, once a day, when the certificate expires soon.
    pub(super) fn tell_end(&self, now: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = state.end.duration_since(now);
        let is_told = state.told.is_some_and(|told| now.duration_since(told) < TOLD_EVERY);
        if left >= ENOUGH || is_told {
            return;
        }
        state.told = Some(now);
        let (certificate, end) = (self.source.tls.certificate.display(), state.end);
        if left.is_positive() {
            tracing::warn!(%certificate, %end, days = left.as_hours() / 24, "the certificate expires soon");
        } else {
            tracing::warn!(%certificate, %end, "the certificate has expired: clients refuse it");
        }
    }

    /// Reads the files when they change and tells of the end that comes, until it is dropped.
    pub(super) async fn keep_current(&self) {
        loop {
            sleep(LOOKED_AT_EVERY).await;
            self.reload().await;
            self.tell_end(system_time());
        }
    }
}

/// The content of the file at `path`. The error names the file.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()));
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 4 MiB");
    let read = regular_file::open(path).and_then(|file| regular_file::read(file, BYTES_AT_MOST));
    read.and_then(|content| content.ok_or_else(too_long)).map_err(named)
}

/// What is in the files: certificate chain, key, and authorities of clients.
struct Bytes {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl TlsSource {
    fn bytes(&self) -> io::Result<Bytes> {
        Ok(Bytes {
            certificate: content(&self.tls.certificate)?,
            key: content(&self.tls.key)?,
            client_ca: self.client_ca.as_deref().map(content).transpose()?,
        })
    }

    fn load(&self, bytes: &Bytes) -> io::Result<Loaded> {
        let chain = certificates(&bytes.certificate)?;
        let ends: Option<Vec<Timestamp>> =
            chain.iter().map(|certificate| certificate_end::end(certificate)).collect();
        let end = ends.and_then(|ends| ends.into_iter().min());
        let end = end.ok_or_else(|| io::Error::other("it has no certificate, or one that cannot be read"))?;
        let mut keys = PrivateKeyDer::pem_slice_iter(&bytes.key);
        let (Some(Ok(key)), None) = (keys.next(), keys.next()) else {
            return Err(io::Error::other("the file of the key must hold exactly one private key"));
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.min_version.and_above())
            .map_err(io::Error::other)?;
        let builder = match &bytes.client_ca {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(authorities)? {
                    roots.add(authority).map_err(io::Error::other)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(io::Error::other)?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Loaded { config, end })
    }
}

fn certificates(pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(io::Error::other)
}

/// A digest of the files: the key does not stay in memory to be compared.
fn digest(bytes: &Bytes) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [Some(&bytes.certificate), Some(&bytes.key), bytes.client_ca.as_ref()].into_iter().flatten() {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_is_no_file_of_a_sensible_length_is_refused_at_once_and_by_name() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("file");
        let refused = |path: &Path| content(path).unwrap_err().to_string();
        std::fs::write(&path, "key").unwrap();
        assert_eq!(content(&path).unwrap(), b"key");
        File::create(&path).unwrap().set_len(BYTES_AT_MOST + 1).unwrap();
        assert!(refused(&path).ends_with("/file`: it is longer than 4 MiB"), "{}", refused(&path));
        assert!(refused(folder.path()).ends_with("it is not a regular file"));
        #[cfg(unix)]
        {
            use rustix::fs::{CWD, FileType, Mode, mknodat};

            let pipe = folder.path().join("pipe");
            mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&pipe, &link).unwrap();
            for no_file in [&*pipe, &link, Path::new("/dev/zero")] {
                assert!(refused(no_file).ends_with("it is not a regular file"), "{}", refused(no_file));
            }
        }
    }
}
