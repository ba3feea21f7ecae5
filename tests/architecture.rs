//! The architecture as a test: who may use whom, and what the pure parts never touch.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Files of more than 500 lines, each with the reason.
const LONG: &[(&str, &str)] = &[];
const LINES_AT_MOST: usize = 500;

/// "a: b, c" reads "a may use b and c". Everybody may use `model`; `cli` wires everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("yaml", &["model"]),
    ("policy", &["model", "yaml"]),
    ("config", &["model", "yaml", "policy"]),
    ("inventory", &["model"]),
    ("access", &["model"]),
    ("compliance", &["model", "yaml", "policy", "inventory"]),
    ("plan", &["model", "yaml", "compliance", "policy", "inventory", "access"]),
    ("policy_tests", &["model", "yaml", "policy", "inventory", "access", "compliance", "plan"]),
    ("apply", &["model", "plan", "inventory"]),
    ("journal", &["model", "plan", "apply"]),
    ("saved", &["model", "yaml", "policy", "inventory", "compliance", "plan"]),
    (
        "report",
        &[
            "model",
            "yaml",
            "policy",
            "inventory",
            "access",
            "compliance",
            "plan",
            "policy_tests",
            "apply",
            "saved",
        ],
    ),
    ("http", &["model"]),
    ("targets", &["model", "apply", "plan", "inventory", "http"]),
    ("review", &["model", "yaml", "policy", "plan", "report", "http"]),
    ("serve", &["model", "yaml", "access"]),
];

/// Parts without a clock, a file, a socket or the environment.
const PURE: &[&str] = &[
    "model",
    "yaml",
    "policy",
    "config",
    "inventory",
    "access",
    "compliance",
    "plan",
    "policy_tests",
    "apply",
    "saved",
    "report",
];

/// What only the world has.
const WORLD: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::env",
    "std::process",
    "std::io::std",
    "std::time",
    "Timestamp::now",
    "tokio::",
    "reqwest::",
    "sqlx::",
    "axum::",
    "getrandom::",
    "tracing::",
];

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

fn sources_of(part: &str) -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    if src.join(part).is_dir() {
        walk(&src.join(part), &mut files);
    } else {
        files.push(src.join(part).with_extension("rs"));
    }
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file");
            (path, code_of(&text))
        })
        .collect()
}

/// The text without comments, strings' content aside, and without unit tests, which may do more.
fn code_of(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    before_tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The parts that `code` names as `crate::part`, in a path or in a group of imports.
fn parts_named(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    let compact: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    for (at, _) in compact.match_indices("crate::") {
        let rest = &compact[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => named.push(std::mem::take(&mut word)),
                    _ if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            named.push(word);
        } else {
            named.push(rest.to_owned());
        }
    }
    named
        .iter()
        .map(|path| path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .filter(|part: &String| !part.is_empty())
        .collect()
}

#[test]
fn every_part_uses_only_the_parts_that_the_map_allows() {
    let mut broken = BTreeMap::new();
    for (part, allowed) in MAY_USE {
        for (path, code) in sources_of(part) {
            for used in parts_named(&code) {
                if used != *part && !allowed.contains(&used.as_str()) {
                    broken.insert(path.clone(), used);
                }
            }
        }
    }
    assert!(broken.is_empty(), "these use what they may not: {broken:#?}");
}

#[test]
fn every_part_of_the_library_has_its_row_in_the_map() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    let parts: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .filter(|part| *part != "cli")
        .collect();
    assert!(parts.len() >= 8, "the parts are declared one a line");
    for part in parts {
        assert!(MAY_USE.iter().any(|(name, _)| *name == part), "`{part}` has no row");
    }
}

#[test]
fn the_pure_parts_never_touch_the_world() {
    for part in PURE {
        for (path, code) in sources_of(part) {
            for world in WORLD {
                assert!(!code.contains(world), "{} uses `{world}`", path.display());
            }
        }
    }
}

#[test]
fn nothing_that_plans_can_reach_a_writer() {
    for part in ["policy", "config", "inventory", "access", "compliance", "plan", "policy_tests"] {
        for (path, code) in sources_of(part) {
            assert!(!code.contains("TargetWriter"), "{} names the writer", path.display());
        }
    }
}

#[test]
fn the_check_itself_sees_every_form_of_import() {
    let code = "use crate::{\n    model::{A, B},\n    plan,\n};\nfn f() { crate::serve::g() }";
    assert_eq!(parts_named(code), ["model", "plan", "serve"]);
}

/// What is wrong with the form of a source file at `path` below `src`.
fn faults_of_form(path: &str, text: &str) -> Vec<&'static str> {
    let is_long = text.lines().count() > LINES_AT_MOST;
    let may_be_long = LONG.iter().any(|(long, _)| *long == path);
    let mut faults = Vec::new();
    if !text.starts_with("//! ") {
        faults.push("does not say in its first line what it is");
    }
    if is_long && !may_be_long {
        faults.push("has more than 500 lines, and no reason is given here");
    }
    if !is_long && may_be_long {
        faults.push("needs no reason here any more");
    }
    faults
}

#[test]
fn every_file_says_what_it_is_and_is_short_or_has_a_reason() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&src, &mut files);
    for path in files {
        let text = fs::read_to_string(&path).expect("a source file");
        let name =
            path.strip_prefix(&src).expect("a file of the sources").to_string_lossy().replace('\\', "/");
        assert_eq!(faults_of_form(&name, &text), Vec::<&str>::new(), "{name}");
    }
    let long = format!("//! A file.\n{}", "\n".repeat(LINES_AT_MOST));
    assert_eq!(faults_of_form("new.rs", &long).len(), 1);
    assert_eq!(faults_of_form("new.rs", "use std::fs;\n").len(), 1);
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = fs::read_to_string(root.join("SECURITY.md")).expect("SECURITY.md");
    let mut files = Vec::new();
    walk(&root.join("tests"), &mut files);
    let tests: String = files.iter().map(|path| fs::read_to_string(path).expect("a test file")).collect();
    let named: Vec<&str> =
        model.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() >= 5).collect();
    assert!(named.len() >= 20, "{named:?}");
    for name in named {
        assert!(tests.contains(&format!("fn {name}(")), "there is no test `{name}`");
    }
}
