//! Senders whom the gateway knows by itself, before a server that believes a header: whom its own directory and tokens
//! take them for, and what the server behind is told of them.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{
    Front, Proof,
    classify::{Ambiguous, Class, Kind, classify},
    gate::Asker,
    secret::{Presented, check_alone},
};
use crate::{
    access::{Credentials, DenialReason, Permit, RequestOrigin, admit},
    serve::{authentication, problem::Problem},
};

impl Front {
    /// What a request with `method` to `target` is.
    pub(super) fn classify(&self, method: &str, target: &str) -> Result<Class, Ambiguous> {
        let class = classify(method, target, &self.prefixes)?;
        Ok(match (&self.proof, &class.kind) {
            // Tokens are the gateway's own there.
            (Proof::Here(_), Kind::Tokens(_)) => Class { kind: Kind::Rest, ..class },
            _ => class,
        })
    }

    /// The header that tells the server behind who is permitted, and its value; `None` for one that finds that out by
    /// itself.
    ///
    /// # Errors
    ///
    /// When nobody can be told of.
    pub(super) fn identity(&self, permit: &Permit) -> Result<Option<(HeaderName, HeaderValue)>, Problem> {
        let Proof::Here(header) = &self.proof else { return Ok(None) };
        let person = permit.principal().person().ok_or(DenialReason::NoUser)?;
        let name = person.name.as_str();
        let is_plain =
            !name.is_empty() && name.trim() == name && name.bytes().all(|byte| (b' '..0x7f).contains(&byte));
        let value = HeaderValue::from_str(name).ok().filter(|_| is_plain);
        let message =
            "The server behind cannot be told of this user: the name has characters that a header has not.";
        let unnamed = || Problem::new(StatusCode::FORBIDDEN, "identity", message);
        Ok(Some((header.clone(), value.ok_or_else(unnamed)?)))
    }
}

impl Asker<'_> {
    /// What a request of this `class` with these `headers` from `origin` carries, as its prover reads that.
    pub(super) async fn presented(
        &self,
        headers: &HeaderMap,
        class: &Class,
        origin: &RequestOrigin,
    ) -> Result<Presented, Problem> {
        if let Proof::Upstream(_) = self.front.proof {
            return Ok(Presented::of(headers, class)?);
        }
        check_alone(headers, class)?;
        // INVARIANT: of a client that is not let in nothing is looked up.
        let Ok(client) = admit(self.settings, origin) else {
            return Ok(Presented::Recognised(Credentials::None));
        };
        let presented = authentication::PresentedCredential::of(headers);
        let recognised = self.app.authenticate(self.settings, presented, &class.path, client).await?;
        Ok(Presented::Recognised(recognised.credentials))
    }
}
