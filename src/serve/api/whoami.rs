//! The current user, as the server sees it. It is told to nobody else.

use std::{net::IpAddr, sync::Arc};

use axum::{Json, extract::State};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    endpoint::Endpoint,
    token_json::{name_of, number_of},
};
use crate::{
    access::{Caller, Operation},
    model::Scope,
    serve::{App, problem::Problem, session::Session},
};

/// Who sends a request, as the server sees it.
#[derive(Serialize, JsonSchema)]
struct WhoAmI {
    /// Name of the user; `(project PLAT)` or `(repository PLAT/app)` for a token of one of these, `(operator)` for
    /// the process that runs the server for itself.
    user: String,
    /// The groups the user is in.
    groups: Vec<String>,
    /// Whether the user administers the server.
    administrator: bool,
    /// The group whose members administer the server.
    administrators: String,
    /// What the sender proved to be who it is with.
    credential: Credential,
    /// The token; nothing for a password.
    token_id: Option<i64>,
    /// How far the token reaches: `read-only`, or `read-write`, also when it was never set.
    scope: Option<Scope>,
    /// When the token expires; absent when it never does.
    #[schemars(with = "Option<String>")]
    expires: Option<Timestamp>,
    /// The address of the client, found as the settings say.
    #[schemars(with = "Option<String>")]
    client_address: Option<IpAddr>,
    /// The address of the other end of the connection: of the client, or of the proxy in front.
    #[schemars(with = "Option<String>")]
    peer: Option<IpAddr>,
}

/// What a sender proved to be who it is with.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Credential {
    /// A token.
    Token,
    /// A password.
    Password,
    /// The credential of the process that runs the server for itself, which is exempt from the rules on
    /// networks and passwords.
    Operator,
    /// None.
    None,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get::<WhoAmI, _, _>(
        "/rest/tokenwarden/1/whoami",
        "The current user, as the server sees it",
        whoami,
    )]
}

async fn whoami(State(app): State<Arc<App>>, session: Session) -> Result<Json<WhoAmI>, Problem> {
    let permit = session.permit(Operation::WhoAmI)?;
    let (caller, token) = (permit.caller(), permit.caller().token());
    let person = caller.person();
    Ok(Json(WhoAmI {
        user: name_of(caller).into(),
        groups: person.iter().flat_map(|person| &person.groups).map(ToString::to_string).collect(),
        administrator: *caller == Caller::Operator || person.is_some_and(|person| person.administrator),
        administrators: app.administrators.to_string(),
        credential: match caller {
            Caller::Token(_) => Credential::Token,
            Caller::Password(_) => Credential::Password,
            Caller::Operator => Credential::Operator,
            Caller::Anybody | Caller::Passed(_) => Credential::None,
        },
        token_id: token.and_then(number_of),
        scope: token.map(|held| held.scope.effective()),
        expires: token.and_then(|held| held.expires),
        client_address: permit.client(),
        peer: session.peer(),
    }))
}
