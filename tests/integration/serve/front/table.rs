//! Requests to a server behind the gateway and what becomes of them, as data: what decides alone, the forwarder, and
//! a proxy that asks are all held to it.

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing.
    Nothing,
    /// The session of this user.
    Session(&'static str),
    /// A session that the server behind does not know any more.
    DeadSession,
    /// This token as `Bearer`.
    Bearer(&'static str),
    /// This token in place of the password of this user.
    Basic(&'static str, &'static str),
    /// A secret with the identifier of this token and other random bytes: only the server behind knows.
    Forged(&'static str),
    /// A token that there is not.
    NoToken,
    /// A token of the gateway itself.
    Ours,
    /// The password of this user.
    Password(&'static str),
    /// A token of OAuth of this user.
    OAuth(&'static str),
    /// A token of OAuth, of nobody knows whom.
    StrangeOAuth,
    /// This, as it is.
    Raw(&'static str),
    /// Two headers, the second one as it is.
    Two(&'static str, &'static str),
}

/// One request, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Method and target.
    pub(crate) request: (&'static str, &'static str),
    /// The body; empty for none.
    pub(crate) body: &'static str,
    pub(crate) sent: Sent,
    /// The other end of the connection.
    pub(crate) peer: &'static str,
    /// The value of `X-Forwarded-For`; empty for none.
    pub(crate) forwarded: &'static str,
    /// What is laid over the settings of a new server.
    pub(crate) settings: &'static str,
    /// Whether browsers are let in only from where others are.
    pub(crate) browsers_by_network: bool,
    /// `pass`, or the code of the refusal.
    pub(crate) expected: &'static str,
    /// What a proxy is told that asks.
    pub(crate) asked: Asked,
}

/// What a proxy is told that asks about a request, where its contract forces another answer than the forwarder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The same.
    Alike,
    /// This, since the proxy does not show the body.
    Blind(&'static str),
    /// This to nginx, and that to Caddy, since they read the address of the client by themselves.
    Addressed(&'static str, &'static str),
    /// nginx refuses it by itself.
    Own,
}

pub(crate) const PASS: &str = "pass";

/// What is laid over the settings.
pub(crate) const OPEN: &str = "{}";
const OFFICE: &str = r#"{"network": {"allow": ["192.0.2.0/24", "2001:db8::/32"]}}"#;
const PROXY: &str = r#"{"network": {"allow": ["192.0.2.0/24"], "client_address": {"header": "X-Forwarded-For", "trusted_proxies": ["10.0.0.0/8"]}}}"#;
const NO_PASSWORDS: &str = r#"{"password_authentication": "disabled"}"#;
const FEW_PASSWORDS: &str = r#"{"password_authentication": {"state": "disabled", "except_users": ["ro*"], "except_paths": ["/rest/api/latest/build*", "/scm/legacy/*"]}}"#;
const DEVELOPERS: &str = r#"{"permissions": {"use": ["developers"]}}"#;
const NOBODY: &str = r#"{"permissions": {"use": "nobody"}}"#;
const NO_CREATION: &str = r#"{"permissions": {"create": "nobody"}}"#;
const BOTS_WRITE: &str = r#"{"permissions": {"create_read_write": ["ci-bots"]}}"#;
const ADMINS: &str = r#"{"permissions": {"manage_others": ["token-admins"]}}"#;
const LIMITS: &str = r#"{"limits": [{"groups": ["developers"], "max_lifetime": "90d", "max_scope": "read-only", "description": "^OPS-"}, {"max_lifetime": "1y"}]}"#;
const PROJECT_LIMITS: &str = r#"{"permissions": {"manage_others": ["token-admins"]}, "limits": [{"projects": ["PLAT"], "max_scope": "read-only"}]}"#;

const FIVE: &str = r#"{"permissions": {"manage_others": ["token-admins"]}, "limits": [{"groups": ["developers"], "max_per_owner": 5}, {"max_per_owner": 6}, {"projects": ["*"], "max_per_owner": 1}]}"#;
const SIX: &str = r#"{"limits": [{"max_per_owner": 6}]}"#;

// Requests.
const READ: (&str, &str) = ("GET", "/rest/api/latest/projects");
const WRITE: (&str, &str) = ("POST", "/rest/api/latest/projects");
const FETCH_REFS: (&str, &str) = ("GET", "/scm/PLAT/app.git/info/refs?service=git-upload-pack");
const FETCH: (&str, &str) = ("POST", "/scm/PLAT/app.git/git-upload-pack");
const PUSH_REFS: (&str, &str) = ("GET", "/scm/PLAT/app.git/info/refs?service=git-receive-pack");
const PUSH: (&str, &str) = ("POST", "/scm/PLAT/app.git/git-receive-pack");
const BATCH: (&str, &str) = ("POST", "/scm/PLAT/app.git/info/lfs/objects/batch");
const LOCKS: (&str, &str) = ("GET", "/scm/PLAT/app.git/info/lfs/locks");
const LOCK: (&str, &str) = ("POST", "/scm/PLAT/app.git/info/lfs/locks");
const VERIFY: (&str, &str) = ("POST", "/scm/PLAT/app.git/info/lfs/locks/verify");
const STORE: (&str, &str) = ("PUT", "/rest/git-lfs/storage/PLAT/app/4f2e");
const LOAD: (&str, &str) = ("GET", "/rest/git-lfs/storage/PLAT/app/4f2e");
const PAGE: (&str, &str) = ("GET", "/projects/PLAT/repos/app/browse");
const LOGIN: (&str, &str) = ("POST", "/j_atl_security_check");
const LIST: (&str, &str) = ("GET", "/rest/access-tokens/latest/users/mary");
const CREATE: (&str, &str) = ("PUT", "/rest/access-tokens/latest/users/mary");
const CREATE_FOR_BOB: (&str, &str) = ("PUT", "/rest/access-tokens/1.0/users/bob");
const CREATE_FOR_BOT: (&str, &str) = ("PUT", "/rest/access-tokens/1.0/users/bot");
const CREATE_FOR_ROOT: (&str, &str) = ("PUT", "/rest/access-tokens/1.0/users/root");
const CREATE_FOR_NOBODY: (&str, &str) = ("PUT", "/rest/access-tokens/1.0/users/nobody");
const CREATE_FOR_PROJECT: (&str, &str) = ("PUT", "/rest/access-tokens/1.0/projects/PLAT");
const CREATE_FOR_REPOSITORY: (&str, &str) = ("PUT", "/rest/access-tokens/1.0/projects/PLAT/repos/app");
const CHANGE: (&str, &str) = ("POST", "/rest/access-tokens/latest/users/mary/100000000001");
const CHANGE_OF_BOB: (&str, &str) = ("POST", "/rest/access-tokens/latest/users/bob/100000000010");
const REVOKE: (&str, &str) = ("DELETE", "/rest/access-tokens/latest/users/mary/100000000001");
const REVOKE_OF_BOB_AS_OWN: (&str, &str) = ("DELETE", "/rest/access-tokens/latest/users/mary/100000000010");
const CHANGE_OF_ROOT_AS_OF_BOB: (&str, &str) = ("POST", "/rest/access-tokens/latest/users/bob/100000000009");
const REVOKE_OF_BOB: (&str, &str) = ("DELETE", "/rest/access-tokens/latest/users/bob/100000000010");
const REVOKE_OF_ROOT: (&str, &str) = ("DELETE", "/rest/access-tokens/latest/users/root/100000000009");
const REVOKE_OF_NOBODY: (&str, &str) = ("DELETE", "/rest/access-tokens/latest/users/nobody/199999999999");
const ADMINISTER: (&str, &str) = ("PUT", "/rest/access-tokens/latest/settings");

// Bodies.
const DOWNLOAD: &str = r#"{"operation": "download", "objects": []}"#;
const UPLOAD: &str = r#"{"operation": "upload", "objects": []}"#;
const READS: &str = r#"{"name": "OPS-1 ci", "permissions": ["PROJECT_READ", "REPO_READ"], "expiryDays": 30}"#;
const WRITES: &str =
    r#"{"name": "OPS-1 ci", "permissions": ["PROJECT_READ", "REPO_WRITE"], "expiryDays": 30}"#;
const ENDLESS: &str = r#"{"name": "OPS-1 ci", "permissions": ["REPO_READ"]}"#;
const LONG: &str = r#"{"name": "OPS-1 ci", "permissions": ["REPO_READ"], "expiryDays": 91}"#;
const YEARS: &str = r#"{"name": "ci", "permissions": ["REPO_READ"], "expiryDays": 4000}"#;
const NAMELESS: &str = r#"{"name": "ci", "permissions": ["REPO_READ"], "expiryDays": 30}"#;
const UNKNOWN_PERMISSION: &str =
    r#"{"name": "OPS-1", "permissions": ["REPO_READ", "REPO_CREATE"], "expiryDays": 30}"#;
const RENAME: &str = r#"{"name": "OPS-2 ci"}"#;
const RENAME_BADLY: &str = r#"{"name": "mine"}"#;
const TO_READ: &str = r#"{"permissions": ["REPO_READ"]}"#;
const TO_WRITE: &str = r#"{"permissions": ["REPO_ADMIN"]}"#;
const PROLONG: &str = r#"{"permissions": ["REPO_READ"], "expiryDays": 900}"#;
const LISTED: &str = r#"["OPS-1", ["REPO_READ"], 30]"#;
const TWICE: &str =
    r#"{"name": "OPS-1", "permissions": ["REPO_READ"], "expiryDays": 30, "expiryDays": 9000}"#;
const OTHER_CASE: &str = r#"{"name": "OPS-1", "permissions": ["REPO_READ"], "ExpiryDays": 9000}"#;

const HOME: &str = "192.0.2.7";
const AWAY: &str = "203.0.113.9";
const IPV6: &str = "2001:db8::7";
const MAPPED: &str = "::ffff:192.0.2.7";
const BEHIND: &str = "10.1.2.3";

const fn row(
    request: (&'static str, &'static str),
    sent: Sent,
    settings: &'static str,
    expected: &'static str,
) -> Row {
    Row {
        request,
        body: "",
        sent,
        peer: HOME,
        forwarded: "",
        settings,
        browsers_by_network: false,
        expected,
        asked: Asked::Alike,
    }
}

const fn with(body: &'static str, row: Row) -> Row {
    Row { body, ..row }
}

const fn from(peer: &'static str, row: Row) -> Row {
    Row { peer, ..row }
}

const fn through(forwarded: &'static str, row: Row) -> Row {
    Row { peer: BEHIND, forwarded, ..row }
}

/// A row about a body that a proxy does not show.
const fn blind(told: &'static str, row: Row) -> Row {
    Row { asked: Asked::Blind(told), ..row }
}

/// A row about an address that proxies find in their own ways.
const fn addressed(nginx: &'static str, caddy: &'static str, row: Row) -> Row {
    Row { asked: Asked::Addressed(nginx, caddy), ..row }
}

/// A row that nginx refuses by itself.
const fn own(row: Row) -> Row {
    Row { asked: Asked::Own, ..row }
}

const fn strict(row: Row) -> Row {
    Row { browsers_by_network: true, ..row }
}

use Sent::{
    Basic, Bearer, DeadSession, Forged, NoToken, Nothing, OAuth, Ours, Password, Raw, Session, StrangeOAuth,
    Two,
};

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    // A token reads or writes as its scope says, whatever the method is.
    row(READ, Bearer("mary-ro"), OPEN, PASS),
    row(WRITE, Bearer("mary-ro"), OPEN, "scope"),
    row(FETCH_REFS, Bearer("mary-ro"), OPEN, PASS),
    row(FETCH, Bearer("mary-ro"), OPEN, PASS),
    row(PUSH_REFS, Bearer("mary-ro"), OPEN, "scope"),
    row(PUSH, Bearer("mary-ro"), OPEN, "scope"),
    blind("scope", with(DOWNLOAD, row(BATCH, Bearer("mary-ro"), OPEN, PASS))),
    with(UPLOAD, row(BATCH, Bearer("mary-ro"), OPEN, "scope")),
    blind("scope", with("{}", row(BATCH, Bearer("mary-ro"), OPEN, "bad-request"))),
    blind("scope", with("download", row(BATCH, Bearer("mary-ro"), OPEN, "bad-request"))),
    blind("scope", with(r#"{"operation":"download","operation":"upload"}"#, row(BATCH, Bearer("mary-ro"), OPEN, "bad-request"))),
    blind("scope", with(r#"{"operation":"download","Operation":"upload"}"#, row(BATCH, Bearer("mary-ro"), OPEN, "bad-request"))),
    with(r#"{"operation":"verify"}"#, row(BATCH, Bearer("mary-ro"), OPEN, "scope")),
    row(LOCKS, Bearer("mary-ro"), OPEN, PASS),
    row(LOCK, Bearer("mary-ro"), OPEN, "scope"),
    row(VERIFY, Bearer("mary-ro"), OPEN, "scope"),
    row(LOAD, Bearer("mary-ro"), OPEN, PASS),
    row(STORE, Bearer("mary-ro"), OPEN, "scope"),
    row(PAGE, Bearer("mary-ro"), OPEN, PASS),
    row(LOGIN, Bearer("mary-ro"), OPEN, "scope"),
    row(READ, Bearer("mary-rw"), OPEN, PASS),
    row(WRITE, Bearer("mary-rw"), OPEN, PASS),
    row(PUSH_REFS, Bearer("mary-rw"), OPEN, PASS),
    row(PUSH, Bearer("mary-rw"), OPEN, PASS),
    with(UPLOAD, row(BATCH, Bearer("mary-rw"), OPEN, PASS)),
    with("not JSON", row(BATCH, Bearer("mary-rw"), OPEN, PASS)),
    row(LOCK, Bearer("mary-rw"), OPEN, PASS),
    row(VERIFY, Bearer("mary-rw"), OPEN, PASS),
    row(STORE, Bearer("mary-rw"), OPEN, PASS),
    row(("PATCH", "/rest/api/latest/projects/PLAT"), Bearer("mary-ro"), OPEN, "scope"),
    row(("HEAD", "/rest/api/latest/projects"), Bearer("mary-ro"), OPEN, PASS),
    row(("OPTIONS", "/rest/api/latest/projects"), Bearer("mary-ro"), OPEN, PASS),
    row(("HEAD", PUSH_REFS.1), Bearer("mary-ro"), OPEN, "scope"),
    row(("GET", "/scm/PLAT/app.git/git-receive-pack"), Bearer("mary-ro"), OPEN, "scope"),
    row(READ, Bearer("untold"), OPEN, PASS),
    row(WRITE, Bearer("untold"), OPEN, PASS),
    row(PUSH, Bearer("untold"), OPEN, PASS),
    // In place of a password.
    row(FETCH, Basic("mary", "mary-ro"), OPEN, PASS),
    row(FETCH, Basic("MARY", "mary-ro"), OPEN, PASS),
    row(PUSH, Basic("mary", "mary-ro"), OPEN, "scope"),
    row(FETCH, Basic("x-token-auth", "mary-ro"), OPEN, PASS),
    row(FETCH, Basic("", "mary-ro"), OPEN, PASS),
    row(FETCH, Basic("bob", "mary-ro"), OPEN, "invalid-credentials"),
    row(FETCH, Basic("mary", "project-rw"), OPEN, "invalid-credentials"),
    row(FETCH, Basic("x-token-auth", "project-rw"), OPEN, PASS),
    row(FETCH, Basic("mary", "mary-ro"), NO_PASSWORDS, PASS),
    // What the gateway cannot tell from the right one is for the server behind.
    row(READ, Forged("mary-ro"), OPEN, PASS),
    row(WRITE, Forged("mary-ro"), OPEN, "scope"),
    row(READ, Forged("expired"), OPEN, "expired"),
    // Expiry and restrictions.
    row(READ, Bearer("expired"), OPEN, "expired"),
    row(FETCH_REFS, Bearer("expired"), OPEN, "expired"),
    row(READ, Bearer("ended"), OPEN, "restricted-expiry"),
    row(FETCH, Bearer("ended"), OPEN, "restricted-expiry"),
    row(READ, Bearer("narrowed"), OPEN, PASS),
    row(FETCH, Bearer("narrowed"), OPEN, PASS),
    row(WRITE, Bearer("narrowed"), OPEN, "restricted-scope"),
    row(PUSH_REFS, Bearer("narrowed"), OPEN, "restricted-scope"),
    row(PUSH, Bearer("narrowed"), OPEN, "restricted-scope"),
    blind("restricted-scope", with(DOWNLOAD, row(BATCH, Bearer("narrowed"), OPEN, PASS))),
    with(UPLOAD, row(BATCH, Bearer("narrowed"), OPEN, "restricted-scope")),
    row(STORE, Bearer("narrowed"), OPEN, "restricted-scope"),
    row(PUSH, Bearer("lasting"), OPEN, PASS),
    row(READ, Bearer("gone-expired"), OPEN, "expired"),
    row(WRITE, Bearer("gone-expired"), OPEN, "expired"),
    // Owners.
    row(READ, Bearer("gone-rw"), OPEN, "owner-inactive"),
    row(FETCH, Bearer("gone-rw"), DEVELOPERS, "owner-inactive"),
    row(READ, Bearer("bob-ro"), DEVELOPERS, "use"),
    row(FETCH, Bearer("bob-ro"), DEVELOPERS, "use"),
    row(READ, Basic("bob", "bob-ro"), DEVELOPERS, "use"),
    row(READ, Bearer("mary-ro"), DEVELOPERS, PASS),
    row(READ, Bearer("root-rw"), DEVELOPERS, "use"),
    row(READ, Bearer("mary-ro"), NOBODY, "use"),
    row(READ, Bearer("project-rw"), DEVELOPERS, PASS),
    row(PUSH, Bearer("project-rw"), DEVELOPERS, PASS),
    row(READ, Bearer("project-rw"), NOBODY, "use"),
    row(PUSH, Bearer("repository-ro"), OPEN, "scope"),
    row(FETCH, Bearer("repository-ro"), OPEN, PASS),
    row(READ, Bearer("bot-rw"), OPEN, PASS),
    // What is no credential.
    row(READ, NoToken, OPEN, "invalid-credentials"),
    row(FETCH_REFS, NoToken, OPEN, "invalid-credentials"),
    row(READ, Ours, OPEN, "invalid-credentials"),
    row(PUSH, Ours, OPEN, "invalid-credentials"),
    row(READ, Raw("Bearer MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ="), OPEN, "invalid-credentials"),
    row(READ, Raw("Bearer bbdc-MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ"), OPEN, "invalid-credentials"),
    row(READ, Raw("Digest username=\"mary\""), OPEN, "invalid-credentials"),
    row(READ, Raw("Basic bWFyeQ=="), OPEN, "invalid-credentials"),
    own(row(READ, Two("mary-ro", "Basic bWFyeTpwdy1tYXJ5"), OPEN, "ambiguous")),
    own(row(STORE, Two("mary-rw", "Basic bWFyeTpwdy1tYXJ5"), OPEN, "ambiguous")),
    own(row(STORE, Two("mary-rw", "JWT e30.e30.c2ln"), OPEN, PASS)),
    own(row(STORE, Two("mary-ro", "JWT e30.e30.c2ln"), OPEN, "scope")),
    own(row(STORE, Two("ended", "JWT e30.e30.c2ln"), OPEN, "restricted-expiry")),
    own(row(READ, Two("mary-rw", "JWT e30.e30.c2ln"), OPEN, "ambiguous")),
    // Networks.
    row(READ, Bearer("mary-ro"), OFFICE, PASS),
    from(AWAY, row(READ, Bearer("mary-ro"), OFFICE, "network")),
    from(AWAY, row(FETCH_REFS, Bearer("mary-ro"), OFFICE, "network")),
    from(AWAY, row(PUSH, Bearer("expired"), OFFICE, "network")),
    from(AWAY, row(READ, NoToken, OFFICE, "network")),
    from(AWAY, row(READ, Ours, OFFICE, "network")),
    from(AWAY, row(READ, Password("mary"), OFFICE, "network")),
    from(AWAY, row(READ, OAuth("mary"), OFFICE, "network")),
    from(AWAY, row(STORE, Raw("JWT e30.e30.c2ln"), OFFICE, "network")),
    from(AWAY, row(("GET", "/rest/api/latest/users?oauth_token=x"), Nothing, OFFICE, "network")),
    from(IPV6, row(READ, Bearer("mary-ro"), OFFICE, PASS)),
    from(MAPPED, row(READ, Bearer("mary-ro"), OFFICE, PASS)),
    through("192.0.2.9", row(READ, Bearer("mary-ro"), PROXY, PASS)),
    through("192.0.2.9, 10.0.0.4", row(READ, Bearer("mary-ro"), PROXY, PASS)),
    through("203.0.113.9", row(READ, Bearer("mary-ro"), PROXY, "network")),
    through("192.0.2.9, 203.0.113.9", row(READ, Bearer("mary-ro"), PROXY, "network")),
    through("", row(READ, Bearer("mary-ro"), PROXY, "network")),
    addressed("network", "authz-contract", through("unknown", row(READ, Bearer("mary-ro"), PROXY, "client-address"))),
    Row { forwarded: "203.0.113.9", ..row(READ, Bearer("mary-ro"), PROXY, PASS) },
    Row { peer: AWAY, forwarded: "192.0.2.9", ..row(READ, Bearer("mary-ro"), PROXY, "network") },
    // Browsers.
    row(PAGE, Nothing, OPEN, PASS),
    row(PAGE, Session("mary"), OPEN, PASS),
    row(LOGIN, Nothing, NO_PASSWORDS, PASS),
    row(READ, Nothing, OPEN, PASS),
    row(FETCH_REFS, Nothing, OPEN, PASS),
    row(PUSH, Nothing, NOBODY, PASS),
    from(AWAY, row(PAGE, Nothing, OFFICE, PASS)),
    from(AWAY, row(WRITE, Session("bob"), OFFICE, PASS)),
    from(AWAY, strict(row(PAGE, Nothing, OFFICE, "network"))),
    from(AWAY, strict(row(WRITE, Session("bob"), OFFICE, "network"))),
    from(HOME, strict(row(PAGE, Session("bob"), OFFICE, PASS))),
    addressed(PASS, "authz-contract", through("unknown", row(PAGE, Nothing, PROXY, PASS))),
    addressed("network", "authz-contract", through("unknown", strict(row(PAGE, Nothing, PROXY, "client-address")))),
    // Passwords, on every path.
    row(READ, Password("mary"), OPEN, PASS),
    row(PUSH, Password("mary"), OPEN, PASS),
    row(WRITE, Password("gone"), OPEN, PASS),
    row(READ, Password("mary"), NO_PASSWORDS, "password-disabled"),
    row(FETCH_REFS, Password("mary"), NO_PASSWORDS, "password-disabled"),
    row(PUSH, Password("root"), NO_PASSWORDS, "password-disabled"),
    row(STORE, Password("mary"), NO_PASSWORDS, "password-disabled"),
    row(PAGE, Password("mary"), NO_PASSWORDS, "password-disabled"),
    row(CREATE, Password("mary"), NO_PASSWORDS, "password-disabled"),
    row(READ, Password("root"), FEW_PASSWORDS, PASS),
    row(READ, Password("mary"), FEW_PASSWORDS, "password-disabled"),
    row(("POST", "/rest/api/latest/builds/1"), Password("mary"), FEW_PASSWORDS, PASS),
    row(("POST", "/scm/legacy/a.git/git-receive-pack"), Password("mary"), FEW_PASSWORDS, PASS),
    row(("GET", "/scm/legacy/../PLAT/app.git/info/refs"), Password("mary"), FEW_PASSWORDS, "ambiguous"),
    row(("GET", "/scm/legacy/..;/PLAT/app.git/info/refs"), Password("mary"), FEW_PASSWORDS, "ambiguous"),
    row(("GET", "/scm/legacy%2f..%2fPLAT/app.git/info/refs"), Password("mary"), FEW_PASSWORDS, "ambiguous"),
    row(READ, OAuth("mary"), NO_PASSWORDS, PASS),
    row(READ, StrangeOAuth, NOBODY, PASS),
    // Targets that could be read in two ways.
    row(("GET", "//rest/api/latest/projects"), Bearer("mary-rw"), OPEN, "ambiguous"),
    row(("PUT", "/rest/%61ccess-tokens/latest/users/mary"), Session("mary"), OPEN, "ambiguous"),
    row(("POST", "/SCM/PLAT/app.git/git-receive-pack"), Bearer("mary-ro"), OPEN, "ambiguous"),
    row(("GET", "/rest/api?os_username=mary&os_password=pw-mary"), Nothing, OPEN, "ambiguous"),
    // Tokens: looking at them.
    row(LIST, Session("mary"), NO_CREATION, PASS),
    row(LIST, Nothing, OPEN, PASS),
    row(LIST, Bearer("mary-ro"), OPEN, PASS),
    // Creating one.
    with(READS, row(CREATE, Session("mary"), OPEN, PASS)),
    with(READS, row(CREATE, Password("mary"), OPEN, PASS)),
    with(READS, row(CREATE, OAuth("mary"), OPEN, PASS)),
    with(WRITES, row(CREATE, Bearer("mary-rw"), OPEN, PASS)),
    with(READS, row(CREATE, Bearer("mary-ro"), OPEN, "scope")),
    with(READS, row(CREATE, Bearer("narrowed"), OPEN, "restricted-scope")),
    with(READS, row(CREATE, Nothing, OPEN, "no-credentials")),
    with(READS, row(CREATE, DeadSession, OPEN, "unknown-sender")),
    with(READS, row(CREATE, StrangeOAuth, OPEN, "unknown-sender")),
    with(READS, row(("PUT", "/rest/access-tokens/latest/users/mary?oauth_token=x"), Nothing, OPEN, "unknown-sender")),
    with(READS, row(CREATE, Session("mary"), NO_CREATION, "create")),
    with(READS, row(CREATE, Password("mary"), NO_CREATION, "create")),
    with(READS, row(CREATE, Bearer("mary-rw"), NO_CREATION, "create")),
    with(READS, row(CREATE, OAuth("mary"), NO_CREATION, "create")),
    blind("create-read-write", with(READS, row(CREATE, Session("mary"), BOTS_WRITE, PASS))),
    with(WRITES, row(CREATE, Session("mary"), BOTS_WRITE, "create-read-write")),
    with(WRITES, row(CREATE_FOR_BOT, Session("bot"), BOTS_WRITE, PASS)),
    with(UNKNOWN_PERMISSION, row(CREATE, Session("mary"), BOTS_WRITE, "create-read-write")),
    with(RENAME, row(CREATE, Session("mary"), BOTS_WRITE, "create-read-write")),
    blind(PASS, with("", row(CREATE, Session("mary"), OPEN, "bad-request"))),
    blind(PASS, with("[]", row(CREATE, Session("mary"), OPEN, "bad-request"))),
    blind("unseen", with(LISTED, row(CREATE, Session("mary"), LIMITS, "bad-request"))),
    blind("unseen", with(TWICE, row(CREATE, Session("mary"), LIMITS, "bad-request"))),
    blind("unseen", with(OTHER_CASE, row(CREATE, Session("mary"), LIMITS, "bad-request"))),
    blind("unseen", with(READS, row(CREATE, Session("mary"), LIMITS, PASS))),
    blind("unseen", with(WRITES, row(CREATE, Session("mary"), LIMITS, "limit"))),
    blind("unseen", with(ENDLESS, row(CREATE, Session("mary"), LIMITS, "limit"))),
    blind("unseen", with(LONG, row(CREATE, Session("mary"), LIMITS, "limit"))),
    blind("unseen", with(NAMELESS, row(CREATE, Session("mary"), LIMITS, "limit"))),
    blind("unseen", with(READS, row(CREATE, Session("mary"), SIX, PASS))),
    blind("unseen", with(READS, row(CREATE, Session("mary"), FIVE, "limit"))),
    blind("unseen", with(READS, row(CREATE, Bearer("mary-rw"), FIVE, "limit"))),
    blind("unseen", with(READS, row(CREATE, Password("mary"), FIVE, "limit"))),
    blind("unseen", with(NAMELESS, row(CREATE_FOR_BOB, Session("bob"), FIVE, PASS))),
    blind("unseen", with(READS, row(CREATE_FOR_BOT, Session("sam"), FIVE, PASS))),
    blind("unseen", with(READS, row(CREATE_FOR_PROJECT, Session("sam"), FIVE, "limit"))),
    with(TO_READ, row(CHANGE, Session("mary"), FIVE, PASS)),
    blind("unseen", with(LONG, row(CREATE_FOR_BOB, Session("bob"), LIMITS, PASS))),
    blind("unseen", with(YEARS, row(CREATE_FOR_BOB, Session("bob"), LIMITS, "limit"))),
    with(YEARS, row(CREATE_FOR_BOB, Session("bob"), OPEN, PASS)),
    // For others.
    with(READS, row(CREATE_FOR_BOB, Session("mary"), ADMINS, "manage-others")),
    with(READS, row(CREATE_FOR_BOB, Session("sam"), ADMINS, PASS)),
    with(READS, row(CREATE_FOR_ROOT, Session("sam"), ADMINS, "administrator")),
    with(READS, row(CREATE_FOR_NOBODY, Session("sam"), ADMINS, "unknown-owner")),
    with(READS, row(CREATE_FOR_NOBODY, Session("mary"), ADMINS, "manage-others")),
    with(READS, row(CREATE_FOR_PROJECT, Session("mary"), ADMINS, "manage-others")),
    with(READS, row(CREATE_FOR_PROJECT, Session("sam"), ADMINS, PASS)),
    with(READS, row(CREATE_FOR_REPOSITORY, Bearer("project-rw"), ADMINS, "manage-others")),
    blind("unseen", with(WRITES, row(CREATE_FOR_PROJECT, Session("sam"), PROJECT_LIMITS, "limit"))),
    blind("unseen", with(READS, row(CREATE_FOR_REPOSITORY, Session("sam"), PROJECT_LIMITS, PASS))),
    blind("unseen", with(WRITES, row(CREATE_FOR_REPOSITORY, Session("sam"), PROJECT_LIMITS, "limit"))),
    // Changing one.
    with(RENAME, row(CHANGE, Session("mary"), NO_CREATION, PASS)),
    blind("unseen", with(RENAME, row(CHANGE, Session("mary"), LIMITS, PASS))),
    blind("unseen", with(RENAME_BADLY, row(CHANGE, Session("mary"), LIMITS, "limit"))),
    blind("unseen", with(TO_READ, row(CHANGE, Session("mary"), LIMITS, PASS))),
    blind("unseen", with(TO_WRITE, row(CHANGE, Session("mary"), LIMITS, "limit"))),
    with(TO_WRITE, row(CHANGE, Session("mary"), BOTS_WRITE, "create-read-write")),
    blind("create-read-write", with(TO_READ, row(CHANGE, Session("mary"), BOTS_WRITE, PASS))),
    blind(PASS, with(PROLONG, row(CHANGE, Session("mary"), OPEN, "bad-request"))),
    with(TO_READ, row(CHANGE_OF_BOB, Session("mary"), ADMINS, "manage-others")),
    with(TO_READ, row(CHANGE_OF_BOB, Session("sam"), ADMINS, PASS)),
    with(TO_WRITE, row(CHANGE_OF_BOB, Session("sam"), BOTS_WRITE, "manage-others")),
    with(TO_WRITE, row(CHANGE_OF_BOB, Session("root"), BOTS_WRITE, "create-read-write")),
    blind("create-read-write", with(TO_READ, row(CHANGE_OF_BOB, Session("root"), BOTS_WRITE, PASS))),
    with(RENAME, row(CHANGE, DeadSession, OPEN, "unknown-sender")),
    // Revoking one.
    row(REVOKE, Session("mary"), NO_CREATION, PASS),
    row(REVOKE, Password("mary"), OPEN, PASS),
    row(REVOKE, Nothing, OPEN, "no-credentials"),
    row(REVOKE, DeadSession, OPEN, "unknown-sender"),
    row(REVOKE_OF_BOB, Session("mary"), ADMINS, "manage-others"),
    row(REVOKE_OF_BOB, Session("sam"), ADMINS, PASS),
    row(REVOKE_OF_ROOT, Session("sam"), ADMINS, "administrator"),
    row(REVOKE_OF_ROOT, Session("root"), OPEN, PASS),
    row(REVOKE_OF_NOBODY, Session("sam"), ADMINS, "administrator"),
    row(REVOKE_OF_NOBODY, Session("root"), OPEN, PASS),
    row(REVOKE_OF_BOB_AS_OWN, Session("mary"), ADMINS, "unknown-owner"),
    with(TO_READ, row(CHANGE_OF_ROOT_AS_OF_BOB, Session("sam"), ADMINS, "unknown-owner")),
    row(ADMINISTER, Session("mary"), OPEN, "administrator"),
    row(ADMINISTER, Session("root"), OPEN, PASS),
    row(ADMINISTER, DeadSession, OPEN, "unknown-sender"),
    from(AWAY, with(READS, row(CREATE, Session("mary"), OFFICE, PASS))),
    from(AWAY, strict(with(READS, row(CREATE, Session("mary"), OFFICE, "network")))),
    from(AWAY, with(READS, row(CREATE, Password("mary"), OFFICE, "network"))),
];
