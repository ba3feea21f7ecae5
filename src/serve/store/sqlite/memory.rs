//! Answers that are kept until something is committed that they could rest on, by whichever process: who sends a request
//! is found out again and again, and seldom changes.
//!
//! Whether anything at all was committed stands at the start of the index of the write-ahead log, by which SQLite itself
//! finds out. What it was is told by the audit: whatever has an effect on who may do what is committed with an entry there.
//! With the same last entry the answers of before hold, and what was committed is upkeep.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use sqlx::FromRow;

use super::{Store, place::LogPosition};
use crate::serve::store::{Grounds, OwnedToken, RestrictionRow, Sender, SettingsRow, StoreError};

/// How many answers of one kind are kept.
const MOST: usize = 10_000;

/// What was answered last.
#[derive(Default)]
pub(super) struct Memory {
    answers: RwLock<Arc<Answers>>,
    /// Held while it is asked what was committed, so that many who need that ask once.
    asking: tokio::sync::Mutex<()>,
}

/// Answers that hold in one state of the store.
#[derive(Default)]
pub(super) struct Answers {
    state: State,
    /// Up to where nothing was committed that they rest on; `None` when nobody can tell.
    until: Mutex<Option<LogPosition>>,
    /// By the hashes of their secrets; a wrong one is never kept.
    pub(super) tokens: Kept<[u8; 32], Arc<OwnedToken>>,
    /// The same by their numbers.
    numbered: Kept<i64, Arc<OwnedToken>>,
    /// By the numbers of tokens of the server behind.
    pub(super) restrictions: Kept<i64, Option<RestrictionRow>>,
}

/// What tells one state of the store from another.
#[derive(Default, PartialEq, Eq, FromRow)]
struct State {
    /// Number and moment of the last entry of the audit.
    entry: Option<i64>,
    at: Option<i64>,
    revision: Option<i64>,
    document: Option<String>,
}

/// Answers of one kind.
pub(super) struct Kept<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<V> {
        locked(&self.0).get(key).cloned()
    }

    /// Keeps an `answer` that was read after these answers were asked for.
    pub(super) fn keep(&self, key: K, answer: V) {
        let mut kept = locked(&self.0);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(key, answer);
    }
}

impl Answers {
    /// The settings, without the document when revision and document are those `known`; `None` when there are none.
    pub(super) fn settings(&self, known: Option<(i64, &str)>) -> Option<SettingsRow> {
        let (revision, document) = (self.state.revision?, self.state.document.as_deref()?);
        let is_known = known == Some((revision, document));
        Some(SettingsRow { revision, document: (!is_known).then(|| document.to_owned()) })
    }

    /// Keeps the token whose secret has this `hash`, as [`Kept::keep`] does.
    pub(super) fn keep_token(&self, hash: [u8; 32], token: &Arc<OwnedToken>) {
        self.tokens.keep(hash, Arc::clone(token));
        self.numbered.keep(token.token.id, Arc::clone(token));
    }

    /// Whether everything is as it was when the request was permitted on these `grounds`. No means that the store has to be
    /// asked: something was committed, or nobody remembers.
    pub(super) fn are_grounds(&self, grounds: &Grounds) -> bool {
        let is_as_before = match &grounds.sender {
            Sender::Operator => true,
            Sender::Token(known) => {
                let is_known = |there: Arc<OwnedToken>| Arc::ptr_eq(&there, known);
                let expires = known.token.expires;
                known.owner.is_some()
                    && self.numbered.get(&known.token.id).is_some_and(is_known)
                    && expires.is_none_or(|expires| grounds.clock.now() < expires)
            }
            Sender::Password(_) | Sender::Nobody => false,
        };
        is_as_before && grounds.owner.is_none() && self.state.revision == Some(grounds.settings)
    }

    fn hold_at(&self, mark: Option<LogPosition>) -> bool {
        mark.is_some() && *locked(&self.until) == mark
    }
}

impl fmt::Debug for Memory {
    /// Without hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Memory {
    fn last(&self) -> Arc<Answers> {
        Arc::clone(&self.answers.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// The answers of before, if they hold still.
    fn answers_as_before(&self) -> Option<Arc<Answers>> {
        Some(self.memory.last()).filter(|last| last.hold_at(self.place.mark()))
    }

    /// The answers that hold now.
    ///
    /// INVARIANT: what is read for a question is kept with the answers that were asked for before it was read. When
    /// something is committed in between, these hold for nobody any more.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub(super) async fn answers(&self) -> Result<Arc<Answers>, StoreError> {
        if let Some(answers) = self.answers_as_before() {
            return Ok(answers);
        }
        // Boxed: it is seldom asked, and every request would have the room for it.
        Box::pin(self.answers_anew()).await
    }

    async fn answers_anew(&self) -> Result<Arc<Answers>, StoreError> {
        let _asking = self.memory.asking.lock().await;
        if let Some(answers) = self.answers_as_before() {
            return Ok(answers);
        }
        // Before the question: what is committed meanwhile is asked for by the next one.
        let mark = self.place.mark();
        let last = self.memory.last();
        let known = &last.state;
        let state: State = sqlx::query_as(
            "SELECT a.id AS entry, a.at, s.revision, \
             CASE WHEN s.revision IS ?1 AND s.document IS ?2 THEN NULL ELSE s.document END AS document \
             FROM (SELECT 1) LEFT JOIN (SELECT id, at FROM audit ORDER BY id DESC LIMIT 1) a \
             LEFT JOIN settings s ON s.id = 1",
        )
        .bind(known.revision)
        .bind(&known.document)
        .fetch_one(&self.recognisers)
        .await?;
        let is_same_document = state.revision.is_some() && state.document.is_none();
        let document = if is_same_document { known.document.clone() } else { state.document };
        let state = State { document, ..state };
        if state == *known {
            *locked(&last.until) = mark;
            return Ok(last);
        }
        let answers = Arc::new(Answers { state, until: Mutex::new(mark), ..Answers::default() });
        *self.memory.answers.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&answers);
        Ok(answers)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
