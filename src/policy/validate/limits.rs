//! The list `tokens.limits`: its entries, each with the places of its keys, and the mistakes in it, also
//! entries that no owner can ever reach. Linear in what is written.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    model::{
        BadPattern, GroupName, Holders, Limit, LimitReader, OwnerKind, Pattern, Period, Permission, Scope,
    },
    yaml::{
        Code, Diagnostic, Diagnostics, Severity, Span,
        node::At,
        values::{empty_list, names, period, refuse_empty, whole_number, without_case},
    },
};

use super::{
    super::{LimitEntry, Managed, Policy},
    managed,
    permissions::groups,
};

/// The entries in their order.
pub(super) fn entries(tokens: Option<&At<'_>>, out: &mut Diagnostics) -> Managed<Vec<LimitEntry>> {
    let Some(at) = tokens.and_then(|tokens| tokens.get("limits")).filter(At::is_list) else {
        return Managed::Unmanaged;
    };
    if at.is_empty_list() {
        let help = "write `unmanaged` to leave the limits of the server alone, or `[{}]` to lift them";
        out.push(empty_list(&at, Code::EmptyList, "limits", help).replace_by("unmanaged"));
        return Managed::Unmanaged;
    }
    let mut reached = Reached::default();
    let entries = at
        .items()
        .filter(At::is_map)
        .map(|item| {
            let entry = entry(&item, out);
            if says_whom_it_is_for(&entry.limit, &item) {
                warn_of_ignored_projects(&entry.limit, &item, out);
                reached.check(&entry.limit, &item, out);
            }
            entry
        })
        .collect();
    managed(&at, Some(entries))
}

fn entry(at: &At<'_>, out: &mut Diagnostics) -> LimitEntry {
    let list = |key: &str, out: &mut Diagnostics| {
        let list = at.get(key)?;
        refuse_empty(&list, key, out);
        Some(list)
    };
    let owners = Limit {
        groups: list("groups", out).and_then(|at| groups(&at, out)),
        owner_kinds: list("owner_kind", out).map(|at| owner_kinds(&at, out)).unwrap_or_default(),
        projects: list("projects", out)
            .map(|at| {
                names(&at, Code::DuplicateEntry, without_case, out).into_iter().map(str::to_owned).collect()
            })
            .unwrap_or_default(),
        ..Limit::default()
    };
    let limit = owners.with(&mut Reader { at, out });
    let keys = at.entries().map(|(key, value)| (key.to_owned(), value.key.place.clone())).collect();
    LimitEntry { limit, place: at.key.place.clone(), keys }
}

/// Reads what an entry at `at` says of tokens.
struct Reader<'a, 'b> {
    at: &'a At<'b>,
    out: &'a mut Diagnostics,
}

impl LimitReader for Reader<'_, '_> {
    fn scope(&mut self, key: &'static str) -> Option<Scope> {
        self.at.get(key)?.text()?.parse().ok()
    }

    fn period(&mut self, key: &'static str) -> Option<Period> {
        period(&self.at.get(key)?, self.out)
    }

    fn count(&mut self, key: &'static str) -> Option<u32> {
        whole_number(&self.at.get(key)?, self.out)
    }

    fn pattern(&mut self, key: &'static str) -> Option<Pattern> {
        pattern(&self.at.get(key)?, self.out)
    }
}

/// Whether everything that says whom the entry is for could be read: otherwise what it seems to
/// match is not what was meant.
fn says_whom_it_is_for(limit: &Limit, at: &At<'_>) -> bool {
    let read = [
        ("groups", limit.groups.is_some()),
        ("owner_kind", !limit.owner_kinds.is_empty()),
        ("projects", !limit.projects.is_empty()),
    ];
    read.into_iter().all(|(key, read)| read || at.get(key).is_none())
}

fn owner_kinds(at: &At<'_>, out: &mut Diagnostics) -> BTreeSet<OwnerKind> {
    names(at, Code::DuplicateEntry, without_case, out)
        .into_iter()
        .filter_map(|word| OwnerKind::ALL.into_iter().find(|kind| kind.word() == word))
        .collect()
}

fn pattern(at: &At<'_>, out: &mut Diagnostics) -> Option<Pattern> {
    Pattern::new(at.text()?).map_err(|error| out.push(bad_pattern(at, &error))).ok()
}

fn bad_pattern(at: &At<'_>, error: &BadPattern) -> Diagnostic {
    let cause = error.cause.to_string();
    let reason = cause.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let message = format!("{error}: {reason}");
    Diagnostic::error(Code::BadPattern, at.span(), at.path.as_str(), message).help(
        "the syntax is that of https://docs.rs/regex#syntax; it has no look-around and no back-references",
    )
}

fn warn_of_ignored_projects(limit: &Limit, at: &At<'_>, out: &mut Diagnostics) {
    if let Some(projects) = at.get("projects")
        && limit.kinds() == BTreeSet::from([OwnerKind::User])
    {
        let message = "`projects` has no effect on users, and this entry is for users only";
        out.push(
            Diagnostic::warning(Code::ProjectsIgnored, projects.key, projects.path.as_str(), message)
                .help("make it an entry of its own, with `owner_kind: [project, repository]`"),
        );
    }
}

/// The owners that the entries so far match for certain, by what an entry can say of them.
#[derive(Default)]
struct Reached {
    /// Kinds of which every owner is matched, with the entry that does.
    kinds: HashMap<OwnerKind, Span>,
    /// Groups whose members are matched.
    groups: HashSet<String>,
    /// Kinds and patterns of project keys.
    projects: HashSet<(OwnerKind, String)>,
}

impl Reached {
    /// Warns when no owner is left for `limit`, then counts what it matches.
    fn check(&mut self, limit: &Limit, at: &At<'_>, out: &mut Diagnostics) {
        let kinds = limit.kinds();
        if limit.groups.is_some() && !kinds.contains(&OwnerKind::User) {
            let message = "this entry never matches: only users are in groups, and it is not for users";
            out.push(unreachable(at, message).help("remove `groups` or `owner_kind`"));
            return;
        }
        if kinds.iter().all(|kind| self.covers(*kind, limit)) {
            let message = "this entry never matches: the ones before it match all of its owners";
            let catch_all = kinds.iter().find_map(|kind| self.kinds.get(kind));
            let warning = unreachable(at, message).help("move it above them, or remove it");
            out.push(match catch_all {
                Some(entry) => warning.relate(entry, "this entry matches everyone else"),
                None => warning,
            });
        }
        for kind in kinds {
            self.count(kind, limit, at);
        }
    }

    fn covers(&self, kind: OwnerKind, limit: &Limit) -> bool {
        if self.kinds.contains_key(&kind) {
            return true;
        }
        match (kind, &limit.groups) {
            // Groups are only of users: an entry with groups is for no other kind.
            (OwnerKind::User, Some(groups)) => {
                groups.iter().all(|group| self.groups.contains(group.folded()))
            }
            (OwnerKind::User, None) => false,
            (_, Some(_)) => true,
            (_, None) => {
                !limit.projects.is_empty()
                    && limit.projects.iter().all(|key| self.projects.contains(&(kind, key.to_lowercase())))
            }
        }
    }

    fn count(&mut self, kind: OwnerKind, limit: &Limit, at: &At<'_>) {
        match (kind, &limit.groups) {
            (OwnerKind::User, Some(groups)) => {
                self.groups.extend(groups.iter().map(|group| group.folded().to_owned()));
            }
            (OwnerKind::Project | OwnerKind::Repository, Some(_)) => {}
            (OwnerKind::Project | OwnerKind::Repository, None)
                if !limit.projects.is_empty() && !limit.projects.contains("*") =>
            {
                self.projects.extend(limit.projects.iter().map(|key| (kind, key.to_lowercase())));
            }
            _ => {
                self.kinds.entry(kind).or_insert_with(|| at.span().clone());
            }
        }
    }
}

fn unreachable(at: &At<'_>, message: &str) -> Diagnostic {
    Diagnostic::warning(Code::UnreachableLimit, at.span(), at.path.as_str(), message)
}

/// Warns of groups that may create read-write tokens although every limit that their members can
/// meet is read-only.
pub(super) fn warn_of_useless_grants(policy: &Policy, root: &At<'_>, out: &mut Diagnostics) {
    let (Some((granted, _)), Some(limits)) =
        (policy.holders(Permission::CreateReadWrite), policy.limits.get())
    else {
        return;
    };
    let Holders::Groups(groups) = granted else {
        return;
    };
    // A mistake in the limits makes them say what nobody meant.
    if out.iter().any(|found| found.severity == Severity::Error && found.path.starts_with("tokens.limits")) {
        return;
    }
    let fate = Fate::of(&limits.value);
    let Some(list) = root.find(&["permissions", Permission::CreateReadWrite.key()]) else {
        return;
    };
    for (name, item) in list.texts() {
        let group = GroupName::new(name);
        if groups.contains(&group) && fate.is_read_only(group.folded()) {
            let message = format!(
                "`{name}` may create read-write tokens, but only read-only limits apply to its \
                         members"
            );
            out.push(
                Diagnostic::warning(Code::ReadWriteNeverAllowed, item.span(), item.path.as_str(), message)
                    .help("give the group an entry in `tokens.limits` with `max_scope: read-write`"),
            );
        }
    }
}

/// Which entry the members of a group meet at the latest, and which of all allow writing.
struct Fate {
    /// For each group the first entry that names it.
    named: HashMap<String, usize>,
    /// The first entry that is for all users.
    rest: Option<usize>,
    /// The first entry for users that is not read-only.
    first_writing: Option<usize>,
}

impl Fate {
    fn of(limits: &[LimitEntry]) -> Self {
        let mut fate = Self { named: HashMap::new(), rest: None, first_writing: None };
        for (index, entry) in limits.iter().enumerate() {
            let limit = &entry.limit;
            if !limit.kinds().contains(&OwnerKind::User) {
                continue;
            }
            if limit.max_scope != Some(Scope::ReadOnly) {
                fate.first_writing.get_or_insert(index);
            }
            match &limit.groups {
                Some(groups) => {
                    for group in groups.iter() {
                        fate.named.entry(group.folded().to_owned()).or_insert(index);
                    }
                }
                None => {
                    fate.rest.get_or_insert(index);
                }
            }
        }
        fate
    }

    /// Whether everybody in `group` meets a read-only limit, whichever other groups they are in.
    fn is_read_only(&self, group: &str) -> bool {
        let latest = match (self.named.get(group).copied(), self.rest) {
            (Some(named), Some(rest)) => named.min(rest),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return false,
        };
        self.first_writing.is_none_or(|writing| writing > latest)
    }
}
