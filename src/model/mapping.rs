//! Where in a foreign document each setting is, and in which form.

use std::collections::BTreeMap;

use super::{SettingKey, lifetime::Unit};

/// The products that the app "API Token Authentication" exists for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Product {
    /// Bitbucket.
    #[default]
    Bitbucket,
    /// Jira.
    Jira,
    /// Confluence.
    Confluence,
}

/// Where and how the app's settings are read and written, since that is not public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsMapping {
    /// Path of the resource below the server's base, beginning with `/`.
    pub path: String,
    /// The method that reads it.
    pub read: String,
    /// The method that writes it.
    pub write: String,
    /// Where in the document each setting is.
    ///
    /// INVARIANT: no place lies inside another, and each field has the variant of its key.
    pub fields: BTreeMap<SettingKey, Field>,
}

/// Where in a JSON document a setting stands, and in which form. Places are JSON pointers (RFC 6901), such
/// as `/network/allowed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Yes or no: a permission of everyone or nobody, or passwords allowed or disabled.
    Flag {
        /// Its place.
        pointer: String,
        /// Whether `true` means nobody, or disabled.
        inverted: bool,
    },
    /// The groups that hold a permission.
    Groups {
        /// Their place.
        pointer: String,
        /// In which form they are there.
        entries: Entries,
        /// The place of the flag for everyone, if there is one.
        everyone: Option<String>,
    },
    /// The allowed networks; none means anywhere.
    Networks {
        /// Their place.
        pointer: String,
        /// In which form they are there.
        entries: Entries,
    },
    /// The trusted proxies; none means that the address of a client is that of its connection.
    ClientAddress {
        /// Their place.
        pointer: String,
        /// In which form they are there.
        entries: Entries,
        /// The place of the name of the header.
        header: String,
    },
    /// The longest lifetime of a token.
    Lifetime {
        /// Its place.
        pointer: String,
        /// What it is counted in.
        unit: Unit,
        /// The number that means none, where there is one.
        never: Option<u32>,
    },
}

/// In which form several texts are in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entries {
    /// A list of texts.
    List,
    /// A list of objects, each with its text in this member.
    Objects {
        /// The name of the member.
        member: String,
    },
    /// A text of parts with commas between them.
    CommaSeparated,
    /// One text; empty for none.
    Text,
}

impl Field {
    /// Every place that it uses.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::Flag { pointer, .. } | Self::Networks { pointer, .. } | Self::Lifetime { pointer, .. } => {
                (pointer, None)
            }
            Self::Groups { pointer, everyone, .. } => (pointer, everyone.as_ref()),
            Self::ClientAddress { pointer, header, .. } => (pointer, Some(header)),
        };
        std::iter::once(first).chain(second).map(String::as_str)
    }
}
