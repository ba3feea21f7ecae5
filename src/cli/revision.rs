//! The files of a Git revision, read from its objects alone: nothing is checked out.

use std::{error::Error, io, path::Path};

use crate::{
    run::{
        Ending, Failure,
        reading::{FileSource, UnusableFile},
    },
    yaml::FILE_BYTES_AT_MOST,
};

use super::git::{self, GitError, git};

/// As many links are followed on the way to one file.
const LINKS_AT_MOST: usize = 40;

/// The folder of the config file as it is in a commit.
pub(super) struct Revision<'a> {
    /// The folder at hand, which tells the repository.
    folder: &'a Path,
    /// The commit as the user named it.
    name: &'a str,
    commit: String,
    /// The way from the root of the repository to the folder: nothing, or names with a slash behind each.
    prefix: String,
}

/// One entry of a tree.
struct TreeEntry {
    mode: String,
    object: String,
}

/// What a path leads to.
struct Found {
    /// The folders and the name that it is reached by, without a link.
    way: Vec<String>,
    entry: TreeEntry,
}

impl<'a> Revision<'a> {
    /// The commit that `name` means in the repository of `folder`.
    ///
    /// # Errors
    ///
    /// When `folder` is not in a work tree of Git, and when there is no such commit.
    pub(super) fn find(name: &'a str, folder: &'a Path) -> Result<Self, Failure> {
        if git::line(folder, &["rev-parse", "--is-inside-work-tree"])? != "true" {
            let message = format!(
                "`{}` is not in the work tree of a Git repository; use --baseline-dir with a checkout",
                folder.display()
            );
            return Err(Failure::new(Ending::Error, message));
        }
        let prefix = git::line(folder, &["rev-parse", "--show-prefix"])?;
        let named = format!("{name}^{{commit}}");
        let commit = git::line(folder, &["rev-parse", "--verify", "--end-of-options", &named])
            .map_err(|error| Failure::new(Ending::Error, no_commit(name, folder, &error)))?;
        Ok(Self { folder, name, commit, prefix })
    }

    /// Whether it may have a file with this name in the folder: what Git cannot tell, reading it does.
    pub(super) fn may_have(&self, name: &Path) -> bool {
        match self.resolve(&self.prefix) {
            Ok(folder) if is_tree(&folder.entry) => {
                let entry = self.entry(&folder.entry.object, &name.display().to_string());
                entry.map_or(true, |entry| entry.is_some())
            }
            Ok(_) => false,
            Err(UnusableFile::Unreadable(error)) => error.kind() != io::ErrorKind::NotFound,
            Err(_) => true,
        }
    }

    /// The entry `name` of the tree `tree`.
    fn entry(&self, tree: &str, name: &str) -> Result<Option<TreeEntry>, GitError> {
        let listed = git(self.folder, &["ls-tree", "-z", "--full-tree", tree])?;
        let entries = listed.split(|byte| *byte == 0).filter_map(|line| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            let (words, after) = line.split_at_checked(tab)?;
            Some((String::from_utf8_lossy(words), after.get(1..)?))
        });
        Ok(entries.into_iter().find(|(_, of)| *of == name.as_bytes()).and_then(|(words, _)| {
            let mut words = words.split(' ').map(str::to_owned);
            Some(TreeEntry { mode: words.next()?, object: words.nth(1)? })
        }))
    }

    fn blob(&self, object: &str) -> Result<Vec<u8>, UnusableFile> {
        let mut bytes = git(self.folder, &["cat-file", "blob", object]).map_err(|error| {
            let advice =
                format!("a partial clone must fetch it first, such as with `git cat-file -p {object}`");
            out_of_reach(format!("{error}; {advice}"))
        })?;
        bytes.truncate(FILE_BYTES_AT_MOST.saturating_add(1));
        Ok(bytes)
    }

    /// What `path`, which counts from the root of the repository, leads to.
    fn resolve(&self, path: &str) -> Result<Found, UnusableFile> {
        let root = TreeEntry { mode: TREE.to_owned(), object: format!("{}^{{tree}}", self.commit) };
        let mut way: Vec<(String, TreeEntry)> = Vec::new();
        let mut ahead: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    way.pop().ok_or_else(|| self.leads_out())?;
                    continue;
                }
                _ => {}
            }
            let tree = way.last().map_or(&root, |(_, entry)| entry);
            if !is_tree(tree) {
                return Err(UnusableFile::Unreadable(io::ErrorKind::NotFound.into()));
            }
            let entry = self.entry(&tree.object, &name).map_err(out_of_reach)?;
            let entry = entry.ok_or(UnusableFile::Unreadable(io::ErrorKind::NotFound.into()))?;
            match entry.mode.as_str() {
                LINK => {
                    links += 1;
                    if links > LINKS_AT_MOST {
                        return Err(UnusableFile::Unreadable(io::Error::other("too many links")));
                    }
                    let target = String::from_utf8_lossy(&self.blob(&entry.object)?).into_owned();
                    if target.starts_with('/') {
                        return Err(self.leads_out());
                    }
                    ahead.extend(target.split('/').rev().map(str::to_owned));
                }
                SUBMODULE => {
                    let folders = way.iter().map(|(folder, _)| folder.as_str());
                    let submodule = folders.chain([name.as_str()]).collect::<Vec<_>>().join("/");
                    return Err(self.in_submodule(&submodule, &entry.object));
                }
                _ => way.push((name, entry)),
            }
        }
        let entry = way.last().map_or(&root, |(_, entry)| entry);
        let entry = TreeEntry { mode: entry.mode.clone(), object: entry.object.clone() };
        Ok(Found { way: way.into_iter().map(|(name, _)| name).collect(), entry })
    }

    /// The content of the regular file at `path`.
    fn file(&self, found: &Found) -> Result<Vec<u8>, UnusableFile> {
        if found.entry.mode.starts_with(REGULAR) {
            return self.blob(&found.entry.object);
        }
        Err(UnusableFile::NoRegularFile)
    }

    fn leads_out(&self) -> UnusableFile {
        UnusableFile::Elsewhere(format!(
            "at `{}` it is behind a link that leads out of the repository",
            self.name
        ))
    }

    fn in_submodule(&self, submodule: &str, commit: &str) -> UnusableFile {
        UnusableFile::Elsewhere(format!(
            "at `{}` it is in the submodule `{submodule}` at revision {commit}, whose files this repository \
             does not have; check `{}` out with its submodules and use --baseline-dir",
            self.name, self.name
        ))
    }
}

impl FileSource for Revision<'_> {
    fn config(&self, path: &Path) -> Result<Vec<u8>, UnusableFile> {
        let name = path.file_name().map_or(path, Path::new).display();
        self.file(&self.resolve(&format!("{}{name}", self.prefix))?)
    }

    fn layer(&self, _folder: &Path, layer: &str) -> Result<Vec<u8>, UnusableFile> {
        let folder = self.resolve(&self.prefix)?;
        let found = self.resolve(&format!("{}{layer}", self.prefix))?;
        if !found.way.starts_with(&folder.way) {
            return Err(UnusableFile::Outside);
        }
        self.file(&found)
    }

    fn shown(&self, path: &Path) -> String {
        format!("{}:{}{}", self.name, self.prefix, path.display())
    }
}

/// Modes of entries, as Git writes them.
const TREE: &str = "040000";
const LINK: &str = "120000";
const SUBMODULE: &str = "160000";
/// What the mode of a regular file begins with.
const REGULAR: &str = "100";

fn out_of_reach(error: impl Into<Box<dyn Error + Send + Sync>>) -> UnusableFile {
    UnusableFile::Unreadable(io::Error::other(error))
}

fn is_tree(entry: &TreeEntry) -> bool {
    entry.mode == TREE
}

fn no_commit(name: &str, folder: &Path, error: &GitError) -> String {
    let is_shallow = git::line(folder, &["rev-parse", "--is-shallow-repository"]);
    let advice = if is_shallow.is_ok_and(|answer| answer == "true") {
        "this is a shallow clone: fetch that commit first, such as with `git fetch --unshallow`"
    } else {
        "fetch it first, or name a branch, a tag or a commit that is there"
    };
    format!("no commit `{name}` in the repository of `{}` ({error}); {advice}", folder.display())
}
