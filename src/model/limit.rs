//! One entry of `limits`: whose tokens it is for, and how far they may reach.
//!
//! One table has every key that says what tokens may be. The entry, its JSON, the reading of it and the comparison of
//! two entries are made from the table, and nobody else names all keys.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Owner, OwnerKind, Pattern, Period, Scope, Shift,
    lifetime::PERIOD_PATTERN,
    limit_value::{LimitReader, LimitText, LimitValue, is_no_narrower, shift},
    permission::Groups,
    wildcard,
};

macro_rules! limits {
    ($(
        $(#[doc = $meaning:literal])+
        $(#[schemars($($schema:tt)+)])?
        $field:ident $name:ident: $kind:ident $type:ty;
    )+) => {
        /// One entry of the limits on tokens: a selection of owners, and what their tokens may be.
        /// The first entry that matches the owner counts.
        #[derive(Clone, Debug, PartialEq, Eq, Default)]
        pub struct Limit {
            /// The owner is in one of these groups; only for users.
            pub groups: Option<Groups>,
            /// The owner is of one of these kinds; empty means users when there are groups or no
            /// projects, and projects and repositories when there are projects.
            pub owner_kinds: BTreeSet<OwnerKind>,
            /// The owner lies in a project whose key matches one of these patterns (`*` is any text,
            /// case does not count); empty means any.
            pub projects: BTreeSet<String>,
            $($(#[doc = $meaning])+ pub $field: Option<$type>,)+
        }

        /// One entry of the limits, as JSON and in the policy.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct LimitDocument {
            /// The owner is in one of these groups; without groups the entry is for the rest.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1))]
            pub groups: Option<Vec<String>>,
            /// Kinds of owner: `user` (the default), `project`, `repository`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1))]
            pub owner_kind: Option<Vec<OwnerKind>>,
            /// Keys of projects; `*` matches any text.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1))]
            pub projects: Option<Vec<String>>,
            $(
                $(#[doc = $meaning])+
                #[serde(default, skip_serializing_if = "Option::is_none")]
                $(#[schemars($($schema)+)])?
                pub $field: Option<<$type as LimitValue>::Written>,
            )+
        }

        /// A key of an entry that says what tokens may be.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LimitKey {
            $(#[doc = concat!("`", stringify!($field), "`.")] $name,)+
        }

        impl LimitKey {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As it is written.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => stringify!($field),)+ }
            }

            /// Whether a length of time is at this key.
            #[must_use]
            pub const fn is_period(self) -> bool {
                match self { $(Self::$name => <$type as LimitValue>::IS_PERIOD,)+ }
            }
        }

        impl Limit {
            /// Whether it says something of `key`.
            #[must_use]
            pub const fn sets(&self, key: LimitKey) -> bool {
                match key { $(LimitKey::$name => self.$field.is_some(),)+ }
            }

            /// The same owners, and what `reader` finds for their tokens.
            #[must_use]
            pub fn with(self, reader: &mut impl LimitReader) -> Self {
                Self { $($field: reader.$kind(stringify!($field)),)+ ..self }
            }

            /// What it says of tokens, by key.
            pub fn texts(&self) -> impl Iterator<Item = (&'static str, LimitText)> {
                let texts = [$((stringify!($field), self.$field.as_ref().map(LimitValue::text))),+];
                texts.into_iter().filter_map(|(key, text)| Some((key, text?)))
            }

            /// What being under it lets through or stops of tokens that were under `before`, by key.
            #[must_use]
            pub fn shifts_from(&self, before: &Self) -> Vec<(LimitKey, Shift)> {
                vec![$((LimitKey::$name, shift(self.$field.as_ref(), before.$field.as_ref()))),+]
            }

            /// What it says of tokens at `key`.
            #[must_use]
            pub fn text(&self, key: LimitKey) -> Option<LimitText> {
                match key { $(LimitKey::$name => self.$field.as_ref().map(LimitValue::text),)+ }
            }

            /// Whether it is for the same owners as `before`, and admits every token of theirs that `before` does.
            #[must_use]
            pub fn is_no_narrower_than(&self, before: &Self) -> bool {
                // Every field by name: a new one must be compared too. The kinds are compared as `kinds` has them.
                let Self { groups, owner_kinds: _, projects, $($field),+ } = self;
                *groups == before.groups
                    && self.kinds() == before.kinds()
                    && *projects == before.projects
                    $(&& is_no_narrower($field.as_ref(), before.$field.as_ref()))+
            }
        }

        impl LimitDocument {
            /// What `limit` says of tokens, and nothing of whom it is for.
            pub(super) fn of_tokens(limit: &Limit) -> Self {
                Self { $($field: limit.$field.as_ref().map(LimitValue::written),)+ ..Self::default() }
            }

            /// The entry for the owners of `limit`, with what this says of tokens.
            ///
            /// # Errors
            ///
            /// The key with a value that cannot be enforced, and why.
            pub(super) fn with_owners_of(&self, limit: Limit) -> Result<Limit, (&'static str, String)> {
                Ok(Limit {
                    $($field: self.$field.as_ref().map(LimitValue::read).transpose()
                        .map_err(|problem| (stringify!($field), problem))?,)+
                    ..limit
                })
            }
        }
    };
}

limits! {
    /// The largest scope a token may have.
    max_scope MaxScope: scope Scope;
    /// The longest time from creation to expiry, such as `180d`.
    #[schemars(regex(pattern = PERIOD_PATTERN))]
    max_lifetime MaxLifetime: period Period;
    /// The longest time since the last use, such as `90d`.
    #[schemars(regex(pattern = PERIOD_PATTERN))]
    max_idle MaxIdle: period Period;
    /// The longest time since creation without any use, such as `30d`.
    #[schemars(regex(pattern = PERIOD_PATTERN))]
    max_unused MaxUnused: period Period;
    /// The most tokens one owner may have.
    #[schemars(range(min = 1))]
    max_per_owner MaxPerOwner: count u32;
    /// A regular expression that the description must match.
    description Description: pattern Pattern;
}

impl Limit {
    /// The kinds of owner it is for.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<OwnerKind> {
        if !self.owner_kinds.is_empty() {
            self.owner_kinds.clone()
        } else if self.groups.is_none() && !self.projects.is_empty() {
            BTreeSet::from([OwnerKind::Project, OwnerKind::Repository])
        } else {
            BTreeSet::from([OwnerKind::User])
        }
    }

    /// Whether it is for `owner` as far as kind and project tell; the groups are looked at apart,
    /// since whether somebody is in a group can be unknown.
    #[must_use]
    pub fn selects(&self, owner: &Owner) -> bool {
        self.kinds().contains(&owner.kind())
            && owner.project().is_none_or(|project| {
                let project = project.to_lowercase();
                self.projects.is_empty()
                    || self.projects.iter().any(|pattern| wildcard(&pattern.to_lowercase(), &project))
            })
    }
}
