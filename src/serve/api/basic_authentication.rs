//! Bitbucket's configuration of basic authentication, which is the setting `password_authentication` and a
//! little beside: the exceptions while passwords work for everybody, and whether a warning is shown.
//!
//! Paths and fields are those of Atlassian's documentation of basic authentication, which names 409 for
//! an update while another one runs.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{access_tokens::not_permitted, endpoint::Endpoint, json_body::Body, settings::write};
use crate::{
    access::Operation,
    model::{
        PasswordAuthentication, Settings, UserName,
        settings::{SettingsDocument, password::PasswordExceptions},
    },
    serve::{App, problem::Problem, session::Session},
};

/// Who may still send passwords over REST. `*` matches any text in both lists.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "an object")]
struct BasicAuthentication {
    /// Whether passwords are refused but for the exceptions.
    block_requests: bool,
    /// Paths on which passwords work nevertheless.
    #[serde(default)]
    allowed_paths: Vec<String>,
    /// Users whose passwords work nevertheless.
    #[serde(default)]
    allowed_users: Vec<String>,
    /// Kept and given back; this server shows no warning.
    #[serde(default = "yes")]
    show_warning_message: bool,
}

/// What the store keeps although the settings may not hold it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Beside {
    #[serde(default)]
    allowed_paths: Vec<String>,
    #[serde(default)]
    allowed_users: Vec<String>,
    #[serde(default = "yes")]
    show_warning_message: bool,
}

impl Default for Beside {
    fn default() -> Self {
        Self { allowed_paths: Vec::new(), allowed_users: Vec::new(), show_warning_message: true }
    }
}

fn yes() -> bool {
    true
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    ["/rest/basicauth/1.0/config", "/rest/basicauth/latest/config"]
        .into_iter()
        .flat_map(|path| {
            [
                Endpoint::get::<BasicAuthentication, _, _>(
                    path,
                    "Whether passwords still work; requires an administrator",
                    read,
                ),
                Endpoint::put::<(), _, _>(
                    path,
                    "Set whether passwords still work; requires an administrator",
                    replace,
                )
                .body::<BasicAuthentication>()
                .no_content()
                .statuses(&[
                    (400, "The body says what cannot be enforced"),
                    (409, "The settings have changed meanwhile"),
                ]),
            ]
        })
        .collect()
}

async fn read(session: Session, State(app): State<Arc<App>>) -> Result<Json<BasicAuthentication>, Problem> {
    session.permit(Operation::ReadSettings).map_err(not_permitted)?;
    let kept: Option<Beside> =
        app.store.basic_authentication().await?.as_deref().map(serde_json::from_str).transpose()?;
    let Beside { allowed_paths, allowed_users, show_warning_message } = kept.unwrap_or_default();
    Ok(Json(match &session.revision.settings.password_authentication {
        PasswordAuthentication::Allowed => {
            BasicAuthentication { block_requests: false, allowed_paths, allowed_users, show_warning_message }
        }
        PasswordAuthentication::Disabled(except) => BasicAuthentication {
            block_requests: true,
            allowed_paths: except.paths.iter().cloned().collect(),
            allowed_users: except.users.iter().map(ToString::to_string).collect(),
            show_warning_message,
        },
    }))
}

async fn replace(session: Session, State(app): State<Arc<App>>, body: Body) -> Result<StatusCode, Problem> {
    let permit = session.permit(Operation::WriteSettings).map_err(not_permitted)?;
    let asked: BasicAuthentication = body.json()?;
    let wanted = Settings { password_authentication: asked.setting(), ..session.revision.settings.clone() };
    let beside = serde_json::to_string(&asked.beside())?;
    // What a document cannot say is not enforced either.
    let settings = Settings::try_from(&SettingsDocument::from(&wanted))
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    let moved = || Problem::new(StatusCode::CONFLICT, "moved", "The settings have changed meanwhile.");
    write(&session, &app, &permit, &settings, Some(&beside), None).await?.ok_or_else(moved)?;
    Ok(StatusCode::NO_CONTENT)
}

impl BasicAuthentication {
    fn setting(&self) -> PasswordAuthentication {
        if !self.block_requests {
            return PasswordAuthentication::Allowed;
        }
        PasswordAuthentication::Disabled(PasswordExceptions {
            users: self.allowed_users.iter().map(|user| UserName::new(user.as_str())).collect(),
            paths: self.allowed_paths.iter().cloned().collect(),
        })
    }

    /// What is kept of it.
    fn beside(self) -> Beside {
        let Self { allowed_paths, allowed_users, show_warning_message, .. } = self;
        Beside { allowed_paths, allowed_users, show_warning_message }
    }
}
