//! The result of each change that an interrupted run had begun, judged by the live state. What cannot be
//! seen stays unknown, and counts as done.

use std::collections::{HashMap, HashSet};

use crate::model::{
    Token, TokenScope, Verb,
    run::{Fate, Settled},
};

use super::{OpenChange, PlannedChange};

/// Collects what shows how changes ended that were begun and not recorded.
pub(super) struct SettleFold<'a> {
    open: Vec<&'a OpenChange>,
    /// Places in `open`, by identifier of the token.
    by_token: HashMap<&'a str, Vec<usize>>,
    /// What is known so far, one for each of `open`.
    fates: Vec<Option<Fate>>,
}

impl<'a> SettleFold<'a> {
    pub(super) fn new(open: impl Iterator<Item = &'a OpenChange>) -> Self {
        let open: Vec<_> = open.collect();
        let mut by_token: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, change) in open.iter().enumerate().filter(|(_, change)| !change.elsewhere) {
            if let Some(id) = change.note.address.strip_prefix("token/") {
                by_token.entry(id).or_default().push(place);
            }
        }
        Self { fates: vec![None; open.len()], open, by_token }
    }

    /// Looks at one token of the target.
    pub(super) fn observe(&mut self, token: &Token) {
        for &place in self.by_token.get(token.id.as_str()).into_iter().flatten() {
            if let (Some(change), Some(fate)) = (self.open.get(place), self.fates.get_mut(place)) {
                *fate = fate_of(change, token);
            }
        }
    }

    /// What became of every change, once tokens were seen and `planned` is what is asked for now: what is
    /// planned again was not done. What does not show counts as done when `whole`, so that nothing else can
    /// be; what was done elsewhere does not show here at all.
    pub(super) fn finish<'p>(
        self,
        planned: impl Iterator<Item = &'p PlannedChange>,
        whole: bool,
    ) -> Vec<Settled> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let again: HashSet<(String, Verb)> =
            planned.map(|one| (one.change.object().address(), one.change.verb())).collect();
        let settle = |(change, seen): (&OpenChange, Option<Fate>)| {
            let note = &change.note;
            let is_planned = || note.verb().is_some_and(|verb| again.contains(&(note.address.clone(), verb)));
            let fate = seen.unwrap_or_else(|| match whole {
                _ if change.elsewhere => Fate::Unknown,
                _ if is_planned() => Fate::Failed,
                true => Fate::Done,
                false => Fate::Unknown,
            });
            Settled { run: change.run.clone(), change: change.change, fate }
        };
        self.open.into_iter().zip(self.fates).map(settle).collect()
    }
}

/// What the token, as it is now, says about a change that was begun on it; `None` when it says nothing.
fn fate_of(change: &OpenChange, token: &Token) -> Option<Fate> {
    let note = &change.note;
    let done = match (note.verb()?, note.deadline, note.scope) {
        (Verb::Revoke, ..) => false,
        (Verb::Expire, Some(deadline), _) => token.expires.is_some_and(|expires| expires <= deadline),
        // A scope that was never set was not set by the change either, however far the token reaches.
        (Verb::Narrow, _, Some(scope)) => matches!(token.scope, TokenScope::Set(is) if is <= scope),
        _ => return None,
    };
    Some(if done { Fate::Done } else { Fate::Failed })
}
