//! In: users, projects and repositories. Out: the tokens of each, and whose tokens could not be seen. It
//! refuses to hold more than the tokens of a few owners at once, and to ask an owner twice.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::PoisonError,
};

use futures_util::{StreamExt, future, stream};

use crate::{
    inventory::{Coverage, Missing, Pace},
    model::{Owner, OwnerKind, Token, TokenId},
    target::http::HttpError,
};

use super::{
    Bitbucket,
    directory::PAGE,
    wire::{BadItem, BadSegment, PROJECTS, Project, REPOSITORIES, Repository, TokenItem},
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
    #[error(transparent)]
    Token(#[from] BadItem),
}

impl NotSeen {
    /// What is wrong with this owner alone.
    ///
    /// # Errors
    ///
    /// When the next owner would fare no better, since the server does not answer at all, or somebody else
    /// answers in its place.
    fn reason(self) -> Result<String, HttpError> {
        match self {
            Self::Answer(error) => error.of_one_resource().ok_or(error),
            Self::Path(error) => Ok(error.to_string()),
            Self::Token(error) => Ok(error.to_string()),
        }
    }
}

impl Bitbucket {
    /// Hands every token to `each`, and answers whose tokens could not be seen.
    pub(super) async fn walk(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, HttpError> {
        let (users, projects, repositories) =
            future::try_join3(self.user_owners(), self.projects(), self.repositories()).await?;
        // INVARIANT: every owner is asked once. One that is made meanwhile moves others to the next page of
        // their list, where they stand again.
        let owners: BTreeSet<Owner> = users.into_iter().chain(projects).chain(repositories).collect();
        self.learn_pace(owners.len()).await;
        Ok(self.walk_of(owners.into_iter(), each).await?.and(&self.hidden()))
    }

    /// The kinds of owners of which there may be more than the server lists: projects and repositories, for whoever
    /// is not known to administer it.
    fn hidden(&self) -> Coverage {
        let administers = *self.administers.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = [OwnerKind::Project, OwnerKind::Repository].into_iter();
        kinds.filter(|kind| administers == Some(false) && self.looks_at(*kind)).map(Missing::Hidden).collect()
    }

    /// Hands every token of `owners` to `each`, and answers whose could not be seen.
    pub(super) async fn walk_of(
        &self,
        owners: impl Iterator<Item = Owner> + Send,
        each: &mut (dyn FnMut(Token) + Send),
    ) -> Result<Coverage, HttpError> {
        let mut answers = stream::iter(owners.map(|owner| self.tokens_of(owner))).buffer_unordered(AT_ONCE);
        let mut unseen = Unseen::default();
        while let Some((owner, tokens)) = answers.next().await {
            match tokens {
                Ok(tokens) => tokens.into_iter().for_each(&mut *each),
                Err(error) => unseen.add(owner, error)?,
            }
        }
        Ok(unseen.coverage())
    }

    /// Finds out how far the server slows down a walk over so many `owners`.
    async fn learn_pace(&self, owners: usize) {
        let owners = u64::try_from(owners).unwrap_or(u64::MAX);
        let pace = self.read_rate_limit().await.map(|(limit, user)| Pace { owners, limit, user });
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace.filter(|pace| pace.seconds() > 0);
    }

    async fn tokens_of(&self, owner: Owner) -> (Owner, Result<Vec<Token>, NotSeen>) {
        let tokens = self.read_tokens_of(&owner).await;
        (owner, tokens)
    }

    /// The tokens of `owner`, each once: one that is made meanwhile moves the others to the next page.
    async fn read_tokens_of(&self, owner: &Owner) -> Result<Vec<Token>, NotSeen> {
        let items = self.client.pages::<TokenItem>(&self.slugs.tokens_path(owner)?, &[], PAGE).await?;
        let mut seen: HashSet<TokenId> = HashSet::with_capacity(items.len());
        let mut tokens = Vec::with_capacity(items.len());
        for item in items {
            let token = item.token(owner.clone(), self.options.marker.as_ref())?;
            if seen.insert(token.id.clone()) {
                tokens.push(token);
            }
        }
        Ok(tokens)
    }

    async fn user_owners(&self) -> Result<Vec<Owner>, HttpError> {
        if !self.looks_at(OwnerKind::User) {
            return Ok(Vec::new());
        }
        let users = match self.take_users() {
            Some(users) => users,
            None => self.read_users().await?,
        };
        Ok(users.into_iter().map(|user| Owner::User(user.name)).collect())
    }

    async fn projects(&self) -> Result<Vec<Owner>, HttpError> {
        if !self.looks_at(OwnerKind::Project) {
            return Ok(Vec::new());
        }
        let projects = self.client.pages::<Project>(PROJECTS, &[], PAGE).await?;
        let keys = projects.into_iter().map(|project| project.key);
        Ok(keys.filter(|key| self.looks_into(key)).map(Owner::Project).collect())
    }

    /// The repositories, the archived ones too: their tokens work on. Without the parameter the list has
    /// active ones alone (the specification of `GET /repos`: "This filter defaults to ACTIVE when not set.
    /// Available since 8.0"); older servers know no archive and ignore it.
    async fn repositories(&self) -> Result<Vec<Owner>, HttpError> {
        if !self.looks_at(OwnerKind::Repository) {
            return Ok(Vec::new());
        }
        let repositories =
            self.client.pages::<Repository>(REPOSITORIES, &[("archived", "ALL")], PAGE).await?;
        let wanted = repositories.into_iter().filter(|repository| self.looks_into(&repository.project.key));
        Ok(wanted
            .map(|repository| Owner::Repository { project: repository.project.key, slug: repository.slug })
            .collect())
    }
}

/// Whose tokens could not be seen, by kind of owner and by the reason.
#[derive(Default)]
struct Unseen(BTreeMap<(OwnerKind, String), (Owner, u64)>);

impl Unseen {
    /// Remembers that the tokens of `owner` could not be seen, unless that ends the reading.
    fn add(&mut self, owner: Owner, error: NotSeen) -> Result<(), HttpError> {
        let words = error.to_string();
        let reason = error.reason()?;
        tracing::info!(%owner, error = words, "the tokens of an owner could not be seen");
        let (such_as, owners) = self.0.entry((owner.kind(), reason)).or_insert_with(|| (owner.clone(), 0));
        *owners += 1;
        // The same one whatever the order in which the server answered.
        if owner < *such_as {
            *such_as = owner;
        }
        Ok(())
    }

    fn coverage(self) -> Coverage {
        let missing = |((of, reason), (such_as, owners))| Missing::Tokens { of, owners, such_as, reason };
        self.0.into_iter().map(missing).collect()
    }
}
