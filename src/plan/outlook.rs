//! What a target would answer to hypothetical requests under its settings as the plan would leave them, the
//! line of the policy behind the answer, and what it answers today.

use crate::{
    access::{Answer, Person, TokenOwner, answer},
    inventory::{Inventory, InventoryReader, Presence, ReadError},
    model::{Permission, Question, SettingKey, Settings, UserName},
    policy::Policy,
    yaml::Place,
};

use super::{HeldBack, Terms, lockout::settings_after, settings};

/// The settings of a target, now and as the plan would leave them, with the people who send requests.
pub struct Outlook<'a> {
    policy: &'a Policy,
    inventory: Inventory,
    after: Settings,
    held_back: Vec<HeldBack>,
}

/// What a target would answer, and what it answers today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The answer under the settings as the plan would leave them.
    pub answer: Answer,
    /// What that rests on, in the order of the answer.
    pub rests_on: Vec<Basis>,
    /// The answer under the settings as they are.
    pub today: Answer,
}

impl Forecast {
    /// Whether the plan makes a difference.
    #[must_use]
    pub fn differs_from_today(&self) -> bool {
        self.answer.denied != self.today.denied
    }
}

/// A setting that an answer rests on, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The setting.
    pub key: SettingKey,
    /// The line of the policy that says so; `None` when the target has it from elsewhere.
    pub place: Option<Place>,
    /// Why the policy's word on it does not count for now.
    pub held_back: Option<String>,
}

/// The directory of the target does not know the sender of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown user `{0}`: not in the directory of the target")]
pub struct UnknownUser(pub UserName);

impl<'a> Outlook<'a> {
    /// Reads the settings and the people of a target.
    ///
    /// # Errors
    ///
    /// When one of them could not be read at all.
    pub async fn read(reader: &impl InventoryReader, terms: &Terms<'a>) -> Result<Self, ReadError> {
        let Terms { policy, now, .. } = *terms;
        let live = reader.overview().await?.settings;
        let mut groups = policy.groups();
        groups.extend(Permission::ALL.into_iter().flat_map(|of| live.permissions.of(of).groups()).cloned());
        let inventory = Inventory::read(reader, &groups, now).await?;
        let (changes, held_back) = settings::diff(terms, &inventory);
        let after = settings_after(&inventory.settings, &changes);
        Ok(Self { policy, inventory, after, held_back })
    }

    /// What the target would answer to `question`.
    ///
    /// # Errors
    ///
    /// [`UnknownUser`].
    pub fn forecast(&self, question: &Question) -> Result<Forecast, UnknownUser> {
        let sender = TokenOwner::of(&question.sender, |name| match &question.groups {
            None => self.person(name),
            Some(groups) => Ok(Person {
                name: name.clone(),
                groups: groups.clone().into(),
                active: true,
                administrator: false,
            }),
        })?;
        let to_own =
            question.creates_for.as_ref().map(|owner| TokenOwner::of(owner, |name| self.person(name)));
        // An owner whom nobody knows is a question for the decision.
        let to_own = to_own.and_then(Result::ok);
        let after = answer(&self.after, &sender, to_own.as_ref(), question);
        let today = answer(&self.inventory.settings, &sender, to_own.as_ref(), question);
        let rests_on = after.rests_on.iter().map(|key| self.basis(*key)).collect();
        Ok(Forecast { answer: after, rests_on, today })
    }

    fn person(&self, name: &UserName) -> Result<Person, UnknownUser> {
        let Inventory { people, server, .. } = &self.inventory;
        let active = match people.presence(name) {
            Presence::Active => true,
            Presence::Inactive => false,
            Presence::Unknown | Presence::NotSeen => return Err(UnknownUser(name.clone())),
        };
        let groups = people.groups_of(name).cloned().collect();
        let administrator =
            server.administrators.as_ref().is_some_and(|administrators| administrators.include(name, people));
        Ok(Person { name: name.clone(), groups, active, administrator })
    }

    fn basis(&self, key: SettingKey) -> Basis {
        let held_back = self.held_back.iter().find(|held| held.subject == key.path());
        let place = self.policy.wanted(key).map(|wanted| wanted.place).filter(|_| held_back.is_none());
        Basis { key, place, held_back: held_back.map(|held| held.reason.clone()) }
    }
}
