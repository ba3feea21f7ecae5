//! What was seen on a target, and when.
//!
//! In: what an [`InventoryReader`] answers. Out: settings, people and the reach of what was seen;
//! tokens go by as a stream and are never all held. It refuses to know what should be, and has no
//! way to change anything.

mod coverage;
mod people;
mod reader;

pub use coverage::{Coverage, Missing};
pub use people::{Membership, People, Presence};
pub use reader::{InventoryReader, ReadError};

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::{GroupName, SettingKey, Settings, TokenId, UserName};

/// What was seen on a target, all but its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// The moment that the reading is for, UTC.
    pub seen_at: Timestamp,
    /// The server and what it lets us do.
    pub server: Server,
    /// The settings as they are.
    pub settings: Settings,
    /// Users, and who of them is in the groups that were asked for.
    pub people: People,
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
    /// The settings that it can hold.
    pub manageable: BTreeSet<SettingKey>,
}

/// Whom a server takes us for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user behind our credential, where the server tells.
    pub user: Option<UserName>,
    /// The token that our credential is, when it is one.
    pub token: Option<TokenId>,
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
    /// `groups`. Groups that the server does not know make the coverage partial.
    ///
    /// # Errors
    ///
    /// When a part could not be read at all.
    pub async fn read(
        reader: &impl InventoryReader,
        groups: &BTreeSet<GroupName>,
        now: Timestamp,
    ) -> Result<Self, ReadError> {
        let (overview, people) =
            futures_util::future::try_join(reader.overview(), reader.people(groups)).await?;
        let unknown = people.unknown_groups().cloned().map(Missing::Group);
        let coverage = unknown.collect();
        Ok(Self { seen_at: now, server: overview.server, settings: overview.settings, people, coverage })
    }
}
