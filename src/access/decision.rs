//! The decision on a request under given settings, in the one order in which a server asks. What each
//! operation needs is the subject of `operation`.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{
    Credentials, DenialReason, Operation, Passed, PassedKind, Principal, Request, RequestOrigin,
    operation::{self, require},
};
use crate::model::{PasswordAuthentication, Settings, UserName};

/// What is decided on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It passes.
    Permit(Permit),
    /// It does not.
    Denied(DenialReason),
}

/// The proof that a request was decided on and passes: what carries an operation out asks for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    // INVARIANT: private, so that `decide` alone can make a permit.
    principal: Principal,
    client: Option<IpAddr>,
}

impl Permit {
    /// Who is permitted.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The address of the client; `None` when it could not be found and does not matter.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }
}

/// The first stage of a decision: whether a client from `origin` is let in, and its address. The
/// credentials of a client that is not let in must not be looked at.
///
/// # Errors
///
/// [`DenialReason::ClientAddress`] or [`DenialReason::Network`].
pub fn admit(settings: &Settings, origin: &RequestOrigin) -> Result<IpAddr, DenialReason> {
    let client = origin.client(&settings.client_address).map_err(|_| DenialReason::ClientAddress)?;
    require(settings.networks.contains(client), DenialReason::Network)?;
    Ok(client)
}

/// The second stage: whether a password of `user` counts for a request to `path`. When not,
/// the credentials are [`Credentials::UnverifiedPassword`], right or wrong.
#[must_use]
pub fn looks_at_password(settings: &Settings, user: &UserName, path: &str) -> bool {
    settings.password_authentication.accepts(user, path)
}

/// The whole decision on `request`: client address, network, credentials, for a token its expiry, whether its
/// owner is active, the permission to use tokens and the scope, and the operation's own permission, in
/// this order. The password of a user who is not active counts as wrong. It always agrees with the
/// stages.
#[must_use]
pub fn decide(settings: &Settings, request: &Request<'_>) -> Decision {
    match permit(settings, request) {
        Ok(permit) => Decision::Permit(permit),
        Err(reason) => Decision::Denied(reason),
    }
}

fn permit(settings: &Settings, request: &Request<'_>) -> Result<Permit, DenialReason> {
    let client = match admit(settings, &request.origin) {
        Err(_) if request.credentials.pass_anywhere() => None,
        admitted => Some(admitted?),
    };
    let principal = match request.operation {
        // Credentials that come along are a question of their own, whether they are right: clients sign in there.
        Operation::ReadOpen if request.credentials == Credentials::None => Principal::Anybody,
        _ => identify(settings, request)?,
    };
    if let Principal::Token(held) = &principal {
        let has_ended = |end: Option<Timestamp>| end.is_some_and(|end| end <= request.at);
        require(!has_ended(held.expires), DenialReason::Expired)?;
        require(!has_ended(held.restriction.not_after), DenialReason::RestrictedExpiry)?;
        require(held.owner.person().is_none_or(|owner| owner.active), DenialReason::OwnerInactive)?;
        require(operation::may_use(settings, &held.owner), DenialReason::Use)?;
        let needs = request.operation.needs(request.method);
        require(held.scope.effective() >= needs, DenialReason::Scope)?;
        require(held.restriction.max_scope.is_none_or(|most| most >= needs), DenialReason::RestrictedScope)?;
    }
    operation::permit(settings, &principal, &request.operation)?;
    Ok(Permit { principal, client })
}

fn identify(settings: &Settings, request: &Request<'_>) -> Result<Principal, DenialReason> {
    let password_counts = |user| looks_at_password(settings, user, request.path);
    match &request.credentials {
        Credentials::None => Err(DenialReason::NoCredentials),
        Credentials::Invalid => Err(DenialReason::InvalidCredentials),
        Credentials::Password(person) if person.active && password_counts(&person.name) => {
            Ok(Principal::Password(person.clone()))
        }
        Credentials::UnverifiedPassword { .. } | Credentials::Password(_) => {
            // INVARIANT: a password is refused in one way, whosever it is: another one for the exceptions would tell
            // who or which paths they are.
            Err(match settings.password_authentication {
                PasswordAuthentication::Allowed => DenialReason::InvalidCredentials,
                PasswordAuthentication::Disabled(_) => DenialReason::PasswordDisabled,
            })
        }
        Credentials::Token(held) => Ok(Principal::Token(held.clone())),
        Credentials::Passed(Passed { kind: PassedKind::Password { user }, .. }) if !password_counts(user) => {
            Err(DenialReason::PasswordDisabled)
        }
        Credentials::Passed(passed) => Ok(Principal::Passed(passed.person.clone())),
        Credentials::Operator => Ok(Principal::Operator),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        access::{Held, Person, TokenOwner, TokenOwnership},
        model::{
            AllowedNetworks, GroupName, Holders, PasswordAuthentication, Restriction, Scope, TokenId,
            TokenScope, network::AddressRange, settings::password::PasswordExceptions,
        },
    };

    fn person(name: &str, groups: &[&str]) -> Person {
        Person {
            name: UserName::new(name),
            groups: groups.iter().map(|group| GroupName::new(*group)).collect(),
            active: true,
            administrator: groups.contains(&"administrators"),
        }
    }

    fn token(owner: Person, scope: Scope) -> Credentials {
        let scope = TokenScope::Set(scope);
        Credentials::Token(Held {
            id: TokenId::new("1"),
            owner: owner.into(),
            scope,
            expires: None,
            restriction: Restriction::default(),
        })
    }

    fn of_project(scope: Scope) -> Credentials {
        let owner = TokenOwner::Project("PLAT".to_owned());
        Credentials::Token(Held {
            id: TokenId::new("2"),
            owner,
            scope: TokenScope::Set(scope),
            expires: None,
            restriction: Restriction::default(),
        })
    }

    fn settings() -> Settings {
        Settings::initial(GroupName::new("administrators"))
    }

    fn groups(names: &[&str]) -> Holders {
        Holders::of(names.iter().map(|name| GroupName::new(*name)))
    }

    fn only(network: &str) -> AllowedNetworks {
        AllowedNetworks::only([network.parse::<AddressRange>().unwrap()].into_iter().collect()).unwrap()
    }

    /// The reason for which a request from 192.0.2.7 is denied; `None` when it passes.
    fn denied(
        settings: &Settings,
        credentials: &Credentials,
        method: &str,
        operation: Operation,
    ) -> Option<DenialReason> {
        let request = Request {
            origin: RequestOrigin::Client("192.0.2.7".parse().unwrap()),
            method,
            path: "/rest",
            credentials: credentials.clone(),
            operation,
            at: Timestamp::UNIX_EPOCH,
        };
        match decide(settings, &request) {
            Decision::Permit(_) => None,
            Decision::Denied(reason) => Some(reason),
        }
    }

    #[test]
    fn of_several_reasons_the_first_in_the_order_is_told() {
        // Everything is wrong at first; each step mends what the one before told.
        let mut settings = settings();
        settings.networks = only("10.0.0.0/8");
        settings.password_authentication = PasswordAuthentication::disabled();
        settings.permissions.use_tokens = groups(&["users"]);
        settings.permissions.create = Holders::Nobody;
        settings.permissions.create_read_write = Holders::Nobody;
        let create = Operation::CreateOwn { scope: Scope::ReadWrite };
        let mut mary = Person { active: false, ..person("mary", &["staff"]) };
        let why = |settings: &Settings, credentials: Credentials| {
            denied(settings, &credentials, "POST", create.clone()).map(DenialReason::code)
        };
        assert_eq!(why(&settings, Credentials::None), Some("network"));
        settings.networks = AllowedNetworks::Anywhere;
        assert_eq!(why(&settings, Credentials::None), Some("no-credentials"));
        assert_eq!(why(&settings, Credentials::Invalid), Some("invalid-credentials"));
        assert_eq!(why(&settings, Credentials::Password(mary.clone())), Some("password-disabled"));
        assert_eq!(why(&settings, token(mary.clone(), Scope::ReadOnly)), Some("owner-inactive"));
        mary.active = true;
        assert_eq!(why(&settings, token(mary.clone(), Scope::ReadOnly)), Some("use"));
        settings.permissions.use_tokens = groups(&["STAFF"]);
        assert_eq!(why(&settings, token(mary.clone(), Scope::ReadOnly)), Some("scope"));
        assert_eq!(why(&settings, token(mary.clone(), Scope::ReadWrite)), Some("create"));
        settings.permissions.create = Holders::Everyone;
        assert_eq!(why(&settings, token(mary.clone(), Scope::ReadWrite)), Some("create-read-write"));
        settings.permissions.create_read_write = groups(&["staff"]);
        assert_eq!(why(&settings, token(mary, Scope::ReadWrite)), None);
    }

    #[test]
    fn a_password_that_is_refused_does_not_tell_whether_it_would_count() {
        let mut settings = settings();
        let unverified = Credentials::UnverifiedPassword { user: UserName::new("mary") };
        let why = |settings: &Settings| denied(settings, &unverified, "GET", Operation::WhoAmI);
        assert_eq!(why(&settings), Some(DenialReason::InvalidCredentials));
        let users = BTreeSet::from([UserName::new("M*")]);
        let except = PasswordExceptions { users, ..PasswordExceptions::default() };
        settings.password_authentication = PasswordAuthentication::Disabled(except);
        assert_eq!(why(&settings), Some(DenialReason::PasswordDisabled));
        settings.password_authentication = PasswordAuthentication::disabled();
        assert_eq!(why(&settings), Some(DenialReason::PasswordDisabled));
    }

    #[test]
    fn the_password_of_somebody_inactive_counts_as_wrong() {
        let gone = Person { active: false, ..person("gone", &[]) };
        let why = |credentials| denied(&settings(), &credentials, "GET", Operation::WhoAmI);
        assert_eq!(why(Credentials::Password(gone.clone())), Some(DenialReason::InvalidCredentials));
        assert_eq!(why(token(gone, Scope::ReadOnly)), Some(DenialReason::OwnerInactive));
    }

    #[test]
    fn the_operator_passes_networks_and_administers_but_has_no_tokens() {
        let mut settings = settings();
        settings.networks = only("10.0.0.0/8");
        settings.permissions.manage_others = Holders::Nobody;
        let why = |operation| denied(&settings, &Credentials::Operator, "PUT", operation);
        assert_eq!(why(Operation::WriteSettings), None);
        assert_eq!(why(Operation::Revoke(TokenOwnership::Others { owner_is_administrator: true })), None);
        let for_root =
            |scope| Operation::CreateFor { owner: Some(person("root", &["administrators"]).into()), scope };
        assert_eq!(why(for_root(Scope::ReadWrite)), None);
        assert_eq!(why(Operation::ListOwn), Some(DenialReason::NoUser));
        assert_eq!(why(Operation::CreateOwn { scope: Scope::ReadOnly }), Some(DenialReason::NoUser));
    }

    #[test]
    fn each_operation_is_for_those_it_is_meant_for() {
        let mut settings = settings();
        settings.permissions.manage_others = groups(&["managers"]);
        let mary = token(person("mary", &[]), Scope::ReadWrite);
        let manager = token(person("sam", &["managers"]), Scope::ReadWrite);
        let administrator = token(person("root", &["administrators"]), Scope::ReadWrite);
        let senders = [mary, manager, administrator, of_project(Scope::ReadWrite)];
        let create_for = |name, groups| Operation::CreateFor {
            owner: Some(person(name, groups).into()),
            scope: Scope::ReadWrite,
        };
        let others = |owner_is_administrator| TokenOwnership::Others { owner_is_administrator };
        let create_for_project = Operation::CreateFor {
            owner: Some(TokenOwner::Project("PLAT".to_owned())),
            scope: Scope::ReadWrite,
        };
        for (operation, expected) in [
            (Operation::WhoAmI, [true, true, true, true]),
            (Operation::ReadDirectory, [true, true, true, true]),
            (Operation::ListOwn, [true, true, true, false]),
            (Operation::ListAll, [false, true, true, false]),
            (Operation::CreateOwn { scope: Scope::ReadWrite }, [true, true, true, false]),
            (create_for("mary", &[]), [false, true, false, false]),
            (create_for("root", &["administrators"]), [false, false, false, false]),
            (create_for_project, [false, true, false, false]),
            (Operation::Narrow(TokenOwnership::Own), [true, true, true, false]),
            (Operation::Narrow(others(false)), [false, true, true, false]),
            (Operation::Narrow(others(true)), [false, false, true, false]),
            (Operation::Revoke(TokenOwnership::Own), [true, true, true, false]),
            (Operation::Revoke(others(false)), [false, true, true, false]),
            (Operation::Revoke(others(true)), [false, false, true, false]),
            (Operation::RevokeAllFor, [false, false, true, false]),
            (Operation::ReadSettings, [false, false, true, false]),
            (Operation::WriteSettings, [false, false, true, false]),
        ] {
            let passes = senders
                .each_ref()
                .map(|sender| denied(&settings, sender, "GET", operation.clone()).is_none());
            assert_eq!(passes, expected, "{operation:?}");
        }
    }

    #[test]
    fn a_read_write_token_is_made_for_nobody_who_may_not_have_one() {
        let mut settings = settings();
        settings.permissions.manage_others = groups(&["managers"]);
        settings.permissions.create = Holders::Nobody;
        settings.permissions.create_read_write = groups(&["ci-bots"]);
        let manager = token(person("sam", &["managers", "ci-bots"]), Scope::ReadWrite);
        for credentials in [&manager, &Credentials::Operator] {
            let why = |owner_groups: &[&str], scope| {
                let owner = Some(person("bot", owner_groups).into());
                denied(&settings, credentials, "POST", Operation::CreateFor { owner, scope })
            };
            assert_eq!(why(&["staff"], Scope::ReadWrite), Some(DenialReason::CreateReadWrite));
            assert_eq!(why(&["staff"], Scope::ReadOnly), None);
            assert_eq!(why(&["CI-Bots"], Scope::ReadWrite), None);
        }
    }

    #[test]
    fn a_read_write_token_of_a_project_is_made_by_nobody_who_may_not_have_one() {
        let mut settings = settings();
        settings.permissions.manage_others = groups(&["managers"]);
        settings.permissions.create_read_write = groups(&["ci-bots"]);
        let why = |sender_groups: &[&str], scope| {
            let owner = Some(TokenOwner::Project("PLAT".to_owned()));
            let sender = token(person("sam", sender_groups), Scope::ReadWrite);
            denied(&settings, &sender, "POST", Operation::CreateFor { owner, scope })
        };
        assert_eq!(why(&["managers"], Scope::ReadWrite), Some(DenialReason::CreateReadWrite));
        assert_eq!(why(&["managers"], Scope::ReadOnly), None);
        assert_eq!(why(&["managers", "ci-bots"], Scope::ReadWrite), None);
    }

    #[test]
    fn tokens_of_projects_are_used_unless_nobody_uses_tokens_and_obey_their_scope() {
        let mut settings = settings();
        let why = |settings: &Settings, scope, method| {
            denied(settings, &of_project(scope), method, Operation::Enter)
        };
        settings.permissions.use_tokens = groups(&["staff"]);
        assert_eq!(why(&settings, Scope::ReadOnly, "GET"), None);
        assert_eq!(why(&settings, Scope::ReadOnly, "POST"), Some(DenialReason::Scope));
        settings.permissions.use_tokens = Holders::Nobody;
        assert_eq!(why(&settings, Scope::ReadOnly, "GET"), Some(DenialReason::Use));
    }

    #[test]
    fn what_is_open_needs_an_allowed_network_and_no_credentials_but_right_ones() {
        let mut settings = settings();
        let why = |settings: &Settings, credentials: Credentials| {
            denied(settings, &credentials, "GET", Operation::ReadOpen)
        };
        assert_eq!(why(&settings, Credentials::None), None);
        assert_eq!(why(&settings, Credentials::Invalid), Some(DenialReason::InvalidCredentials));
        assert_eq!(why(&settings, token(person("mary", &[]), Scope::ReadOnly)), None);
        settings.networks = only("10.0.0.0/8");
        assert_eq!(why(&settings, Credentials::None), Some(DenialReason::Network));
    }
}
