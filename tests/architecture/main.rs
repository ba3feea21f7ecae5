//! The architecture as a test: who may use whom, what the pure parts never touch, the form of files and the names of
//! types.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod form;
mod names;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// "a: b, c" reads "a may use b and c". Everybody may use `model`; `cli` wires everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("yaml", &["model"]),
    ("policy", &["model", "yaml"]),
    ("config", &["model", "yaml", "policy"]),
    ("inventory", &["model"]),
    ("access", &["model"]),
    ("compliance", &["model", "yaml", "policy", "inventory"]),
    ("compare", &["model", "yaml", "policy", "inventory", "access", "compliance"]),
    ("plan", &["model", "yaml", "compliance", "policy", "inventory", "access"]),
    ("policy_tests", &["model", "yaml", "policy", "inventory", "access", "compliance", "compare", "plan"]),
    ("apply", &["model", "plan", "inventory"]),
    ("world", &[]),
    ("journal", &["model", "plan", "apply", "world"]),
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
            "compare",
            "plan",
            "policy_tests",
            "apply",
            "saved",
        ],
    ),
    ("protocol", &["model"]),
    ("http", &["model", "world"]),
    ("targets", &["model", "apply", "plan", "inventory", "protocol", "http"]),
    ("review", &["model", "yaml", "policy", "plan", "report", "http"]),
    ("serve", &["model", "yaml", "inventory", "access", "protocol", "targets", "world"]),
    (
        "run",
        &[
            "model",
            "yaml",
            "policy",
            "config",
            "inventory",
            "compare",
            "plan",
            "apply",
            "journal",
            "saved",
            "report",
            "http",
            "targets",
            "serve",
            "world",
        ],
    ),
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
    "compare",
    "plan",
    "policy_tests",
    "apply",
    "saved",
    "report",
    "protocol",
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
/// What changes a target.
const WRITER: &[&str] = &["TargetWriter"];

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

/// The text of every source file, with its path below `src`.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&src, &mut files);
    files
        .into_iter()
        .map(|path| {
            let below = path.strip_prefix(&src).expect("a file of the sources");
            let text = fs::read_to_string(&path).expect("a source file");
            (below.to_string_lossy().replace('\\', "/"), text)
        })
        .collect()
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

/// The parts that `code`, of `part`, names and may not use.
fn not_allowed(part: &str, allowed: &[&str], code: &str) -> Vec<String> {
    parts_named(code).into_iter().filter(|used| used != part && !allowed.contains(&used.as_str())).collect()
}

/// The first of `words` that `code` names.
fn named<'a>(code: &str, words: &[&'a str]) -> Option<&'a str> {
    words.iter().copied().find(|word| code.contains(word))
}

/// The parts that `lib` declares one a line and that have no row in the map.
fn without_row(lib: &str) -> Vec<&str> {
    let parts = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    parts.filter(|part| *part != "cli" && MAY_USE.iter().all(|(name, _)| name != part)).collect()
}

#[test]
fn every_part_uses_only_the_parts_that_the_map_allows() {
    let mut broken = BTreeMap::new();
    for (part, allowed) in MAY_USE {
        for (path, code) in sources_of(part) {
            let used = not_allowed(part, allowed, &code);
            if !used.is_empty() {
                broken.insert(path, used);
            }
        }
    }
    assert!(broken.is_empty(), "these use what they may not: {broken:#?}");
}

#[test]
fn a_use_that_the_map_does_not_allow_is_found_in_every_form_of_import() {
    let code = "use crate::{\n    model::{A, B},\n    plan,\n};\nfn f() { crate::serve::g() }";
    assert_eq!(parts_named(code), ["model", "plan", "serve"]);
    assert_eq!(not_allowed("plan", &["model"], code), ["serve"]);
}

#[test]
fn every_part_of_the_library_has_its_row_in_the_map() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    assert_eq!(without_row(&lib), [""; 0]);
    for (part, _) in MAY_USE {
        assert!(lib.contains(&format!("\npub mod {part};\n")), "`{part}` has a row and is not there");
    }
}

#[test]
fn a_part_without_a_row_is_found() {
    assert_eq!(without_row("//! A library.\n\npub mod model;\npub mod cli;\npub mod magic;\n"), ["magic"]);
}

#[test]
fn the_pure_parts_never_touch_the_world() {
    for part in PURE {
        for (path, code) in sources_of(part) {
            assert_eq!(named(&code, WORLD), None, "{}", path.display());
        }
    }
}

#[test]
fn a_pure_part_that_touches_the_world_is_found_and_its_unit_tests_may() {
    let text = |code: &str| {
        format!("//! A file.\n// std::fs\n{code}\n#[cfg(test)]\nmod tests {{ use std::env; }}\n")
    };
    for world in WORLD {
        assert!(named(&code_of(&text(&format!("use {world}read;"))), WORLD).is_some(), "{world}");
    }
    assert_eq!(named(&code_of(&text("use std::fmt;")), WORLD), None);
}

#[test]
fn nothing_that_plans_can_reach_a_writer() {
    for part in ["policy", "config", "inventory", "access", "compliance", "compare", "plan", "policy_tests"] {
        for (path, code) in sources_of(part) {
            assert_eq!(named(&code, WRITER), None, "{}", path.display());
        }
    }
    assert!(sources_of("apply").iter().any(|(_, code)| named(code, WRITER).is_some()), "it is named so");
}

/// The names of tests in the text of the threat model that `tests` does not have; a name has five `_` or more.
fn tests_missing<'a>(model: &'a str, tests: &str) -> Vec<&'a str> {
    let named = model.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() >= 5);
    named.filter(|name| !tests.contains(&format!("fn {name}("))).collect()
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = fs::read_to_string(root.join("SECURITY.md")).expect("SECURITY.md");
    let mut files = Vec::new();
    for folder in ["tests", "src"] {
        walk(&root.join(folder), &mut files);
    }
    let tests: String = files.iter().map(|path| fs::read_to_string(path).expect("a test file")).collect();
    assert!(tests_missing(&model, "").len() >= 20, "the threat model names tests");
    assert_eq!(tests_missing(&model, &tests), [""; 0]);
}

#[test]
fn a_test_that_the_threat_model_names_and_nobody_wrote_is_found() {
    let model = "Held by `one_that_is_there_to_see` and `one_that_is_not_there_at_all`; see `src/lib.rs`.";
    assert_eq!(tests_missing(model, "fn one_that_is_there_to_see() {}"), ["one_that_is_not_there_at_all"]);
}

/// What among `tests` is called neither like one of the `rooms` of the code nor like what all tests share.
fn homeless(tests: &[String], rooms: &[String]) -> Vec<String> {
    const SHARED: [&str; 5] = ["docs", "fixtures", "main", "snapshots", "support"];
    let has_room = |name: &String| rooms.contains(name) || SHARED.contains(&name.as_str());
    tests.iter().filter(|name| !has_room(name)).cloned().collect()
}

/// The names of what is in `folder`, without their endings.
fn names_in(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect()
}

#[test]
fn integration_tests_lie_in_rooms_that_are_called_like_those_of_the_code() {
    assert_eq!(homeless(&names_in("tests/integration"), &names_in("src")), [""; 0]);
}

#[test]
fn an_integration_test_beside_the_rooms_is_found() {
    let [tests, rooms] =
        [["plan", "support", "odds"], ["plan", "serve", "lib"]].map(|names| names.map(str::to_owned));
    assert_eq!(homeless(&tests, &rooms), ["odds"]);
}
