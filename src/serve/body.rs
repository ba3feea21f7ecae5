//! Bodies of requests: read whole before their request is judged for good, and bounded in size, in time and in
//! what all of them take together.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
};
use futures_util::StreamExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::problem::Problem;

/// The largest body that is read, in bytes.
const BODY_AT_MOST: usize = 1 << 20;
/// What all bodies under way may take together, in bytes.
const BODIES_AT_MOST: usize = 32 << 20;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// The room for bodies.
#[derive(Debug)]
pub(super) struct Bodies(Arc<Semaphore>);

/// A body that has arrived, and the room that it takes until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BODIES_AT_MOST)))
    }
}

impl Bodies {
    /// Reads the `body` of a request with these `headers`.
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Arrived, Problem> {
        self.read_at_most(headers, body, BODY_AT_MOST).await
    }

    /// Reads the `body` of a request with these `headers`, which has `most` bytes at most.
    pub(super) async fn read_at_most(
        &self,
        headers: &HeaderMap,
        body: Body,
        most: usize,
    ) -> Result<Arrived, Problem> {
        let declared =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: u64| length > most as u64) {
            return Err(too_large(most));
        }
        let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body", "The body did not arrive in time.");
        timeout(BODY_WITHIN, self.collect(body, most)).await.map_err(late)?
    }

    async fn collect(&self, body: Body, most: usize) -> Result<Arrived, Problem> {
        let mut chunks = body.into_data_stream();
        let mut bytes = Vec::new();
        let mut room: Option<OwnedSemaphorePermit> = None;
        while let Some(chunk) = chunks.next().await {
            let chunk =
                chunk.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "body", "The body broke off."))?;
            if bytes.len() + chunk.len() > most {
                return Err(too_large(most));
            }
            // Waiting for room would keep the room that others wait for.
            let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let more = Arc::clone(&self.0).try_acquire_many_owned(length).map_err(|_| Problem::busy())?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Arrived { bytes: bytes.into(), _room: room })
    }
}

fn too_large(most: usize) -> Problem {
    let message = format!("The body is larger than {} KiB.", most >> 10);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_bodies_together_take_no_more_than_there_is_room_for() {
        let bodies = Bodies::default();
        let headers = HeaderMap::new();
        let read = || bodies.read(&headers, Body::from(vec![0; BODY_AT_MOST]));
        let mut arrived = Vec::new();
        for _ in 0..BODIES_AT_MOST / BODY_AT_MOST {
            arrived.push(read().await.unwrap());
        }
        let refused = read().await.unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        arrived.pop();
        assert!(read().await.is_ok());
    }
}
