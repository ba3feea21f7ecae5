//! The files that every policy repository has: for trying it out, or for a server that is named.

use std::borrow::Cow;

use clap::ValueEnum;

use super::template::{Template, template};
use crate::yaml::scalar::is_word;

/// The kind of a server that a repository can be written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Our own gateway
    Gateway,
    /// Bitbucket Data Center with its own access tokens
    Bitbucket,
    /// The app "API Token Authentication"
    Resolution,
}

/// A server that is named.
pub(super) struct Named {
    pub(super) kind: Kind,
    /// Its base.
    pub(super) url: String,
    /// The user that runs are.
    pub(super) user: String,
}

/// The repository whose one target is a server inside the program.
pub(super) fn trial() -> Vec<Template> {
    vec![
        template!("repository", ".gitignore"),
        template!("repository", "tokenwarden.yaml"),
        template!("repository", "policy/base.yaml"),
        template!("repository", "tests/base.yaml"),
        template!("repository", "trial/directory.yaml"),
        template!("repository", "trial/tokens.yaml"),
    ]
}

impl Named {
    /// The repository whose one target is this server. Its policy reports, and changes nothing.
    pub(super) fn repository(&self) -> Vec<Template> {
        let (config, settings) = match self.kind {
            Kind::Gateway => {
                (include_str!("server/gateway.yaml"), include_str!("server/policy/settings.yaml"))
            }
            Kind::Bitbucket => {
                (include_str!("server/bitbucket.yaml"), include_str!("server/policy/bitbucket.yaml"))
            }
            Kind::Resolution => {
                (include_str!("server/resolution.yaml"), include_str!("server/policy/resolution.yaml"))
            }
        };
        let config =
            config.replace("\"@URL@\"", &quoted(&self.url)).replace("\"@USER@\"", &quoted(&self.user));
        let policy = include_str!("server/policy/base.yaml").replace("@SETTINGS@\n", settings);
        vec![
            template!("repository", ".gitignore"),
            Template { path: CONFIG, text: config.into() },
            Template { path: "policy/base.yaml", text: policy.into() },
            Template { path: "tests/base.yaml", text: Cow::Borrowed(include_str!("server/tests/base.yaml")) },
        ]
    }
}

/// The users of the server inside the program, with their passwords.
pub(super) const DIRECTORY: &str = "trial/directory.yaml";

/// The config file.
pub(super) const CONFIG: &str = "tokenwarden.yaml";

/// `text` as YAML, with quotation marks where it needs them.
fn quoted(text: &str) -> String {
    // A JSON string is a YAML string.
    if is_word(text) { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
