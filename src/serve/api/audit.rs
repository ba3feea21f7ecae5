//! The audit over REST: the entries that a query selects, page by page, for administrators. There is no way to write
//! one.

use std::{fmt::Display, str::FromStr, sync::Arc};

use axum::extract::State;

use super::{
    endpoint::{Endpoint, Parameter},
    pages::{Answer, PAGING, Page, Paging},
    query::Parameters,
};
use crate::{
    access::Operation,
    model::audit::{AuditEntry, AuditFilter},
    protocol::{
        AUDIT,
        audit::{ACTION, OWNER, RUN, SINCE, TOKEN, UNTIL, WHO},
    },
    serve::{App, problem::Problem, session::Session},
};

const FILTER: &[Parameter] = &[
    Parameter::text(WHO, "Only what this user did; `(operator)` and `(host)` are not users"),
    Parameter::text(
        OWNER,
        "Only what was done to tokens of this owner: `mary`, `project PLAT` or `repository PLAT/app`",
    ),
    Parameter::number(TOKEN, "Only what was done to this token, with it, or along with its revocation", 0),
    Parameter::text(ACTION, "Only this action, such as `token-revoke`"),
    Parameter::moment(SINCE, "Only at this moment or later, in milliseconds since 1970-01-01T00:00:00Z"),
    Parameter::moment(UNTIL, "Only before this moment, in milliseconds since 1970-01-01T00:00:00Z"),
    Parameter::text(RUN, "Only what this run did"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "Who did what, in the order in which it was done; requires an administrator";
    vec![
        Endpoint::get::<Page<AuditEntry>, _, _>(AUDIT, summary, list)
            .query(&[FILTER, PAGING])
            .statuses(&[(400, "The query cannot be read; an unknown parameter is refused")]),
    ]
}

async fn list(
    session: Session,
    State(app): State<Arc<App>>,
    parameters: Parameters,
    paging: Paging,
) -> Answer<AuditEntry> {
    session.permit(Operation::ReadSettings)?;
    // A filter that is not understood would answer more than was asked for.
    let filter = AuditFilter {
        who: parameters.one(WHO)?.map(str::to_owned),
        owner: parsed(&parameters, OWNER)?,
        token: parameters.number(TOKEN, 0)?,
        action: parsed(&parameters, ACTION)?,
        since: parameters.moment(SINCE)?,
        until: parameters.moment(UNTIL)?,
        run: parsed(&parameters, RUN)?,
    };
    let entries = app.store.audit(&filter, paging.one_more()).await?;
    Ok(paging.page(entries, |entry| entry.id, |entry| entry))
}

fn parsed<T: FromStr<Err: Display>>(parameters: &Parameters, name: &str) -> Result<Option<T>, Problem> {
    let bad = |error| Problem::bad_request(format!("`{name}` cannot be read: {error}."));
    parameters.one(name)?.map(|text| text.parse().map_err(bad)).transpose()
}
