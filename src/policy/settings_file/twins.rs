//! In: the targets of a settings file. Out: what is said of those that are one and the same server. It
//! refuses to look up names and links: two names of one machine count as two servers.
//!
//! A run holds the lease of every `gateway` that it writes to, and with it that of the store of an
//! `embedded` one: with the same one twice it would wait for itself, which is an error. The others have no
//! lease. Two targets may well share a Bitbucket, each with projects of its own, so that only those are
//! warned of that look at the same tokens: there two policies, and two keys for marks, undo each other.

use std::collections::HashMap;

use crate::model::{OwnerKind, password::wildcard};

use super::{
    super::{Code, Diagnostic, Diagnostics, Severity, node::At},
    Connection, TargetDeclaration,
};

/// Reports every target that is the same server as an earlier one; each comes with where it stands.
pub(super) fn report(targets: &[(TargetDeclaration, At<'_>)], out: &mut Diagnostics) {
    let mut earlier: HashMap<_, Vec<(&TargetDeclaration, &At<'_>)>> = HashMap::new();
    for (target, at) in targets {
        let twins = earlier.entry((target.connection.kind(), server(&target.connection))).or_default();
        let shares =
            |(twin, _): &&(&TargetDeclaration, _)| share_tokens(&twin.connection, &target.connection);
        if let Some((twin, twin_at)) = twins.iter().find(shares) {
            out.extend_some(diagnostic((target, at), (twin, twin_at)));
        }
        twins.push((target, at));
    }
}

fn diagnostic(
    (target, at): (&TargetDeclaration, &At<'_>),
    (twin, twin_at): (&TargetDeclaration, &At<'_>),
) -> Option<Diagnostic> {
    let lease = "keep one of them: a run with both would wait for its own lease";
    let (severity, key, help) = match target.connection {
        Connection::Embedded { .. } => (Severity::Error, "store", lease),
        Connection::Gateway(_) => (Severity::Error, "url", lease),
        Connection::Resolution { .. } => (
            Severity::Warning,
            "url",
            "keep one of them: both look at all tokens, and undo what the other does",
        ),
        Connection::Bitbucket { .. } => (
            Severity::Warning,
            "url",
            "give them other `areas` or `projects`, or keep one of them: both look at the same tokens, and \
             undo what the other does",
        ),
    };
    let (at, twin_at) = (at.get(key)?, twin_at.get(key)?);
    let message = format!("`{}` is the same server as `{}`", target.name, twin.name);
    let found = Diagnostic::error(Code::SameServer, at.mark(), at.path.as_str(), message);
    Some(Diagnostic { severity, ..found.help(help).relate(twin_at.mark(), "the other target") })
}

/// The server behind a connection, in one form for all ways to write it.
fn server(connection: &Connection) -> String {
    match connection {
        Connection::Embedded { store, .. } => {
            let parts = store
                .split('/')
                .enumerate()
                .filter(|(index, part)| *part != "." && (*index == 0 || !part.is_empty()));
            parts.map(|(_, part)| part).collect::<Vec<_>>().join("/")
        }
        Connection::Gateway(server)
        | Connection::Resolution { server, .. }
        | Connection::Bitbucket { server, .. } => normalised(&server.url),
    }
}

/// `url`, a valid base, with its scheme and host in lower case and without the port that goes without
/// saying (RFC 3986, section 6.2).
fn normalised(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = if scheme == "https" { ":443" } else { ":80" };
    let host = authority.strip_suffix(port).unwrap_or(authority).to_lowercase();
    format!("{scheme}://{host}{path}")
}

/// Whether there may be tokens that both look at, if they are the same server.
fn share_tokens(one: &Connection, other: &Connection) -> bool {
    let (
        Connection::Bitbucket { areas, projects, .. },
        Connection::Bitbucket { areas: its_areas, projects: its_projects, .. },
    ) = (one, other)
    else {
        return true;
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
        // What stands between their ends fits behind each other into the text.
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

    #[test]
    fn every_way_to_write_an_address_is_the_same_server() {
        for url in ["https://H.example", "https://h.example:443", "https://h.EXAMPLE:443"] {
            assert_eq!(normalised(url), "https://h.example");
        }
        assert_eq!(normalised("http://[::1]:80/Ctx"), "http://[::1]/Ctx");
        assert_eq!(normalised("http://h:443/ctx"), "http://h:443/ctx");
    }

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
