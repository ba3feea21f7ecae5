//! What the gateway decides on a request is what `access` decides on it, and never more than the server behind
//! permits by itself.

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue};
use tokenwarden::{
    access::{
        Credentials, Decision, DenialReason, Operation, Passed, PassedKind, Person, Request, RequestOrigin,
        decide,
    },
    model::{Owner, Scope, Settings, TokenSecret, UserName},
    serve::front::{
        classify::{Class, OwnerPath, Prefixes, classify},
        judge::{Body, Browsers, Case, Forward, Known, Refused, SenderLookup, Verdict, judge, wanted},
        secret::Presented,
    },
};

use super::{
    behind::found,
    decoder,
    secret::secret,
    table::{Asked, OPEN, PASS, ROWS, Row, Sent},
    world::{AT, NO_TOKEN, TOKENS, TokenRow, any_state, owner, person, settings},
};
use crate::support::world::cases;

impl Sent {
    /// The header lines that carry it.
    pub(crate) fn headers(self) -> HeaderMap {
        let basic =
            |user: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")));
        let bearer = |secret: &str| format!("Bearer {secret}");
        let lines = match self {
            Self::Nothing | Self::Session(_) | Self::DeadSession => Vec::new(),
            Self::Bearer(token) => vec![bearer(&TokenRow::named(token).secret())],
            Self::Basic(user, token) => vec![basic(user, &TokenRow::named(token).secret())],
            Self::Forged(token) => vec![bearer(&secret(TokenRow::named(token).id, [b'#'; 20]))],
            Self::NoToken => vec![bearer(&secret(NO_TOKEN, [b'#'; 20]))],
            Self::Ours => vec![bearer(TokenSecret::from_random([9; 32]).expose())],
            Self::Password(user) => vec![basic(user, &format!("pw-{user}"))],
            Self::OAuth(user) => vec![bearer(&format!("oauth2.{user}"))],
            Self::StrangeOAuth => vec!["OAuth oauth_consumer_key=\"k\", oauth_signature=\"s\"".to_owned()],
            Self::Raw(line) => vec![line.to_owned()],
            Self::Two(token, line) => vec![bearer(&TokenRow::named(token).secret()), line.to_owned()],
        };
        let mut headers: HeaderMap =
            lines.iter().map(|line| (AUTHORIZATION, HeaderValue::from_str(line).unwrap())).collect();
        let session = match self {
            Self::Session(user) => format!("BITBUCKETSESSIONID={user}"),
            Self::DeadSession => "BITBUCKETSESSIONID=dead".to_owned(),
            _ => return headers,
        };
        headers.insert(COOKIE, HeaderValue::from_str(&session).unwrap());
        headers
    }

    /// Whom the server behind names, asked with it.
    fn answers_to(self) -> Option<Person> {
        match self {
            Self::Session(user) | Self::OAuth(user) => person(user),
            _ => None,
        }
    }
}

impl Row {
    fn origin(&self) -> RequestOrigin {
        let header_lines =
            if self.forwarded.is_empty() { Vec::new() } else { vec![self.forwarded.to_owned()] };
        RequestOrigin::Connection { peer: self.peer.parse().unwrap(), header_lines }
    }

    fn settings(&self) -> Settings {
        settings(self.settings)
    }

    /// What the gateway makes of it: `pass`, or the code of the refusal.
    pub(crate) fn decided(&self) -> &'static str {
        gateway(self, &self.settings()).map_or_else(|code| code, |_| PASS)
    }
}

/// What the mirror answers to what is wanted.
fn known(class: &Class, presented: &Presented, sent: Sent, tokens: &[TokenRow]) -> Known {
    let wanted = wanted(class, presented);
    let place = |path: &OwnerPath| match path {
        OwnerPath::User { slug } => owner(&Owner::User(UserName::new(slug.as_str()))),
        OwnerPath::Project { key } => owner(&Owner::Project(key.clone())),
        OwnerPath::Repository { project, slug } => {
            owner(&Owner::Repository { project: project.clone(), slug: slug.clone() })
        }
    };
    Known {
        token: wanted
            .token
            .and_then(|id| tokens.iter().find(|token| token.id == id.as_str()))
            .map(TokenRow::held),
        sender: match wanted.sender {
            SenderLookup::Any => None,
            SenderLookup::Named(user) => person(user.as_str()),
            SenderLookup::Asked => sent.answers_to(),
        },
        owner: wanted.owner.and_then(place),
        holder: wanted
            .holder
            .and_then(|id| TOKENS.iter().find(|token| token.id == id.as_str()))
            .map(|token| token.owner.parse().unwrap()),
        tokens: None,
    }
}

/// How many tokens `owner` has that have not ended.
fn tokens_of(owner: &Owner, tokens: &[TokenRow]) -> u64 {
    let is_over = |end: Option<&str>| end.is_some_and(|end| end <= AT);
    let theirs = tokens.iter().filter(|token| token.owner.parse::<Owner>().unwrap() == *owner);
    theirs.filter(|token| !is_over(token.expires) && !is_over(token.not_after)).count() as u64
}

/// What the gateway makes of a row: what it forwards, or the code of the refusal.
fn gateway(row: &Row, settings: &Settings) -> Result<Box<Forward>, &'static str> {
    gateway_with(row, settings, &TOKENS)
}

/// The same when the server behind has these `tokens`.
fn gateway_with(row: &Row, settings: &Settings, tokens: &[TokenRow]) -> Result<Box<Forward>, &'static str> {
    let (method, target) = row.request;
    let class = classify(method, target, &Prefixes::new("", "/scm")).map_err(|_| "ambiguous")?;
    let presented = Presented::of(&row.sent.headers(), &class).map_err(|_| "ambiguous")?;
    let mut case = Case {
        settings,
        browsers: if row.browsers_by_network { Browsers::Network } else { Browsers::Pass },
        origin: row.origin(),
        class: &class,
        presented: &presented,
        known: known(&class, &presented, row.sent, tokens),
        body: Body::Unread,
        at: AT.parse().unwrap(),
    };
    let mut verdict = judge(&case);
    if matches!(verdict, Verdict::NeedsBody) {
        case.body = Body::Read(row.body.as_bytes());
        verdict = judge(&case);
    }
    if let Verdict::NeedsCount(owner) = &verdict {
        case.known.tokens = Some(tokens_of(owner, tokens));
        verdict = judge(&case);
    }
    match verdict {
        Verdict::Permit(forward) => Ok(forward),
        Verdict::NeedsBody | Verdict::NeedsCount(_) => panic!("body and count were told: {row:?}"),
        Verdict::Refused(Refused::Reason(reason)) => Err(reason.code()),
        Verdict::Refused(Refused::Limit(_)) => Err("limit"),
        Verdict::Refused(Refused::Body(_)) => Err("bad-request"),
        Verdict::Refused(Refused::Unseen) => Err("unseen"),
    }
}

#[test]
fn the_table_of_requests_holds() {
    assert!(ROWS.len() >= 150, "{}", ROWS.len());
    let restricted = |row: &&Row| match row.sent {
        Sent::Bearer(name) | Sent::Basic(_, name) => {
            let token = TokenRow::named(name);
            token.narrowed || token.not_after.is_some()
        }
        _ => false,
    };
    assert!(ROWS.iter().filter(restricted).count() >= 10, "tokens that the gateway restricts");
    let mut wrong = Vec::new();
    for row in ROWS {
        let decided = row.decided();
        if decided != row.expected {
            wrong.push(format!("{decided}: {row:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_every_reason_that_a_request_to_the_server_behind_can_be_refused_for() {
    // A user who is known, and a network, are what the other reasons take.
    let never = [DenialReason::NoUser];
    for reason in DenialReason::ALL.iter().filter(|reason| !never.contains(reason)) {
        assert!(ROWS.iter().any(|row| row.expected == reason.code()), "{reason}");
    }
}

/// What a row is for `access`, found in another way than the gateway finds it: by what the row says of itself. `None`
/// where it depends on a body, or on a target that nobody reads.
fn asked(row: &Row, settings: &Settings, tokens: &[TokenRow]) -> Option<Result<(), DenialReason>> {
    let (method, target) = row.request;
    let path = target.split('?').next().unwrap();
    let writes = Operation::Git { needs: Scope::ReadWrite };
    let operation = match path {
        _ if path.starts_with("/rest/access-tokens/") && method != "GET" => return None,
        _ if path.ends_with("/objects/batch") => return None,
        _ if target.ends_with("service=git-receive-pack") => writes,
        _ if target.ends_with("service=git-upload-pack") || path.ends_with("/git-upload-pack") => {
            Operation::Git { needs: Scope::ReadOnly }
        }
        _ if path.ends_with("/git-receive-pack") || path.ends_with("/locks/verify") => writes,
        _ => Operation::Enter,
    };
    let held =
        |name: &str| Credentials::Token(tokens.iter().find(|token| token.name == name).unwrap().held());
    let passed = |kind| Credentials::Passed(Passed { kind, person: None });
    let credentials = match row.sent {
        _ if target.contains("oauth_token") => passed(PassedKind::Bearer),
        Sent::Nothing | Sent::Session(_) | Sent::DeadSession => {
            passed(PassedKind::Browser { anywhere: !row.browsers_by_network })
        }
        Sent::Bearer(name) | Sent::Forged(name) | Sent::Two(name, _) => held(name),
        Sent::Basic(user, name) => {
            let token = TokenRow::named(name);
            let is_anybody = ["", "x-token-auth"].contains(&user);
            if is_anybody || token.owner.eq_ignore_ascii_case(user) {
                held(name)
            } else {
                Credentials::Invalid
            }
        }
        Sent::Password(user) => passed(PassedKind::Password { user: user.into() }),
        Sent::OAuth(_) | Sent::StrangeOAuth => passed(PassedKind::Bearer),
        Sent::Raw(line) if line.starts_with("JWT ") => passed(PassedKind::Bearer),
        Sent::NoToken | Sent::Ours | Sent::Raw(_) => Credentials::Invalid,
    };
    let request =
        Request { origin: row.origin(), method, path, credentials, operation, at: AT.parse().unwrap() };
    Some(match decide(settings, &request) {
        Decision::Permit(_) => Ok(()),
        Decision::Denied(reason) => Err(reason),
    })
}

#[test]
fn nothing_passes_the_table_that_the_server_behind_refuses_by_itself() {
    for row in ROWS {
        upper_bound(row, &row.settings(), &TOKENS);
    }
}

/// Holds that what is forwarded of `row` gets no better answer than `row` without the gateway.
fn upper_bound(row: &Row, settings: &Settings, tokens: &[TokenRow]) {
    let Ok(forward) = gateway_with(row, settings, tokens) else { return };
    let sent = row.sent.headers();
    let mut forwarded = sent.clone();
    forwarded.remove(AUTHORIZATION);
    if forward.drops_cookies {
        forwarded.remove(COOKIE);
    }
    if let Some(authorization) = &forward.authorization {
        forwarded.insert(AUTHORIZATION, authorization.clone());
    }
    let (method, target) = row.request;
    let (with, without) =
        (found(&forwarded, method, target, tokens).0, found(&sent, method, target, tokens).0);
    // Two headers are one request for LFS, which by itself takes the one that it signed.
    let is_pair = matches!(row.sent, Sent::Two(..));
    assert!(
        with == without || with >= 400 || is_pair,
        "{with} behind the gateway, {without} without it: {row:?}"
    );
    let confirmed = forward.confirms.as_ref().map(|confirms| confirms.token.as_str().to_owned());
    let carried =
        forward.authorization.as_ref().map(|line| decoder::ids(line.as_bytes())).unwrap_or_default();
    assert_eq!(carried, confirmed.into_iter().collect(), "{row:?}");
}

pub(crate) fn any_row() -> impl Strategy<Value = Row> {
    let index = || 0..ROWS.len();
    // As often as not a token, whichever it is.
    let token = (0..TOKENS.len()).prop_map(|token| Sent::Bearer(TOKENS[token].name));
    let sent = prop_oneof![index().prop_map(|row| ROWS[row].sent), token];
    (index(), sent, index(), index(), any::<bool>()).prop_map(
        |(request, sent, origin, settings, browsers_by_network)| Row {
            request: ROWS[request].request,
            body: ROWS[request].body,
            sent,
            peer: ROWS[origin].peer,
            forwarded: ROWS[origin].forwarded,
            settings: ROWS[settings].settings,
            browsers_by_network,
            expected: "",
            asked: Asked::Alike,
        },
    )
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn whatever_is_asked_the_gateway_decides_as_access_and_takes_away_alone(
        row in any_row(),
        states in proptest::collection::vec(any_state(), TOKENS.len()),
    ) {
        let settings = row.settings();
        let tokens: Vec<_> = TOKENS.into_iter().zip(states).map(|(token, state)| token.in_state(state)).collect();
        let decided = gateway_with(&row, &settings, &tokens);
        let asked = asked(&row, &settings, &tokens);
        if let (Some(asked), false) = (asked, decided.as_ref().err() == Some(&"ambiguous")) {
            prop_assert_eq!(decided.as_ref().map(|_| ()).map_err(|code| *code), asked.map_err(DenialReason::code), "{:?}", row);
        }
        upper_bound(&row, &settings, &tokens);
    }

    /// The narrower the settings, the less passes.
    #[test]
    fn what_passes_passes_with_open_settings_as_well(row in any_row()) {
        let open = Row { settings: OPEN, browsers_by_network: false, ..row };
        let is_about_tokens = row.request.1.starts_with("/rest/access-tokens/");
        if !is_about_tokens && gateway(&row, &row.settings()).is_ok() {
            prop_assert!(gateway(&open, &open.settings()).is_ok(), "{:?}", row);
        }
    }
}

#[test]
fn a_body_is_asked_for_only_where_the_decision_depends_on_it_and_nothing_passes_without() {
    let decided = |row: &Row, body: Body<'_>| {
        let settings = row.settings();
        let (method, target) = row.request;
        let class = classify(method, target, &Prefixes::new("", "/scm")).ok()?;
        let presented = Presented::of(&row.sent.headers(), &class).ok()?;
        Some(judge(&Case {
            settings: &settings,
            browsers: Browsers::Pass,
            origin: row.origin(),
            class: &class,
            presented: &presented,
            known: known(&class, &presented, row.sent, &TOKENS),
            body,
            at: AT.parse().unwrap(),
        }))
    };
    let (mut needed, mut unseen) = (0, 0);
    for row in ROWS.iter().filter(|row| !row.browsers_by_network) {
        let Some(first) = decided(row, Body::Unread) else { continue };
        let blind = decided(row, Body::Unseen).unwrap();
        assert!(!matches!(blind, Verdict::NeedsBody), "{row:?}");
        if matches!(first, Verdict::NeedsBody) {
            needed += 1;
            // Without its body nothing passes that is refused with it, unless the body cannot be read at all.
            let passes = matches!(blind, Verdict::Permit(_));
            assert!(!passes || [PASS, "bad-request"].contains(&row.expected), "{row:?}");
            unseen += usize::from(matches!(blind, Verdict::Refused(Refused::Unseen)));
        } else {
            assert_eq!(matches!(first, Verdict::Permit(_)), matches!(blind, Verdict::Permit(_)), "{row:?}");
        }
    }
    assert!(needed > 30 && unseen > 3, "{needed} need a body, {unseen} cannot do without");
}

#[test]
fn what_is_forwarded_of_a_body_about_tokens_is_what_was_read_of_it() {
    let row = ROWS.iter().find(|row| row.expected == PASS && row.body.contains("expiryDays")).unwrap();
    let spaced = Row {
        body: " {\"expiryDays\" : 30,\n \"permissions\":[\"REPO_\\u0052EAD\"], \"name\":\"OPS-1\"} ",
        ..*row
    };
    let forward = gateway(&spaced, &spaced.settings()).unwrap();
    assert_eq!(
        String::from_utf8(forward.body.unwrap()).unwrap(),
        r#"{"name":"OPS-1","permissions":["REPO_READ"],"expiryDays":30}"#
    );
}

#[test]
fn cookies_are_taken_off_whatever_else_is_sent_and_a_use_is_confirmed_by_the_token_that_is_forwarded() {
    for row in ROWS {
        let Ok(forward) = gateway(row, &row.settings()) else { continue };
        let is_browser = matches!(row.sent, Sent::Nothing | Sent::Session(_) | Sent::DeadSession)
            && !row.request.1.contains("oauth_token");
        assert_eq!(forward.drops_cookies, !is_browser, "{row:?}");
        let named = match row.sent {
            Sent::Bearer(name) | Sent::Basic(_, name) | Sent::Forged(name) => Some(TokenRow::named(name).id),
            _ => None,
        };
        let confirmed = forward.confirms.as_ref().map(|confirms| confirms.token.as_str());
        assert_eq!(confirmed, named, "{row:?}");
    }
}
