//! The check whether the changes of a plan would shut out the credential of the run itself.

use std::net::IpAddr;

use crate::{
    access::{self, Credentials, Held, Person, Relocation},
    inventory::{Caller, Credential, Server},
    model::{
        AllowedNetworks, ClientAddressSource, Restriction, Scope, Settings, TokenId, TokenScope, UserName,
        network::canonical,
    },
    plan::TokenStep,
};

use super::{
    super::{Change, Object, PlannedChange},
    Axis, Loss, ShutOut, Who, axis_of, settings_after,
    way_in::{Gate, Level},
};

/// What of our own way in `changes` would take, when `settings` and `server` are what was read with it.
pub(in crate::plan) fn shut_out(
    changes: &[PlannedChange],
    settings: &Settings,
    server: &Server,
) -> Option<ShutOut> {
    let caller = &server.caller;
    let after = settings_after(settings, changes);
    let mut losses: Vec<_> = ends(caller, changes).map(|axis| (axis, None)).collect();
    let narrowed = narrowed(caller, changes);
    let address = address_under(caller, &settings.client_address, &after.client_address);
    if address.is_none() && caller.credential != Credential::Operator && may_refuse(settings, &after) {
        losses.push((Axis::UnknownAddress, None));
    }
    let before = Gate::new(settings.clone(), &server.calls).way_in(credentials(caller, None), caller.address);
    let way = Gate::new(after, &server.calls).way_in(credentials(caller, narrowed), address);
    // That we read the server has just shown how far we get at least.
    if way.level < before.level.max(Level::Reading)
        && let Some(reason) = way.obstacle
    {
        losses.push((Axis::Refused(reason), address));
    }
    losses.sort_unstable();
    let of_own_token = |change: &Change, axis| is_own(caller, change) && axis_of(change) == Some(axis);
    let losses: Vec<_> =
        losses.into_iter().map(|(axis, address)| Loss::new(axis, address, changes, &of_own_token)).collect();
    (!losses.is_empty()).then_some(ShutOut { who: Who::Caller, losses })
}

fn is_own(caller: &Caller, change: &Change) -> bool {
    matches!(change.object(), Object::Token(token) if caller.token() == Some(&token.id))
}

/// How `changes` end our own token, if they do.
fn ends(caller: &Caller, changes: &[PlannedChange]) -> impl Iterator<Item = Axis> {
    let own = changes.iter().filter(|planned| is_own(caller, &planned.change));
    own.filter_map(|planned| axis_of(&planned.change)).filter(|axis| !matches!(axis, Axis::Refused(_)))
}

/// The scope that `changes` lower our own token to, if they do.
fn narrowed(caller: &Caller, changes: &[PlannedChange]) -> Option<Scope> {
    changes.iter().filter(|planned| is_own(caller, &planned.change)).find_map(|planned| {
        match planned.change.token_step()?.1 {
            TokenStep::Narrow { to } => Some(to),
            TokenStep::Expire { .. } | TokenStep::Mark { .. } | TokenStep::Unmark | TokenStep::Revoke => None,
        }
    })
}

/// What we would be for the server, with our token `narrowed` to a scope.
fn credentials(caller: &Caller, narrowed: Option<Scope>) -> Credentials {
    let person = Person {
        name: caller.user.clone().unwrap_or_else(|| UserName::new("")),
        groups: caller.groups.clone().into(),
        active: true,
        administrator: caller.administrator,
    };
    match &caller.credential {
        Credential::Operator => Credentials::Operator,
        Credential::Password | Credential::TokenAsPassword { .. } => Credentials::Password(person),
        // How far it reaches is not known: what matters is what changes.
        Credential::Unidentified | Credential::NoToken => Credentials::Token(Held {
            id: TokenId::new(""),
            owner: person.into(),
            scope: TokenScope::Unset,
            expires: None,
            restriction: Restriction::default(),
        }),
        Credential::Token { id, scope, expires } => Credentials::Token(Held {
            id: id.clone(),
            owner: person.into(),
            scope: narrowed.map_or(*scope, TokenScope::Set),
            expires: *expires,
            restriction: Restriction::default(),
        }),
    }
}

/// The address that the server will see for us once it looks for it in `then` and no longer in `now`; `None`
/// when that cannot be known.
fn address_under(caller: &Caller, now: &ClientAddressSource, then: &ClientAddressSource) -> Option<IpAddr> {
    if let Some(address) = caller.address
        && Relocation::between(now, then).elsewhere(&[address.into()].into_iter().collect()).is_empty()
    {
        return Some(address);
    }
    let peer = canonical(caller.peer?);
    match then {
        // What the proxy writes into the header is not known here.
        ClientAddressSource::Header { trusted_proxies, .. } if trusted_proxies.contains(peer) => None,
        _ => access::client_address(then, peer, &[] as &[&str]).ok(),
    }
}

/// Whether a client that was let in under `before` may be refused for its address under `after`.
fn may_refuse(before: &Settings, after: &Settings) -> bool {
    let refused =
        |from: &Settings| !from.networks.addresses().difference(&after.networks.addresses()).is_empty();
    refused(before) || (before.client_address != after.client_address && !everywhere(after))
}

fn everywhere(settings: &Settings) -> bool {
    settings.networks == AllowedNetworks::Anywhere
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{
            DenialReason,
            samples::{seen, sources},
        },
        inventory::{Call, Capabilities},
        model::{Owner, Token, TokenId},
        plan::ChangeReason,
        yaml::Place,
    };
    use jiff::Timestamp;

    fn token() -> Token {
        Token {
            id: TokenId::new("7"),
            owner: Owner::User("root".into()),
            description: String::new(),
            scope: TokenScope::Set(Scope::ReadWrite),
            created: Timestamp::UNIX_EPOCH,
            created_by: None,
            last_used: None,
            expires: None,
            mark: None,
        }
    }

    fn server() -> Server {
        let credential = Credential::Token { id: token().id, scope: token().scope, expires: None };
        let address = Some("192.0.2.9".parse().unwrap());
        let caller =
            Caller { user: Some("root".into()), credential, address, peer: address, ..Caller::operator() };
        let calls = ["GET", "PUT"].map(|method| Call::new(method, "/")).into();
        let manageable = std::collections::BTreeSet::new();
        Server {
            url: String::new(),
            version: None,
            caller,
            administrators: None,
            calls,
            manageable,
            unreadable: std::collections::BTreeMap::new(),
            forms: std::collections::BTreeMap::new(),
            capabilities: Capabilities::everything(),
            left_out: Vec::new(),
            settings_changed: None,
        }
    }

    fn lost(change: Change) -> Vec<(Axis, Option<u32>)> {
        let place = Place { file: "policy.yaml".into(), line: 5, column: 1 };
        let why = ChangeReason { rule: None, text: String::new(), place: Some(place) };
        let changes = [PlannedChange::new(change, vec![why])];
        let shut_out = shut_out(&changes, &Settings::initial("administrators".into()), &server());
        let losses = shut_out.into_iter().flat_map(|shut_out| shut_out.losses);
        losses.map(|loss| (loss.axis, loss.place.map(|place| place.line))).collect()
    }

    #[test]
    fn our_own_token_is_neither_revoked_nor_made_to_expire_nor_narrowed() {
        let own = |step| Change::of_token(token(), step);
        assert_eq!(lost(own(TokenStep::Revoke)), [(Axis::Revoked, Some(5))]);
        assert_eq!(lost(own(TokenStep::Expire { at: Timestamp::MAX })), [(Axis::Expired, Some(5))]);
        let narrow = own(TokenStep::Narrow { to: Scope::ReadOnly });
        assert_eq!(lost(narrow), [(Axis::Refused(DenialReason::Scope), Some(5))]);
    }

    #[test]
    fn the_address_that_is_foreseen_is_the_one_that_the_server_will_see() {
        let sources = sources();
        // In `X-Real-IP` stands something else.
        let lines = [&[][..], &["192.0.2.9"], &["198.51.100.1, 192.0.2.9, 10.0.0.2"], &["10.0.0.2"]];
        let seen =
            |source: &ClientAddressSource, peer, lines: &[&str]| seen(source, peer, lines, &["203.0.113.1"]);
        let (mut known, mut unknown) = (0, 0);
        for (now, then) in sources.iter().flat_map(|now| sources.iter().map(move |then| (now, then))) {
            for (peer, lines) in
                ["10.0.0.1", "10.0.0.2", "192.0.2.9"].iter().flat_map(|peer| lines.map(|lines| (peer, lines)))
            {
                let peer = peer.parse().unwrap();
                let address = Some(seen(now, peer, lines));
                let caller = Caller { address, peer: Some(peer), ..Caller::operator() };
                match address_under(&caller, now, then) {
                    Some(foreseen) => {
                        assert_eq!(foreseen, seen(then, peer, lines), "{now} -> {then}, {peer} {lines:?}");
                        known += 1;
                    }
                    None => unknown += 1,
                }
            }
        }
        assert!(known > unknown, "{known} are known, {unknown} are not");
    }

    #[test]
    fn the_token_of_somebody_else_is_none_of_our_ways_in() {
        let other = Token { id: TokenId::new("8"), ..token() };
        assert_eq!(lost(Change::of_token(other, TokenStep::Revoke)), []);
    }
}
