//! The files of the CI systems. They give the program the environment variables that the config file names.

use std::collections::BTreeSet;

use clap::ValueEnum;

use super::template::{Template, template};
use crate::config::{Auth, Config};

/// A CI system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CiSystem {
    /// Jenkins, for a repository on Bitbucket Data Center
    Jenkins,
    /// Bamboo, for a repository on Bitbucket Data Center
    Bamboo,
    /// GitHub Actions
    Github,
    /// GitLab CI/CD
    Gitlab,
}

/// The variable that stands for every one in the files beside this one.
const ANY: &str = "TOKENWARDEN_TOKEN";

impl CiSystem {
    /// Its files, which hand over the `variables`.
    pub(super) fn templates(self, variables: &BTreeSet<String>) -> Vec<Template> {
        let files = match self {
            Self::Jenkins => vec![
                template!("jenkins", "ci/pull-request.Jenkinsfile"),
                template!("jenkins", "ci/comment.Jenkinsfile"),
                template!("jenkins", "ci/main.Jenkinsfile"),
            ],
            Self::Bamboo => vec![template!("bamboo", "bamboo-specs/bamboo.yaml")],
            Self::Github => vec![
                template!("github", ".github/workflows/tokenwarden-pull-request.yml"),
                template!("github", ".github/workflows/tokenwarden-main.yml"),
            ],
            Self::Gitlab => vec![template!("gitlab", ".gitlab-ci.yml")],
        };
        let filled = |Template { path, text }| Template { path, text: with(&text, variables).into() };
        files.into_iter().map(filled).collect()
    }
}

/// `text` with each line that names the variable once for each of `variables`; as it is when there are none, since a
/// server will be named.
fn with(text: &str, variables: &BTreeSet<String>) -> String {
    let line = |line: &str| -> String {
        if variables.is_empty() || !line.contains(ANY) {
            return line.to_owned();
        }
        let named = |variable: &String| {
            let lower = variable.to_lowercase();
            line.replace(ANY, variable)
                .replace("tokenwarden_token", &lower)
                .replace("tokenwarden-token", &lower.replace('_', "-"))
        };
        variables.iter().map(named).collect()
    };
    text.split_inclusive('\n').map(line).collect()
}

/// The environment variables that `config` names.
pub(super) fn variables(config: &Config) -> BTreeSet<String> {
    let of_auth = |auth: &Auth| match auth {
        Auth::Password { password_env: variable, .. }
        | Auth::Token { token_env: variable, .. }
        | Auth::BearerVariable(variable) => Some(variable.clone()),
        Auth::BearerFile(_) | Auth::Command(_) => None,
    };
    let servers = config.targets.iter().flat_map(|target| target.connection.servers());
    servers.filter_map(|server| of_auth(&server.auth)).chain(config.mark_key_env.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::with;

    #[test]
    fn each_variable_has_its_line_in_every_spelling() {
        let text = "env:\n  TOKENWARDEN_TOKEN: ${secrets.TOKENWARDEN_TOKEN}\n  # tokenwarden-token-read, \
                    bamboo_tokenwarden_token_secret as TOKENWARDEN_TOKEN\nrun: it\n";
        let variables = ["A_KEY", "PASSWORD"].map(str::to_owned).into();
        let wanted = "env:\n  A_KEY: ${secrets.A_KEY}\n  PASSWORD: ${secrets.PASSWORD}\n  # a-key-read, \
                      bamboo_a_key_secret as A_KEY\n  # password-read, bamboo_password_secret as PASSWORD\nrun: it\n";
        assert_eq!(with(text, &variables), wanted);
        assert_eq!(with(text, &[].into()), text);
    }
}
