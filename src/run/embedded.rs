//! The server of an embedded target, over its store, directory and seed files: in this process, on a loopback port.
//!
//! Nobody else can use it: its credential is random and stays in memory.

use std::{
    error::Error,
    fs,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use secrecy::SecretString;

use crate::{
    http::HttpCredential,
    model::{GroupName, TokenSecret},
    run::reading::read_text,
    serve::{
        self, Clock, Running, ServerOptions, random_bytes,
        store::{Store, StoreError, StoreUrl},
    },
    world::environment,
};

use super::{Ending, Failure, redact};

/// The group whose members administer an embedded server.
const ADMINISTRATORS: &str = "administrators";

/// The server of an embedded target, while it runs.
pub(crate) struct Embedded {
    running: Running,
    secret: SecretString,
}

impl Embedded {
    /// Starts the server over `store`, which is created when it is missing and there is a seed file: what is judged
    /// would be an empty world otherwise. The directory file is read each time; the seed file counts for a new store
    /// only. With `fixed` the server's clock stands still at that moment.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or has a mistake, or the store cannot be used.
    pub(crate) async fn start(
        store: &Path,
        directory: Option<PathBuf>,
        seed: Option<PathBuf>,
        fixed: Option<Timestamp>,
    ) -> Result<Self, Failure> {
        // Before a store is created for the sake of files that cannot be used.
        let with_text = |path: PathBuf| read(&path).map(|text| (path, text));
        let directory = directory.map(with_text).transpose()?;
        let seed = seed.map(with_text).transpose()?;
        let opened = open(store, seed.is_some()).await?;
        let administrators = GroupName::new(ADMINISTRATORS);
        let clock = fixed.map_or(Clock::System, Clock::Fixed);
        if let Some((path, text)) = directory {
            let import = serve::directory::import(&opened, &text, environment::variable).await;
            import.map_err(|error| invalid(&path, error))?;
        }
        if let Some((path, text)) = seed {
            let planted = serve::seed::plant(&opened, &text, administrators.clone(), clock.now()).await;
            planted.map_err(|error| invalid(&path, error))?;
        }
        let operator = TokenSecret::from_random(random_bytes()?);
        redact::remember(operator.expose())?;
        let secret = SecretString::from(operator.expose());
        let listener = serve::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let options = ServerOptions {
            clock,
            operator: Some(operator),
            lanes: NonZeroUsize::MIN,
            ..ServerOptions::new(administrators)
        };
        let running = serve::start(opened, listener, options).await?;
        Ok(Self { running, secret })
    }

    /// Where it is reached.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.running.address())
    }

    /// What it accepts from this process only.
    pub(crate) fn credential(&self) -> HttpCredential {
        HttpCredential::Bearer(self.secret.clone())
    }

    /// Ends the server. What it could not write is said in the log: everything that a plan or an
    /// outcome rests on was written before it was answered.
    pub(crate) async fn stop(self) {
        if let Err(error) = self.running.stop().await {
            tracing::warn!(%error, "the embedded server did not shut down cleanly");
        }
    }
}

/// An embedded target whose store is missing.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no store at `{}`, and no tokens to judge; check the path in `store`, restore a backup with `tokenwarden \
     store restore`, or create a store: name a `seed` file, or run `tokenwarden directory import FILE --store \
     sqlite:{}`",
    .0.display(), .0.display()
)]
struct NoStore(PathBuf);

/// The store at `file`, which is created when it is missing and `may_create`.
async fn open(file: &Path, may_create: bool) -> Result<Store, Failure> {
    let url = StoreUrl { file: file.to_owned() };
    match url.is_there() {
        Err(StoreError::Missing(_)) if may_create => {
            tracing::info!(store = %file.display(), "there was no store: creating one from the seed file");
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            Ok(Store::open_or_create(&url).await?)
        }
        Err(StoreError::Missing(file)) => Err(NoStore(file).into()),
        there => {
            there?;
            Ok(Store::open(&url).await?)
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    read_text(path).map_err(|error| invalid(path, error))
}

/// The config file names a file that cannot be used.
fn invalid(path: &Path, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    Failure::new(Ending::Invalid, InFile { path: path.to_owned(), cause: cause.into() })
}

/// A file that an embedded target names cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the file `{}` cannot be used", path.display())]
struct InFile {
    path: PathBuf,
    #[source]
    cause: Box<dyn Error + Send + Sync>,
}
