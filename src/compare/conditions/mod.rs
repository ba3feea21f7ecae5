//! What two conditions of an own rule find: one token for each way in which they tell tokens apart is tried on both, by
//! the same evaluation that real tokens are tried with.

mod moments;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use crate::{
    access::cells::{TextSet, text_classes},
    model::{
        GroupName, LastUse, Owner, OwnerKind, Scope, Shift, Token, TokenId, TokenScope, UserName,
        expression::{Atoms, Expression, Facts, Moment, TextFact, Threshold},
    },
};

use moments::{Moments, ways};

/// As many tokens are tried.
const TOKENS_AT_MOST: usize = 40_000;
/// As many groups are told apart.
const GROUPS_AT_MOST: usize = 6;

/// A token that one condition finds and the other one does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenExample {
    /// The token.
    pub token: Token,
    /// The groups of its owner.
    pub groups: BTreeSet<GroupName>,
    /// Whether its owner is active; `None` for one whom the directory does not know, and for projects and repositories.
    pub active: Option<bool>,
    /// When that is so, UTC.
    pub now: Timestamp,
    /// What the conditions ask of it, such as `scope`.
    pub asked: Arc<BTreeSet<String>>,
}

/// What a change of a condition does to what is found: stricter is what finds more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConditionChange {
    pub(super) shift: Shift,
    pub(super) example: Option<TokenExample>,
    /// Whether one of them fails on a token that the other one does not fail on.
    pub(super) fails: bool,
}

/// What `after` finds differently from `before`; `None` when that is not decided.
pub(super) fn condition_change(
    before: &Expression,
    after: &Expression,
    now: Timestamp,
) -> Option<ConditionChange> {
    let atoms = before.atoms()?.and(after.atoms()?);
    let mut shift = Shift::SAME;
    let (mut example, mut fails) = (None, false);
    for one in tokens(&atoms, before, after, now)? {
        let [was, is] = [before, after].map(|condition| one.is_found(condition));
        fails |= was.is_none() != is.is_none();
        let [was, is] = [was, is].map(|found| found == Some(true));
        shift = shift.and(match (was, is) {
            (false, true) => Shift::STRICTER,
            (true, false) => Shift::LOOSER,
            _ => Shift::SAME,
        });
        if was != is && example.is_none() {
            example = Some(one);
        }
    }
    Some(ConditionChange { shift, example, fails })
}

/// Whether `rule` surely finds every token that `condition` finds.
#[must_use]
pub fn finds_all(condition: &Expression, rule: &Expression, now: Timestamp) -> bool {
    condition_change(condition, rule, now).is_some_and(|change| !change.shift.looser)
}

impl TokenExample {
    /// Whether `condition` finds it; `None` when it fails, which is a finding of `rule-error` and none of its own.
    fn is_found(&self, condition: &Expression) -> Option<bool> {
        let is_stranger = self.token.owner.kind() == OwnerKind::User && self.active.is_none();
        if is_stranger && !condition.groups().is_empty() {
            // Nobody knows the groups.
            return Some(false);
        }
        condition.holds(&Facts::new(&self.token, self.active, self.groups.iter(), self.now)).ok()
    }
}

/// A token for each way in which `atoms`, what both conditions ask, tell them apart; none that has expired.
fn tokens(
    atoms: &Atoms,
    before: &Expression,
    after: &Expression,
    now: Timestamp,
) -> Option<Vec<TokenExample>> {
    let groups: BTreeSet<GroupName> = before.groups().union(after.groups()).cloned().collect();
    let owners = owners(atoms, &groups)?;
    let scopes = if atoms.ask_for("scope") {
        vec![TokenScope::Set(Scope::ReadOnly), TokenScope::Set(Scope::ReadWrite), TokenScope::Unset]
    } else {
        vec![TokenScope::Set(Scope::ReadWrite)]
    };
    let ids = texts(atoms, &[TextFact::Id])?;
    let mut descriptions = texts(atoms, &[TextFact::Description])?;
    if atoms.ask_for("description") {
        descriptions.push(String::new());
    }
    let mut creators = vec![None];
    if atoms.ask_for("created_by") {
        creators
            .extend(texts(atoms, &[TextFact::CreatedBy])?.into_iter().map(|name| Some(UserName::new(name))));
    }
    let lives = lives(atoms, now)?;
    let count = [owners.len(), scopes.len(), ids.len(), descriptions.len(), creators.len(), lives.len()];
    let count = count.into_iter().try_fold(1_usize, usize::checked_mul)?;
    (count <= TOKENS_AT_MOST).then_some(())?;
    let asked = Arc::new(atoms.members.clone());
    let mut tokens = Vec::with_capacity(count);
    for (owner, active, groups) in &owners {
        for (scope, id) in scopes.iter().flat_map(|scope| ids.iter().map(move |id| (scope, id))) {
            for (description, creator) in
                descriptions.iter().flat_map(|words| creators.iter().map(move |creator| (words, creator)))
            {
                tokens.extend(lives.iter().map(|life| TokenExample {
                    token: Token {
                        id: TokenId::new(id.as_str()),
                        owner: owner.clone(),
                        description: description.clone(),
                        scope: *scope,
                        created: life.created,
                        created_by: creator.clone(),
                        last_used: life.last_used,
                        expires: life.expires,
                        mark: None,
                    },
                    groups: groups.clone(),
                    active: *active,
                    now: life.now,
                    asked: Arc::clone(&asked),
                }));
            }
        }
    }
    Some(tokens)
}

/// An owner, whether they are active, and their groups.
type OwnerClass = (Owner, Option<bool>, BTreeSet<GroupName>);

fn owners(atoms: &Atoms, groups: &BTreeSet<GroupName>) -> Option<Vec<OwnerClass>> {
    (groups.len() <= GROUPS_AT_MOST).then_some(())?;
    let mut all = vec![BTreeSet::new()];
    for group in groups {
        let with = all.iter().map(|some: &BTreeSet<GroupName>| some.iter().chain([group]).cloned().collect());
        let with: Vec<_> = with.collect();
        all.extend(with);
    }
    let mut states = vec![Some(true)];
    if atoms.ask_for("active") {
        states.push(Some(false));
    }
    if atoms.ask_for("active") || !groups.is_empty() {
        states.push(None);
    }
    let mut owners = Vec::new();
    for name in texts(atoms, &[TextFact::OwnerName])? {
        for active in &states {
            let user = Owner::User(UserName::new(name.as_str()));
            owners.extend(all.iter().map(|groups| (user.clone(), *active, groups.clone())));
        }
    }
    let is_asked =
        ["name", "kind", "project", "repository", "groups", "active"].iter().any(|of| atoms.ask_for(of));
    if is_asked {
        // The name of a project is its key, and that of a repository its slug.
        let projects = texts(atoms, &[TextFact::OwnerName, TextFact::OwnerProject])?;
        owners.extend(projects.into_iter().map(|key| (Owner::Project(key), None, BTreeSet::new())));
        let projects = texts(atoms, &[TextFact::OwnerProject])?;
        for slug in texts(atoms, &[TextFact::OwnerName, TextFact::OwnerRepository])? {
            owners.extend(projects.iter().map(|project| {
                let (project, slug) = (project.clone(), slug.clone());
                (Owner::Repository { project, slug }, None, BTreeSet::new())
            }));
        }
    }
    Some(owners)
}

/// A text of each kind that `atoms` tell apart of a text that is all of `facts` at once.
fn texts(atoms: &Atoms, facts: &[TextFact]) -> Option<Vec<String>> {
    let patterns = atoms.texts.iter().filter(|(fact, _)| facts.contains(fact));
    let patterns: BTreeSet<&String> = patterns.map(|(_, pattern)| pattern).collect();
    (patterns.len() <= 64).then_some(())?;
    let sets: Vec<TextSet> =
        patterns.into_iter().map(|pattern| TextSet { patterns: vec![pattern.clone()] }).collect();
    Some(text_classes(&sets, "")?.into_values().collect())
}

/// When a token was made, used and ends, and when that is seen.
struct Life {
    now: Timestamp,
    created: Timestamp,
    last_used: Option<LastUse>,
    expires: Option<Timestamp>,
}

fn lives(atoms: &Atoms, now: Timestamp) -> Option<Vec<Life>> {
    let is_asked = |member: &str| atoms.ask_for(member);
    let either = |is_asked: bool| if is_asked { vec![false, true] } else { vec![false] };
    let mut thresholds = atoms.thresholds.clone();
    if is_asked("expires") {
        // On a token that has expired nothing is tried.
        thresholds.insert(Threshold { of: Moment::Expires, since: Moment::Now, nanoseconds: 0 });
    }
    let mut lives = Vec::new();
    for is_used in either(is_asked("last_used") || is_asked("last_used_from")) {
        for ends in either(is_asked("expires")) {
            let optional = [(Moment::LastUsed, is_used), (Moment::Expires, ends)];
            let present: Vec<Moment> = [Moment::Now, Moment::Created]
                .into_iter()
                .chain(optional.into_iter().filter(|(_, is_there)| *is_there).map(|(moment, _)| moment))
                .collect();
            let places = if is_used && is_asked("last_used_from") {
                vec![None, Some([192, 0, 2, 1].into())]
            } else {
                vec![None]
            };
            for moments in ways(&thresholds, &present, now)? {
                let at = |moment: Moment| moments_at(&moments, moment);
                let expires = at(Moment::Expires);
                let Some(now) = at(Moment::Now) else { continue };
                if expires.is_some_and(|expires| expires <= now) {
                    continue;
                }
                lives.extend(places.iter().filter_map(|from| {
                    Some(Life {
                        now,
                        created: at(Moment::Created)?,
                        last_used: at(Moment::LastUsed).map(|at| LastUse { at, from: *from }),
                        expires,
                    })
                }));
            }
        }
    }
    Some(lives)
}

fn moments_at(moments: &Moments, moment: Moment) -> Option<Timestamp> {
    moments.get(&moment).copied()
}
