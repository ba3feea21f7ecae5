//! Credentials from where the config file says, kept only in memory. What was read is never shown, not even in errors, nor
//! what says where it is, in place of which somebody may have written the secret; no program runs that was not allowed.

use std::{path::Path, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use crate::{
    config::Auth,
    http::HttpCredential,
    model::{MarkKey, mark::ShortKey, variable::variable_words},
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
            Ok(HttpCredential::Basic { user: user.clone(), secret: variable("password_env", password_env)? })
        }
        Auth::Token { user: Some(user), token_env } => {
            Ok(HttpCredential::Basic { user: user.clone(), secret: variable("token_env", token_env)? })
        }
        Auth::Token { user: None, token_env } => {
            Ok(HttpCredential::Bearer(variable("token_env", token_env)?))
        }
        Auth::BearerVariable(name) => Ok(HttpCredential::Bearer(variable("bearer_env", name)?)),
        Auth::BearerFile(path) => {
            let text = read_text(&folder.join(path)).map_err(|source| NoCredential::File { source })?;
            Ok(HttpCredential::Bearer(one_line(&text, || "the file of `auth.bearer_file`".to_owned())?))
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
    let text = variable("mark_key_env", name)?;
    let of_key = |source| NoCredential::Key { variable: variable_words("mark_key_env", name), source };
    MarkKey::new(text.expose_secret()).map_err(of_key)
}

/// What the variable `name`, which stands under `key`, holds.
fn variable(key: &str, name: &str) -> Result<SecretString, NoCredential> {
    let words = || variable_words(key, name);
    let text = environment::variable(name).ok_or_else(|| NoCredential::Variable { variable: words() })?;
    one_line(&text, || format!("the environment variable {}", words()))
}

fn command(argv: &[String], folder: &Path, limit: Duration) -> Result<HttpCredential, NoCredential> {
    let [program, arguments @ ..] = argv else {
        return Err(NoCredential::Empty { place: "`auth.command`".to_owned() });
    };
    let output = child::output(program, arguments, folder, limit)
        .map_err(|source| NoCredential::Command { source })?;
    let place = || "the output of `auth.command`".to_owned();
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
    #[error("the environment variable {variable} is not set")]
    Variable { variable: String },
    #[error("the environment variable {variable} does not hold a key for marks (`mark_key_env`)")]
    Key {
        variable: String,
        #[source]
        source: ShortKey,
    },
    #[error("cannot read the file named in `auth.bearer_file`")]
    File {
        #[source]
        source: std::io::Error,
    },
    #[error("{place} must hold exactly one line of text")]
    Empty { place: String },
    #[error("{place} holds a credential that is too long")]
    TooLong { place: String },
    #[error("the program of `auth.command` did not give a credential")]
    Command {
        #[source]
        source: ChildError,
    },
    #[error("`auth.command` would run a program; allow it with --allow-auth-command")]
    NotAllowed,
}
