//! In: the config file and the policy layers on disk. Out: their contents, each file read once and
//! only when it is a regular file below the folder of the config file; or diagnostics, written to
//! standard error. It refuses to know what the files say.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _},
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
    serve::regular_file,
    yaml::{Code, Diagnostic, Diagnostics, FILE_BYTES_AT_MOST, Mark, Sources},
};

use super::{ColorChoice, Exit, Failure, Global, output};

/// What came of reading the config file and its layers.
pub(super) struct Loaded {
    /// What the config file says; nothing when it is invalid.
    pub(super) config: Option<Config>,
    /// The layers of each target, also of an invalid config file.
    pub(super) policies: Vec<Vec<LayerPath>>,
    /// The layers.
    pub(super) layers: Layers,
    /// What is wrong with the config file and with the paths of the layers.
    pub(super) diagnostics: Diagnostics,
    /// The text of the config file, with secrets masked.
    pub(super) sources: Sources,
}

/// Where the config file and its layers are read from.
pub(super) trait Source {
    /// The content of the config file at `path`.
    ///
    /// # Errors
    ///
    /// When it is no regular file or cannot be read.
    fn config(&self, path: &Path) -> Result<Vec<u8>, Unusable>;

    /// The content of `layer`, which must lie below `folder`.
    ///
    /// # Errors
    ///
    /// When it does not, is no regular file, or cannot be read.
    fn layer(&self, folder: &Path, layer: &str) -> Result<Vec<u8>, Unusable>;

    /// How people are told of the file at `path`, as the command line names it.
    fn shown(&self, path: &Path) -> String {
        path.display().to_string()
    }
}

/// The files as they are on disk.
pub(super) struct Disk;

impl Source for Disk {
    fn config(&self, path: &Path) -> Result<Vec<u8>, Unusable> {
        read_regular(path)
    }

    fn layer(&self, folder: &Path, layer: &str) -> Result<Vec<u8>, Unusable> {
        read_below(folder, layer)
    }
}

/// Reads the config file and every layer that it names.
pub(super) fn load(global: &Global, source: &dyn Source) -> Loaded {
    let mut loaded = load_without_layers(global, source);
    let path = global.directory.join(&global.config);
    loaded.layers = Layers::read(&loaded.policies, &path, &global.config, source, &mut loaded.diagnostics);
    loaded
}

/// Reads the config file alone.
pub(super) fn load_without_layers(global: &Global, source: &dyn Source) -> Loaded {
    let shown: Arc<str> = source.shown(&global.config).into();
    let layers = Layers::default();
    let bytes = match source.config(&global.directory.join(&global.config)) {
        Ok(bytes) => bytes,
        Err(problem) => {
            let mut diagnostics = Diagnostics::default();
            let help = "say where it is with `--config FILE`, or where to work with `-C DIR`";
            diagnostics.push(problem.at(&Mark::of_file(&shown), "", &shown).help(help));
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
    layers: Layers,
    color: ColorChoice,
}

/// Reads the config file and its layers, for a command that needs them all to be there. Shows
/// what is wrong on standard error.
///
/// # Errors
///
/// When the config file is invalid, or the path of a layer is.
pub fn load_workspace(global: &Global) -> Result<Workspace, Failure> {
    load_workspace_from(global, &Disk)
}

/// The same, from `source`.
///
/// # Errors
///
/// As for [`load_workspace`].
pub(super) fn load_workspace_from(global: &Global, source: &dyn Source) -> Result<Workspace, Failure> {
    workspace(load(global, source), global)
}

/// Reads the config file alone, for a command that asks no policy: its layers may have mistakes, or not
/// be there yet. Shows what is wrong on standard error.
///
/// # Errors
///
/// When the config file is invalid.
pub fn load_targets(global: &Global) -> Result<Workspace, Failure> {
    workspace(load_without_layers(global, &Disk), global)
}

fn workspace(loaded: Loaded, global: &Global) -> Result<Workspace, Failure> {
    let Loaded { config, layers, diagnostics, sources, .. } = loaded;
    show(&diagnostics, &sources, global.color);
    let config = config.filter(|_| !diagnostics.have_errors()).ok_or_else(|| invalid(&diagnostics, 1))?;
    let folder = folder_of(&global.directory.join(&global.config));
    let directory = config.journal.as_ref().and_then(|journal| journal.directory.as_ref());
    let journal = directory.map(|directory| JournalFolder::new(folder.join(directory)));
    Ok(Workspace { config, folder, journal, layers, color: global.color })
}

impl Workspace {
    /// The targets that `--target` names, in the order of the config file; all when it names none.
    ///
    /// # Errors
    ///
    /// When there is no target with a name that was given.
    pub fn targets(&self, global: &Global) -> Result<Vec<&TargetDeclaration>, Failure> {
        let names: Vec<&str> = self.config.targets.iter().map(|target| target.name.as_str()).collect();
        if let Some(unknown) = global.target.iter().find(|name| !names.contains(&name.as_str())) {
            let known = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let error = format!("there is no target `{unknown}`; the config file has {known}");
            return Err(Failure::new(Exit::Usage, error));
        }
        let wanted =
            |target: &&TargetDeclaration| global.target.is_empty() || global.target.contains(&target.name);
        Ok(self.config.targets.iter().filter(wanted).collect())
    }

    /// The files that the policy of `target` is read from, as a saved plan says them.
    pub(super) fn layer_entries(&self, target: &TargetDeclaration) -> Vec<LayerEntry> {
        self.layers.entries(&target.policy)
    }

    /// The one target that `--target` names, or that there is.
    ///
    /// # Errors
    ///
    /// When there is no target with that name, or more than one to choose from.
    pub fn target(&self, global: &Global) -> Result<&TargetDeclaration, Failure> {
        match self.targets(global)?.as_slice() {
            [only] => Ok(*only),
            several => {
                let names: Vec<_> = several.iter().map(|target| format!("`{}`", target.name)).collect();
                let error =
                    format!("this is about one target: choose one of {} with `--target`", names.join(", "));
                Err(Failure::new(Exit::Usage, error))
            }
        }
    }

    /// The layers of the policy of `target`, the most general one first.
    #[must_use]
    pub fn layers_of(&self, target: &TargetDeclaration) -> Vec<&Layer> {
        self.layers.of(&target.policy)
    }

    /// The policies of `targets`, each from all its layers. Shows what is wrong on standard error, once
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
        show(&diagnostics, &sources, self.color);
        let valid: Option<Vec<Policy>> = policies.into_iter().collect();
        valid.ok_or_else(|| invalid(&diagnostics, sources.len()))
    }
}

/// Writes what is wrong to standard error.
pub(super) fn show(diagnostics: &Diagnostics, sources: &Sources, color: ColorChoice) {
    let coloured = output::colour(color, &io::stderr());
    output::diagnostics(&report::diagnostics::text(diagnostics, sources, coloured));
}

pub(super) fn invalid(diagnostics: &Diagnostics, files: usize) -> Failure {
    Failure::new(Exit::Invalid, report::diagnostics::summary(diagnostics, files))
}

/// Policy layers by the paths that the config file gives them, each read once.
#[derive(Default)]
pub(super) struct Layers(HashMap<String, LayerFile>);

/// A policy layer that was read.
struct LayerFile {
    layer: Layer,
    sha256: String,
}

impl Layers {
    /// Reads the layers of all `policies`; what cannot be read is reported at the place that names it.
    fn read(
        policies: &[Vec<LayerPath>],
        config_path: &Path,
        config_shown: &Path,
        source: &dyn Source,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let folder = folder_of(config_path);
        // The folder as the command line names it, so that places can be followed from there.
        let shown_folder = config_shown.parent().unwrap_or(Path::new(""));
        let mut read: HashMap<String, Result<LayerFile, Unusable>> = HashMap::new();
        for layer in policies.iter().flatten() {
            let result = read.entry(layer.path.clone()).or_insert_with(|| {
                let bytes = source.layer(&folder, &layer.path)?;
                let shown = source.shown(&shown_folder.join(&layer.path));
                Ok(LayerFile { layer: Layer::read(shown.into(), &bytes), sha256: sha256(&bytes) })
            });
            if let Err(problem) = result {
                diagnostics.push(problem.at(&layer.mark, &layer.key, &layer.path));
            }
        }
        Self(read.into_iter().filter_map(|(path, result)| Some((path, result.ok()?))).collect())
    }

    /// How many files were read.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Those of `paths` that could be read, in their order.
    pub(super) fn of(&self, paths: &[LayerPath]) -> Vec<&Layer> {
        paths.iter().filter_map(|path| self.0.get(&path.path)).map(|file| &file.layer).collect()
    }

    /// What a saved plan says of those of `paths` that could be read.
    fn entries(&self, paths: &[LayerPath]) -> Vec<LayerEntry> {
        let entry = |path: &LayerPath| {
            let sha256 = self.0.get(&path.path)?.sha256.clone();
            Some(LayerEntry { path: path.path.clone(), sha256 })
        };
        paths.iter().filter_map(entry).collect()
    }
}

/// The folder that the file at `path` lies in.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The content of a layer, when it really lies below `folder`.
fn read_below(folder: &Path, layer: &str) -> Result<Vec<u8>, Unusable> {
    let root = fs::canonicalize(folder).map_err(Unusable::Unreadable)?;
    let path = fs::canonicalize(folder.join(layer)).map_err(Unusable::Unreadable)?;
    if !path.starts_with(&root) {
        return Err(Unusable::Outside);
    }
    // INVARIANT: what is opened is the path that was checked, which has no link in it.
    read_regular(&path)
}

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It leads out of the folder of the config file.
    Outside,
    /// It is a folder, a pipe, a device.
    NoRegularFile,
    /// It lies where it cannot be read from here, for this reason.
    Elsewhere(String),
    /// The system refuses it.
    Unreadable(io::Error),
}

impl Unusable {
    /// The problem as a diagnostic at the place that names the file.
    pub(super) fn at(&self, mark: &Mark, key: &str, path: &str) -> Diagnostic {
        match self {
            Self::Outside => Diagnostic::error(Code::PathOutside, mark, key, self.message(path))
                .help("put the file itself below the folder of the config file"),
            Self::NoRegularFile | Self::Elsewhere(_) => {
                Diagnostic::error(Code::NoRegularFile, mark, key, self.message(path))
            }
            Self::Unreadable(_) => Diagnostic::error(Code::UnreadableFile, mark, key, self.message(path)),
        }
    }

    /// What is wrong with the file at `path`.
    pub(super) fn message(&self, path: &str) -> String {
        match self {
            Self::Outside => format!("`{path}` is a link that leads out of the folder of the config file"),
            Self::NoRegularFile => format!("`{path}` is no regular file"),
            Self::Elsewhere(why) => format!("`{path}` is no regular file: {why}"),
            Self::Unreadable(error) => format!("`{path}` cannot be read: {}", reason(error)),
        }
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// The file at `path`, open for reading. A pipe or a device could keep the program waiting for ever, or
/// never end.
///
/// # Errors
///
/// When it is not a regular file, or cannot be opened.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    regular_file::open(path)
}

/// The content of a regular file of up to 1 GiB.
///
/// # Errors
///
/// When it is not a regular file, is longer, or cannot be read.
pub(super) fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    const AT_MOST: u64 = 1 << 30;
    let mut bytes = Vec::new();
    let read = open_regular(path)?.take(AT_MOST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > AT_MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 GiB"));
    }
    Ok(bytes)
}

/// As [`read_whole`], for text in UTF-8.
///
/// # Errors
///
/// As for [`read_whole`], and when it is not UTF-8.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_whole(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The content of a regular file; one byte more than is allowed, at most, so that a file that is too
/// long is known for one and an endless one ends.
///
/// # Errors
///
/// When it is no regular file or cannot be read.
pub(super) fn read_regular(path: &Path) -> Result<Vec<u8>, Unusable> {
    let metadata = fs::metadata(path).map_err(Unusable::Unreadable)?;
    if !metadata.is_file() {
        return Err(Unusable::NoRegularFile);
    }
    let limit = u64::try_from(FILE_BYTES_AT_MOST).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Unusable::Unreadable)?;
    file.take(limit).read_to_end(&mut bytes).map_err(Unusable::Unreadable)?;
    Ok(bytes)
}
