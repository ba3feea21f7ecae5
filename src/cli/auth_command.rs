//! What is said on the command line about reaching targets.

use clap::Args;

use crate::run::session::AuthCommand;

/// What is said about reaching targets.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct AuthCommandFlag {
    /// Allow running the program in `auth.command` of the config file
    #[arg(long)]
    allow_auth_command: bool,
}

impl AuthCommandFlag {
    /// Whether that program may be run.
    pub(super) fn said(self) -> AuthCommand {
        if self.allow_auth_command { AuthCommand::Allowed } else { AuthCommand::Forbidden }
    }
}
