//! Which tokens secrets are of, asked by the hashes of these: after a leak nobody has to send the secrets again.

use std::sync::Arc;

use axum::{Json, extract::State};

use super::{
    endpoint::{Endpoint, Parameter},
    query::Parameters,
};
use crate::{
    access::Operation,
    model::secret::SecretHash,
    protocol::{HASH, HASHES_AT_MOST, TOKENS_BY_HASH, TokenByHash, TokensByHash},
    serve::{App, problem::Problem, session::Session},
};

const HASHES: &[Parameter] =
    &[Parameter::text(HASH, "The SHA-256 of a secret, in hexadecimal; up to 50").required().repeated()];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "Which tokens the secrets with these hashes are of; requires an administrator";
    vec![
        Endpoint::get::<TokensByHash, _, _>(TOKENS_BY_HASH, summary, list)
            .query(&[HASHES])
            .statuses(&[(400, "The query cannot be read")]),
    ]
}

async fn list(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<TokensByHash>, Problem> {
    session.permit(Operation::ReadSettings)?;
    let bad =
        || Problem::bad_request(format!("`{HASH}` takes 1 to {HASHES_AT_MOST} times 64 hexadecimal digits."));
    let hashes: Option<Vec<_>> = parameters.all(HASH).map(SecretHash::from_hex).collect();
    let hashes = hashes.filter(|all| (1..=HASHES_AT_MOST).contains(&all.len())).ok_or_else(bad)?;
    let mut values = Vec::with_capacity(hashes.len());
    for hash in hashes {
        let found = app.store.token_by_hash(&hash).await?;
        values.push(TokenByHash { sha256: hash.hex(), id: found.map(|known| known.token.id) });
    }
    Ok(Json(TokensByHash { values }))
}
