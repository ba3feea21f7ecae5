//! A target on paper: the users of a file of policy tests, the tokens of one case, and the settings of a
//! new server. It is read like any other, changes nothing and never waits.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;

use crate::{
    inventory::{
        Administrators, Caller, Capabilities, Coverage, InventoryReader, Overview, People, ReadError, Server,
    },
    model::{GroupName, SettingKey, Settings, Token, UserName},
    policy::Waivers,
    policy_tests::file::TestUser,
};

/// The group that administers a target on paper, as it does an embedded one.
pub(super) const ADMINISTRATORS: &str = "administrators";

/// A target on paper.
pub(super) struct Paper<'a> {
    pub(super) users: &'a BTreeMap<UserName, TestUser>,
    pub(super) judged: Option<&'a Token>,
    pub(super) others: &'a [Token],
    /// Those of the policy: a file of tests need not name every user whom it has one for.
    pub(super) waivers: &'a Waivers,
}

impl Paper<'_> {
    /// Whether `user` owns one of the tokens.
    fn owns(&self, user: &UserName) -> bool {
        self.judged.into_iter().chain(self.others).any(|token| token.owner.user() == Some(user))
    }
}

impl InventoryReader for Paper<'_> {
    async fn overview(&self) -> Result<Overview, ReadError> {
        let administrators = GroupName::new(ADMINISTRATORS);
        Ok(Overview {
            settings: Settings::initial(administrators.clone()),
            server: Server {
                url: "paper".to_owned(),
                version: None,
                caller: Caller::operator(),
                administrators: Some(Administrators::Group(administrators)),
                calls: Vec::new(),
                manageable: SettingKey::ALL.into(),
                unreadable: BTreeMap::new(),
                forms: BTreeMap::new(),
                capabilities: Capabilities::everything(),
                left_out: Vec::new(),
                settings_changed: None,
            },
        })
    }

    /// Every group is known here: one in which nobody is, is empty.
    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        let mut people = People::default();
        let mut members: BTreeMap<&GroupName, Vec<UserName>> = BTreeMap::new();
        for user in self.waivers.users().filter(|user| !self.owns(user)) {
            people.add_user(user.clone(), true);
        }
        for (name, user) in self.users {
            people.add_user(name.clone(), user.active);
            for group in &user.groups {
                members.entry(group).or_default().push(name.clone());
            }
        }
        for group in groups {
            people.add_group(group, members.remove(group).unwrap_or_default());
        }
        Ok(people)
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        self.judged.into_iter().chain(self.others).cloned().for_each(each);
        Ok(Coverage::Complete)
    }
}

/// The result of `work` that never waits, such as reading what is on paper.
#[expect(clippy::expect_used, reason = "nothing of a target on paper waits for anything")]
pub(super) fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("work on paper does not wait")
}
