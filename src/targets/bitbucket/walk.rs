//! The walk over users, projects and repositories: the tokens of each, and whose tokens could not be seen.
//! It holds only the tokens of a few owners at once, and asks no owner twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use futures_util::{StreamExt, future, stream};

use crate::{
    http::{HttpError, PagedList},
    inventory::{Coverage, List, Missing, Pace},
    model::{Owner, OwnerKind, Token},
    targets::{
        atlassian::BadSegment,
        odd::{OddTokens, Versions},
    },
};

use super::{
    Bitbucket,
    directory::PAGE,
    wire::{PROJECTS, Project, REPOSITORIES, Repository, TokenItem},
};

/// How many owners are asked for their tokens at once. The client lowers that for a busy server.
const AT_ONCE: usize = 8;

/// Why the tokens of an owner could not be seen.
#[derive(Debug, thiserror::Error)]
enum NotSeen {
    #[error(transparent)]
    Answer(#[from] HttpError),
    #[error(transparent)]
    Path(#[from] BadSegment),
    #[error("{0}")]
    List(String),
}

impl NotSeen {
    /// What is wrong with only this owner.
    ///
    /// # Errors
    ///
    /// When the next owner would fare no better, since the server does not answer at all, or somebody else
    /// answers in its place.
    fn reason(self) -> Result<String, HttpError> {
        match self {
            Self::Answer(error) => error.of_one_resource().ok_or(error),
            Self::Path(error) => Ok(error.to_string()),
            Self::List(reason) => Ok(reason),
        }
    }
}

impl Bitbucket {
    /// Hands every token to `each`, and returns whose tokens could not be seen.
    pub(super) async fn walk(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, HttpError> {
        let (users, projects, repositories) =
            future::try_join3(self.user_owners(), self.projects(), self.repositories()).await?;
        let kinds = [(List::Users, users), (List::Owners(OwnerKind::Project), projects)];
        let kinds = kinds.into_iter().chain([(List::Owners(OwnerKind::Repository), repositories)]);
        // INVARIANT: every owner is asked once. One that is made meanwhile moves others to the next page of
        // their list, where they stand again.
        let (mut owners, mut lacking) = (BTreeSet::new(), Vec::new());
        for (of, listing) in kinds {
            lacking.extend(listing.doubt().map(|reason| Missing::List { of, reason }));
            owners.extend(listing.values);
        }
        self.learn_pace(owners.len()).await;
        let shared = if self.looks_at(OwnerKind::User) { self.slugs.shared() } else { Coverage::Complete };
        let lacking = lacking.into_iter().collect::<Coverage>().and(&shared).and(&self.hidden());
        Ok(self.walk_of(owners.into_iter(), each).await?.and(&lacking))
    }

    /// The kinds of owners of which there may be more than the server lists: projects and repositories, for
    /// anyone who is not known to administer it.
    fn hidden(&self) -> Coverage {
        let administers = *self.administers.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = [OwnerKind::Project, OwnerKind::Repository].into_iter();
        kinds.filter(|kind| administers == Some(false) && self.looks_at(*kind)).map(Missing::Hidden).collect()
    }

    /// Hands every token of `owners` to `each`, and returns whose could not be seen.
    pub(super) async fn walk_of(
        &self,
        owners: impl Iterator<Item = Owner> + Send,
        each: &mut (dyn FnMut(Token) + Send),
    ) -> Result<Coverage, HttpError> {
        let mut answers = stream::iter(owners.map(|owner| self.tokens_of(owner))).buffer_unordered(AT_ONCE);
        let (mut unseen, mut versions) = (Unseen::default(), Versions::default());
        while let Some((owner, tokens)) = answers.next().await {
            match tokens {
                Ok((tokens, odd)) => {
                    // One that is made meanwhile moves others to the next page, where they stand again.
                    tokens
                        .into_iter()
                        .filter(|token| versions.is_first(&token.id, token))
                        .for_each(&mut *each);
                    versions.note_odd(&odd);
                    unseen.odd.extend(odd);
                }
                Err(error) => unseen.add(owner, error)?,
            }
        }
        Ok(unseen.coverage().and(&versions.missing().into_iter().collect()))
    }

    /// Finds out how far the server slows down a walk over this many `owners`.
    async fn learn_pace(&self, owners: usize) {
        let owners = u64::try_from(owners).unwrap_or(u64::MAX);
        let pace = self.read_rate_limit().await.map(|(limit, user)| Pace { owners, limit, user });
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace.filter(|pace| pace.seconds() > 0);
    }

    async fn tokens_of(&self, owner: Owner) -> (Owner, Result<(Vec<Token>, OddTokens), NotSeen>) {
        let tokens = self.read_tokens_of(&owner).await;
        (owner, tokens)
    }

    /// The tokens of `owner` as they are listed, with those that cannot be looked at.
    async fn read_tokens_of(&self, owner: &Owner) -> Result<(Vec<Token>, OddTokens), NotSeen> {
        let listing = self.client.list::<TokenItem>(&self.slugs.tokens_path(owner)?, &[], PAGE).await?;
        if let Some(fault) = listing.fault() {
            return Err(NotSeen::List(fault));
        }
        let (mut tokens, mut odd) = (Vec::with_capacity(listing.values.len()), OddTokens::default());
        listing.odd.iter().for_each(|entry| odd.add_entry(entry, Some(owner)));
        for item in listing.values {
            let is_theirs = self.is_theirs(&item, owner);
            match item.token(owner.clone(), self.options.marker.as_ref()) {
                Ok(token) if is_theirs == Some(true) => tokens.push(token),
                Ok(token) if is_theirs.is_none() => odd.add("user", &token.id, None),
                Ok(_) => {}
                Err(bad) => odd.add(bad.field, &bad.id, Some(owner)),
            }
        }
        Ok((tokens, odd))
    }

    /// Whether `item`, which the server lists for `owner`, is a token of that one: of users with one slug it may
    /// be another's. `None` where it is not told.
    pub(super) fn is_theirs(&self, item: &TokenItem, owner: &Owner) -> Option<bool> {
        match (&item.user, owner.user()) {
            (told, Some(user)) if self.slugs.is_shared(user) => told.as_ref().map(|told| told.name == *user),
            (Some(told), Some(user)) if told.name != *user => None,
            _ => Some(true),
        }
    }

    async fn user_owners(&self) -> Result<PagedList<Owner>, HttpError> {
        if !self.looks_at(OwnerKind::User) {
            return Ok(PagedList::default());
        }
        let users = match self.take_users() {
            Some(users) => users,
            None => self.read_users().await?,
        };
        Ok(users.map(|user| Owner::User(user.name)))
    }

    async fn projects(&self) -> Result<PagedList<Owner>, HttpError> {
        if !self.looks_at(OwnerKind::Project) {
            return Ok(PagedList::default());
        }
        let mut projects = self.client.list::<Project>(PROJECTS, &[], PAGE).await?;
        projects.values.retain(|project| self.looks_into(&project.key));
        Ok(projects.map(|project| Owner::Project(project.key)))
    }

    /// The repositories, the archived ones too: their tokens work on. Without the parameter the list has
    /// active ones alone (the specification of `GET /repos`: "This filter defaults to ACTIVE when not set.
    /// Available since 8.0"); older servers know no archive and ignore it.
    async fn repositories(&self) -> Result<PagedList<Owner>, HttpError> {
        if !self.looks_at(OwnerKind::Repository) {
            return Ok(PagedList::default());
        }
        let mut repositories =
            self.client.list::<Repository>(REPOSITORIES, &[("archived", "ALL")], PAGE).await?;
        repositories.values.retain(|repository| self.looks_into(&repository.project.key));
        Ok(repositories.map(|Repository { slug, project }| Owner::Repository { project: project.key, slug }))
    }
}

/// What could not be seen.
#[derive(Default)]
struct Unseen {
    /// Whose tokens, by kind of owner and by the reason.
    owners: BTreeMap<(OwnerKind, String), (Owner, u64)>,
    odd: OddTokens,
}

impl Unseen {
    /// Remembers that the tokens of `owner` could not be seen, unless that ends the reading.
    fn add(&mut self, owner: Owner, error: NotSeen) -> Result<(), HttpError> {
        let words = error.to_string();
        let reason = error.reason()?;
        tracing::info!(%owner, error = words, "the tokens of an owner could not be seen");
        let (such_as, owners) =
            self.owners.entry((owner.kind(), reason)).or_insert_with(|| (owner.clone(), 0));
        *owners += 1;
        // The same one whatever the order in which the server answered.
        if owner < *such_as {
            *such_as = owner;
        }
        Ok(())
    }

    fn coverage(self) -> Coverage {
        let missing = |((of, reason), (such_as, owners))| Missing::Tokens { of, owners, such_as, reason };
        self.owners.into_iter().map(missing).chain(self.odd.missing()).collect()
    }
}
