//! What was seen on a target, and when.
//!
//! From what an [`InventoryReader`] returns to the settings, the people and the coverage of a target;
//! tokens pass as a stream and are never all held. Nothing here knows what should be, or can change
//! anything.

mod administrators;
mod caller;
mod capabilities;
mod census;
mod coverage;
mod dated;
mod form;
pub mod left_out;
mod pace;
mod people;
mod reader;
pub mod snapshot;
mod watch;

pub use administrators::Administrators;
pub use caller::{Call, Caller, Credential};
pub use capabilities::{Capabilities, Expiry};
pub use census::Census;
pub use coverage::{Coverage, List, Missing, TokenPart};
pub use dated::Dated;
pub use form::Form;
pub use left_out::LeftOut;
pub use pace::{Pace, RateLimit};
pub use people::{Membership, People, Presence, Unsure};
pub use reader::{InventoryReader, ReadError};
pub use snapshot::ScopeRecord;
pub use watch::{Seen, Watch};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use crate::model::{GroupName, LastChange, SettingKey, Settings};

/// What was seen on a target, all but its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// The time that the reading is for, UTC.
    pub seen_at: Timestamp,
    /// The server and what it lets us do.
    pub server: Server,
    /// The settings as they are.
    pub settings: Settings,
    /// Users, and who of them is in the groups that were asked for.
    pub people: Arc<People>,
    /// What could not be seen.
    pub coverage: Coverage,
}

/// A server, as it presents itself to our credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its address without credentials, or what an embedded one is called.
    pub url: String,
    /// Its version, where it tells.
    pub version: Option<String>,
    /// Whom it takes us for.
    pub caller: Caller,
    /// Who administers it, where it tells.
    pub administrators: Option<Administrators>,
    /// What a run calls on it: anyone who may make all of these can plan and apply.
    pub calls: Vec<Call>,
    /// The settings that it can hold.
    pub manageable: BTreeSet<SettingKey>,
    /// Those of them that our credential could not read, each with the reason.
    pub unreadable: BTreeMap<SettingKey, String>,
    /// The forms in which it keeps settings, where it cannot hold everything that a policy can say.
    pub forms: BTreeMap<SettingKey, Form>,
    /// What it can do with tokens and passwords.
    pub capabilities: Capabilities,
    /// What is not looked at because the config file says so.
    pub left_out: Vec<LeftOut>,
    /// Who changed its settings last, and when, where it tells.
    pub settings_changed: Option<LastChange>,
}

/// Settings and server in one reading, so that both are of the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The server and what it lets us do.
    pub server: Server,
    /// The settings as they are.
    pub settings: Settings,
}

impl Inventory {
    /// Reads everything but the tokens: settings, server, and people with their membership in
    /// `groups`, in the groups that may use tokens now, and in that of the administrators. Those of
    /// `groups` that the server does not know, and what the config file leaves out, make the coverage
    /// partial.
    ///
    /// # Errors
    ///
    /// When a part could not be read at all.
    pub async fn read(
        reader: &impl InventoryReader,
        groups: &BTreeSet<GroupName>,
        now: Timestamp,
    ) -> Result<Self, ReadError> {
        Self::around(reader.overview().await?, reader, groups, now).await
    }

    /// The same, of which `overview` was read before.
    ///
    /// # Errors
    ///
    /// As for [`Self::read`].
    pub async fn around(
        overview: Overview,
        reader: &impl InventoryReader,
        groups: &BTreeSet<GroupName>,
        now: Timestamp,
    ) -> Result<Self, ReadError> {
        let Overview { server, settings } = overview;
        let mut asked = groups.clone();
        asked.extend(settings.permissions.use_tokens.groups().cloned());
        asked.extend(server.administrators.as_ref().and_then(Administrators::group).cloned());
        let mut people = reader.people(&asked).await?;
        // A group of which the reader says nothing is not an empty one.
        people.account_for(&asked);
        let left_out = server.left_out.iter().cloned().map(Missing::LeftOut);
        let coverage =
            people.missing().chain(left_out).filter(|missing| missing.matters_to(groups)).collect();
        Ok(Self { seen_at: now, server, settings, people: Arc::new(people), coverage })
    }

    /// The same, as somebody who asks only for `groups` sees it at the moment `now`.
    #[must_use]
    pub fn seen_for(&self, groups: &BTreeSet<GroupName>, now: Timestamp) -> Self {
        let matters = |missing: &&Missing| missing.matters_to(groups);
        let coverage = self.coverage.missing().filter(matters).cloned().collect();
        Self { seen_at: now, coverage, ..self.clone() }
    }
}
