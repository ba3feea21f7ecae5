//! The valid [`TestFile`] from the bytes of a file of policy tests, or every mistake in it.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use jiff::Timestamp;

use crate::{
    model::{Owner, OwnerKind, UserName},
    yaml::{
        Code, Diagnostic, Diagnostics, Sources, Span,
        masking::Keys,
        node::{At, Node, Value},
        source,
        structure::{OwnWords, Structure},
        values,
    },
};

use super::{
    TestCase, TestFile, TestUser, case,
    common::{Common, written},
    document,
    moment::{self, MomentForm, TestMoment},
    statement,
};

/// The result of reading a file of policy tests.
#[derive(Clone, Debug)]
pub struct TestReading {
    /// The file; `None` when there is an error.
    pub file: Option<TestFile>,
    /// Every mistake, and every warning.
    pub diagnostics: Diagnostics,
    /// The text that the diagnostics point into.
    pub sources: Sources,
}

/// Reads `bytes`, the content of the file that people know as `path`.
#[must_use]
pub fn read(path: &Arc<str>, bytes: &[u8]) -> TestReading {
    let source::ParsedFile { text, root, mut diagnostics } = source::parse(path, bytes);
    if let Some(root) = &root {
        STRUCTURE.check(root, &mut diagnostics);
    }
    let text = text.map(|text| KEYS.masked(text, root.as_ref(), &diagnostics));
    let file = root.and_then(|root| file(path, &root, &mut diagnostics));
    TestReading {
        file: file.filter(|_| !diagnostics.have_errors()),
        diagnostics,
        sources: text.map(|text| (Arc::clone(path), Arc::from(text))).into_iter().collect(),
    }
}

static STRUCTURE: Structure = Structure::new(
    include_str!("../../../schema/tests.schema.json"),
    document::schema,
    OwnWords {
        unknown_key: |_, _, _| None,
        has_meaning,
        is_secret: |at| KEYS.are_unknown_above(at),
        // The description of a token may be any text.
        has_blanks: |at| at.path.ends_with(".description"),
    },
);

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys { known: STRUCTURE.keys(), of_names: &["owners"] });

/// Whether a moment is at `at`.
fn has_meaning(at: &At<'_>) -> bool {
    let key = at.path.rsplit('.').next().unwrap_or_default();
    ["now", "created", "expires", "last_used"].contains(&key)
}

fn file(path: &Arc<str>, root: &Node, out: &mut Diagnostics) -> Option<TestFile> {
    let root = At::root(root);
    let now =
        root.get("now").and_then(|at| moment::read(&at, MomentForm::Absolute, Timestamp::UNIX_EPOCH, out));
    let (owners, users) = owners(&root, out);
    let now = now.and_then(TestMoment::at);
    let common =
        Common { now: now.unwrap_or(Timestamp::UNIX_EPOCH), owners, users, token: root.get("token") };
    let help = "write at least one, with `name`, `token` or `request`, and `expect`";
    let lists = ["cases", "never", "always"].map(|key| root.get(key));
    if let Some(cases) = lists.iter().flatten().find(|at| at.is_empty_list()) {
        let message = "the file has no cases";
        out.push(Diagnostic::error(Code::EmptyList, cases.span(), cases.path.as_str(), message).help(help));
    }
    if lists.iter().all(Option::is_none) {
        let message = "the key `cases` is missing";
        out.push(Diagnostic::error(Code::MissingKey, root.key, root.path.as_str(), message).help(help));
    }
    let [cases, never, always] =
        lists.map(|at| at.iter().flat_map(At::items).filter(At::is_map).collect::<Vec<_>>());
    report_names_that_stand_twice(cases.iter().chain(&never).chain(&always), out);
    let mut read: Vec<TestCase> = cases.iter().filter_map(|item| case::read(item, &common, out)).collect();
    for (statements, is_always) in [(&never, false), (&always, true)] {
        read.extend(statements.iter().filter_map(|item| statement::read(item, is_always, common.now, out)));
    }
    now?;
    Some(TestFile {
        path: Arc::clone(path),
        target: written(&root.get("target")?)?,
        users: common.users,
        cases: read,
    })
}

fn report_names_that_stand_twice<'a>(cases: impl Iterator<Item = &'a At<'a>>, out: &mut Diagnostics) {
    let mut first: BTreeMap<&str, &Span> = BTreeMap::new();
    for at in cases.filter_map(|case| case.get("name")) {
        let Some(name) = at.text() else { continue };
        if let Some(earlier) = first.get(name) {
            let message = format!("duplicate case `{name}`");
            out.push(
                Diagnostic::error(Code::DuplicateEntry, at.span(), at.path.as_str(), message)
                    .help("rename one of the two")
                    .relate(earlier, "the first one"),
            );
        } else {
            first.insert(name, at.span());
        }
    }
}

type Owners<'a> = (BTreeMap<String, (&'a str, Owner)>, BTreeMap<UserName, TestUser>);

fn owners<'a>(root: &At<'a>, out: &mut Diagnostics) -> Owners<'a> {
    let (mut owners, mut users) = (BTreeMap::new(), BTreeMap::new());
    for (name, at) in root.get("owners").iter().flat_map(At::entries).collect::<Vec<_>>() {
        let Some(owner) = owner(name, &at, out) else { continue };
        if let Owner::User(user) = &owner {
            let groups = at.get("groups").map(|at| {
                values::names(&at, Code::DuplicateGroup, values::without_case, out)
                    .into_iter()
                    .map(Into::into)
                    .collect()
            });
            let active = at.get("active").is_none_or(|at| !matches!(at.node.value, Value::Bool(false)));
            users.insert(user.clone(), TestUser { groups: groups.unwrap_or_default(), active });
        }
        if owners.insert(values::without_case(name), (name, owner)).is_some() {
            let message = format!("duplicate entry `{name}`: names are not case-sensitive");
            out.push(Diagnostic::error(Code::DuplicateEntry, at.key, at.path.as_str(), message));
        }
    }
    (owners, users)
}

fn owner(name: &str, at: &At<'_>, out: &mut Diagnostics) -> Option<Owner> {
    let kind = at.get("kind").and_then(|at| at.text().map(str::to_owned));
    let kinds = [OwnerKind::Project, OwnerKind::Repository];
    let kind = kinds.into_iter().find(|known| kind.as_deref() == Some(known.word()));
    let owner = match kind {
        Some(kind) => format!("{} {name}", kind.word()).parse().ok(),
        // Without a kind it is a user, whatever the name looks like.
        None => match name.parse() {
            Ok(owner @ Owner::User(_)) => Some(owner),
            _ => (!name.trim().is_empty()).then(|| Owner::User(name.into())),
        },
    };
    if owner.is_none() {
        let message = format!("`{name}` is not an owner of this kind");
        out.push(
            Diagnostic::error(Code::BlankName, at.key, at.path.as_str(), message)
                .help("write the name of a user, the key of a project, or `PROJECT/slug` for a repository"),
        );
    }
    if kind.is_some() {
        for at in [at.get("groups"), at.get("active")].into_iter().flatten() {
            let message = "this is for users only";
            out.push(
                Diagnostic::error(Code::ConflictingKeys, at.key, at.path.as_str(), message).help("remove it"),
            );
        }
    }
    owner
}
