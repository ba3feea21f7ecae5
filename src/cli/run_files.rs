//! The files that a run reads and writes. Nothing that it writes takes the place of something that it reads or
//! writes elsewhere, however the paths are spelled.

use std::{
    fs::{self, Metadata},
    io, mem,
    path::{Path, PathBuf, absolute},
};

use crate::{
    config::{Auth, Connection, Endpoint},
    journal,
    report::owners,
    run::{
        Ending, Failure,
        reading::{Disk, folder_of},
        workspace::{Loaded, load_without_layers},
    },
};

use super::{Global, git::plain, test};

/// What a run reads and writes.
pub(super) struct RunFiles<'a> {
    global: &'a Global,
    /// The config files that it obeys.
    configs: Vec<(Global, LayerUse)>,
    read: Vec<NamedFile>,
    written: Vec<NamedFile>,
}

/// What becomes of the policy layers that a config file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LayerUse {
    Read,
    Unread,
}

/// A file, or those files of a folder that have certain names.
struct NamedFile {
    /// What people know it by.
    said: String,
    /// As it was named.
    path: PathBuf,
    /// Which files of a folder are meant; `None` for a file.
    names: Option<Names>,
    at: Spot,
}

/// Names of files in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Of records and locks in the folder of a journal.
    Journal,
    /// Of notices for owners.
    Notices,
    /// Of policy tests.
    Tests,
}

impl Names {
    fn has(self, name: &str) -> bool {
        match self {
            Self::Journal => journal::is_file_name(name),
            Self::Notices => owners::is_own_file(name),
            Self::Tests => test::is_yaml(Path::new(name)),
        }
    }
}

impl<'a> RunFiles<'a> {
    /// Those of a run that knows no config file.
    pub(super) fn new(global: &'a Global) -> Self {
        Self { global, configs: Vec::new(), read: Vec::new(), written: Vec::new() }
    }

    /// Those of a run that obeys the config file: it, and all that it names.
    pub(super) fn of_config(global: &'a Global) -> Self {
        Self { configs: vec![(global.clone(), LayerUse::Read)], ..Self::new(global) }
    }

    /// The same for a run whose standard output may become a policy layer.
    pub(super) fn beside_layers(global: &'a Global) -> Self {
        Self { configs: vec![(global.clone(), LayerUse::Unread)], ..Self::new(global) }
    }

    /// With the file at `path`, `what` says what it is.
    pub(super) fn reading(self, what: &str, path: &Path) -> Self {
        self.reading_from(what, path, None)
    }

    /// With policy tests: a file, or those of a folder.
    pub(super) fn reading_tests(self, path: &Path) -> Self {
        let names = self.global.resolve(path).is_dir().then_some(Names::Tests);
        self.reading_from("the policy tests", path, names)
    }

    /// With all that the config file of a baseline names, to which `there` leads.
    pub(super) fn reading_baseline(mut self, there: Global) -> Self {
        self.configs.push((there, LayerUse::Read));
        self
    }

    /// With what `option` makes the run write at `path`; `-` is standard output.
    pub(super) fn writing(mut self, option: &str, path: &Path, names: Option<Names>) -> Self {
        if path != Path::new("-") {
            self.written.push(NamedFile::new(format!("`{option}`"), path, names, self.global));
        }
        self
    }

    fn reading_from(mut self, what: &str, path: &Path, names: Option<Names>) -> Self {
        self.read.push(NamedFile::new(format!("{what} `{}`", path.display()), path, names, self.global));
        self
    }

    fn reading_config(mut self, there: &Global, layers: LayerUse) -> Self {
        let folder = folder_of(there.config());
        let at = |written: &str| beside(&folder, written);
        let tests = at(test::FOLDER);
        self = self.reading("the config file", there.config());
        self = self.reading_from("the policy tests in", &tests, Some(Names::Tests));
        let Loaded { config, policies, .. } = load_without_layers(&there.base(), &Disk);
        for layer in policies.iter().flatten().filter(|_| layers == LayerUse::Read) {
            self = self.reading("the policy layer", &at(&layer.path));
        }
        let Some(config) = config else { return self };
        if let Some(directory) = config.journal.and_then(|journal| journal.directory) {
            self = self.reading_from("the journal in", &at(&directory), Some(Names::Journal));
        }
        for target in &config.targets {
            let Connection::Embedded { store, directory, seed } = &target.connection else {
                let named = target.connection.server().into_iter().flat_map(named_by);
                self = named.fold(self, |all, (what, path)| all.reading(what, &at(path)));
                continue;
            };
            self = self.reading_store(&at(store));
            let files = directory.iter().map(|path| ("the directory file", path));
            let files = files.chain(seed.iter().map(|path| ("the seed file", path)));
            self = files.fold(self, |all, (what, path)| all.reading(what, &at(path)));
        }
        self
    }

    /// With the store in `file`, and what lies beside it while it is open.
    pub(super) fn reading_store(self, file: &Path) -> Self {
        ["", "-wal", "-shm", "-journal", ".lock"].into_iter().fold(self, |all, ending| {
            let mut name = file.as_os_str().to_owned();
            name.push(ending);
            all.reading("the store", Path::new(&name))
        })
    }

    /// Looks whether everything can be written where it goes, before anything else happens.
    ///
    /// # Errors
    ///
    /// When that would destroy something that the run reads or writes elsewhere, or a folder is missing.
    pub(super) fn check(mut self) -> Result<(), Failure> {
        let refused = |message: String| Err(Failure::new(Ending::Usage, message));
        self.written.extend(NamedFile::standard_output());
        if !self.written.is_empty() {
            let configs = mem::take(&mut self.configs);
            self = configs.iter().fold(self, |all, (there, layers)| all.reading_config(there, *layers));
        }
        for (place, file) in self.written.iter().enumerate() {
            let folder = self.global.resolve(&file.path);
            let folder = folder.parent().filter(|folder| !folder.as_os_str().is_empty());
            let shown = file.path.display();
            if folder.is_some_and(|folder| !folder.is_dir()) {
                return refused(format!("the directory of `{shown}` does not exist; create it first"));
            }
            if let Some(read) = self.read.iter().find(|read| file.meets(read)) {
                let (file, read) = (&file.said, &read.said);
                return refused(format!("{file} would overwrite {read}; name another file"));
            }
            if let Some(other) = self.written.iter().skip(place + 1).find(|other| file.meets(other)) {
                let (one, other) = (&file.said, &other.said);
                return refused(format!("two reports go to `{shown}`: {one} and {other}"));
            }
        }
        Ok(())
    }
}

/// The path that `written` means in a config file in `folder`.
fn beside(folder: &Path, written: &str) -> PathBuf {
    // So that it is shown as people would write it.
    folder.strip_prefix(".").unwrap_or(folder).join(written)
}

/// The files that the config file names for `server`, with what they are.
fn named_by(server: &Endpoint) -> impl Iterator<Item = (&'static str, &str)> {
    let of_auth: Vec<(&str, &str)> = match &server.auth {
        Auth::BearerFile(path) => vec![("the secret in", path)],
        // Whatever of it is not a path is the name of no file that anybody writes.
        Auth::Command(argv) => {
            argv.iter().map(|word| ("the program of `auth.command`", word.as_str())).collect()
        }
        Auth::Password { .. } | Auth::Token { .. } | Auth::BearerVariable(_) => Vec::new(),
    };
    server.tls_ca.iter().map(|path| ("the certificates", path.as_str())).chain(of_auth)
}

impl NamedFile {
    fn new(said: String, path: &Path, names: Option<Names>, global: &Global) -> Self {
        Self { said, path: path.to_owned(), names, at: Spot::of(&global.resolve(path)) }
    }

    /// The file that standard output goes to, when it goes to one.
    fn standard_output() -> Option<Self> {
        let file = Some(standard_output()?);
        let (said, path) = ("standard output".to_owned(), PathBuf::new());
        Some(Self { said, path, names: None, at: Spot { path: None, file } })
    }

    /// Whether to write one of them may destroy the other one.
    fn meets(&self, other: &Self) -> bool {
        match (self.names, other.names) {
            (None, None) => self.at.is(&other.at),
            (None, Some(names)) => self.at.is(&other.at) || other.holds(names, self),
            (Some(_), None) => other.meets(self),
            (Some(names), Some(others)) => names == others && self.at.is(&other.at),
        }
    }

    /// Whether `file` is one of those with `names` in this folder.
    fn holds(&self, names: Names, file: &Self) -> bool {
        let Some(folder) = &self.at.path else { return false };
        let is_named =
            |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| names.has(name));
        let path = file.at.path.as_ref().filter(|path| path.parent() == Some(folder));
        let is_there = |path: &PathBuf| {
            is_named(path) && fs::metadata(path).is_ok_and(|there| known_by(&there) == file.at.file)
        };
        let entries = || fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        path.is_some_and(|path| is_named(path))
            || file.at.file.is_some() && entries().any(|path| is_there(&path))
    }
}

/// Where something is.
struct Spot {
    /// Its path without links and detours; `None` where only the file is known.
    path: Option<PathBuf>,
    /// The file, under whatever names; `None` when there is none.
    file: Option<FileId>,
}

/// What the system knows a file by: its device and its number there.
type FileId = (u64, u64);

impl Spot {
    fn of(path: &Path) -> Self {
        let file = fs::metadata(path).ok().and_then(|there| known_by(&there));
        Self { path: Some(without_links(path)), file }
    }

    fn is(&self, other: &Self) -> bool {
        self.path.is_some() && self.path == other.path || self.file.is_some() && self.file == other.file
    }
}

/// `path` without links and detours, as far as it exists.
fn without_links(path: &Path) -> PathBuf {
    let whole = absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = |part: &Path| Some(fs::canonicalize(part).ok()?.join(whole.strip_prefix(part).ok()?));
    plain(&whole.ancestors().find_map(real).unwrap_or_else(|| whole.clone()))
}

#[cfg(unix)]
fn known_by(there: &Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;

    there.is_file().then(|| (there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn known_by(_there: &Metadata) -> Option<FileId> {
    None
}

#[cfg(unix)]
fn standard_output() -> Option<FileId> {
    use std::os::fd::AsFd as _;

    let handle = io::stdout().as_fd().try_clone_to_owned().ok()?;
    known_by(&fs::File::from(handle).metadata().ok()?)
}

#[cfg(not(unix))]
fn standard_output() -> Option<FileId> {
    None
}
