//! Credentials from where the config file says, kept only in memory. What was read is never shown, not even
//! in errors, and no program runs that was not allowed.

use std::{path::Path, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use crate::{
    config::Auth,
    http::HttpCredential,
    model::{MarkKey, mark::ShortKey},
    run::reading::read_text,
    world::environment,
};

use super::{
    child::{self, ChildError},
    redact,
};

/// The credential that `auth` leads to. Files are looked for below `folder`; a program is run only
/// when `may_run` says so, for as long as that.
///
/// # Errors
///
/// When it is not there, empty, or not allowed.
pub(crate) fn find(
    auth: &Auth,
    folder: &Path,
    may_run: Option<Duration>,
) -> Result<HttpCredential, NoCredential> {
    match auth {
        Auth::Password { user, password_env } => {
            Ok(HttpCredential::Basic { user: user.clone(), secret: variable(password_env)? })
        }
        Auth::Token { user: Some(user), token_env } => {
            Ok(HttpCredential::Basic { user: user.clone(), secret: variable(token_env)? })
        }
        Auth::Token { user: None, token_env } => Ok(HttpCredential::Bearer(variable(token_env)?)),
        Auth::BearerVariable(name) => Ok(HttpCredential::Bearer(variable(name)?)),
        Auth::BearerFile(path) => {
            let text = read_text(&folder.join(path))
                .map_err(|source| NoCredential::File { path: path.clone(), source })?;
            Ok(HttpCredential::Bearer(one_line(&text, || format!("the file `{path}`"))?))
        }
        Auth::Command(argv) => command(argv, folder, may_run.ok_or(NoCredential::NotAllowed)?),
    }
}

/// The key for marks, from the environment variable `name`.
///
/// # Errors
///
/// When it is not there or too short.
pub(crate) fn mark_key(name: &str) -> Result<MarkKey, NoCredential> {
    let text = variable(name)?;
    MarkKey::new(text.expose_secret()).map_err(|source| NoCredential::Key { name: name.to_owned(), source })
}

fn variable(name: &str) -> Result<SecretString, NoCredential> {
    let text = environment::variable(name).ok_or_else(|| NoCredential::Variable { name: name.to_owned() })?;
    one_line(&text, || format!("the environment variable `{name}`"))
}

fn command(argv: &[String], folder: &Path, limit: Duration) -> Result<HttpCredential, NoCredential> {
    let [program, arguments @ ..] = argv else {
        return Err(NoCredential::Empty { place: "`auth.command`".to_owned() });
    };
    let output = child::output(program, arguments, folder, limit)
        .map_err(|source| NoCredential::Command { program: program.clone(), source })?;
    let place = || format!("the output of `{program}`");
    let text = String::from_utf8(output).map_err(|_| NoCredential::Empty { place: place() })?;
    one_line(&text, place).map(HttpCredential::Bearer)
}

fn one_line(text: &str, place: impl Fn() -> String) -> Result<SecretString, NoCredential> {
    let line = text.trim();
    if line.is_empty() || line.contains(char::is_control) {
        return Err(NoCredential::Empty { place: place() });
    }
    redact::remember(line).map_err(|_| NoCredential::TooLong { place: place() })?;
    Ok(SecretString::from(line))
}

/// There is no credential where the config file says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCredential {
    #[error("the environment variable `{name}` is not set")]
    Variable { name: String },
    #[error("the environment variable `{name}`, which `mark_key_env` names, does not hold a key")]
    Key {
        name: String,
        #[source]
        source: ShortKey,
    },
    #[error("cannot read the file `{path}`")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{place} must hold exactly one line of text")]
    Empty { place: String },
    #[error("{place} holds a credential that is too long")]
    TooLong { place: String },
    #[error("`{program}` did not give a credential")]
    Command {
        program: String,
        #[source]
        source: ChildError,
    },
    #[error("`auth.command` would run a program; allow it with --allow-auth-command")]
    NotAllowed,
}
