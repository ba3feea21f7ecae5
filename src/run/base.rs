//! Where a run works, and who listens to it.

use std::{path::PathBuf, sync::Arc};

use super::Listener;

/// Where a run works, and who listens to it.
#[derive(Clone)]
pub struct Base {
    /// The folder that the paths of a caller count from.
    pub directory: PathBuf,
    /// The config file, from there.
    pub config: PathBuf,
    /// Is told what the run has to say.
    pub listener: Arc<dyn Listener>,
}

impl Base {
    /// The path of the config file.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.directory.join(&self.config)
    }
}
