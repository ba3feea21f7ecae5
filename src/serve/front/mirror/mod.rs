//! The mirror: the gateway's copy of the users, groups and tokens of the server behind it, without secrets.
//!
//! It is filled through the reader that plans are made with, at the start and again and again. A token that it does
//! not know is asked for at once: whose credential it is, with the credential itself, and then that token, with ours.
//! When the server behind is away, what was read last counts for a while, and then nobody can tell.

mod gone;
mod memory;
mod questions;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{
    access::{Held, Memberships, Person, TokenOwner},
    inventory::{Administrators, Coverage, InventoryReader, ReadError},
    model::{GroupName, Owner, Restriction, Settings, Token, TokenId, UserName, Why},
    serve::{
        ServerClock,
        last_uses::LastUses,
        live_settings::LiveSettings,
        store::{Store, StoreError},
        throttle::network,
    },
    targets::bitbucket::Bitbucket,
};

use memory::{Known, Memory};
use questions::Questions;

pub use memory::{MirrorStatus, identifier, number};

/// How long a request waits for an answer about its token.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// A reading that a request asks for begins so long after the one before.
const SPACING: Duration = Duration::from_secs(30);
/// How long after a reading that failed the next one begins.
const RETRY: Duration = Duration::from_secs(10);

/// What becomes of a token that the mirror does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownTokens {
    /// The server behind is asked.
    #[default]
    Ask,
    /// It is no token until the next reading shows it.
    Refuse,
}

/// What a mirror is filled from, and how.
pub struct MirrorOptions {
    /// The server behind.
    pub bitbucket: Bitbucket,
    /// How long after a reading the next one begins.
    pub refresh: Duration,
    /// How long what was read counts.
    pub max_age: Duration,
    /// What becomes of a token that was not read.
    pub unknown_tokens: UnknownTokens,
}

/// A question about a token that a request carries.
#[derive(Clone, Copy)]
pub struct TokenQuestion<'a> {
    /// The token that its secret names.
    pub token: &'a TokenId,
    /// The value of `Authorization`, made from what was read of it.
    pub authorization: &'a str,
    /// The client.
    pub client: IpAddr,
}

/// Nobody can tell at the moment: the client is to try again.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// What was read is too old, and the server behind does not answer.
    #[error("the mirror is too old, and the server behind does not answer")]
    Stale(#[source] Option<ReadError>),
    /// There are too many questions.
    #[error("too many questions about unknown tokens")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The mirror.
pub struct Mirror {
    source: MirrorOptions,
    store: Store,
    max_age: SignedDuration,
    memory: Mutex<Memory>,
    questions: Questions,
    /// Held while people are read, so that many who need them read them once.
    reading_people: tokio::sync::Mutex<()>,
    /// A token is there that a reading would show.
    wanted: Notify,
    /// When the store was told last which tokens are gone, UTC.
    told_gone: Mutex<Option<Timestamp>>,
    pub(in crate::serve) uses: LastUses,
}

impl Mirror {
    /// A mirror that is filled from `source`, with the restrictions of `store`. It holds nothing at `now`.
    #[must_use]
    pub fn new(source: MirrorOptions, store: Store, now: Timestamp) -> Self {
        Self {
            max_age: SignedDuration::try_from(source.max_age).unwrap_or(SignedDuration::MAX),
            source,
            store,
            memory: Mutex::new(Memory::new(now)),
            questions: Questions::new(),
            reading_people: tokio::sync::Mutex::default(),
            wanted: Notify::new(),
            told_gone: Mutex::default(),
            uses: LastUses::of_upstream(),
        }
    }

    /// The token that a request carries, with its restriction and as far as `settings` need it, at `now`; `None` when
    /// there is no such token.
    ///
    /// # Errors
    ///
    /// When nobody can tell.
    pub async fn token(
        &self,
        settings: &Settings,
        asked: TokenQuestion<'_>,
        now: Timestamp,
    ) -> Result<Option<Held>, Unanswered> {
        let Some(number) = number(asked.token) else { return Ok(None) };
        let known = self.known(number, now);
        let known = match self.source.unknown_tokens {
            UnknownTokens::Ask if known.is_none() => self.ask(number, asked, now).await?,
            UnknownTokens::Refuse if known.is_none() && self.is_stale(now) => {
                return Err(Unanswered::Stale(None));
            }
            _ => known,
        };
        let Some(Known { id, owner, scope, expires }) = known else { return Ok(None) };
        let owner = match owner {
            Owner::User(name) => TokenOwner::User(self.owner(settings, name, now).await?),
            Owner::Project(key) => TokenOwner::Project(key),
            Owner::Repository { project, slug } => TokenOwner::Repository { project, slug },
        };
        let restriction = self.restriction(number).await?;
        Ok(Some(Held { id, owner, scope, expires, restriction }))
    }

    /// The user `name`, with those groups that `settings` name, at `now`; `None` when the server behind knows none.
    ///
    /// # Errors
    ///
    /// When nobody can tell.
    pub async fn person(
        &self,
        settings: &Settings,
        name: &UserName,
        now: Timestamp,
    ) -> Result<Option<Person>, Unanswered> {
        self.know_groups(settings, now).await?;
        if let Some(person) = self.memory().person(name, now, self.max_age) {
            return Ok(Some(person));
        }
        let Some(found) = answered(self.source.bitbucket.find_user(name)).await? else { return Ok(None) };
        let mut memory = self.memory();
        memory.keep_person(found, now);
        Ok(memory.person(name, now, self.max_age))
    }

    /// The user whom the server behind takes the sender of `authorization` for, who is at `client`; `None` when it
    /// lets nobody in with it.
    ///
    /// # Errors
    ///
    /// When nobody can tell.
    pub async fn sender(
        &self,
        settings: &Settings,
        authorization: &str,
        client: IpAddr,
        now: Timestamp,
    ) -> Result<Option<Person>, Unanswered> {
        let client = network(client);
        if self.questions.is_refused(authorization, now) {
            return Ok(None);
        }
        // There is no token 0: these wait for each other, and for nobody else.
        let _turn = self.questions.turn(0, client, now).await.ok_or(Unanswered::Busy)?;
        let Some(name) = answered(self.source.bitbucket.who_sends(authorization)).await? else {
            self.questions.was_refused(authorization, client, now);
            return Ok(None);
        };
        self.person(settings, &name, now).await
    }

    /// How many tokens `owner` has at `now` that have not ended, as the server behind tells at this moment.
    ///
    /// # Errors
    ///
    /// When nobody can tell.
    pub async fn count(&self, owner: &Owner, now: Timestamp) -> Result<u64, Unanswered> {
        let (mut tokens, owners) = (Vec::new(), BTreeSet::from([owner.clone()]));
        let mut each = |token: Token| tokens.push((number(&token.id), token.expires));
        let coverage = answered(self.source.bitbucket.tokens_of(&owners, &mut each)).await?;
        if coverage != Coverage::Complete {
            return Err(Unanswered::Stale(None));
        }
        let mut count = 0;
        for (number, expires) in tokens {
            let not_after = match number {
                Some(number) => self.restriction(number).await?.not_after,
                None => None,
            };
            count += u64::from([expires, not_after].into_iter().flatten().all(|end| now < end));
        }
        Ok(count)
    }

    /// Holds the token `id` no longer: it was revoked. Returns whether it was held.
    pub fn forget(&self, id: &TokenId) -> bool {
        number(id).is_some_and(|number| self.memory().forget(number))
    }

    /// How long before `now` the last reading that ended began; `None` before the first one.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        let read_at = self.status().read_at?;
        Some(Duration::try_from(now.duration_since(read_at)).unwrap_or_default())
    }

    /// Whether what it holds does not count any more at `now`, or it holds nothing yet.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.age(now).is_none_or(|age| age > self.source.max_age)
    }

    /// How much it holds.
    #[must_use]
    pub fn status(&self) -> MirrorStatus {
        self.memory().status()
    }

    /// Whose the token `id` is, as far as it is held.
    #[must_use]
    pub fn owner_of(&self, id: &TokenId) -> Option<Owner> {
        self.memory().owner(number(id)?).cloned()
    }

    /// What it is filled from.
    #[must_use]
    pub fn source(&self) -> &MirrorOptions {
        &self.source
    }

    /// Reads everything, with the members of `groups`; `clock` tells the time, UTC. What could not be seen stays as it
    /// was seen before.
    ///
    /// # Errors
    ///
    /// When the server behind does not answer.
    pub async fn refresh(
        &self,
        groups: &BTreeSet<GroupName>,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<(), ReadError> {
        let began = clock();
        self.read_people(groups, began).await?;
        self.memory().begin();
        let mut each = |token| self.memory().keep(&token, clock());
        let coverage = self.source.bitbucket.tokens(&mut each).await?;
        if let Coverage::Partial(missing) = &coverage {
            let such_as = missing.iter().next().map(tracing::field::display);
            tracing::warn!(
                parts = missing.len(),
                such_as,
                "the mirror does not see everything of the server behind"
            );
        }
        let is_whole = coverage == Coverage::Complete;
        self.memory().end(began, is_whole);
        if is_whole {
            self.tell_gone(began).await;
        }
        Ok(())
    }

    /// Reads everything again and again until it is dropped, with the members of the groups that the `settings` name.
    pub(in crate::serve) async fn keep_current(&self, settings: &LiveSettings, clock: &ServerClock) {
        let now = || clock.passing();
        loop {
            let groups = match settings.current(&self.store).await {
                Ok(revision) => revision.settings.groups().cloned().collect(),
                // Everything is refused meanwhile.
                Err(_) => BTreeSet::new(),
            };
            let pause = match self.refresh(&groups, &now).await {
                Ok(()) => self.source.refresh,
                Err(error) => {
                    tracing::warn!(error = %Why::of(&error), "the mirror could not be read again");
                    RETRY.min(self.source.refresh)
                }
            };
            let wanted = async {
                sleep(SPACING).await;
                self.wanted.notified().await;
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = wanted => {}
            }
        }
    }

    /// Where restrictions and uses are kept.
    pub(in crate::serve) fn store(&self) -> &Store {
        &self.store
    }

    fn known(&self, number: u64, now: Timestamp) -> Option<Known> {
        self.memory().token(number, now, self.max_age)
    }

    /// Asks the server behind for a token that is not known.
    async fn ask(
        &self,
        number: u64,
        asked: TokenQuestion<'_>,
        now: Timestamp,
    ) -> Result<Option<Known>, Unanswered> {
        let client = network(asked.client);
        if self.questions.is_refused(asked.authorization, now) {
            return Ok(None);
        }
        let _turn = self.questions.turn(number, client, now).await.ok_or(Unanswered::Busy)?;
        if let Some(known) = self.known(number, now) {
            return Ok(Some(known));
        }
        if self.questions.is_refused(asked.authorization, now) {
            return Ok(None);
        }
        let bitbucket = &self.source.bitbucket;
        let found = answered(async {
            let Some(name) = bitbucket.who_sends(asked.authorization).await? else {
                return Ok(Found::Refused);
            };
            let is_stranger = self.memory().person(&name, now, self.max_age).is_none();
            if is_stranger && let Some(found) = bitbucket.find_user(&name).await? {
                self.memory().keep_person(found, now);
            }
            let token = bitbucket.token_of(&Owner::User(name), &identifier(number)).await?;
            Ok(token.map_or(Found::Elsewhere, |token| Found::Token(Box::new(token))))
        });
        match found.await? {
            Found::Token(token) => {
                let mut memory = self.memory();
                memory.remember(&token, now);
                Ok(memory.token(number, now, self.max_age))
            }
            Found::Refused => {
                self.questions.was_refused(asked.authorization, client, now);
                Ok(None)
            }
            // That of a project or repository, or of somebody whose tokens we may not see: a reading shows it or not.
            Found::Elsewhere if self.memory().was_read_since(number, now) => Ok(None),
            Found::Elsewhere => {
                self.wanted.notify_one();
                Err(Unanswered::Stale(None))
            }
        }
    }

    /// The owner of a token, who is there even if the directory does not know that one.
    async fn owner(&self, settings: &Settings, name: UserName, now: Timestamp) -> Result<Person, Unanswered> {
        let person = self.person(settings, &name, now).await?;
        Ok(person.unwrap_or(Person {
            name,
            groups: Memberships::default(),
            active: true,
            administrator: false,
        }))
    }

    async fn restriction(&self, number: u64) -> Result<Restriction, Unanswered> {
        let Ok(number) = i64::try_from(number) else { return Ok(Restriction::default()) };
        Ok(self.store.restriction(number).await?.map(|row| row.restriction).unwrap_or_default())
    }

    /// Makes sure that the members of the groups are known that `settings` name.
    async fn know_groups(&self, settings: &Settings, now: Timestamp) -> Result<(), Unanswered> {
        let is_known = || self.memory().knows_groups(settings.groups(), now, self.max_age);
        if is_known() {
            return Ok(());
        }
        let _reading = self.reading_people.lock().await;
        if is_known() {
            return Ok(());
        }
        let groups = settings.groups().cloned().collect();
        answered(self.read_people_alone(&groups, now)).await
    }

    async fn read_people(&self, groups: &BTreeSet<GroupName>, now: Timestamp) -> Result<(), ReadError> {
        let _reading = self.reading_people.lock().await;
        self.read_people_alone(groups, now).await
    }

    async fn read_people_alone(&self, groups: &BTreeSet<GroupName>, now: Timestamp) -> Result<(), ReadError> {
        let overview = self.source.bitbucket.overview().await?;
        let administrators = match overview.server.administrators {
            Some(Administrators::Users(users)) => users.into_iter().collect(),
            Some(Administrators::Group(_)) | None => BTreeSet::new(),
        };
        let people = self.source.bitbucket.people(groups).await?;
        self.memory().keep_people(people, administrators, groups, now);
        Ok(())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `question` is answered with, unless that takes too long. It is boxed: few requests ask, and every one would have the
/// room for it.
fn answered<T>(
    question: impl Future<Output = Result<T, ReadError>> + Send,
) -> impl Future<Output = Result<T, Unanswered>> + Send {
    let question = Box::pin(question);
    async {
        match timeout(ASK_WITHIN, question).await {
            Ok(answered) => answered.map_err(|error| Unanswered::Stale(Some(error))),
            Err(_) => Err(Unanswered::Stale(None)),
        }
    }
}

/// What was found out about an unknown token.
enum Found {
    /// It is this one.
    Token(Box<Token>),
    /// The credential is refused.
    Refused,
    /// The credential is somebody's, who has no such token as a user.
    Elsewhere,
}
