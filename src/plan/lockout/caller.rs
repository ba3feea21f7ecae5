//! In: whom the server takes us for, and the changes of a plan. Out: whether we would be shut out by
//! them. It refuses to know other people.

use std::net::IpAddr;

use crate::{
    access::{self, Credentials, Held, Person},
    inventory::{Caller, Credential, Server},
    model::{ClientAddressSource, Scope, Settings, TokenScope, UserName, network::canonical},
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
        match planned.change {
            Change::Narrow { to, .. } => Some(to),
            _ => None,
        }
    })
}

/// What we would be for the server, with our token `narrowed` to a scope.
fn credentials(caller: &Caller, narrowed: Option<Scope>) -> Credentials {
    let person = Person {
        name: caller.user.clone().unwrap_or_else(|| UserName::new("")),
        groups: caller.groups.clone(),
        active: true,
        administrator: caller.administrator,
    };
    match &caller.credential {
        Credential::Operator => Credentials::Operator,
        Credential::Password => Credentials::Password(person),
        Credential::Token { id, scope, expires } => Credentials::Token(Held {
            id: id.clone(),
            owner: person,
            scope: narrowed.map_or(*scope, TokenScope::Set),
            expires: *expires,
        }),
    }
}

/// The address that the server will see for us once it looks for it in `then` and no longer in `now`;
/// nothing when that cannot be known.
fn address_under(caller: &Caller, now: &ClientAddressSource, then: &ClientAddressSource) -> Option<IpAddr> {
    if now == then || keeps_address(caller, now, then) {
        return caller.address;
    }
    let peer = canonical(caller.peer?);
    match then {
        // What the proxy writes into the header is not known here.
        ClientAddressSource::Header { trusted_proxies, .. } if trusted_proxies.contains(peer) => None,
        _ => access::client_address(then, peer, &[] as &[&str]).ok(),
    }
}

/// Whether the same header is read, the proxies that were believed still are, and our address is none of
/// the new ones: then everything to the right of it stays a trusted proxy.
fn keeps_address(caller: &Caller, now: &ClientAddressSource, then: &ClientAddressSource) -> bool {
    let (
        ClientAddressSource::Header { name, trusted_proxies: before },
        ClientAddressSource::Header { name: same, trusted_proxies: after },
    ) = (now, then)
    else {
        return false;
    };
    name == same
        && before.difference(after).is_empty()
        && caller.address.is_some_and(|address| !after.contains(address))
}

/// Whether a client that was let in under `before` may be refused for its address under `after`.
fn may_refuse(before: &Settings, after: &Settings) -> bool {
    let refused =
        |from: &Settings| !from.networks.addresses().difference(&after.networks.addresses()).is_empty();
    refused(before) || (before.client_address != after.client_address && !everywhere(after))
}

fn everywhere(settings: &Settings) -> bool {
    crate::model::AddressSet::everything().difference(&settings.networks.addresses()).is_empty()
}
