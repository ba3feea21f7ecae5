//! The waiver that each finding falls under, looked up in constant time by identifier and owner, and
//! warnings about the waivers themselves.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::{People, Presence},
    model::{Owner, Rule, Token, TokenId, UserName},
    policy::{Waiver, WaiverSubject, Waivers},
};

/// What there is to say of a waiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaiverStanding {
    /// Its last day is over: it holds nothing any more.
    #[serde(rename = "waiver-ended")]
    Ended,
    /// Its last day is near.
    #[serde(rename = "waiver-ends-soon")]
    EndsSoon,
    /// It holds nothing: no token that it is for breaks one of its rules.
    #[serde(rename = "waiver-holds-nothing")]
    HoldsNothing,
}

impl WaiverStanding {
    /// Its stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Ended => "waiver-ended",
            Self::EndsSoon => "waiver-ends-soon",
            Self::HoldsNothing => "waiver-holds-nothing",
        }
    }
}

/// A waiver of which there is something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiverWarning {
    /// The waiver.
    pub waiver: Arc<Waiver>,
    /// What there is to say of it.
    pub standing: WaiverStanding,
}

/// All waivers, by what they are for.
pub(super) struct WaiverBook<'a> {
    waivers: &'a Waivers,
    now: Timestamp,
    by_token: HashMap<&'a TokenId, Vec<usize>>,
    by_owner: HashMap<&'a Owner, Vec<usize>>,
    used: Vec<bool>,
    /// Those for a user whom nobody has seen, who may have another name by now.
    strays: HashMap<&'a Rule, Vec<&'a Arc<Waiver>>>,
}

impl<'a> WaiverBook<'a> {
    pub(super) fn new(waivers: &'a Waivers, people: &People, now: Timestamp) -> Self {
        let mut book = Self {
            waivers,
            now,
            by_token: HashMap::new(),
            by_owner: HashMap::new(),
            used: vec![false; waivers.entries.len()],
            strays: HashMap::new(),
        };
        let is_there =
            |user: &UserName| matches!(people.presence(user), Presence::Active | Presence::Inactive);
        for (index, waiver) in waivers.entries.iter().enumerate() {
            match &waiver.subject {
                WaiverSubject::Token(id) => book.by_token.entry(id).or_default().push(index),
                WaiverSubject::Owner { owner, .. } => {
                    book.by_owner.entry(owner).or_default().push(index);
                    if owner.user().is_some_and(|user| !is_there(user)) {
                        waiver
                            .rules
                            .iter()
                            .for_each(|rule| book.strays.entry(rule).or_default().push(waiver));
                    }
                }
            }
        }
        book
    }

    /// A waiver for `rule` that may have been meant for `token`: it is for a user whom the directory does not
    /// show, and who may be the owner under another name. Nobody is told when a user is renamed.
    pub(super) fn stray(&self, rule: &Rule, token: &Token) -> Option<&'a Arc<Waiver>> {
        let strays = self.strays.get(rule).filter(|_| token.owner.user().is_some());
        strays.into_iter().flatten().copied().find(|waiver| waiver.describes(token))
    }

    /// The waiver that a finding of `rule` on `token` falls under: of several the one that ends last,
    /// of those the first. It may have ended.
    pub(super) fn find(&self, rule: &Rule, token: &Token) -> Option<&'a Arc<Waiver>> {
        self.indices(rule, token).next().and_then(|first| {
            let last = self.indices(rule, token).fold(first, |last, index| {
                let until = |index: usize| self.waivers.entries.get(index).map(|waiver| waiver.until);
                if until(index) > until(last) { index } else { last }
            });
            self.waivers.entries.get(last)
        })
    }

    /// Whether `rule` on `token` could fall under a waiver if the token had other words.
    pub(super) fn could_describe(&self, rule: &Rule, token: &Token) -> bool {
        let waivers = self.by_owner.get(&token.owner.folded()).into_iter().flatten();
        waivers.filter_map(|&index| self.waivers.entries.get(index)).any(|waiver| waiver.rules.contains(rule))
    }

    /// Remembers of each waiver that `rule` on `token` falls under that it is needed.
    pub(super) fn mark_used(&mut self, rule: &Rule, token: &Token) {
        for index in self.indices(rule, token).collect::<Vec<_>>() {
            if let Some(used) = self.used.get_mut(index) {
                *used = true;
            }
        }
    }

    /// What there is to say of the waivers, in their order, when every token was looked at.
    pub(super) fn warnings(self) -> Vec<WaiverWarning> {
        let Self { waivers, now, used, .. } = self;
        let standing = |waiver: &Waiver, used: bool| {
            if !waiver.holds(now) {
                Some(WaiverStanding::Ended)
            } else if !used {
                Some(WaiverStanding::HoldsNothing)
            } else if waiver.ends_soon(waivers.warn, now) {
                Some(WaiverStanding::EndsSoon)
            } else {
                None
            }
        };
        let warning = |(waiver, used): (&Arc<Waiver>, bool)| {
            let standing = standing(waiver, used)?;
            Some(WaiverWarning { waiver: Arc::clone(waiver), standing })
        };
        waivers.entries.iter().zip(used).filter_map(warning).collect()
    }

    fn indices(&self, rule: &Rule, token: &Token) -> impl Iterator<Item = usize> {
        // Most policies have none, and then no owner is folded.
        let owner = (!self.by_owner.is_empty()).then(|| token.owner.folded());
        let of_owner = owner.and_then(|owner| self.by_owner.get(&owner));
        let of_token = self.by_token.get(&token.id);
        let selected = of_token.into_iter().chain(of_owner).flatten().copied();
        selected.filter(move |&index| {
            self.waivers
                .entries
                .get(index)
                .is_some_and(|waiver| waiver.rules.contains(rule) && waiver.describes(token))
        })
    }
}
