//! The configuration of basic authentication: whether passwords work, and the same with that changed.
//! Fields that are not known stay untouched.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{PasswordAuthentication, Settings, UserName, settings::password::PasswordExceptions};

/// The configuration as the server has it. Fields that are not known survive the round trip.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PasswordConfiguration {
    block_requests: bool,
    allowed_paths: Option<Vec<String>>,
    allowed_users: Option<Vec<String>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl PasswordConfiguration {
    pub(super) fn read(&self) -> PasswordAuthentication {
        if !self.block_requests {
            return PasswordAuthentication::Allowed;
        }
        let users = self.allowed_users.iter().flatten().map(|user| UserName::new(user.as_str())).collect();
        let paths = self.allowed_paths.iter().flatten().cloned().collect();
        PasswordAuthentication::Disabled(PasswordExceptions { users, paths })
    }

    /// The same with passwords as `wanted`. While they work for everybody, nothing is made of the
    /// exceptions, and they are kept.
    pub(super) fn with(self, wanted: &PasswordAuthentication) -> Self {
        match wanted {
            PasswordAuthentication::Allowed => Self { block_requests: false, ..self },
            PasswordAuthentication::Disabled(except) => Self {
                block_requests: true,
                allowed_users: Some(except.users.iter().map(|user| user.as_str().to_owned()).collect()),
                allowed_paths: Some(except.paths.iter().cloned().collect()),
                ..self
            },
        }
    }
}

/// The settings of a server that has no other one than `password_authentication`.
pub(super) fn settings(password_authentication: PasswordAuthentication) -> Settings {
    Settings { password_authentication, ..Settings::unrestricted() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn configuration(json: Value) -> PasswordConfiguration {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn exceptions_for_everything_are_not_disabled() {
        let open =
            configuration(json!({"block-requests": true, "allowed-paths": ["*"], "allowed-users": null}));
        assert_ne!(open.read(), PasswordAuthentication::disabled());
        assert!(open.read().accepts(&"anybody".into(), "/rest/api/latest/projects"));
    }

    #[test]
    fn fields_that_nobody_knows_survive() {
        let before = json!({"block-requests": false, "allowed-paths": [], "allowed-users": ["a"],
                            "show-warning-message": true, "new-in-11": {"x": 1}});
        let after = configuration(before.clone()).with(&PasswordAuthentication::disabled());
        let expected = json!({"block-requests": true, "allowed-paths": [], "allowed-users": [],
                              "show-warning-message": true, "new-in-11": {"x": 1}});
        assert_eq!(serde_json::to_value(&after).unwrap(), expected);
        let open = configuration(before.clone()).with(&PasswordAuthentication::Allowed);
        assert_eq!(serde_json::to_value(open).unwrap(), before);
    }
}
