//! One entry of `limits`: whose tokens it is for, and how far they may reach.

use std::{collections::BTreeSet, fmt};

use regex::{Regex, RegexBuilder};

use super::{Owner, OwnerKind, Period, Scope, password::wildcard, permission::Groups};

/// One entry of the limits on tokens: a selection of owners, and what their tokens may be.
/// The first entry that matches the owner counts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Limit {
    /// The owner is in one of these groups; users alone.
    pub groups: Option<Groups>,
    /// The owner is of one of these kinds; empty means users when there are groups or no
    /// projects, and projects and repositories when there are projects.
    pub owner_kinds: BTreeSet<OwnerKind>,
    /// The owner lies in a project whose key matches one of these patterns (`*` is any text,
    /// case does not count); empty means any.
    pub projects: BTreeSet<String>,
    /// The largest scope a token may have.
    pub max_scope: Option<Scope>,
    /// The longest time from creation to expiry.
    pub max_lifetime: Option<Period>,
    /// The longest time since the last use.
    pub max_idle: Option<Period>,
    /// The longest time since creation without any use.
    pub max_unused: Option<Period>,
    /// The most tokens one owner may have; at least one.
    pub max_per_owner: Option<u32>,
    /// What the description must match.
    pub description: Option<Pattern>,
}

/// A key of an entry that says what tokens may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// `max_scope`.
    MaxScope,
    /// `max_lifetime`.
    MaxLifetime,
    /// `max_idle`.
    MaxIdle,
    /// `max_unused`.
    MaxUnused,
    /// `max_per_owner`.
    MaxPerOwner,
    /// `description`.
    Description,
}

impl LimitKey {
    /// As it is written.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::MaxScope => "max_scope",
            Self::MaxLifetime => "max_lifetime",
            Self::MaxIdle => "max_idle",
            Self::MaxUnused => "max_unused",
            Self::MaxPerOwner => "max_per_owner",
            Self::Description => "description",
        }
    }
}

impl Limit {
    /// Whether it says something of `key`.
    #[must_use]
    pub fn sets(&self, key: LimitKey) -> bool {
        match key {
            LimitKey::MaxScope => self.max_scope.is_some(),
            LimitKey::MaxLifetime => self.max_lifetime.is_some(),
            LimitKey::MaxIdle => self.max_idle.is_some(),
            LimitKey::MaxUnused => self.max_unused.is_some(),
            LimitKey::MaxPerOwner => self.max_per_owner.is_some(),
            LimitKey::Description => self.description.is_some(),
        }
    }

    /// Whether it is for the same owners as `before`, and admits every token of theirs that `before` does.
    #[must_use]
    pub fn is_no_narrower_than(&self, before: &Self) -> bool {
        fn at_least<T: PartialOrd>(now: Option<T>, before: Option<T>) -> bool {
            match (now, before) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(now), Some(before)) => now >= before,
            }
        }
        // Every field by name: a new one must be compared too.
        let Self {
            groups,
            owner_kinds: _, // as `kinds`
            projects,
            max_scope,
            max_lifetime,
            max_idle,
            max_unused,
            max_per_owner,
            description,
        } = self;
        *groups == before.groups
            && self.kinds() == before.kinds()
            && *projects == before.projects
            && at_least(*max_scope, before.max_scope)
            && at_least(*max_lifetime, before.max_lifetime)
            && at_least(*max_idle, before.max_idle)
            && at_least(*max_unused, before.max_unused)
            && at_least(*max_per_owner, before.max_per_owner)
            && (description.is_none() || *description == before.description)
    }

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

/// A regular expression (syntax of the `regex` crate, linear time), equal to another when the
/// text is.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Compiled form of one pattern, at most, in bytes: thousands of characters that match one another,
/// and few enough that a document full of patterns is still read in no time.
const PATTERN_BYTES: usize = 1 << 18;

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    ///
    /// When it is not a regular expression, or one that would take more than 256 KiB.
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        RegexBuilder::new(text)
            .size_limit(PATTERN_BYTES)
            .build()
            .map(Self)
            .map_err(|error| BadPattern { text: text.to_owned(), cause: Box::new(error) })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether `text` matches somewhere.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a regular expression that can be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{text}` is not a valid regular expression")]
pub struct BadPattern {
    /// As written.
    pub text: String,
    /// What the regular expression engine says of it.
    #[source]
    pub cause: Box<regex::Error>,
}
