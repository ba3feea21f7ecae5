//! What is said of targets that are on one and the same server.
//!
//! They share its rails, its budget and its lock, whatever they are called. Names of one machine that only
//! its resolver knows, and links to one store, are found out when a run asks the server.

use std::collections::HashMap;

use crate::{
    model::{OwnerKind, canonical_address, wildcard},
    yaml::{Code, Diagnostic, Diagnostics, node::At},
};

use super::{Connection, TargetDeclaration};

/// Reports every target that is on the same server as an earlier one; each comes with where it stands.
pub(super) fn report(targets: &[(TargetDeclaration, At<'_>)], out: &mut Diagnostics) {
    let mut earlier: HashMap<_, Vec<(&TargetDeclaration, &At<'_>)>> = HashMap::new();
    for (target, at) in targets {
        let servers = servers(&target.connection);
        let twins: Vec<_> =
            servers.iter().filter_map(|server| earlier.get(server)).flatten().copied().collect();
        let meets =
            |(twin, _): &&(&TargetDeclaration, _)| may_share_tokens(&twin.connection, &target.connection);
        if let Some((twin, twin_at)) = twins.iter().find(meets).or_else(|| twins.first()) {
            out.extend_some(diagnostic((target, at), (twin, twin_at)));
        }
        for server in servers {
            earlier.entry(server).or_default().push((target, at));
        }
    }
}

fn diagnostic(
    (target, at): (&TargetDeclaration, &At<'_>),
    (twin, twin_at): (&TargetDeclaration, &At<'_>),
) -> Option<Diagnostic> {
    let help = match (&target.connection, &twin.connection) {
        (one, other) if !may_share_tokens(one, other) => {
            "nothing to do if this is intended: their rails count together, and runs on them are applied \
             one at a time"
        }
        (Connection::Bitbucket { .. }, Connection::Bitbucket { .. }) => {
            "give them other `areas` or `projects`, or keep one of them: both manage the same tokens, and \
             would undo each other's changes"
        }
        _ => "keep one of them: both manage all tokens, and would undo each other's changes",
    };
    let (at, twin_at) = (place(target, at)?, place(twin, twin_at)?);
    let message = format!("`{}` is the same server as `{}`", target.name, twin.name);
    let found = Diagnostic::warning(Code::SameServer, at.span(), at.path.as_str(), message);
    Some(found.help(help).relate(twin_at.span(), "the other target"))
}

/// Where a target says which server it is.
fn place<'a>(target: &TargetDeclaration, at: &At<'a>) -> Option<At<'a>> {
    at.get(if matches!(target.connection, Connection::Embedded { .. }) { "store" } else { "url" })
}

/// The servers behind a connection, each in one form for all ways to write it.
fn servers(connection: &Connection) -> Vec<(bool, String)> {
    match connection {
        Connection::Embedded { store, .. } => {
            let parts = store
                .split('/')
                .enumerate()
                .filter(|(index, part)| *part != "." && (*index == 0 || !part.is_empty()));
            vec![(true, parts.map(|(_, part)| part).collect::<Vec<_>>().join("/"))]
        }
        called => called.servers().map(|server| (false, canonical_address(&server.url))).collect(),
    }
}

/// Whether there may be tokens that both look at, if they are the same server.
#[must_use]
pub fn may_share_tokens(one: &Connection, other: &Connection) -> bool {
    let (areas, projects, its_areas, its_projects) = match (one, other) {
        (
            Connection::Bitbucket { areas, projects, .. },
            Connection::Bitbucket { areas: its_areas, projects: its_projects, .. },
        ) => (areas, projects, its_areas, its_projects),
        // The tokens of the app, and Bitbucket's own.
        (Connection::Bitbucket { .. }, Connection::Resolution { .. })
        | (Connection::Resolution { .. }, Connection::Bitbucket { .. }) => return false,
        _ => return true,
    };
    let looks_at = |areas: &[OwnerKind], area| areas.is_empty() || areas.contains(&area);
    let both = |area| looks_at(areas, area) && looks_at(its_areas, area);
    let meet = || {
        let anything = projects.is_empty() || its_projects.is_empty();
        anything || projects.iter().any(|project| its_projects.iter().any(|its| patterns_meet(project, its)))
    };
    both(OwnerKind::User) || (both(OwnerKind::Project) || both(OwnerKind::Repository)) && meet()
}

/// Whether there is a text that matches both patterns, without regard to case.
fn patterns_meet(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    match (one.split_once('*'), other.split_once('*')) {
        (None, _) => wildcard(&other, &one),
        (_, None) => wildcard(&one, &other),
        // What is between their ends fits behind each other into the text.
        (Some((begins, _)), Some((its_begins, _))) => {
            let ends = |pattern: &str| pattern.rsplit('*').next().unwrap_or_default().to_owned();
            let (ends, its_ends) = (ends(&one), ends(&other));
            (begins.starts_with(its_begins) || its_begins.starts_with(begins))
                && (ends.ends_with(&its_ends) || its_ends.ends_with(&ends))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn patterns_that_match_the_same_text_meet_and_those_that_meet_do_not_differ_at_their_ends(
            one in "[ab*]{0,5}", other in "[ab*]{0,5}", text in "[ab]{0,8}",
        ) {
            if wildcard(&one, &text) && wildcard(&other, &text) {
                prop_assert!(patterns_meet(&one, &other));
            }
            prop_assert_eq!(patterns_meet(&one, &other), patterns_meet(&other, &one));
            // A text for both, made of one behind the other.
            if patterns_meet(&one, &other) && one.contains('*') && other.contains('*') {
                let longer = |a: &str, b: &str| if a.len() > b.len() { a.to_owned() } else { b.to_owned() };
                let begins = |pattern: &str| pattern.split('*').next().unwrap().to_owned();
                let ends = |pattern: &str| pattern.rsplit('*').next().unwrap().to_owned();
                let text = longer(&begins(&one), &begins(&other)) + &one.replace('*', "") + &other.replace('*', "")
                    + &longer(&ends(&one), &ends(&other));
                prop_assert!(wildcard(&one, &text) && wildcard(&other, &text), "{} {} {}", one, other, text);
            }
        }
    }
}
