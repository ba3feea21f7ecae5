//! One call: sent when its turn comes, wherever on the same server it is sent on, and again as long as that may help.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use reqwest::{Method, Response, Url, header};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    Called, HttpClient, HttpCredential, HttpError, RefusalKind, RequestHeader,
    answer::{CallAnswer, judge, location},
    redirect::{self, Trail},
    retry::Again,
};
use crate::world::system_time;

/// The log says why a wait is this long or longer.
const NOTABLE: Duration = Duration::from_secs(5);

/// A request of HTTP that may be sent more than once.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) headers: &'a [RequestHeader],
    pub(super) credential: &'a HttpCredential,
}

impl HttpClient {
    /// Makes a call when its turn comes, and again as long as that may help.
    pub(super) async fn call(
        &self,
        call: &Call<'_>,
        body: Option<&impl Serialize>,
    ) -> Result<CallAnswer, HttpError> {
        // Held while it waits: a busy server is not asked for other things meanwhile.
        let mut turn = self.concurrency.turn().await;
        let is_read = call.method == Method::GET;
        let (began, mut tries) = (Instant::now(), 1);
        loop {
            // An allocation is nothing beside a call, and keeps every future small that waits for one.
            let error = match Box::pin(self.attempt(call, body, tries)).await {
                Ok(answer) => {
                    turn.was_answered();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if error.refusal() == Some(RefusalKind::TooMany) {
                turn.was_too_many();
            }
            let wait = Again::after(&error, is_read)
                .and_then(|again| self.limits.retries.wait(again, tries, began.elapsed(), random()));
            let Some(wait) = wait else { return Err(error) };
            if wait >= NOTABLE {
                tracing::warn!(%error, seconds = wait.as_secs(), "waiting before the next try");
            } else {
                tracing::info!(%error, milliseconds = wait.as_millis(), "waiting before the next try");
            }
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }

    /// Makes a call once, wherever on the same server it is sent on.
    async fn attempt(
        &self,
        call: &Call<'_>,
        body: Option<&impl Serialize>,
        tries: u32,
    ) -> Result<CallAnswer, HttpError> {
        let name = format!("{} {}", call.method, self.url(call.path));
        let mut called = Called { name, tries, sent_on: None };
        let (mut trail, mut onward) = (Trail::default(), None);
        loop {
            let (response, read) = self.request(call, onward.as_ref(), body, &called).await?;
            let Some(location) = location(&response) else {
                return judge(&response, called, read, call.credential);
            };
            let (status, from) = (response.status(), response.url());
            match trail.onward(&call.method, status, from, location) {
                Ok(to) => {
                    called.sent_on = Some(redirect::shown(&to));
                    onward = Some(to);
                }
                Err(obstacle) => {
                    let redirect = redirect::stopped(from, location, call.path, &self.base, obstacle);
                    return Err(HttpError::Redirected { call: called, status, redirect: Box::new(redirect) });
                }
            }
        }
    }

    /// Sends one request, to where the call is sent on if it is; counts it and says so in the log.
    async fn request(
        &self,
        call: &Call<'_>,
        onward: Option<&Url>,
        body: Option<&impl Serialize>,
        called: &Called,
    ) -> Result<(Response, Vec<u8>), HttpError> {
        let began = Instant::now();
        let mut read = Vec::new();
        let response = self.transfer(call, onward, body, called, &mut read).await;
        let time = began.elapsed();
        self.counters.count(called.tries, time, read.len());
        tracing::info!(
            call = called.name,
            sent_on = called.sent_on,
            tries = called.tries,
            status = response.as_ref().ok().map(|response| response.status().as_u16()),
            bytes = read.len(),
            milliseconds = time.as_millis(),
            "called"
        );
        Ok((response?, read))
    }

    /// Sends the request and reads the body of the answer into `read`.
    async fn transfer(
        &self,
        call: &Call<'_>,
        onward: Option<&Url>,
        body: Option<&impl Serialize>,
        called: &Called,
        read: &mut Vec<u8>,
    ) -> Result<Response, HttpError> {
        let unreachable = |source: reqwest::Error| HttpError::Unreachable {
            call: called.clone(),
            source: source.without_url(),
        };
        let mut request = match onward {
            Some(url) => self.client.request(call.method.clone(), url.clone()),
            None => self.client.request(call.method.clone(), self.url(call.path)).query(call.query),
        };
        request = request
            .header(header::ACCEPT, "application/json")
            // Atlassian's products take a write without it for one that a page in a browser was tricked into.
            .header("X-Atlassian-Token", "no-check");
        request = match call.credential {
            HttpCredential::Basic { user, secret } => request.basic_auth(user, Some(secret.expose_secret())),
            HttpCredential::Bearer(secret) => request.bearer_auth(secret.expose_secret()),
        };
        for (name, value) in call.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let sent = system_time();
        let mut response = request.send().await.map_err(unreachable)?;
        self.clock.note(sent, &response);
        let shown =
            response.extensions().get::<reqwest::tls::TlsInfo>().and_then(|tls| tls.peer_certificate());
        if let Some(shown) = shown {
            *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown.to_vec());
        }
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if read.len() + chunk.len() > self.limits.answer {
                return Err(HttpError::TooLarge { call: called.clone(), bytes: self.limits.answer });
            }
            read.extend_from_slice(&chunk);
        }
        Ok(response)
    }
}

/// Any number, each as likely; the middle one when the system has none to give.
pub(super) fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX / 2)
}
