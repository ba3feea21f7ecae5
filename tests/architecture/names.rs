//! The names of types: one meaning each beyond the folder that defines them, and one for every word of the map.

use std::collections::BTreeMap;

use crate::{code_of, sources};

/// Names that are defined more than once all the same, each with the reason.
const TWICE: &[(&str, &str)] = &[("Signals", "one for Unix and one for Windows; a build has one of them")];

/// How far a type can be named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visible {
    /// In its file, or beside it.
    Near,
    /// Beyond its folder.
    Far,
}

/// The type that a line defines. Those of an `impl`, as in `type Item = u8;`, have names from elsewhere.
fn defined(line: &str) -> Option<(&str, Visible)> {
    let (scope, rest) = match line.trim_start().strip_prefix("pub") {
        Some(rest) => match rest.strip_prefix('(') {
            Some(rest) => rest.split_once(") ").map(|(scope, rest)| (Some(scope), rest))?,
            None => (Some("everywhere"), rest.strip_prefix(' ')?),
        },
        None => (None, line.trim_start()),
    };
    let (kind, rest) = rest.split_once(' ')?;
    let is_type = matches!(kind, "struct" | "enum" | "trait") || (kind == "type" && scope.is_some());
    let name =
        rest.split(|c: char| !c.is_alphanumeric()).next().filter(|name| is_type && !name.is_empty())?;
    let is_far = scope.is_some_and(|scope| !matches!(scope, "super" | "self"));
    Some((name, if is_far { Visible::Far } else { Visible::Near }))
}

/// The words of the map in `lib`, in the form of types.
fn words(lib: &str) -> Vec<String> {
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | ")?.split(" | ").next());
    let in_form = |word: &str| {
        let capital = |part: &str| Some(part.get(..1)?.to_uppercase() + part.get(1..)?);
        word.split(' ').filter_map(capital).collect()
    };
    rows.filter(|word| *word != "word").map(in_form).collect()
}

/// The names that `files` give two meanings: both visible beyond their folders, or one of them a word of the map.
fn ambiguous(files: &[(String, String)], words: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, (Vec<String>, usize)> = BTreeMap::new();
    for (path, text) in files {
        for (name, visible) in code_of(text).lines().filter_map(defined) {
            let (paths, far) = places.entry(name.to_owned()).or_default();
            paths.push(path.clone());
            *far += usize::from(visible == Visible::Far);
        }
    }
    let is_ambiguous =
        |name: &String, paths: &[String], far: usize| far > 1 || (paths.len() > 1 && words.contains(name));
    let found = places.into_iter().filter(|(name, (paths, far))| is_ambiguous(name, paths, *far));
    found.map(|(name, (paths, _))| (name, paths)).collect()
}

#[test]
fn a_type_that_is_known_beyond_its_folder_or_is_a_word_of_the_map_has_its_name_alone() {
    let files = sources();
    let lib = files.iter().find(|(path, _)| path == "lib.rs").map(|(_, text)| words(text));
    let mut found = ambiguous(&files, &lib.expect("lib.rs"));
    for (name, _) in TWICE {
        assert!(found.remove(*name).is_some(), "`{name}` needs no reason here any more");
    }
    assert!(found.is_empty(), "these names have two meanings: {found:#?}");
}

#[test]
fn a_name_with_two_meanings_is_found_and_one_that_is_only_known_nearby_is_none() {
    let files = |lines: &[(&str, &str)]| {
        lines
            .iter()
            .map(|(path, line)| ((*path).to_owned(), format!("//! A file.\n{line}\n")))
            .collect::<Vec<_>>()
    };
    let map = words("//! | word | means |\n//! |---|---|\n//! | policy test | a token on paper |\n");
    assert_eq!(map, ["PolicyTest"]);
    for (one, other, is_found) in [
        ("pub struct Asked {", "pub(crate) enum Asked {", true),
        ("pub struct Asked<'a> {", "    pub(in crate::serve) type Asked = u8;", true),
        ("pub struct Asked;", "pub(super) struct Asked;", false),
        ("struct Asked;", "trait Asked {", false),
        ("pub trait Asked {", "    type Asked = u8;", false),
        ("pub struct Asked;", "// pub struct Asked;", false),
        ("struct PolicyTest {", "enum PolicyTest {", true),
        ("pub struct PolicyTest {", "    type PolicyTest = u8;", false),
    ] {
        let found = ambiguous(&files(&[("a.rs", one), ("b/c.rs", other)]), &map);
        assert_eq!(!found.is_empty(), is_found, "{one} {other}");
    }
}
