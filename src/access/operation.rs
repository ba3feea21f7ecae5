//! Whether a sender may do what a request wants. Address, credentials and scope are looked at before.

use super::{DenialReason, Person, Principal, TokenOwner};
use crate::model::{Holders, Permission, Scope, Settings};

/// What a request wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// To read what is open to all, without credentials or with right ones.
    ReadOpen,
    /// To go where being let in is the only permission.
    Enter,
    /// To use Git on a repository, which takes a scope of its own, whatever the HTTP method is.
    Git {
        /// That scope.
        needs: Scope,
    },
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
    /// To create a token for somebody else, or for a project or repository.
    CreateFor {
        /// Whose it is to be; `None` when the directory knows no such user.
        owner: Option<TokenOwner>,
        /// The scope it is to have.
        scope: Scope,
    },
    /// To rename a token, lower its scope or bring its expiry nearer.
    Narrow(TokenOwnership),
    /// To give a token another scope, which can be a wider one.
    Rescope {
        /// Whose it is, seen from the principal.
        target: TokenOwnership,
        /// Whose it is; `None` when that is not known.
        owner: Option<TokenOwner>,
        /// The scope it is to have.
        scope: Scope,
    },
    /// To revoke a token.
    Revoke(TokenOwnership),
    /// To revoke all tokens of a user.
    RevokeAllFor,
    /// To read the settings.
    ReadSettings,
    /// To change the settings.
    WriteSettings,
}

impl Operation {
    /// How far a token must reach for it, when the HTTP method is `method`.
    #[must_use]
    pub fn needs(&self, method: &str) -> Scope {
        match self {
            Self::Git { needs } => *needs,
            _ => Scope::needed_for(method),
        }
    }
}

/// Whose token an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOwnership {
    /// The principal's own.
    Own,
    /// Somebody else's, or one that does not exist.
    Others {
        /// Whether that is an administrator.
        owner_is_administrator: bool,
    },
}

/// Whether `principal` may do `operation`, as far as the operation's own permission goes.
///
/// # Errors
///
/// The reason why not.
pub(super) fn permit(
    settings: &Settings,
    principal: &Principal,
    operation: &Operation,
) -> Result<(), DenialReason> {
    permit_principal(settings, principal, operation)?;
    // Anyone who makes a read-write token for a user: that user is to be one of those who may have one.
    // For a project, which is in no group, it is anyone who makes it.
    let (scope, accountable) = match operation {
        Operation::CreateOwn { scope } => (*scope, principal.person()),
        Operation::CreateFor { owner: Some(owner), scope }
        | Operation::Rescope { owner: Some(owner), scope, .. } => {
            (*scope, owner.person().or(principal.person()))
        }
        _ => return Ok(()),
    };
    let may_write = accountable.is_none_or(|person| holds(settings, person, Permission::CreateReadWrite));
    require(scope == Scope::ReadOnly || may_write, DenialReason::CreateReadWrite)
}

fn permit_principal(
    settings: &Settings,
    principal: &Principal,
    operation: &Operation,
) -> Result<(), DenialReason> {
    let person = match principal {
        Principal::Anybody => return require(*operation == Operation::ReadOpen, DenialReason::NoCredentials),
        Principal::Operator => return require(!needs_user(operation), DenialReason::NoUser),
        Principal::Passed(None) => return permit_unknown(operation),
        Principal::Password(person) | Principal::Passed(Some(person)) => person,
        Principal::Token(held) => match &held.owner {
            TokenOwner::User(person) => person,
            TokenOwner::Project(_) | TokenOwner::Repository { .. } => return permit_no_user(operation),
        },
    };
    let holds = |permission| holds(settings, person, permission);
    match operation {
        Operation::ReadOpen
        | Operation::Enter
        | Operation::Git { .. }
        | Operation::WhoAmI
        | Operation::ReadDirectory
        | Operation::ListOwn
        | Operation::Narrow(TokenOwnership::Own)
        | Operation::Rescope { target: TokenOwnership::Own, .. }
        | Operation::Revoke(TokenOwnership::Own) => Ok(()),
        Operation::CreateOwn { .. } => require(holds(Permission::Create), DenialReason::Create),
        Operation::CreateFor { owner, .. } => {
            let person_to_own = owner.as_ref().and_then(TokenOwner::person);
            let owner_is_administrator = person_to_own.is_some_and(|owner| owner.administrator);
            require(holds(Permission::ManageOthers), DenialReason::ManageOthers)?;
            require(person.administrator || !owner_is_administrator, DenialReason::Administrator)
        }
        // The policy could not be enforced if it could take these from the administrators.
        Operation::ListAll => {
            require(person.administrator || holds(Permission::ManageOthers), DenialReason::ManageOthers)
        }
        Operation::Narrow(TokenOwnership::Others { owner_is_administrator })
        | Operation::Rescope { target: TokenOwnership::Others { owner_is_administrator }, .. }
        | Operation::Revoke(TokenOwnership::Others { owner_is_administrator }) => {
            require(person.administrator || holds(Permission::ManageOthers), DenialReason::ManageOthers)?;
            require(person.administrator || !owner_is_administrator, DenialReason::Administrator)
        }
        Operation::RevokeAllFor | Operation::ReadSettings | Operation::WriteSettings => {
            require(person.administrator, DenialReason::Administrator)
        }
    }
}

/// Whether a token of a project or repository may do `operation`: what everybody may who is let in. It
/// manages nobody's tokens, not even those of its own project.
fn permit_no_user(operation: &Operation) -> Result<(), DenialReason> {
    match operation {
        Operation::ReadOpen
        | Operation::Enter
        | Operation::Git { .. }
        | Operation::WhoAmI
        | Operation::ReadDirectory => Ok(()),
        operation if needs_user(operation) => Err(DenialReason::NoUser),
        Operation::RevokeAllFor | Operation::ReadSettings | Operation::WriteSettings => {
            Err(DenialReason::Administrator)
        }
        _ => Err(DenialReason::ManageOthers),
    }
}

/// Whether somebody may do `operation` whom only the server behind a gateway knows: what takes no permission here.
fn permit_unknown(operation: &Operation) -> Result<(), DenialReason> {
    let takes_none = matches!(operation, Operation::ReadOpen | Operation::Enter | Operation::Git { .. });
    require(takes_none, DenialReason::UnknownSender)
}

/// Whether tokens of `owner` may be used. Projects and repositories are in no group, so that a list of groups
/// says nothing of them; nobody is nobody.
pub(super) fn may_use(settings: &Settings, owner: &TokenOwner) -> bool {
    match owner {
        TokenOwner::User(person) => holds(settings, person, Permission::Use),
        TokenOwner::Project(_) | TokenOwner::Repository { .. } => {
            *settings.permissions.of(Permission::Use) != Holders::Nobody
        }
    }
}

/// Whether `person` holds `permission`.
pub(super) fn holds(settings: &Settings, person: &Person, permission: Permission) -> bool {
    settings.permissions.of(permission).include_one_of(&person.groups)
}

fn needs_user(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::ListOwn
            | Operation::CreateOwn { .. }
            | Operation::Narrow(TokenOwnership::Own)
            | Operation::Rescope { target: TokenOwnership::Own, .. }
            | Operation::Revoke(TokenOwnership::Own)
    )
}

pub(super) fn require(holds: bool, otherwise: DenialReason) -> Result<(), DenialReason> {
    if holds { Ok(()) } else { Err(otherwise) }
}
