//! The delivery of a signed document to an address that only takes: a webhook. What it answers is not read.

use std::time::Duration;

use hmac::{Hmac, Mac};
use reqwest::{Client, Response, Url, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::model::{digest::hex, is_loopback};

use super::builder::client_of;

/// The header with the signature: `sha256=` and the HMAC-SHA256 of the body, in hexadecimal.
pub const SIGNATURE: &str = "Tokenwarden-Signature";

/// How long one try may take.
const TRY: Duration = Duration::from_secs(5);
/// How long to wait before each try but the first.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Why a document is not delivered. The address is not in it, which may be a secret itself.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// The address is none that can be delivered to.
    #[error("the address of a webhook must be an https URL, or http on this machine")]
    Address,
    /// The client cannot be set up.
    #[error("cannot set up the client of the webhook")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The receiver cannot be reached.
    #[error("the webhook cannot be reached, at try {tries}")]
    Unreachable {
        /// How often it was tried.
        tries: usize,
        /// The last failure.
        source: reqwest::Error,
    },
    /// The receiver does not take it.
    #[error("the webhook answered {status}, at try {tries}")]
    Refused {
        /// How often it was tried.
        tries: usize,
        /// The last status.
        status: u16,
    },
}

/// An address to deliver to, with the secret that the receiver knows too.
pub struct Delivery {
    client: Client,
    url: Url,
    secret: SecretString,
}

impl Delivery {
    /// To `url`, signed with `secret`.
    ///
    /// # Errors
    ///
    /// When the address cannot be used, or the certificates of the system cannot be read.
    pub fn new(url: &str, secret: SecretString) -> Result<Self, Undelivered> {
        let address = Url::parse(url).map_err(|_| Undelivered::Address)?;
        if address.scheme() != "https" && !(address.scheme() == "http" && is_loopback(url)) {
            return Err(Undelivered::Address);
        }
        let builder = client_of(address.as_str(), &[]).map_err(Undelivered::Setup)?;
        let client = builder.timeout(TRY).build().map_err(|error| Undelivered::Setup(error.into()))?;
        Ok(Self { client, url: address, secret })
    }

    /// Delivers `body`, which is JSON; again while that may help.
    ///
    /// # Errors
    ///
    /// When the receiver cannot be reached, or does not answer with a 2xx.
    pub async fn send(&self, body: &str) -> Result<(), Undelivered> {
        let mut waits = WAITS.into_iter();
        let mut tries = 1;
        loop {
            let answer = self.attempt(body).await;
            let may_help = answer
                .as_ref()
                .map_or(true, |answer| answer.status().is_server_error() || answer.status().as_u16() == 429);
            let failure = match answer {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => Undelivered::Refused { tries, status: answer.status().as_u16() },
                Err(source) => Undelivered::Unreachable { tries, source: source.without_url() },
            };
            let Some(wait) = waits.next().filter(|_| may_help) else { return Err(failure) };
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }

    async fn attempt(&self, body: &str) -> Result<Response, reqwest::Error> {
        let request = self.client.post(self.url.clone());
        let request = request.header(header::CONTENT_TYPE, "application/json");
        request.header(SIGNATURE, self.signature(body)).body(body.to_owned()).send().await
    }

    fn signature(&self, body: &str) -> String {
        // HMAC takes keys of every length: the error that its trait knows never comes.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes()) else {
            return String::new();
        };
        mac.update(body.as_bytes());
        format!("sha256={}", hex(&mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_reached_through_tls_or_on_this_machine_alone() {
        let of = |url: &str| Delivery::new(url, "a secret of sixteen".into()).map(|_| ());
        for taken in ["https://siem.example.com/hook?key=1", "http://127.0.0.1:9/hook", "http://localhost:9"]
        {
            assert!(of(taken).is_ok(), "{taken}");
        }
        for refused in ["http://siem.example.com/hook", "ftp://127.0.0.1/", "siem.example.com", ""] {
            assert!(matches!(of(refused), Err(Undelivered::Address)), "{refused}");
        }
    }

    #[test]
    fn a_signature_is_the_hmac_of_the_body() {
        let delivery = Delivery::new("http://127.0.0.1:9", "key".into()).unwrap();
        // Of the article on HMAC in Wikipedia.
        let fox = "The quick brown fox jumps over the lazy dog";
        let known = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
        assert_eq!(delivery.signature(fox), known);
    }
}
