//! What this server knows of the one behind it: the state of the mirror, and the uses of tokens that the server behind
//! confirmed. All of it requires an administrator.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};

use super::{
    endpoint::Endpoint,
    pages::{Answer, PAGING, Page, Paging},
    runs::{UNDER, UnderRun},
};
use crate::{
    access::Operation,
    model::TokenId,
    protocol::{MIRROR, MIRROR_TOKENS, MirrorItem, USES, UseItem},
    serve::{
        App,
        front::mirror::{Mirror, identifier, number},
        problem::Problem,
        session::Session,
        store::Use,
    },
};

/// What is said of a server that stands in front of no other.
pub(super) const NO_UPSTREAM: &str = "This server stands in front of no other";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let statuses = &[(404, NO_UPSTREAM)];
    vec![
        Endpoint::get::<MirrorItem, _, _>(
            MIRROR,
            "What is held of the server behind; requires an administrator",
            state,
        )
        .statuses(statuses),
        Endpoint::delete::<bool, _, _>(
            &format!("{MIRROR_TOKENS}/{{id}}"),
            "Forget a token of the server behind, which was revoked there; requires an administrator",
            forget,
        )
        .headers(UNDER)
        .statuses(&[
            (400, "The path names no token, or a header cannot be read"),
            (404, NO_UPSTREAM),
            (409, "The run does not hold the lease any more"),
        ]),
        Endpoint::get::<Page<UseItem>, _, _>(
            USES,
            "The last use of each token that the server behind confirmed; requires an administrator",
            uses,
        )
        .query(&[PAGING])
        .statuses(statuses),
    ]
}

/// The mirror of the server behind.
///
/// # Errors
///
/// When there is none.
pub(super) fn mirror(app: &App) -> Result<&Mirror, Problem> {
    app.mirror.as_ref().ok_or_else(|| Problem::not_found(format!("{NO_UPSTREAM}.")))
}

/// The number of the token of the server behind whose identifier is `text`.
pub(super) fn token_id(text: &str) -> Result<i64, Problem> {
    let number = number(&TokenId::new(text)).and_then(|number| i64::try_from(number).ok());
    number.ok_or_else(|| Problem::bad_request("The path names a token by its number, such as 075905477751."))
}

async fn state(session: Session, State(app): State<Arc<App>>) -> Result<Json<MirrorItem>, Problem> {
    session.permit(Operation::ReadSettings)?;
    let (mirror, now) = (mirror(&app)?, app.clock.passing());
    let status = mirror.status();
    Ok(Json(MirrorItem {
        upstream: mirror.source().bitbucket.shown().to_owned(),
        tokens: status.tokens,
        read_at: status.read_at,
        age_seconds: mirror.age(now).map(|age| age.as_secs()),
        complete: status.is_whole,
        current: !mirror.is_stale(now),
    }))
}

async fn forget(
    session: Session,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    under: UnderRun,
) -> Result<Json<bool>, Problem> {
    let right = session.right(&session.permit(Operation::WriteSettings)?);
    let mirror = mirror(&app)?;
    let (number, under) = (token_id(&id)?, under.permitted(&session, &app)?);
    // Whatever can be kept of it: it is not let in any more.
    let was_held = mirror.forget(&identifier(number.unsigned_abs()));
    app.store.upstream_revoked(&right, number, under.as_ref()).await?;
    Ok(Json(was_held))
}

async fn uses(session: Session, State(app): State<Arc<App>>, paging: Paging) -> Answer<UseItem> {
    session.permit(Operation::ReadSettings)?;
    let mirror = mirror(&app)?;
    // What was confirmed before the question is told.
    mirror.uses.flush_or_warn(&app.store).await;
    let uses = app.store.upstream_uses(paging.one_more()).await?;
    let item = |Use { token, last_use }: Use| {
        let id = identifier(token.unsigned_abs());
        let owner = mirror.owner_of(&id).map(|owner| owner.to_string());
        UseItem { owner, id: id.to_string(), at: last_use.at, from: last_use.from }
    };
    Ok(paging.page(uses, |used| used.token, item))
}
