//! In: what a request wants and who sends it. Out: whether that one may do it. It refuses to know
//! how the sender got that far: address, credentials and scope are looked at before.

use super::{Caller, Person, Reason};
use crate::model::{Permission, Scope, Settings};

/// What a request wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// To read what is open to all, also without credentials.
    ReadOpen,
    /// To go where there is no permission beside being let in.
    Enter,
    /// To learn who one is.
    WhoAmI,
    /// To read users, groups and members.
    ReadDirectory,
    /// To list one's own tokens.
    ListOwn,
    /// To list the tokens of all users.
    ListAll,
    /// To create a token for oneself.
    CreateOwn {
        /// The scope it is to have.
        scope: Scope,
    },
    /// To create a token for somebody else.
    CreateFor {
        /// Whose it is to be; nothing when the directory knows no such user.
        owner: Option<Person>,
        /// The scope it is to have.
        scope: Scope,
    },
    /// To rename a token, lower its scope or bring its expiry nearer.
    Narrow(Target),
    /// To revoke a token.
    Revoke(Target),
    /// To revoke all tokens of a user.
    RevokeAllFor,
    /// To read the settings.
    ReadSettings,
    /// To change the settings.
    WriteSettings,
}

/// Whose token an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The caller's own.
    Own,
    /// Somebody else's, or one that does not exist.
    Others {
        /// Whether that is an administrator.
        owner_is_administrator: bool,
    },
}

/// Whether `caller` may do `operation`, as far as the operation's own permission goes.
///
/// # Errors
///
/// The reason why not.
pub(super) fn permit(settings: &Settings, caller: &Caller, operation: &Operation) -> Result<(), Reason> {
    permit_caller(settings, caller, operation)?;
    // Whoever makes a read-write token: its owner is to be one of those who may have one.
    match (operation, caller.person()) {
        (Operation::CreateOwn { scope }, Some(owner))
        | (Operation::CreateFor { owner: Some(owner), scope }, _) => require(
            *scope == Scope::ReadOnly || holds(settings, owner, Permission::CreateReadWrite),
            Reason::CreateReadWrite,
        ),
        _ => Ok(()),
    }
}

fn permit_caller(settings: &Settings, caller: &Caller, operation: &Operation) -> Result<(), Reason> {
    let person = match caller {
        Caller::Anybody => return require(*operation == Operation::ReadOpen, Reason::NoCredentials),
        Caller::Operator => return require(!needs_user(operation), Reason::NoUser),
        Caller::Password(person) => person,
        Caller::Token(held) => &held.owner,
    };
    let holds = |permission| holds(settings, person, permission);
    match operation {
        Operation::ReadOpen
        | Operation::Enter
        | Operation::WhoAmI
        | Operation::ReadDirectory
        | Operation::ListOwn
        | Operation::Narrow(Target::Own)
        | Operation::Revoke(Target::Own) => Ok(()),
        Operation::CreateOwn { .. } => require(holds(Permission::Create), Reason::Create),
        Operation::CreateFor { owner, .. } => {
            let owner_is_administrator = owner.as_ref().is_some_and(|owner| owner.administrator);
            require(holds(Permission::ManageOthers), Reason::ManageOthers)?;
            require(person.administrator || !owner_is_administrator, Reason::Administrator)
        }
        // The policy could not be enforced if it could take these from the administrators.
        Operation::ListAll => {
            require(person.administrator || holds(Permission::ManageOthers), Reason::ManageOthers)
        }
        Operation::Narrow(Target::Others { owner_is_administrator })
        | Operation::Revoke(Target::Others { owner_is_administrator }) => {
            require(person.administrator || holds(Permission::ManageOthers), Reason::ManageOthers)?;
            require(person.administrator || !owner_is_administrator, Reason::Administrator)
        }
        Operation::RevokeAllFor | Operation::ReadSettings | Operation::WriteSettings => {
            require(person.administrator, Reason::Administrator)
        }
    }
}

/// Whether `person` holds `permission`.
pub(super) fn holds(settings: &Settings, person: &Person, permission: Permission) -> bool {
    settings.permissions.of(permission).include(|group| person.groups.contains(group))
}

fn needs_user(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::ListOwn
            | Operation::CreateOwn { .. }
            | Operation::Narrow(Target::Own)
            | Operation::Revoke(Target::Own)
    )
}

pub(super) fn require(holds: bool, otherwise: Reason) -> Result<(), Reason> {
    if holds { Ok(()) } else { Err(otherwise) }
}
