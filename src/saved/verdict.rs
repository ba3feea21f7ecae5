//! The verdict on each change of a saved plan, from what is on the target now.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    inventory::Seen,
    model::{Settings, Token, TokenId, Verb},
    plan::{Change, Plan, Review, ReviewedChange, setting_state, token_state},
};

use super::SavedPlan;

/// A change that was reviewed, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Reviewed {
    /// The change, as the file says it.
    pub change: ReviewedChange,
    /// What becomes of it.
    pub verdict: ReviewVerdict,
}

/// What becomes of a change of a saved plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewVerdict {
    /// The policy at hand asks for it too, and nothing moved: it is made.
    Made,
    /// It is so already, or what it is about is gone.
    AlreadySo,
    /// What it is about was changed since.
    Moved,
    /// The policy at hand does not ask for it.
    NotAsked,
}

impl ReviewVerdict {
    /// Whether the change is not made although it was reviewed.
    #[must_use]
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Moved | Self::NotAsked)
    }
}

impl fmt::Display for ReviewVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Made => "it is made",
            Self::AlreadySo => "it is so already",
            Self::Moved => "it was changed by somebody since the plan was made",
            Self::NotAsked => "the policy at hand does not ask for it",
        })
    }
}

impl SavedPlan {
    /// What becomes of every change that it has for the target of `fresh`: a plan of the same target as it
    /// is now, with those changes alone that it has. `live` is what the reading for that
    /// plan showed. In the order of the file.
    #[must_use]
    pub fn review(&self, fresh: &Plan, live: &Seen) -> Vec<Reviewed> {
        let target = fresh.target.as_str();
        let of_target = |change: &&ReviewedChange| {
            change.address.strip_prefix(target).is_some_and(|rest| rest.starts_with('/'))
        };
        let made: BTreeMap<String, Vec<&Change>> =
            fresh.changes.iter().fold(BTreeMap::new(), |mut made, planned| {
                let address = planned.change.object().address_on(target);
                made.entry(address).or_default().push(&planned.change);
                made
            });
        let pending: BTreeSet<&TokenId> = fresh.pending.iter().map(|pending| &pending.token.id).collect();
        let review = |change: &ReviewedChange| {
            let same = made.get(&change.address).into_iter().flatten();
            let verdict = if same.into_iter().any(|same| same.verb() == change.verb) {
                ReviewVerdict::Made
            } else {
                match change.token(target) {
                    // It ends in time by itself.
                    Some(id) if matches!(change.verb, Verb::Expire | Verb::Mark) && pending.contains(&id) => {
                        ReviewVerdict::AlreadySo
                    }
                    Some(id) => token_verdict(change, live.tokens.get(&id)),
                    None => setting_verdict(&self.review, change, live.settings.as_ref()),
                }
            };
            Reviewed { change: change.clone(), verdict }
        };
        self.review.changes().iter().filter(of_target).map(review).collect()
    }
}

/// A setting goes to its value in up to two steps: either of them may be behind us.
fn setting_verdict(review: &Review, change: &ReviewedChange, settings: Option<&Settings>) -> ReviewVerdict {
    let live = change.setting().and_then(|key| Some(settings?.value(key)));
    let Some(live) = live else { return ReviewVerdict::NotAsked };
    let is = live.to_json();
    if review.at(&change.address).any(|step| step.after == is) {
        ReviewVerdict::AlreadySo
    } else if setting_state(&live) == change.precondition {
        ReviewVerdict::NotAsked
    } else {
        ReviewVerdict::Moved
    }
}

fn token_verdict(change: &ReviewedChange, live: Option<&Token>) -> ReviewVerdict {
    let Some(live) = live else { return ReviewVerdict::AlreadySo };
    let reached = match change.verb {
        Verb::Expire => live.expires.zip(change.moment("expires")).is_some_and(|(is, wanted)| is <= wanted),
        Verb::Mark => {
            let marked = live.mark.map(|mark| mark.until);
            // An earlier day that was there already is the one to be replaced.
            let is_new = token_state(live) != change.precondition;
            let moments = marked.zip(change.moment("marked_to_end"));
            moments.is_some_and(|(is, wanted)| is == wanted || (is < wanted && is_new))
        }
        Verb::Unmark => live.mark.is_none(),
        Verb::Narrow => change.after.get("scope") == Some(&live.scope.to_string().into()),
        Verb::Revoke | Verb::Grant | Verb::Withdraw | Verb::Admit | Verb::Refuse | Verb::Set => false,
    };
    if reached {
        ReviewVerdict::AlreadySo
    } else if token_state(live) == change.precondition {
        ReviewVerdict::NotAsked
    } else {
        ReviewVerdict::Moved
    }
}
