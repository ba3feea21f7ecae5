//! The current user, as the server sees it. It is told to nobody else.

use std::sync::Arc;

use axum::{Json, extract::State};

use super::{
    endpoint::Endpoint,
    token_json::{name_of, number_of},
};
use crate::{
    access::{Operation, Principal},
    protocol::{CredentialKind, WHOAMI, WhoAmI},
    serve::{App, problem::Problem, session::Session},
};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get::<WhoAmI, _, _>(WHOAMI, "The current user, as the server sees it", whoami)]
}

async fn whoami(State(app): State<Arc<App>>, session: Session) -> Result<Json<WhoAmI>, Problem> {
    let permit = session.permit(Operation::WhoAmI)?;
    let (caller, token) = (permit.principal(), permit.principal().token());
    let person = caller.person();
    Ok(Json(WhoAmI {
        user: name_of(caller).into(),
        groups: person.iter().flat_map(|person| person.groups.iter()).map(ToString::to_string).collect(),
        administrator: *caller == Principal::Operator || person.is_some_and(|person| person.administrator),
        administrators: app.administrators.to_string(),
        credential: match caller {
            Principal::Token(_) => CredentialKind::Token,
            Principal::Password(_) => CredentialKind::Password,
            Principal::Operator => CredentialKind::Operator,
            Principal::Anybody | Principal::Passed(_) => CredentialKind::None,
        },
        token_id: token.and_then(number_of),
        scope: token.map(|held| held.scope.effective()),
        expires: token.and_then(|held| held.expires),
        client_address: permit.client(),
        peer: session.peer(),
    }))
}
