//! The option `--webhook`: drift, refusals and revocations as signed events, at the end of a run. An event that
//! is not delivered is a warning, and never holds a run up.

use std::time::Duration;

use clap::Args;

use crate::{
    http::{Delivery, Undelivered},
    report::event::Event,
    run::{Ending, Failure, redact, stop},
    world::environment,
};

use super::output;

/// The variable with the secret that signs events.
const SECRET: &str = "TOKENWARDEN_WEBHOOK_SECRET";
/// How long it must be at least, in bytes.
const SECRET_AT_LEAST: usize = 16;
/// How long a run waits at its end for all of its events to be delivered.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where events go.
#[derive(Debug, Args)]
pub(super) struct WebhookArgs {
    /// Also send drift, refusals and revocations to this address, signed with the secret in
    /// `TOKENWARDEN_WEBHOOK_SECRET`; the schema `event` describes them
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
}

/// Takes the events of a run, and delivers them when there is somewhere to.
pub(super) struct Webhook(Option<Delivery>);

impl WebhookArgs {
    /// What takes the events.
    ///
    /// # Errors
    ///
    /// When the address or the secret cannot be used.
    pub(super) fn open(&self) -> Result<Webhook, Failure> {
        let Some(url) = &self.webhook else { return Ok(Webhook(None)) };
        let usage = |message: String| Failure::new(Ending::Usage, message);
        let secret = environment::variable(SECRET).unwrap_or_default();
        let secret = secret.trim();
        if secret.len() < SECRET_AT_LEAST {
            let message =
                format!("--webhook needs a secret of at least {SECRET_AT_LEAST} bytes in `{SECRET}`");
            return Err(usage(message));
        }
        redact::remember(secret).map_err(|error| usage(format!("the secret in `{SECRET}`: {error}")))?;
        // Anyone who knows the address may be able to write there.
        redact::remember(url).map_err(|error| usage(format!("the address of the webhook: {error}")))?;
        let delivery = Delivery::new(url, secret.into()).map_err(|error| match error {
            Undelivered::Address => usage(error.to_string()),
            error => error.into(),
        })?;
        Ok(Webhook(Some(delivery)))
    }
}

impl Webhook {
    /// Delivers `events`, as far as there is time; a signal ends the waiting.
    pub(super) async fn tell(&self, events: &[Event]) {
        let Some(delivery) = &self.0 else { return };
        let deliver = async {
            for event in events {
                let sent = match serde_json::to_string(event) {
                    Ok(body) => delivery.send(&redact::redact(&body)).await.map_err(Failure::from),
                    Err(error) => Err(Failure::from(error)),
                };
                if let Err(failure) = sent {
                    let why = crate::apply::one_line(failure.error.as_ref());
                    output::note(&format!("warning: an event was not delivered: {why}"));
                }
            }
        };
        let in_time = stop::unless_requested(tokio::time::timeout(PATIENCE, Box::pin(deliver))).await;
        if !matches!(in_time, Ok(Ok(()))) {
            output::note("warning: not every event was delivered: there was no time left");
        }
    }
}
