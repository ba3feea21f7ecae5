//! What is asked of every server: who we are for it, whether its clock and its certificate are right, and whether it
//! believes headers that anybody can send.

use jiff::{SignedDuration, Timestamp};

use crate::{
    apply::one_line,
    config::TargetDeclaration,
    http::ClockOffset,
    inventory::{InventoryReader, Overview},
    model::ClientAddressSource,
    run::session::TargetSession,
    serve::certificate_end,
    targets::{FORGED_ADDRESS, Side, Target},
    world::system_time,
};

use super::Check;

/// Clocks that are further apart are spoken of, and beyond the second nothing is applied.
const NOTABLE: SignedDuration = SignedDuration::from_mins(2);
const MOST: SignedDuration = SignedDuration::from_mins(10);
/// A certificate that ends so soon is spoken of.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(24 * 30);

pub(super) async fn examine(session: &TargetSession, declaration: &TargetDeclaration) -> Vec<Check> {
    let target = &session.target;
    let mut checks = Vec::new();
    match target.overview().await {
        Ok(overview) => {
            checks.push(administers(&overview));
            checks.push(identity(&overview));
            checks.extend(client_address(&overview));
        }
        Err(error) => {
            let advice = "give the credential the rights of an administrator, and see the log of the server";
            checks.push(Check::failure("credential", one_line(&error), advice));
        }
    }
    for side in target.sides() {
        if declaration.connection.server().is_some() {
            checks.push(clock(&side));
        }
        checks.extend(certificate(&side, system_time()));
        checks.extend(forged(&side).await);
    }
    checks.extend(rate_limit(target).await);
    checks
}

/// Whether our credential administers the server.
fn administers(overview: &Overview) -> Check {
    const CHECK: &str = "credential";
    let server = &overview.server;
    let told = |caller: &crate::inventory::Caller| {
        caller.user.as_ref().map_or_else(|| "the credential".to_owned(), |user| format!("`{user}`"))
    };
    if let Some((key, why)) = server.unreadable.iter().next() {
        return Check::failure(
            CHECK,
            format!("{} may not read `{}`: {why}", told(&server.caller), key.path()),
            "use an administrator, by password or with a bearer credential of OAuth 2.0",
        );
    }
    let is_listed = |user| {
        server
            .administrators
            .as_ref()
            .and_then(|these| these.users())
            .is_none_or(|users| users.contains(user))
    };
    let administers = server.caller.administrator
        || server.caller.behind.is_none() && server.caller.user.as_ref().is_none_or(is_listed);
    if administers {
        Check::ok(CHECK, format!("{} administers the server", told(&server.caller)))
    } else {
        Check::failure(
            CHECK,
            format!("{} does not administer the server", told(&server.caller)),
            "use the credential of an administrator: runs cannot read or write everything without",
        )
    }
}

/// Whether the server says whom it takes us for.
fn identity(overview: &Overview) -> Check {
    const CHECK: &str = "identity";
    let caller = &overview.server.caller;
    match &caller.behind.as_deref().unwrap_or(caller).user {
        Some(user) => Check::ok(CHECK, format!("the server takes this run for `{user}`")),
        None if caller.credential == crate::inventory::Credential::Operator => {
            Check::ok(CHECK, "the server runs in this process")
        }
        None => Check::warning(
            CHECK,
            "the server does not say whom it takes this run for",
            "let the header `X-AUSERNAME` of its answers pass through proxies",
        ),
    }
}

/// Whether the header that the settings declare finds the client.
fn client_address(overview: &Overview) -> Option<Check> {
    const CHECK: &str = "client-address";
    let ClientAddressSource::Header { name, .. } = &overview.settings.client_address else { return None };
    let (address, peer) = (overview.server.caller.address?, overview.server.caller.peer?);
    let is_trusted = overview.settings.client_address.trusts(peer);
    Some(if is_trusted && address == peer {
        Check::failure(
            CHECK,
            format!(
                "the proxy at {peer} is trusted and sends no `{}`: every client has its address",
                name.as_str()
            ),
            "let the proxy set the header",
        )
    } else {
        Check::ok(CHECK, format!("the server sees this run at {address}"))
    })
}

fn clock(side: &Side<'_>) -> Check {
    const CHECK: &str = "clock";
    let advice = "set both clocks by NTP";
    let of = side.name;
    match side.clock.map(ClockOffset::apart) {
        None => Check::warning(
            CHECK,
            format!("{of}: its answers have no date, so its clock is not known"),
            "let the header `Date` pass",
        ),
        Some(apart) if apart > MOST => Check::failure(
            CHECK,
            format!("{of}: its clock and ours are {apart:#} apart: nothing is applied"),
            advice,
        ),
        Some(apart) if apart > NOTABLE => {
            Check::warning(CHECK, format!("{of}: its clock and ours are {apart:#} apart"), advice)
        }
        Some(_) => Check::ok(CHECK, format!("{of}: its clock agrees with ours")),
    }
}

fn certificate(side: &Side<'_>, now: Timestamp) -> Option<Check> {
    const CHECK: &str = "certificate";
    let der = side.certificate.as_deref()?;
    let of = side.name;
    let Some(end) = certificate_end(der) else {
        return Some(Check::warning(
            CHECK,
            format!("{of}: nobody can tell when its certificate ends"),
            "look at it by hand",
        ));
    };
    let (left, day) = (end.duration_since(now), end.strftime("%Y-%m-%d"));
    Some(if left < ENDS_SOON {
        Check::warning(CHECK, format!("{of}: its certificate ends on {day}"), "renew it")
    } else {
        Check::ok(CHECK, format!("{of}: its certificate lasts until {day}"))
    })
}

/// Whether the server believes who sends `X-Forwarded-For` and `X-Forwarded-User` without being a proxy.
async fn forged(side: &Side<'_>) -> Option<Check> {
    const CHECK: &str = "forged-headers";
    let of = side.name;
    let told = side.forged().await?;
    Some(match told {
        Err(error) => Check::warning(CHECK, format!("{of}: {}", one_line(&error)), "try again"),
        Ok(told) if told.address.is_some_and(|address| address.to_string() == FORGED_ADDRESS) => {
            Check::failure(
                CHECK,
                format!("{of}: it takes the address in a forged `X-Forwarded-For` for that of the client"),
                "trust only your proxies in `network.client_address.trusted_proxies`, and let the last of them overwrite the header",
            )
        }
        Ok(told) if told.changed_user => Check::failure(
            CHECK,
            format!("{of}: a forged `X-Forwarded-User` changes whom it takes the sender for"),
            "let only your proxy reach it, and let that one remove the header",
        ),
        Ok(_) => Check::ok(CHECK, format!("{of}: forged headers change nothing")),
    })
}

async fn rate_limit(target: &Target) -> Option<Check> {
    const CHECK: &str = "rate-limit";
    let bitbucket = target.bitbucket()?;
    Some(match bitbucket.rate_limit().await {
        Some(limit) => Check::warning(
            CHECK,
            format!(
                "Bitbucket lets this user make {} calls at once and {} a second",
                limit.at_once, limit.per_second
            ),
            "exempt the user of the run from the rate limit, and of the gateway too",
        ),
        None => Check::ok(CHECK, "no rate limit of Bitbucket is known for this user"),
    })
}
