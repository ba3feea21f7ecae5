//! The lease that keeps other runs away while this one lasts, and the ledger that the server keeps of runs.
//! Nothing more is written once the lease was lost.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    apply::{WriteError, one_line},
    http::{HttpClient, HttpError, RequestHeader},
    inventory::ReadError,
    model::run::{ChangeNote, RIGHT_ENDED, RecordedRun, RunHead, RunId},
    plan::{Change, Plan},
    protocol::{
        AskForLease, BeginRun, HEADER_CHANGE, HEADER_LEASE, HEADER_RUN, LEASE, LeaseItem, RUNS, RunEnd,
        RunList, end_path, lease_path,
    },
};

use super::Gateway;

/// How long a lease lasts without being prolonged: so long others wait for a run that was killed.
const LASTS: Duration = Duration::from_secs(15);
/// How often it is prolonged.
const PROLONGED_EVERY: Duration = Duration::from_secs(4);

/// The lease of a gateway. It is prolonged until it is given back or dropped.
pub struct HeldLease {
    client: Arc<HttpClient>,
    run: RunId,
    number: i64,
    lost: Arc<AtomicBool>,
    prolonging: JoinHandle<()>,
}

/// The lease was not had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another run has it.
    #[error("{holder}")]
    Held {
        /// What the server says of that run: who, since when and until when.
        holder: String,
    },
    /// What we may do changed while we asked for it.
    #[error("the right of this run to apply ended while it asked for the lease; run again")]
    RightEnded,
    /// The server failed, or does not give it to us.
    #[error("the server does not give the lease to this run")]
    Failed(#[source] HttpError),
}

/// Under what a run writes: its name, and the lease that keeps others away, unless something else does.
#[derive(Clone)]
pub struct Tenure {
    /// The run.
    pub run: RunId,
    lease: Option<(i64, Arc<AtomicBool>)>,
}

impl Tenure {
    /// That of `run`, under `lease`.
    #[must_use]
    pub fn new(run: RunId, lease: Option<&HeldLease>) -> Self {
        Self { run, lease: lease.map(|lease| (lease.number, Arc::clone(&lease.lost))) }
    }
}

impl Gateway {
    /// Takes the lease for `run`, which `holder` runs.
    ///
    /// # Errors
    ///
    /// When another run has it, or the server does not answer.
    pub async fn take_lease(&self, run: &RunId, holder: &str) -> Result<HeldLease, LeaseError> {
        let number = ask(&self.client, run, holder).await?;
        let lost = Arc::new(AtomicBool::new(false));
        let keeper = Keeper {
            client: Arc::clone(&self.client),
            run: run.clone(),
            holder: holder.to_owned(),
            number,
            lost: Arc::clone(&lost),
        };
        let prolonging = tokio::spawn(keeper.prolong());
        Ok(HeldLease { client: Arc::clone(&self.client), run: run.clone(), number, lost, prolonging })
    }

    /// Tells the server of a run that begins.
    ///
    /// # Errors
    ///
    /// When the server does not take it.
    pub async fn begin_run(&self, head: &RunHead) -> Result<(), HttpError> {
        self.client.send(Method::POST, RUNS, &[], Some(&BeginRun::from(head.clone()))).await
    }

    /// Tells the server that `run` ended in order. Returns what it did to tokens only because they came of others.
    ///
    /// # Errors
    ///
    /// When the server does not take it.
    pub async fn end_run(&self, run: &RunId) -> Result<Vec<ChangeNote>, HttpError> {
        let told: Value = self.client.read(Method::POST, &end_path(run), &[]).await?.body;
        // Older servers do not tell.
        Ok(RunEnd::deserialize(told).map(|end| end.along).unwrap_or_default())
    }

    /// Takes the lease back from `run`, which is known to be over although it did not give it back.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn end_lease(&self, run: &RunId) -> Result<(), HttpError> {
        self.client.send(Method::DELETE, &lease_path(run), &[], None::<&()>).await
    }

    /// The runs that the server knows to have done something at `since` or later, UTC, `limit` at most, the
    /// latest first.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn runs(&self, since: Timestamp, limit: Option<usize>) -> Result<Vec<RecordedRun>, ReadError> {
        let since = since.as_millisecond().max(0).to_string();
        let limit = limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(i64::MAX).to_string();
        let query = [("since", since.as_str()), ("limit", limit.as_str())];
        let answer = self.client.get::<RunList>(RUNS, &query).await.map_err(self.cannot_read("runs"))?;
        if let Some(store) = answer.body.store {
            // A server has one store: the first answer told it.
            let _ = self.store.set(store);
        }
        if let Some(most) = answer.body.changes_at_most {
            let _ = self.changes_at_most.set(most);
        }
        Ok(answer.body.runs)
    }
}

async fn ask(client: &HttpClient, run: &RunId, holder: &str) -> Result<i64, LeaseError> {
    let body = AskForLease { run: run.clone(), holder: holder.to_owned(), seconds: LASTS.as_secs().into() };
    match client.exchange::<LeaseItem>(Method::PUT, LEASE, &body).await {
        Ok(lease) => Ok(lease.number),
        Err(error) if is_right_ended(&error) => Err(LeaseError::RightEnded),
        Err(HttpError::Refused { status: StatusCode::CONFLICT, words, .. }) => {
            Err(LeaseError::Held { holder: words.text().to_owned() })
        }
        Err(error) => Err(LeaseError::Failed(error)),
    }
}

/// Whether the server says that the right of the sender ended while it was asked.
pub(super) fn is_right_ended(error: &HttpError) -> bool {
    matches!(error, HttpError::Refused { status: StatusCode::CONFLICT, words, .. } if words.text() == RIGHT_ENDED)
}

/// What prolongs a lease.
struct Keeper {
    client: Arc<HttpClient>,
    run: RunId,
    holder: String,
    number: i64,
    lost: Arc<AtomicBool>,
}

impl Keeper {
    /// Prolongs the lease until it is lost. A server that does not answer may still come back in time: it
    /// decides whether the number is still good.
    async fn prolong(self) {
        loop {
            sleep(PROLONGED_EVERY).await;
            match ask(&self.client, &self.run, &self.holder).await {
                Ok(number) if number == self.number => {}
                // Another run had it in between: what was planned under the old number is worth nothing.
                Ok(_) | Err(LeaseError::Held { .. }) => {
                    self.lost.store(true, Ordering::Release);
                    return;
                }
                // Anyone who may still do something is still asked next time.
                Err(error) => tracing::warn!(error = %one_line(&error), "the lease could not be prolonged"),
            }
        }
    }
}

impl HeldLease {
    /// Gives the lease back, so that others need not wait for it to run out.
    pub async fn give_back(self) {
        self.prolonging.abort();
        let path = lease_path(&self.run);
        if let Err(error) = self.client.send(Method::DELETE, &path, &[], None::<&()>).await {
            tracing::warn!(%error, "the lease could not be given back; it ends by itself");
        }
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.prolonging.abort();
    }
}

/// What goes with every write of a run: the server keeps it in the transaction that does the write.
pub(super) struct Signature {
    tenure: Tenure,
    /// What the ledger keeps of each change, as JSON.
    notes: HashMap<(String, String), ChangeNote>,
}

impl Signature {
    pub(super) fn new(tenure: Tenure, plan: &Plan) -> Self {
        let keyed = |note: ChangeNote| ((note.address.clone(), note.action.clone()), note);
        Self { tenure, notes: plan.notes().map(keyed).collect() }
    }

    /// The server says that the lease is lost: nothing more is sent.
    pub(super) fn lost(&self) -> WriteError {
        if let Some((_, lost)) = &self.tenure.lease {
            lost.store(true, Ordering::Release);
        }
        WriteError::LeaseLost
    }

    /// The headers of the write that makes `change`.
    ///
    /// # Errors
    ///
    /// When the lease was lost, so that it must not be sent.
    pub(super) fn headers(&self, change: &Change) -> Result<Vec<RequestHeader>, WriteError> {
        let mut headers = vec![(HEADER_RUN, self.tenure.run.to_string())];
        headers.extend(self.lease()?.map(|number| (HEADER_LEASE, number.to_string())));
        let note = self.note(change).map(serde_json::to_string).transpose();
        let note = note.map_err(|error| WriteError::Failed(error.into()))?;
        headers.extend(note.map(|note| (HEADER_CHANGE, note)));
        Ok(headers)
    }

    /// The run that writes.
    pub(super) fn run(&self) -> &RunId {
        &self.tenure.run
    }

    /// The number of its lease, if it has one.
    ///
    /// # Errors
    ///
    /// When it was lost, so that nothing must be sent.
    pub(super) fn lease(&self) -> Result<Option<i64>, WriteError> {
        match &self.tenure.lease {
            Some((_, lost)) if lost.load(Ordering::Acquire) => Err(WriteError::LeaseLost),
            lease => Ok(lease.as_ref().map(|(number, _)| *number)),
        }
    }

    /// What the ledger keeps of `change`.
    pub(super) fn note(&self, change: &Change) -> Option<&ChangeNote> {
        self.notes.get(&(change.object().address(), change.verb().to_string()))
    }
}
