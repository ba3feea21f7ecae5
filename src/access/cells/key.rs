//! What a decision asks of a request, and nothing else: requests with the same answers are decided on alike.
//!
//! Nothing here is a copy of the decision. Whatever it asks, it asks the functions that `decide` itself asks, in the
//! same order, so that what is settled on all sides is not told apart any further. Every `match` names every case and
//! every member: a new one does not compile until it is known what a decision makes of it.

use jiff::Timestamp;

use crate::{
    access::{
        Credentials, DenialReason, Held, Operation, Passed, PassedKind, Person, TokenOwner, TokenOwnership,
        looks_at_password,
        operation::{holds, may_use},
    },
    model::{Permission, Restriction, Scope, Settings, UserName},
};

use super::{ask::Ask, origins::OriginKey};

/// One answer for each of the settings: bit `n` is that of the settings `n`.
pub(super) type Bits = u8;

/// What a decision asks of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// It comes from where no settings let it in.
    Refused(Vec<Option<DenialReason>>),
    /// It is looked at.
    Seen {
        /// Where it comes from; `None` when that does not matter for its credentials.
        origin: Option<OriginKey>,
        /// Who sends it, and for what.
        sender: SenderKey,
    },
}

/// Who sends a request and for what, as far as a decision asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SenderKey {
    /// Nobody, for what is open to all.
    Open,
    /// Nobody, for anything else.
    Nobody,
    /// Somebody with wrong credentials.
    Invalid,
    /// Somebody with a password that no settings look at, or that is wrong.
    NoPassword,
    /// Somebody with a token that has ended, or whose owner is not active, which is told first.
    Ended(DenialReason),
    /// Somebody with a token that no settings let anybody use, as this owner has it.
    NoUse,
    /// Somebody with a token that does not reach far enough.
    TooShort {
        /// Which of the settings let it be used.
        usable: Bits,
        /// Whether only a restriction says so.
        restricted: bool,
    },
    /// Somebody with a token that is good.
    Token {
        /// Which of the settings let it be used.
        usable: Bits,
        /// What it is used for, and what matters of its owner there.
        want: Want,
        /// The owner: `None` for a project or repository.
        caller: Option<CallerKey>,
    },
    /// A person with a password.
    Password {
        /// Which of the settings look at it.
        counts: Bits,
        /// What it is used for.
        want: Want,
        /// The person.
        caller: CallerKey,
    },
    /// Somebody whose credentials the server behind a gateway verifies.
    Passed {
        /// Which of the settings let them through.
        counts: Bits,
        /// What they are used for.
        want: Want,
        /// Whose they are; `None` where that is not known.
        caller: Option<CallerKey>,
    },
    /// The process that runs the server.
    Operator(Want),
}

/// What matters of the person who sends a request, for what the request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerKey {
    /// Which permissions matter and are held: four bits for each of the settings.
    pub holds: u8,
    /// Whether that is an administrator; no where it does not matter.
    pub administrator: bool,
}

/// What a request wants, as far as a decision asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// To read what is open to all.
    ReadOpen,
    /// To go where no permission is needed.
    Enter,
    /// To use Git.
    Git(Scope),
    /// To learn who one is.
    WhoAmI,
    /// To read the directory.
    ReadDirectory,
    /// To list one's own tokens.
    ListOwn,
    /// To list all tokens.
    ListAll,
    /// To create a token for oneself.
    CreateOwn(Scope),
    /// To create a token for somebody else.
    CreateFor(OwnerKey, Scope),
    /// To narrow a token.
    Narrow(TargetKey),
    /// To give a token another scope.
    Rescope(TargetKey, OwnerKey, Scope),
    /// To revoke a token.
    Revoke(TargetKey),
    /// To revoke all tokens of a user.
    RevokeAllFor,
    /// To read the settings.
    ReadSettings,
    /// To change the settings.
    WriteSettings,
}

/// Whose token a request is about, seen from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKey {
    /// The caller's own.
    Own,
    /// That of an administrator.
    Administrators,
    /// That of somebody else.
    Others,
}

/// Who is to own a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerKey {
    /// Somebody whom the directory does not know.
    Unknown,
    /// A project or repository.
    Project,
    /// A person.
    Person {
        /// Which of the settings let the person have a read-write token; none where it does not matter.
        may_write: Bits,
        /// Whether that is an administrator; no where it does not matter.
        administrator: bool,
    },
}

/// What a decision asks of the person who sends a request, beside `permissions.use`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonAspects {
    /// Whether the person holds these; bits in the order of [`Permission::ALL`].
    pub permissions: u8,
    /// Whether the person is an administrator.
    pub administrator: bool,
}

impl Key {
    /// What a decision under each of `views` asks of `ask`; `sets` tell more of where it comes from.
    #[must_use]
    pub fn of(views: &[&Settings], ask: &Ask) -> Self {
        let sender = SenderKey::of(views, ask);
        if ask.credentials.pass_anywhere() {
            return Self::Seen { origin: None, sender };
        }
        let origin = OriginKey::of(views, &[], ask.peer, &ask.headers);
        if origin.refused.iter().all(Option::is_some) {
            Self::Refused(origin.refused)
        } else {
            Self::Seen { origin: Some(origin), sender }
        }
    }
}

impl SenderKey {
    /// What a decision under each of `views` asks of `ask`, wherever it comes from.
    #[must_use]
    pub fn of(views: &[&Settings], ask: &Ask) -> Self {
        let Ask { peer: _, headers: _, method, path, credentials, operation, at } = ask;
        let want = Want::of(views, operation);
        let counts = |user: &UserName| bits(views, |settings| looks_at_password(settings, user, path));
        match credentials {
            Credentials::None if *operation == Operation::ReadOpen => Self::Open,
            Credentials::None => Self::Nobody,
            Credentials::Invalid => Self::Invalid,
            Credentials::UnverifiedPassword { user: _ } => Self::NoPassword,
            Credentials::Password(person) => match counts(&person.name) {
                counts if counts == 0 || !person.active => Self::NoPassword,
                counts => Self::Password { counts, want, caller: CallerKey::of(views, operation, person) },
            },
            Credentials::Token(held) => {
                Self::with_token(views, held, operation, operation.needs(method), *at)
            }
            Credentials::Passed(Passed { kind, person }) => {
                let counts = match kind {
                    PassedKind::Password { user } => counts(user),
                    PassedKind::Bearer | PassedKind::Browser { anywhere: _ } => bits(views, |_| true),
                };
                match counts {
                    0 => Self::NoPassword,
                    counts => {
                        let caller = person.as_ref().map(|person| CallerKey::of(views, operation, person));
                        Self::Passed { counts, want, caller }
                    }
                }
            }
            Credentials::Operator => Self::Operator(want),
        }
    }

    fn with_token(
        views: &[&Settings],
        held: &Held,
        operation: &Operation,
        needs: Scope,
        at: Timestamp,
    ) -> Self {
        let Held { id: _, owner, scope, expires, restriction: Restriction { not_after, max_scope } } = held;
        let has_ended = |end: &Option<Timestamp>| end.is_some_and(|end| end <= at);
        let person = owner.person();
        if has_ended(expires) {
            return Self::Ended(DenialReason::Expired);
        }
        if has_ended(not_after) {
            return Self::Ended(DenialReason::RestrictedExpiry);
        }
        if person.is_some_and(|owner| !owner.active) {
            return Self::Ended(DenialReason::OwnerInactive);
        }
        let usable = bits(views, |settings| may_use(settings, owner));
        if usable == 0 {
            return Self::NoUse;
        }
        let is_short = scope.effective() < needs;
        if is_short || max_scope.is_some_and(|most| most < needs) {
            return Self::TooShort { usable, restricted: !is_short };
        }
        let caller = person.map(|person| CallerKey::of(views, operation, person));
        Self::Token { usable, want: Want::of(views, operation), caller }
    }
}

impl CallerKey {
    fn of(views: &[&Settings], operation: &Operation, person: &Person) -> Self {
        let looks_at = PersonAspects::of(operation);
        let held = held(views, person) & looks_at.everywhere();
        Self { holds: held, administrator: looks_at.administrator && person.administrator }
    }
}

/// Which permissions `person` holds under `views`: four bits for each, in the order of [`Permission::ALL`].
#[must_use]
pub fn held(views: &[&Settings], person: &Person) -> u8 {
    let all = views.iter().flat_map(|settings| Permission::ALL.map(|permission| (settings, permission)));
    let bits = all.enumerate().filter(|(_, (settings, permission))| holds(settings, person, *permission));
    bits.map(|(index, _)| 1 << (index % 8)).sum()
}

impl PersonAspects {
    /// What a decision asks of the person who wants `operation`.
    #[must_use]
    pub fn of(operation: &Operation) -> Self {
        let permission = |permission: Permission| match permission {
            Permission::Use => 1,
            Permission::Create => 2,
            Permission::CreateReadWrite => 4,
            Permission::ManageOthers => 8,
        };
        let writing = |scope: &Scope| match scope {
            Scope::ReadOnly => 0,
            Scope::ReadWrite => permission(Permission::CreateReadWrite),
        };
        // For a token of a project it is whoever makes it.
        let accountable = |owner: &Option<TokenOwner>, scope| match owner {
            Some(TokenOwner::Project(_) | TokenOwner::Repository { .. }) => writing(scope),
            Some(TokenOwner::User(_)) | None => 0,
        };
        let manages = |target: &TokenOwnership| match target {
            TokenOwnership::Own => 0,
            TokenOwnership::Others { .. } => permission(Permission::ManageOthers),
        };
        let (permissions, administrator) = match operation {
            Operation::ReadOpen
            | Operation::Enter
            | Operation::Git { needs: _ }
            | Operation::WhoAmI
            | Operation::ReadDirectory
            | Operation::ListOwn => (0, false),
            Operation::ListAll => (permission(Permission::ManageOthers), true),
            Operation::CreateOwn { scope } => (permission(Permission::Create) | writing(scope), false),
            Operation::CreateFor { owner, scope } => {
                (permission(Permission::ManageOthers) | accountable(owner, scope), true)
            }
            Operation::Narrow(target) | Operation::Revoke(target) => {
                (manages(target), *target != TokenOwnership::Own)
            }
            Operation::Rescope { target, owner, scope } => {
                (manages(target) | accountable(owner, scope), *target != TokenOwnership::Own)
            }
            Operation::RevokeAllFor | Operation::ReadSettings | Operation::WriteSettings => (0, true),
        };
        Self { permissions, administrator }
    }

    /// The bits of the permissions for two settings.
    #[must_use]
    pub fn everywhere(self) -> u8 {
        self.permissions | self.permissions << 4
    }
}

impl Want {
    /// What `operation` asks for.
    #[must_use]
    pub fn of(views: &[&Settings], operation: &Operation) -> Self {
        let target = |target: &TokenOwnership| match target {
            TokenOwnership::Own => TargetKey::Own,
            TokenOwnership::Others { owner_is_administrator: true } => TargetKey::Administrators,
            TokenOwnership::Others { owner_is_administrator: false } => TargetKey::Others,
        };
        match operation {
            Operation::ReadOpen => Self::ReadOpen,
            Operation::Enter => Self::Enter,
            Operation::Git { needs } => Self::Git(*needs),
            Operation::WhoAmI => Self::WhoAmI,
            Operation::ReadDirectory => Self::ReadDirectory,
            Operation::ListOwn => Self::ListOwn,
            Operation::ListAll => Self::ListAll,
            Operation::CreateOwn { scope } => Self::CreateOwn(*scope),
            Operation::CreateFor { owner, scope } => {
                Self::CreateFor(OwnerKey::of(views, owner.as_ref(), *scope, true), *scope)
            }
            Operation::Narrow(of) => Self::Narrow(target(of)),
            Operation::Rescope { target: of, owner, scope } => {
                Self::Rescope(target(of), OwnerKey::of(views, owner.as_ref(), *scope, false), *scope)
            }
            Operation::Revoke(of) => Self::Revoke(target(of)),
            Operation::RevokeAllFor => Self::RevokeAllFor,
            Operation::ReadSettings => Self::ReadSettings,
            Operation::WriteSettings => Self::WriteSettings,
        }
    }
}

impl OwnerKey {
    fn of(
        views: &[&Settings],
        owner: Option<&TokenOwner>,
        scope: Scope,
        whether_administrator: bool,
    ) -> Self {
        match owner {
            None => Self::Unknown,
            Some(TokenOwner::Project(_) | TokenOwner::Repository { .. }) => Self::Project,
            Some(TokenOwner::User(person)) => {
                let may_write = match scope {
                    Scope::ReadOnly => 0,
                    Scope::ReadWrite => {
                        bits(views, |settings| holds(settings, person, Permission::CreateReadWrite))
                    }
                };
                let administrator = whether_administrator && person.administrator;
                Self::Person { may_write, administrator }
            }
        }
    }
}

fn bits(views: &[&Settings], answer: impl Fn(&Settings) -> bool) -> Bits {
    let yes = views.iter().enumerate().filter(|(_, settings)| answer(settings));
    yes.map(|(index, _)| 1 << (index % 8)).sum()
}
