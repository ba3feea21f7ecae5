//! A policy repository on disk: the config file and the policy layers that it names, each read once.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{self, Config, ConfigReading, LayerPath, TargetDeclaration},
    journal::JournalFolder,
    model::digest::sha256,
    policy::{Layer, Policy, read_layers},
    report,
    saved::document::LayerEntry,
    yaml::{Diagnostics, Sources, Span},
};

use super::{
    Base, Ending, Failure, Listener,
    reading::{FileSource, UnusableFile, folder_of},
};

/// What came of reading the config file and its layers.
pub(crate) struct Loaded {
    /// What the config file says; `None` when it is invalid.
    pub(crate) config: Option<Config>,
    /// The layers of each target, also of an invalid config file.
    pub(crate) policies: Vec<Vec<LayerPath>>,
    /// The layers.
    pub(crate) layers: Layers,
    /// What is wrong with the config file and with the paths of the layers.
    pub(crate) diagnostics: Diagnostics,
    /// The text of the config file, with secrets masked.
    pub(crate) sources: Sources,
}

/// Reads the config file and every layer that it names.
pub(crate) fn load(base: &Base, source: &dyn FileSource) -> Loaded {
    let mut loaded = load_without_layers(base, source);
    let path = base.config_path();
    loaded.layers = Layers::read(&loaded.policies, &path, &base.config, source, &mut loaded.diagnostics);
    loaded
}

/// Reads only the config file.
pub(crate) fn load_without_layers(base: &Base, source: &dyn FileSource) -> Loaded {
    let shown: Arc<str> = source.shown(&base.config).into();
    let layers = Layers::default();
    let bytes = match source.config(&base.config_path()) {
        Ok(bytes) => bytes,
        Err(problem) => {
            let mut diagnostics = Diagnostics::default();
            let help = "say where it is with `--config FILE`, or where to work with `-C DIR`";
            diagnostics.push(problem.at(&Span::of_file(&shown), "", &shown).help(help));
            return Loaded {
                config: None,
                policies: Vec::new(),
                layers,
                diagnostics,
                sources: Sources::new(),
            };
        }
    };
    let ConfigReading { config, policies, diagnostics, sources } = config::read(&shown, &bytes);
    Loaded { config, policies, layers, diagnostics, sources }
}

/// A valid config file with all the policy layers that it names.
pub struct Workspace {
    /// What the config file says.
    pub config: Config,
    /// The folder it lies in; paths in it are relative to this one.
    pub folder: PathBuf,
    /// The folder of the journal, when the config file names one.
    pub journal: Option<JournalFolder>,
    /// Is told what a run in it has to say.
    pub listener: Arc<dyn Listener>,
    layers: Layers,
}

impl Workspace {
    /// The workspace that was `loaded` from `base`. The listener is told what is wrong with it.
    ///
    /// # Errors
    ///
    /// When the config file is invalid, or something is wrong with a layer that was read.
    pub(crate) fn of(loaded: Loaded, base: &Base) -> Result<Self, Failure> {
        let Loaded { config, layers, diagnostics, sources, .. } = loaded;
        base.listener.mistakes(&diagnostics, &sources);
        let config = config.filter(|_| !diagnostics.have_errors()).ok_or_else(|| invalid(&diagnostics, 1))?;
        let folder = folder_of(&base.config_path());
        let directory = config.journal.as_ref().and_then(|journal| journal.directory.as_ref());
        let journal = directory.map(|directory| JournalFolder::new(folder.join(directory)));
        Ok(Self { config, folder, journal, listener: Arc::clone(&base.listener), layers })
    }

    /// The targets with these `names`, in the order of the config file; all when there is no name.
    ///
    /// # Errors
    ///
    /// When there is no target with a name that was given.
    pub fn targets(&self, names: &[String]) -> Result<Vec<&TargetDeclaration>, Failure> {
        let known: Vec<&str> = self.config.targets.iter().map(|target| target.name.as_str()).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
            let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let error = format!("unknown target `{unknown}`; the config file has {known}");
            return Err(Failure::new(Ending::Usage, error));
        }
        let wanted = |target: &&TargetDeclaration| names.is_empty() || names.contains(&target.name);
        Ok(self.config.targets.iter().filter(wanted).collect())
    }

    /// The files that the policy of `target` is read from, as a saved plan says them.
    pub(crate) fn layer_entries(&self, target: &TargetDeclaration) -> Vec<LayerEntry> {
        self.layers.entries(&target.policy)
    }

    /// The one target with the name in `names`, or that there is.
    ///
    /// # Errors
    ///
    /// When there is no target with that name, or more than one to choose from.
    pub fn target(&self, names: &[String]) -> Result<&TargetDeclaration, Failure> {
        match self.targets(names)?.as_slice() {
            [only] => Ok(*only),
            several => {
                let names: Vec<_> = several.iter().map(|target| format!("`{}`", target.name)).collect();
                let error = format!(
                    "this needs exactly one target: choose one of {} with `--target`",
                    names.join(", ")
                );
                Err(Failure::new(Ending::Usage, error))
            }
        }
    }

    /// The layers of the policy of `target`, the most general one first.
    #[must_use]
    pub fn layers_of(&self, target: &TargetDeclaration) -> Vec<&Layer> {
        self.layers.of(&target.policy)
    }

    /// The policies of `targets`, each from all its layers. The listener is told what is wrong, once
    /// however many targets share a layer, warnings too.
    ///
    /// # Errors
    ///
    /// When a policy is invalid.
    pub fn load_policies(&self, targets: &[&TargetDeclaration]) -> Result<Vec<Policy>, Failure> {
        let (mut diagnostics, mut sources) = (Diagnostics::default(), Sources::new());
        let mut policies = Vec::with_capacity(targets.len());
        for target in targets {
            let reading = read_layers(&self.layers_of(target));
            diagnostics.append(reading.diagnostics);
            sources.extend(reading.sources);
            policies.push(reading.policy);
        }
        self.listener.mistakes(&diagnostics, &sources);
        let valid: Option<Vec<Policy>> = policies.into_iter().collect();
        valid.ok_or_else(|| invalid(&diagnostics, sources.len()))
    }
}

/// The failure of a run whose `files` files are invalid, as `diagnostics` say.
pub(crate) fn invalid(diagnostics: &Diagnostics, files: usize) -> Failure {
    Failure::new(Ending::Invalid, report::diagnostics::summary(diagnostics, files))
}

/// Policy layers by the paths that the config file gives them, each read once.
#[derive(Default)]
pub(crate) struct Layers(HashMap<String, LayerFile>);

/// A policy layer that was read.
struct LayerFile {
    layer: Layer,
    bytes: Vec<u8>,
}

impl Layers {
    /// Reads the layers of all `policies`; what cannot be read is reported at the place that names it.
    fn read(
        policies: &[Vec<LayerPath>],
        config_path: &Path,
        config_shown: &Path,
        source: &dyn FileSource,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let folder = folder_of(config_path);
        // The folder as the command line names it, so that places can be followed from there.
        let shown_folder = config_shown.parent().unwrap_or(Path::new(""));
        let mut read: HashMap<String, Result<LayerFile, UnusableFile>> = HashMap::new();
        for layer in policies.iter().flatten() {
            let result = read.entry(layer.path.clone()).or_insert_with(|| {
                let bytes = source.layer(&folder, &layer.path)?;
                let shown = source.shown(&shown_folder.join(&layer.path));
                Ok(LayerFile { layer: Layer::read(shown.into(), &bytes), bytes })
            });
            if let Err(problem) = result {
                diagnostics.push(problem.at(&layer.span, &layer.key, &layer.path));
            }
        }
        Self(read.into_iter().filter_map(|(path, result)| Some((path, result.ok()?))).collect())
    }

    /// How many files were read.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Those of `paths` that could be read, in their order.
    pub(crate) fn of(&self, paths: &[LayerPath]) -> Vec<&Layer> {
        paths.iter().filter_map(|path| self.0.get(&path.path)).map(|file| &file.layer).collect()
    }

    /// What a saved plan says of those of `paths` that could be read.
    fn entries(&self, paths: &[LayerPath]) -> Vec<LayerEntry> {
        let entry = |path: &LayerPath| {
            let sha256 = sha256(&self.0.get(&path.path)?.bytes);
            Some(LayerEntry { path: path.path.clone(), sha256 })
        };
        paths.iter().filter_map(entry).collect()
    }
}
