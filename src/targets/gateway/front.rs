//! What a gateway keeps of the tokens of the server behind it: restrictions, confirmed uses, and the mirror. JSON and
//! paths, and how a restriction is set once.

use std::{collections::BTreeSet, error::Error};

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    apply::{Effect, WriteError},
    http::{HttpError, RefusalKind, RequestHeader},
    model::{LastUse, Restriction, TokenId, UserName},
    plan::Change,
    protocol::{
        MIRROR, MIRROR_TOKENS, MirrorItem, RESTRICTIONS, RestrictionItem, USES, UseItem, WHOAMI,
        WantedRestriction, WhoAmI,
    },
    targets::bitbucket::wire::MEMBERS,
};

use super::{
    Gateway, GatewayWriter,
    wire::Member,
    writer::{TRIES, failed},
};

const PAGE: &str = "1000";

type Cause = Box<dyn Error + Send + Sync>;

/// The path of what the gateway keeps below `path` of the token `id`. Identifiers are numbers.
fn of_token(path: &str, id: &TokenId) -> Result<String, Cause> {
    let text = id.as_str();
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(format!("the gateway knows tokens by numbers, and `{text}` is none").into());
    }
    Ok(format!("{path}/{text}"))
}

impl Gateway {
    /// What it says of the server behind it; `None` when it stands in front of no other.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(in crate::targets) async fn mirror(&self) -> Result<Option<MirrorItem>, HttpError> {
        match self.client.get::<MirrorItem>(MIRROR, &[]).await {
            Ok(read) => Ok(Some(read.body)),
            Err(error) if error.refusal() == Some(RefusalKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The members of its own directory who administer it.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(in crate::targets) async fn own_administrators(&self) -> Result<BTreeSet<UserName>, HttpError> {
        let group = self.client.get::<WhoAmI>(WHOAMI, &[]).await?.body.administrators;
        let members = self.client.pages::<Member>(MEMBERS, &[("context", group.as_str())], PAGE).await?;
        Ok(members.into_iter().map(|member| member.name).collect())
    }

    /// Hands every restriction to `each`.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(in crate::targets) async fn restrictions(
        &self,
        mut each: impl FnMut(&str, Restriction) + Send,
    ) -> Result<(), HttpError> {
        let items = self.client.pages::<RestrictionItem>(RESTRICTIONS, &[], PAGE).await?;
        for item in &items {
            each(&item.id, item.restriction());
        }
        Ok(())
    }

    /// Hands the last use of every token to `each` that the server behind confirmed.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(in crate::targets) async fn uses(
        &self,
        mut each: impl FnMut(&str, LastUse) + Send,
    ) -> Result<(), HttpError> {
        let items = self.client.pages::<UseItem>(USES, &[], PAGE).await?;
        for item in &items {
            each(&item.id, LastUse { at: item.at, from: item.from });
        }
        Ok(())
    }

    /// How the token `id` is restricted, with the entity tag; nothing when it is not.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(in crate::targets) async fn restriction(
        &self,
        id: &TokenId,
    ) -> Result<(Restriction, Option<String>), Cause> {
        match self.client.get::<RestrictionItem>(&of_token(RESTRICTIONS, id)?, &[]).await {
            Ok(read) => Ok((read.body.restriction(), read.etag)),
            Err(error) if error.refusal() == Some(RefusalKind::NotFound) => {
                Ok((Restriction::default(), None))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The last use of the token `id` that the server behind confirmed.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(in crate::targets) async fn last_use(&self, id: &TokenId) -> Result<Option<LastUse>, Cause> {
        #[derive(Deserialize)]
        struct One {
            values: Vec<UseItem>,
        }
        let number: u64 = id.as_str().parse()?;
        let start = number.to_string();
        let page = self.client.get::<One>(USES, &[("start", &start), ("limit", "1")]).await?.body;
        let item = page.values.into_iter().find(|item| item.id.parse() == Ok(number));
        Ok(item.map(|item| LastUse { at: item.at, from: item.from }))
    }
}

impl GatewayWriter {
    /// Restricts the token `id` as `tightened` makes it of how it is restricted, unless it is so already; begins again
    /// when somebody else was faster or the answer was lost.
    pub(in crate::targets) async fn restrict(
        &self,
        gateway: &Gateway,
        change: &Change,
        id: &TokenId,
        tightened: impl Fn(Restriction) -> Restriction + Send + Sync,
    ) -> Result<Effect, WriteError> {
        let path = of_token(RESTRICTIONS, id).map_err(failed)?;
        let mut lost = None;
        // The last time it only reads back.
        for tries in 0..=TRIES {
            let (before, etag) = gateway.restriction(id).await.map_err(|error| match lost {
                Some(_) => WriteError::Unknown(error),
                None => failed(error),
            })?;
            let wanted = tightened(before);
            if wanted == before {
                return Ok(if lost.is_some() { Effect::Made } else { Effect::AlreadySo });
            }
            if tries == TRIES {
                break;
            }
            let mut headers = self.headers(change)?;
            headers.push(match etag {
                Some(etag) => ("If-Match", etag),
                None => ("If-None-Match", "*".to_owned()),
            });
            let body = WantedRestriction { not_after: wanted.not_after, max_scope: wanted.max_scope };
            match self.client().send(Method::PUT, &path, &headers, Some(&body)).await {
                Ok(()) => return Ok(Effect::Made),
                Err(error) if error.status() == Some(StatusCode::PRECONDITION_FAILED) => {}
                Err(error) if error.is_lost_answer() => lost = Some(error),
                Err(error) => return Err(self.refused(error)),
            }
        }
        Err(lost.map_or(WriteError::Contended(TRIES), failed))
    }

    /// Tells the gateway that the token `id` was revoked at the server behind it by `change`, which it keeps.
    pub(in crate::targets) async fn forget(&self, change: &Change, id: &TokenId) -> Result<(), WriteError> {
        let path = of_token(MIRROR_TOKENS, id).map_err(failed)?;
        let headers = self.headers(change)?;
        let mut tries = 1..TRIES;
        loop {
            match self.client().send(Method::DELETE, &path, &headers, None::<&Value>).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_lost_answer() && tries.next().is_some() => {}
                Err(error) => return Err(WriteError::Unknown(error.into())),
            }
        }
    }

    /// What goes with the write that makes `change`.
    ///
    /// # Errors
    ///
    /// When the lease was lost, so that nothing must be sent.
    pub(in crate::targets) fn headers(&self, change: &Change) -> Result<Vec<RequestHeader>, WriteError> {
        self.signature().map_or_else(|| Ok(Vec::new()), |signature| signature.headers(change))
    }
}
