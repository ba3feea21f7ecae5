//! The words for regions of requests, limits and actions.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    access::cells::{TargetKey, Want},
    compare::{
        Comparison, Cube, DifferenceSubject, Everybody, Hits, OwnerExample, Region, RequestChange, Today,
        TokenExample, With,
    },
    model::{Action, AddressSet, GroupName, LimitText, Owner, OwnerKind, Scope},
    report::escape::{counted, escape, quoted},
};

/// As many regions are told of one difference; the others are counted.
const REGIONS: usize = 2;
/// As many names or ranges are told.
const NAMES: usize = 4;

/// Which requests `change` is about, a line for each of the largest regions.
pub(super) fn of_requests(change: &RequestChange, people: &Everybody) -> Vec<String> {
    let mut lines: Vec<String> =
        change.regions.iter().take(REGIONS).map(|region| of_region(region, people)).collect();
    let more = change.regions.len().saturating_sub(REGIONS);
    lines.extend((more > 0).then(|| format!("and {}", counted(more, "more kind"))));
    lines
}

fn of_region(region: &Region, people: &Everybody) -> String {
    format!("{}, {}, {}: {}", who(region, people), with(&region.with), from(region), wants(&region.wants))
}

fn who(region: &Region, people: &Everybody) -> String {
    if !region.people.is_empty() {
        let cubes: Vec<String> =
            people.told(&region.people).iter().map(|cube| of_cube(cube, &people.groups)).collect();
        return cubes.join("; or ");
    }
    let words = if region.with.contains(&With::ProjectToken) {
        "projects and repositories"
    } else if region.with.contains(&With::Passed) {
        "senders whom nobody knows"
    } else {
        "anybody"
    };
    words.to_owned()
}

fn of_cube(cube: &Cube, groups: &[BTreeSet<GroupName>]) -> String {
    let of = |bit: u8| groups.get(usize::from(bit)).cloned().unwrap_or_default();
    let administrators = cube.literals.get(&8).copied();
    let with = |set: bool| {
        cube.literals.iter().filter(move |(bit, is)| **bit < 8 && **is == set).map(|(bit, _)| *bit)
    };
    let outside: BTreeSet<GroupName> = with(false).flat_map(of).collect();
    let inside: Vec<String> = with(true)
        .map(|bit| names(of(bit).difference(&outside)))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut said = match (administrators, inside.is_empty()) {
        (Some(true), true) => "administrators".to_owned(),
        (Some(true), false) => format!("administrators who are members of {}", inside.join(" and of ")),
        (_, false) => format!("members of {}", inside.join(" and of ")),
        (_, true) => "everybody".to_owned(),
    };
    if !outside.is_empty() {
        said = format!("{said} outside {}", names(&outside));
    }
    if administrators == Some(false) {
        said.push_str(", administrators excepted");
    }
    said
}

fn names<'a>(names: impl IntoIterator<Item = &'a GroupName>) -> String {
    listed(names.into_iter().map(|name| escape(&name.to_string())))
}

/// Some of `words`, and how many more there are.
fn listed(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    let more = words.len().saturating_sub(NAMES);
    let mut said = words.into_iter().take(NAMES).collect::<Vec<_>>().join(", ");
    if more > 0 {
        said = format!("{said} and {more} more");
    }
    said
}

fn with(with: &BTreeSet<With>) -> String {
    if with.len() >= 3 {
        return "with any credentials".to_owned();
    }
    let words = with.iter().map(|with| match with {
        With::Token => "a token",
        With::ProjectToken => "their token",
        With::Password => "a password",
        With::Passed => "credentials of the server behind",
        With::Nothing => "nothing",
    });
    format!("with {}", words.collect::<Vec<_>>().join(" or "))
}

fn from(region: &Region) -> String {
    match &region.clients {
        Some(clients) if *clients == AddressSet::everything() => "from anywhere".to_owned(),
        Some(clients) => format!("from {}", listed(clients.pieces().iter().map(ToString::to_string))),
        None => {
            let headers: Vec<String> =
                region.example.headers.iter().map(|(name, value)| format!("`{name}: {value}`")).collect();
            let said =
                if headers.is_empty() { String::new() } else { format!(" with {}", headers.join(", ")) };
            format!("such as from {}{said}", region.example.peer)
        }
    }
}

fn wants(wants: &BTreeSet<Want>) -> String {
    let mut words: Vec<&str> = Vec::new();
    for want in wants {
        let word = match want {
            Want::ReadOpen
            | Want::Enter
            | Want::Git(_)
            | Want::WhoAmI
            | Want::ReadDirectory
            | Want::ListOwn
            | Want::Narrow(TargetKey::Own)
            | Want::Rescope(TargetKey::Own, ..)
            | Want::Revoke(TargetKey::Own) => "any request",
            Want::CreateOwn(Scope::ReadOnly) => "creating read-only tokens",
            Want::CreateOwn(Scope::ReadWrite) => "creating read-write tokens",
            Want::CreateFor(..) => "creating tokens for others",
            Want::ListAll | Want::Narrow(_) | Want::Rescope(..) | Want::Revoke(_) => {
                "managing the tokens of others"
            }
            Want::RevokeAllFor | Want::ReadSettings | Want::WriteSettings => "administering",
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

pub(super) fn of_limit(text: Option<&LimitText>) -> String {
    match text {
        None => "no limit".to_owned(),
        Some(LimitText::Plain(text) | LimitText::Written(text)) => escape(text),
    }
}

pub(super) fn of_owners(owners: &BTreeSet<OwnerExample>) -> String {
    let words = owners.iter().map(|owner| match owner {
        OwnerExample::User(groups) if groups.is_empty() => "users in no group that is named".to_owned(),
        OwnerExample::User(groups) => format!("members of {}", names(groups)),
        OwnerExample::Project(key) => format!("projects such as {}", escape(key)),
        OwnerExample::Repository(key) => format!("repositories in projects such as {}", escape(key)),
    });
    listed(words)
}

pub(super) fn of_action(action: Action) -> String {
    match action {
        Action::Expire { grace } => format!("expire with {grace} of grace"),
        other => other.to_string(),
    }
}

/// What people are counted in.
pub(super) fn of_today(today: &Today) -> String {
    let lacking =
        if today.is_whole { "" } else { "; not everything could be seen, so that there may be more" };
    format!("Today is {:.0}, as the inventory shows it{lacking}.", today.seen_at)
}

/// Which own rules are proved, where there is one with another condition.
pub(super) fn of_own_rules(comparison: &Comparison) -> Option<String> {
    let changed = comparison
        .differences
        .iter()
        .any(|difference| matches!(difference.subject, DifferenceSubject::OwnRule(_)));
    let (proved, all) = (comparison.own_rules_proved(), comparison.own_rules);
    changed.then(|| format!("{proved} of {} proved.", counted(all, "own rule")))
}

/// A token as one line of YAML, in the words of policy tests.
pub(super) fn of_token(example: &TokenExample) -> String {
    let TokenExample { token, groups, active, now, asked } = example;
    let name = match &token.owner {
        Owner::Repository { project, slug } => format!("{project}/{slug}"),
        Owner::Project(name) => name.clone(),
        Owner::User(user) => user.to_string(),
    };
    let groups: Vec<String> = groups.iter().map(|group| quoted(&group.to_string())).collect();
    let owner = match (token.owner.kind(), active) {
        (OwnerKind::User, None) => String::new(),
        (OwnerKind::User, Some(active)) => {
            let words = [
                (!groups.is_empty()).then(|| format!("groups: [{}]", groups.join(", "))),
                (!active).then(|| "active: false".to_owned()),
            ];
            format!("{}: {{ {} }}", quoted(&name), words.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
        (kind, _) => format!("{}: {{ kind: {} }}", quoted(&name), kind.word()),
    };
    let or_never = |at: Option<Timestamp>| at.map_or("never".to_owned(), |at| at.to_string());
    let facts = [
        ("id", quoted(token.id.as_str())),
        ("description", quoted(&token.description)),
        ("scope", token.scope.to_string()),
        ("created", token.created.to_string()),
        ("created_by", token.created_by.as_ref().map(|user| quoted(&user.to_string())).unwrap_or_default()),
        ("expires", or_never(token.expires)),
        ("last_used", or_never(token.last_used.map(|last| last.at))),
        (
            "last_used_from",
            token.last_used.and_then(|last| last.from).map(|from| from.to_string()).unwrap_or_default(),
        ),
    ];
    // A token of a policy test needs these.
    let needed = ["scope", "created", "expires", "last_used"];
    let is_told =
        |(key, value): &&(&str, String)| needed.contains(key) || asked.contains(*key) && !value.is_empty();
    let facts: String =
        facts.iter().filter(is_told).map(|(key, value)| [", ", key, ": ", value].concat()).collect();
    // A policy test has no words for that.
    let unknown = asked.contains("created_by") && token.created_by.is_none();
    let comment = if unknown { " # and nobody knows who made it" } else { "" };
    format!("now: {now}, owners: {{ {owner} }}, token: {{ owner: {}{facts} }}{comment}", quoted(&name))
}

/// Whom a difference is about.
pub(super) fn of_hits(hits: &Hits) -> String {
    let count = |number: u64, noun| counted(usize::try_from(number).unwrap_or(usize::MAX), noun);
    let places = hits.used_from_there.filter(|_| hits.used > 0).map(|(there, unknown)| match unknown {
        0 => format!(", {there} last from there"),
        _ => format!(", {there} last from there ({unknown} from where is not known)"),
    });
    let parts = [
        Some(format!("{}, {}", count(hits.owners, "owner"), count(hits.tokens, "token"))),
        (hits.tokens > 0).then(|| format!(", {} used in the last 30 days", hits.used)),
        places,
        hits.findings.map(|(more, fewer)| format!("; {}, {fewer} fewer", count(more, "more finding"))),
        (hits.unsure > 0).then(|| format!("; {} not decided, as not all could be seen", hits.unsure)),
    ];
    parts.into_iter().flatten().collect()
}
