//! In: users, projects and repositories. Out: the tokens of each, and whose tokens the server does not
//! show us. It refuses to hold more than the tokens of a few owners at once.

use std::{
    collections::{BTreeMap, HashSet},
    sync::PoisonError,
};

use futures_util::{StreamExt, future, stream};

use crate::{
    inventory::{Coverage, Missing, Pace},
    model::{Owner, OwnerKind, Token, TokenId},
    target::http::{HttpError, Refusal},
};

use super::{
    Bitbucket,
    directory::PAGE,
    reader::Cause,
    wire::{PROJECTS, Project, REPOSITORIES, Repository, TokenItem},
};

/// How many owners are asked for their tokens at once. The client lowers that for a busy server.
const AT_ONCE: usize = 8;

impl Bitbucket {
    /// Hands every token to `each`, and answers whose tokens could not be seen.
    pub(super) async fn walk(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, Cause> {
        let (users, projects, repositories) =
            future::try_join3(self.user_owners(), self.projects(), self.repositories()).await?;
        let owners: Vec<_> = users.into_iter().chain(projects).chain(repositories).collect();
        self.learn_pace(owners.len()).await;
        self.walk_of(owners.into_iter(), each).await
    }

    /// Hands every token of `owners` to `each`, and answers whose could not be seen.
    pub(super) async fn walk_of(
        &self,
        owners: impl Iterator<Item = Owner> + Send,
        each: &mut (dyn FnMut(Token) + Send),
    ) -> Result<Coverage, Cause> {
        let mut answers = stream::iter(owners.map(|owner| self.tokens_of(owner))).buffer_unordered(AT_ONCE);
        let mut unseen = Unseen::default();
        while let Some((owner, items)) = answers.next().await {
            match items {
                Ok(items) => {
                    // A token that is made meanwhile moves the others to the next page, where they stand again.
                    let mut seen: HashSet<TokenId> = HashSet::with_capacity(items.len());
                    for item in items {
                        let token = item.token(owner.clone(), self.options.marker.as_ref())?;
                        if seen.insert(token.id.clone()) {
                            each(token);
                        }
                    }
                }
                Err(cause) => unseen.add(owner, cause)?,
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

    async fn tokens_of(&self, owner: Owner) -> (Owner, Result<Vec<TokenItem>, Cause>) {
        let items = match self.slugs.tokens_path(&owner) {
            Ok(path) => self.client.pages::<TokenItem>(&path, &[], PAGE).await.map_err(Cause::from),
            Err(error) => Err(error.into()),
        };
        (owner, items)
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

    async fn repositories(&self) -> Result<Vec<Owner>, HttpError> {
        if !self.looks_at(OwnerKind::Repository) {
            return Ok(Vec::new());
        }
        let repositories = self.client.pages::<Repository>(REPOSITORIES, &[], PAGE).await?;
        let wanted = repositories.into_iter().filter(|repository| self.looks_into(&repository.project.key));
        Ok(wanted
            .map(|repository| Owner::Repository { project: repository.project.key, slug: repository.slug })
            .collect())
    }
}

/// Whose tokens the server does not show us, by kind of owner and by what it said.
#[derive(Default)]
struct Unseen(BTreeMap<(OwnerKind, String), (Owner, u64)>);

impl Unseen {
    /// Remembers that the tokens of `owner` could not be seen, when that is because the server refused.
    fn add(&mut self, owner: Owner, cause: Cause) -> Result<(), Cause> {
        let refused = cause.downcast_ref::<HttpError>().filter(|error| {
            matches!(
                error.refusal(),
                Some(
                    Refusal::NotAccepted | Refusal::NotPermitted | Refusal::NotFound | Refusal::NotSupported
                )
            )
        });
        let Some(reason) = refused.and_then(HttpError::refused_with) else { return Err(cause) };
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
