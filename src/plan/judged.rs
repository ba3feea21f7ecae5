//! How the people stood for whose tokens a plan asks for revocations, and whether they still stand so right
//! before that.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt,
};

use crate::{
    inventory::{InventoryReader, People, Presence},
    model::{GroupName, Token, TokenId, UserName, Why, brief},
};

use super::{Plan, PlannedChange};

/// How the owners and the makers of the tokens that a plan revokes stood when it was made. Empty when it
/// revokes none, or did not ask how anybody stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The groups that were asked for.
    groups: BTreeSet<GroupName>,
    /// Those of them whose members were all seen.
    seen: BTreeSet<GroupName>,
    people: BTreeMap<UserName, Stood>,
}

/// How somebody stood.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stood {
    presence: Presence,
    groups: BTreeSet<GroupName>,
}

/// Why a token is not revoked for somebody who was looked at again.
#[derive(Debug)]
enum KeepReason {
    /// Stands otherwise than when the plan was made.
    Moved(UserName),
    /// Could be seen when the plan was made, and not again.
    NotSeen(UserName),
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Moved(user) | Self::NotSeen(user)) = self;
        let name = if f.alternate() { "its owner or maker".to_owned() } else { brief(user) };
        match self {
            Self::Moved(_) => write!(f, "the groups or the state of {name} changed since the plan was made"),
            Self::NotSeen(_) => write!(f, "the groups and the state of {name} could not be seen again"),
        }
    }
}

impl Error for KeepReason {}

impl Judged {
    /// How those are in `people`, of whom `groups` were asked for, whose tokens `changes` revoke.
    pub(super) fn of(changes: &[PlannedChange], groups: BTreeSet<GroupName>, people: &People) -> Self {
        let concerned = revoked(changes).flat_map(concerned);
        let stood = concerned.map(|user| (user.clone(), Stood::of(user, &groups, people))).collect();
        let seen = groups.iter().filter(|group| !people.is_unknown(group)).cloned().collect();
        Self { groups, seen, people: stood }
    }

    /// Why `user` is not known to stand as before in `people`, when that is so.
    fn doubt(&self, user: &UserName, people: &People) -> Option<KeepReason> {
        let stood = self.people.get(user)?;
        let stands = Stood::of(user, &self.groups, people);
        let is_lost = stands.presence == Presence::NotSeen && stood.presence != Presence::NotSeen;
        if is_lost || self.seen.iter().any(|group| people.is_unknown(group)) {
            return Some(KeepReason::NotSeen(user.clone()));
        }
        (stands != *stood).then(|| KeepReason::Moved(user.clone()))
    }
}

impl Stood {
    fn of(user: &UserName, groups: &BTreeSet<GroupName>, people: &People) -> Self {
        let of_user = people.groups_of(user).filter(|group| groups.contains(*group));
        Self { presence: people.presence(user), groups: of_user.cloned().collect() }
    }
}

impl Plan {
    /// The tokens that must not be revoked on the word of this plan any more, each with the reason: who owns
    /// or made one stands otherwise than when it was judged, or cannot be looked at again. Nothing is read when
    /// the plan revokes nothing for how somebody stands.
    pub async fn doubtful_revocations(&self, reader: &impl InventoryReader) -> BTreeMap<TokenId, Why> {
        if self.judged.people.is_empty() {
            return BTreeMap::new();
        }
        let people = reader.people(&self.judged.groups).await;
        let doubt = |user: &UserName| match &people {
            Ok(people) => self.judged.doubt(user, people).map(|doubt| Why::of(&doubt)),
            Err(error) => Some(Why::of(error).behind("it cannot be seen how its owner stands now")),
        };
        let of_token = |token: &Token| Some((token.id.clone(), concerned(token).find_map(&doubt)?));
        revoked(&self.changes).filter_map(of_token).collect()
    }
}

fn revoked(changes: &[PlannedChange]) -> impl Iterator<Item = &Token> {
    let revoked = |planned: &'_ &PlannedChange| planned.change.is_irreversible();
    changes.iter().filter(revoked).filter_map(|planned| planned.change.token())
}

/// The users on whom it can depend what becomes of `token`.
fn concerned(token: &Token) -> impl Iterator<Item = &UserName> {
    token.owner.user().into_iter().chain(&token.created_by)
}
