//! In: the store, directory and seed files of an embedded target. Out: the gateway's own server,
//! running in this process on a loopback port. It refuses to be reached by anybody else: its
//! credential is random and stays in memory.

use std::{
    env,
    error::Error,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use secrecy::SecretString;

use crate::{
    model::{GroupName, TokenSecret},
    serve::{
        self, Clock, Options, Running, random_bytes,
        store::{Store, StoreUrl},
    },
    target::http::Credential,
};

use super::{Exit, Failure, files, redact};

/// The group whose members administer an embedded server.
const ADMINISTRATORS: &str = "administrators";

/// The server of an embedded target, while it runs.
pub(super) struct Embedded {
    running: Running,
    secret: SecretString,
}

impl Embedded {
    /// Starts the server over `store`, which is made when it is missing. The directory file is read
    /// anew each time; the seed file counts for a new store alone. With `fixed` the server's clock
    /// stands still at that moment.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or has a mistake, or the store cannot be used.
    pub(super) async fn start(
        store: &Path,
        directory: Option<PathBuf>,
        seed: Option<PathBuf>,
        fixed: Option<Timestamp>,
    ) -> Result<Self, Failure> {
        if let Some(folder) = store.parent() {
            fs::create_dir_all(folder)?;
        }
        let opened = Store::open_or_create(&StoreUrl { file: store.to_owned() }).await?;
        let administrators = GroupName::new(ADMINISTRATORS);
        let clock = fixed.map_or(Clock::System, Clock::Fixed);
        if let Some(path) = directory {
            let text = read(&path)?;
            let import = serve::directory::import(&opened, &text, |name| env::var(name).ok()).await;
            import.map_err(|error| invalid(&path, error))?;
        }
        if let Some(path) = seed {
            let text = read(&path)?;
            let planted = serve::seed::plant(&opened, &text, administrators.clone(), clock.now()).await;
            planted.map_err(|error| invalid(&path, error))?;
        }
        let operator = TokenSecret::from_random(random_bytes()?);
        redact::remember(operator.expose())?;
        let secret = SecretString::from(operator.expose());
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let options = Options { clock, operator: Some(operator), ..Options::new(administrators) };
        let running = serve::start(opened, listener, options).await?;
        Ok(Self { running, secret })
    }

    /// Where it is reached.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.running.address())
    }

    /// What it accepts from this process alone.
    pub(super) fn credential(&self) -> Credential {
        Credential::Bearer(self.secret.clone())
    }

    /// Ends the server. What it could not write is said in the log: everything that a plan or an
    /// outcome rests on was written before it was answered.
    pub(super) async fn stop(self) {
        if let Err(error) = self.running.stop().await {
            tracing::warn!(%error, "the embedded server did not end in order");
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    files::read_text(path).map_err(|error| invalid(path, error))
}

/// The settings file names a file that cannot be used.
fn invalid(path: &Path, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    Failure::new(Exit::Invalid, InFile { path: path.to_owned(), cause: cause.into() })
}

/// A file that an embedded target names cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the file `{}` cannot be used", path.display())]
struct InFile {
    path: PathBuf,
    #[source]
    cause: Box<dyn Error + Send + Sync>,
}
