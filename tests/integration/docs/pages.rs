//! The pages that people read: their links lead somewhere, their examples are valid, the messages that they
//! explain are ones that the program has.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Component, Path, PathBuf},
};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use tempfile::TempDir;

use crate::support::program::{Run, program};

/// The folder of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether this run is to write the pages that are made from the program, in the place of comparing them.
pub(crate) fn updates() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// Every page of the book by its path in the repository, such as `docs/targets/gateway.md`.
pub(crate) fn pages() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(repository()).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    let mut found = Vec::new();
    walk(&repository().join("docs"), &mut found);
    found.sort();
    found
}

/// The other documents that link to pages.
const AROUND: [&str; 5] = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "fuzz/README.md"];

/// What a Markdown text has of interest here.
#[derive(Default)]
struct Outline {
    /// Targets of links and images, as written.
    links: Vec<String>,
    /// Anchors of its headings.
    anchors: BTreeSet<String>,
    /// Code blocks: the language and the text.
    blocks: Vec<(String, String)>,
}

impl Outline {
    fn of(text: &str) -> Self {
        let mut outline = Self::default();
        let mut times: HashMap<String, usize> = HashMap::new();
        let (mut heading, mut block): (Option<String>, Option<(String, String)>) = (None, None);
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    outline.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let time = times.entry(anchor.clone()).or_default();
                    outline.anchors.insert(if *time == 0 { anchor } else { format!("{anchor}-{time}") });
                    *time += 1;
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    block = Some((language.into_string(), String::new()));
                }
                Event::End(TagEnd::CodeBlock) => outline.blocks.extend(block.take()),
                Event::Text(piece) | Event::Code(piece) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&piece);
                    } else if let Some((_, text)) = &mut block {
                        text.push_str(&piece);
                    }
                }
                _ => {}
            }
        }
        outline
    }
}

/// The anchor that GitHub and mdBook make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        ' ' => Some('-'),
        _ => None,
    });
    kept.collect()
}

/// The code blocks in `language` of a document.
pub(crate) fn blocks(path: &str, language: &str) -> Vec<String> {
    let blocks = Outline::of(&text(path)).blocks.into_iter();
    blocks.filter(|(of, _)| of == language).map(|(_, text)| text).collect()
}

/// The path of what `link` in the document `from` leads to, without `.` and `..`.
fn target(from: &str, link: &str) -> String {
    let mut path = PathBuf::from(from);
    path.pop();
    for component in Path::new(link).components() {
        match component {
            Component::ParentDir => assert!(path.pop(), "{from}: `{link}` leads out of the repository"),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path.to_str().unwrap().replace('\\', "/")
}

/// Why the link in the document `from` leads nowhere; nothing when it does lead somewhere.
fn broken(from: &str, link: &str, outlines: &mut BTreeMap<String, Outline>) -> Option<&'static str> {
    if link.starts_with("https://") {
        return None;
    }
    if link.contains("://") {
        return Some("the link is not https");
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { from.to_owned() } else { target(from, path) };
    if from.starts_with("docs/") && !path.starts_with("docs/") {
        return Some("it leads out of the book");
    }
    if !repository().join(&path).exists() {
        return Some("there is no such file");
    }
    let anchor = anchor?;
    let outline = outlines.entry(path).or_insert_with_key(|path| Outline::of(&text(path)));
    (!outline.anchors.contains(anchor)).then_some("there is no such heading")
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut outlines = BTreeMap::new();
    let mut links = 0;
    for from in AROUND.into_iter().map(str::to_owned).chain(pages()) {
        for link in Outline::of(&text(&from)).links {
            links += 1;
            assert_eq!(broken(&from, &link, &mut outlines), None, "{from}: {link}");
        }
    }
    assert!(links > 100, "{links}");
    for (link, reason) in [
        ("nowhere.md", "there is no such file"),
        ("policy.md#nothing", "there is no such heading"),
        ("#nothing", "there is no such heading"),
        ("../README.md", "it leads out of the book"),
        ("http://example.com", "the link is not https"),
    ] {
        assert_eq!(broken("docs/rules.md", link, &mut outlines), Some(reason), "{link}");
    }
    assert_eq!(anchor("What a `client_address` is: 1st, (or 2nd)?"), "what-a-client_address-is-1st-or-2nd");
}

#[test]
fn every_page_is_listed_in_the_summary_once() {
    let mut listed: Vec<_> =
        Outline::of(&text("docs/SUMMARY.md")).links.iter().map(|link| format!("docs/{link}")).collect();
    listed.push("docs/SUMMARY.md".to_owned());
    listed.sort();
    assert_eq!(listed, pages());
}

/// A repository from `init`, in which `config` is the config file. Layers that it names and that are not there
/// ask for nothing.
fn with_config(config: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let made = Run::of(program().arg("init").arg(folder.path()));
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    fs::write(folder.path().join("tokenwarden.yaml"), config).unwrap();
    for layers in config.split("policy: [").skip(1).filter_map(|rest| rest.split(']').next()) {
        for layer in layers.split(',').map(|layer| folder.path().join(layer.trim())) {
            if !layer.exists() {
                fs::write(layer, "version: 1\n").unwrap();
            }
        }
    }
    folder
}

#[test]
fn every_policy_and_config_file_in_the_pages_is_valid() {
    let mut checked = [0, 0];
    // The examples of the rules are parts of policies, and have a test of their own; so have policy tests.
    for page in pages().into_iter().filter(|page| page != "docs/rules.md") {
        for block in blocks(&page, "yaml").into_iter().filter(|block| !block.contains("\ntarget: ")) {
            assert!(block.starts_with("version: 1\n"), "{page}: an example is a whole file\n{block}");
            if block.contains("\nstore: ") {
                let reading = tokenwarden::config::gateway::read(&page.as_str().into(), block.as_bytes());
                assert!(reading.config.is_some(), "{page}\n{block}{:?}", reading.diagnostics);
                continue;
            }
            let run = if block.contains("\ntargets:\n") {
                checked[0] += 1;
                let folder = with_config(&block);
                Run::of(program().arg("-C").arg(folder.path()).arg("validate"))
            } else {
                checked[1] += 1;
                let folder = TempDir::new().unwrap();
                fs::write(folder.path().join("policy.yaml"), &block).unwrap();
                Run::of(program().arg("-C").arg(folder.path()).args(["validate", "policy.yaml"]))
            };
            assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{page}\n{block}");
        }
    }
    assert!(checked.iter().all(|count| *count > 3), "{checked:?}");
}

/// The texts of the sources, in which a string that goes over several lines is on one.
fn sources() -> String {
    fn walk(folder: &Path, found: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut found = String::new();
    walk(&repository().join("src"), &mut found);
    let mut pieces = found.split("\\\n");
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |joined, piece| joined + piece.trim_start()).replace("\\\"", "\"")
}

/// Whether the program can say `message`, in which ` .. ` stands for what differs from time to time.
fn is_said(message: &str, sources: &str) -> bool {
    message.split("..").all(|part| sources.contains(part.trim()))
}

#[test]
fn every_message_under_troubleshooting_is_one_that_the_program_has() {
    let sources = sources();
    let page = text("docs/troubleshooting.md");
    let messages: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(messages.len() > 20, "{messages:?}");
    for message in messages {
        let message = message.trim_matches('`').trim();
        assert!(is_said(message, &sources), "no source has `{message}`");
    }
    assert!(!is_said("there is no such .. whatsoever", &sources));
}

#[test]
fn the_words_that_people_search_for_are_in_the_readme() {
    let readme = text("README.md").replace('\n', " ");
    for word in [
        "reconcile",
        "desired state",
        "live state",
        "dry run",
        "IP allowlist",
        "exemption",
        "least privilege",
        "deprovision",
    ] {
        assert!(readme.contains(word), "{word}");
    }
}
