//! Which token a request is judged as, and what is forwarded of its credentials: never another one.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use tokenwarden::{
    model::{TokenId, TokenSecret, UserName},
    serve::front::{
        classify::{Class, Prefixes, classify},
        secret::{Odd, Presented},
    },
};

use super::decoder;

const ID: &str = "075905477751";

/// The secret of the token `id`, as newer servers write it.
pub(crate) fn secret(id: &str, random: [u8; 20]) -> String {
    format!("BBDC-{}", STANDARD.encode([id.as_bytes(), b":", &random].concat()))
}

fn class(method: &str, target: &str) -> Class {
    classify(method, target, &Prefixes::new("", "/scm")).unwrap()
}

fn headers(lines: &[&[u8]]) -> HeaderMap {
    let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (AUTHORIZATION, value)).collect()
}

fn presented(line: &str) -> Presented {
    Presented::of(&headers(&[line.as_bytes()]), &class("GET", "/rest/api/latest/users")).unwrap()
}

fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

/// The identifier, the user and the header that is forwarded, of a token.
fn token(presented: Presented) -> Option<(String, Option<String>, String)> {
    match presented {
        Presented::Bitbucket { id, as_user, authorization, is_forwarded: true } => Some((
            id.to_string(),
            as_user.map(|user| user.to_string()),
            authorization.to_str().unwrap().to_owned(),
        )),
        _ => None,
    }
}

#[test]
fn a_token_is_known_in_both_alphabets_with_and_without_prefix_as_bearer_and_as_password() {
    let new = secret(ID, [0xfb; 20]);
    let old = new.trim_start_matches("BBDC-").to_owned();
    let other = URL_SAFE.encode([ID.as_bytes(), b":", &[0xfb; 20]].concat());
    assert!(other.contains('-') || other.contains('_'));
    let example = "MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ";
    assert_eq!(
        token(presented(&format!("Bearer {example}"))),
        Some(("252973515069".to_owned(), None, format!("Bearer {example}")))
    );
    for secret in [new, old, other.clone(), format!("BBDC-{other}")] {
        for line in [format!("Bearer {secret}"), format!("bearer {secret}"), format!("BEARER {secret}")] {
            assert_eq!(token(presented(&line)), Some((ID.to_owned(), None, line)));
        }
        for (user, named) in [("mary", Some("mary")), ("x-token-auth", None), ("", None)] {
            let line = basic(user, &secret);
            assert_eq!(token(presented(&line)), Some((ID.to_owned(), named.map(str::to_owned), line)));
        }
    }
}

#[test]
fn what_is_almost_a_token_is_neither_a_token_nor_a_password() {
    let new = secret(ID, [0xfb; 20]);
    let old = new.trim_start_matches("BBDC-").to_owned();
    let lower = new.replace("BBDC-", "bbdc-");
    let mixed = format!("{}-_", &old[..42]);
    assert!(old.contains('+'), "both alphabets in {mixed}");
    let with = |bytes: &[u8]| STANDARD.encode(bytes);
    let almost = [
        lower,
        mixed,
        format!("BBDC-{new}"),
        format!("{new}="),
        format!("{old}=="),
        format!("{new}A"),
        new[..new.len() - 1].to_owned(),
        format!("{} {}", &old[..20], &old[20..]),
        format!("{}.{}", &old[..20], &old[20..]),
        format!(" {old}"),
        format!("x:{new}"),
        format!("{new}:x"),
        with(&[ID.as_bytes(), b":", &[1; 19]].concat()),
        with(&[ID.as_bytes(), b":", &[1; 21]].concat()),
        with(&[ID.as_bytes(), b"0:", &[1; 20]].concat()),
        with(&[b"12345678901:", &[1; 20][..]].concat()),
        with(&[b" ", ID.as_bytes(), b":", &[1; 20]].concat()),
        URL_SAFE_NO_PAD.encode([ID.as_bytes(), b":", &[0xff; 24]].concat()),
    ];
    for secret in almost {
        assert_eq!(presented(&format!("Bearer {secret}")), Presented::Unknown, "{secret}");
        assert_eq!(presented(&basic("mary", &secret)), Presented::Unknown, "{secret}");
        assert_eq!(presented(&basic("x-token-auth", &secret)), Presented::Unknown, "{secret}");
    }
    // In the place of the user.
    assert_eq!(presented(&basic(&new, "")), Presented::Unknown);
    assert_eq!(presented(&basic(&new, "x-oauth-basic")), Presented::Unknown);
    for line in [
        format!("Bearer  {new}"),
        format!("Bearer\t{new}"),
        format!("Bearer {new}, Basic bWFyeTpwdw=="),
        format!("Token {new}"),
        format!("OAuth {new}"),
        format!("JWT {new}"),
        new.clone(),
        format!("Basic {}", STANDARD.encode(&new)),
        format!("Basic {}", STANDARD.encode(format!("mary:{new}")).trim_end_matches('=').to_owned() + "!"),
        format!("Basic {}", STANDARD.encode(format!("mary:{new}\n"))),
        format!("Basic {}", STANDARD.encode(format!("mary:{new}\0"))),
    ] {
        assert_eq!(presented(&line), Presented::Unknown, "{line}");
    }
}

#[test]
fn what_is_no_token_is_a_password_or_what_the_server_behind_signs() {
    let is_password = |line: &str, name: &str| match presented(line) {
        Presented::Password { user, authorization } => {
            user == UserName::new(name) && authorization.to_str().unwrap() == line
        }
        _ => false,
    };
    for password in ["pw", "", "hunter2 with spaces", "pässword", "a:b:c", "BBDC", "tw_short", "MTIzNDU2"] {
        assert!(is_password(&basic("mary", password), "mary"), "{password}");
    }
    // Not in UTF-8, as older clients send it.
    assert!(is_password(&format!("basic {}", STANDARD.encode(b"mary:p\xe4ss")), "mary"));
    for line in [
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo",
        "JWT eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo",
        "OAuth oauth_consumer_key=\"k\", oauth_token=\"\", oauth_signature=\"s%3D\"",
        "Negotiate YIIJvwYGKwYBBQUCoIIJszCCCa+gJDAiBgkqhkiC",
        &basic("x-token-auth", "oauth2-access-token"),
    ] {
        let found = presented(line);
        let Presented::OtherBearer { authorization: Some(authorization) } = found else {
            panic!("{line} is {found:?}")
        };
        assert_eq!(authorization.to_str().unwrap(), line);
    }
    for line in
        ["", "Bearer", "Basic", "Basic !", "Basic bWFyeQ==", "Digest username=\"mary\"", "Bearer a b", "x"]
    {
        assert_eq!(presented(line), Presented::Unknown, "{line}");
    }
    assert_eq!(presented(&basic("", "pw")), Presented::Unknown);
    assert_eq!(presented("OAuth x, Basic bWFyeTpwdw=="), Presented::Unknown);
}

#[test]
fn a_token_of_the_gateway_is_never_forwarded() {
    let ours = TokenSecret::from_random([9; 32]).expose().to_owned();
    let mistyped = format!("{}x", &ours[..ours.len() - 1]);
    for secret in [ours.clone(), mistyped, ours.to_uppercase()] {
        for line in [format!("Bearer {secret}"), basic("mary", &secret), basic("x-token-auth", &secret)] {
            assert_eq!(presented(&line), Presented::Ours, "{line}");
        }
    }
}

#[test]
fn no_secret_is_shown_by_what_was_read_of_it() {
    let secret = secret(ID, [0x41; 20]);
    for line in [format!("Bearer {secret}"), basic("mary", &secret), basic("mary", "hunter2")] {
        let shown = format!("{:?}", presented(&line));
        let encoded = line.split(' ').nth(1).unwrap();
        assert!(!shown.contains(encoded) && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn of_two_headers_one_is_read_where_lfs_stores_and_none_elsewhere() {
    let token = format!("Bearer {}", secret(ID, [1; 20]));
    let password = basic("mary", "pw");
    let signed = "JWT eyJhbGciOiJIUzI1NiJ9.e30.c2ln";
    let of = |lines: [&str; 2], target: &str| {
        Presented::of(&headers(&lines.map(str::as_bytes)), &class("PUT", target))
    };
    let storage = "/rest/git-lfs/storage/PLAT/app/4f2e";
    for lines in [[token.as_str(), signed], [signed, token.as_str()]] {
        let Ok(Presented::Bitbucket { id, authorization, is_forwarded: false, .. }) = of(lines, storage)
        else {
            panic!("{:?}", of(lines, storage))
        };
        assert_eq!((id, authorization.to_str().unwrap()), (TokenId::new(ID), signed));
        assert_eq!(of(lines, "/rest/api/latest/users"), Err(Odd::Several));
        assert_eq!(of(lines, "/scm/PLAT/app.git/info/lfs/locks"), Err(Odd::Several));
    }
    for lines in
        [[token.as_str(), token.as_str()], [&token, &password], [signed, signed], [&password, signed]]
    {
        assert_eq!(of(lines, storage), Err(Odd::Several), "{lines:?}");
    }
    let three = headers(&[token.as_bytes(), signed.as_bytes(), signed.as_bytes()]);
    assert_eq!(Presented::of(&three, &class("PUT", storage)), Err(Odd::Several));
}

#[test]
fn a_cookie_is_a_session_only_where_nothing_else_is_sent() {
    let mut headers = HeaderMap::new();
    let page = class("GET", "/projects");
    assert_eq!(Presented::of(&headers, &page), Ok(Presented::None));
    headers.insert(COOKIE, HeaderValue::from_static("BITBUCKETSESSIONID=1"));
    assert_eq!(Presented::of(&headers, &page), Ok(Presented::Session));
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&basic("mary", "pw")).unwrap());
    assert!(matches!(Presented::of(&headers, &page), Ok(Presented::Password { .. })));
}

#[test]
fn what_oauth_sends_in_a_query_is_a_credential_and_none_beside_another() {
    let asked = |target: &str, headers: &HeaderMap| Presented::of(headers, &class("GET", target));
    let both = headers(&[basic("mary", "pw").as_bytes()]);
    for query in ["oauth_token=x", "a=1&OAUTH_consumer_key=x", "access%5Ftoken=x", "b;jwt=x"] {
        let target = format!("/rest/api/latest/users?{query}");
        let found = asked(&target, &HeaderMap::new());
        assert_eq!(found, Ok(Presented::OtherBearer { authorization: None }), "{query}");
        assert_eq!(asked(&target, &both), Err(Odd::Several), "{query}");
    }
}

#[test]
fn a_header_that_says_another_method_is_refused() {
    for name in [
        "X-HTTP-Method-Override",
        "x_http_method_override",
        "X.HTTP.Method.Override",
        "X-Method-Override",
        "X-HTTP-Method",
    ] {
        let mut headers = headers(&[basic("mary", "pw").as_bytes()]);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("PUT"));
        for target in ["/rest/api/latest/users", "/projects", "/scm/P/r.git/HEAD"] {
            assert_eq!(Presented::of(&headers, &class("GET", target)), Err(Odd::Method), "{name} {target}");
        }
    }
}

/// A source of bytes that are the same in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }
}

/// A secret, or something that was one.
fn hostile_secret(random: &mut Random) -> Vec<u8> {
    let digits: Vec<u8> =
        (0..[12, 12, 12, 6, 11, 13, 5][random.below(7)]).map(|_| b'0' + random.byte() % 10).collect();
    let tail: Vec<u8> = (0..[20, 20, 20, 19, 21, 24, 0][random.below(7)]).map(|_| random.byte()).collect();
    let bytes = [&digits[..], b":", &tail].concat();
    let mut text = match random.below(4) {
        0 => STANDARD.encode(&bytes),
        1 => URL_SAFE.encode(&bytes),
        2 => URL_SAFE_NO_PAD.encode(&bytes),
        _ => STANDARD.encode(STANDARD.encode(&bytes)),
    };
    let prefix =
        ["", "", "BBDC-", "BBDC-", "bbdc-", "Bbdc-", "BBDC-BBDC-", "BBDC", "tw_", " BBDC-"][random.below(10)];
    text.insert_str(0, prefix);
    let mut text = text.into_bytes();
    for _ in 0..random.below(4) {
        let place = random.below(text.len() + 1);
        match random.below(6) {
            0 => text.insert(place, b"= \t\r\n.,:;-_+/@%\"\0"[random.below(17)]),
            1 => text.insert(place, random.byte()),
            2 if place < text.len() => drop(text.remove(place)),
            3 if place < text.len() => text[place] = random.byte(),
            4 if place < text.len() => text[place] = text[place].to_ascii_lowercase(),
            _ => text.truncate(place),
        }
    }
    text
}

/// A value of an `Authorization`, made from a secret.
fn hostile_line(random: &mut Random) -> Vec<u8> {
    let secret = hostile_secret(random);
    let scheme = ["Bearer", "bearer", "Basic", "BASIC", "Basic", "Token", "OAuth", "JWT", "Negotiate", ""]
        [random.below(10)];
    let user = ["mary", "x-token-auth", "", "mary:x", "m\u{e4}ry", "BBDC-"][random.below(6)];
    let pair = [user.as_bytes(), b":", &secret].concat();
    let mut line = scheme.as_bytes().to_vec();
    line.extend([&b" "[..], b" ", b" ", b"  ", b"\t", b"", b", "][random.below(7)]);
    match (scheme.eq_ignore_ascii_case("basic"), random.below(5)) {
        (true, 0) => line.extend(URL_SAFE_NO_PAD.encode(&pair).bytes()),
        (true, 1) => line.extend(&secret),
        (true, _) | (false, 0) => line.extend(STANDARD.encode(&pair).bytes()),
        (false, _) => line.extend(&secret),
    }
    for _ in 0..random.below(3).saturating_sub(1) {
        let place = random.below(line.len() + 1);
        match random.below(3) {
            0 => line.insert(place, b"= \t,:-_A"[random.below(8)]),
            1 if place < line.len() => line[place] ^= 1 << random.below(7),
            _ => line.extend(b", Basic bWFyeTpwdw=="),
        }
    }
    line
}

#[test]
fn of_100_000_hostile_credentials_the_token_that_is_judged_is_the_token_that_is_forwarded() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (rest, storage) =
        (class("GET", "/rest/api/latest/users"), class("PUT", "/rest/git-lfs/storage/P/r/1"));
    let (mut tokens, mut others, mut refused) = (0, 0, 0);
    for case in 0..100_000 {
        // Half of them are whole, so that many pass.
        let lines: Vec<Vec<u8>> = match case % 4 {
            0 => vec![[b"Bearer ", secret(ID, random.bytes()).as_bytes()].concat()],
            1 => vec![basic("mary", &secret("252973515069", random.bytes())).into_bytes()],
            2 => vec![hostile_line(&mut random)],
            _ => (0..=random.below(3)).map(|_| hostile_line(&mut random)).collect(),
        };
        let sent: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let headers = headers(&sent);
        let class = if random.below(2) == 0 { &rest } else { &storage };
        let (judged, authorization) = match Presented::of(&headers, class) {
            Ok(Presented::Bitbucket { id, authorization, is_forwarded, .. }) => {
                (is_forwarded.then_some(id.to_string()), Some(authorization))
            }
            Ok(Presented::Password { authorization, .. }) => (None, Some(authorization)),
            Ok(Presented::OtherBearer { authorization }) => (None, authorization),
            Ok(
                Presented::None
                | Presented::Session
                | Presented::Ours
                | Presented::Recognised(_)
                | Presented::Unknown,
            )
            | Err(_) => (None, None),
        };
        let carried = authorization.as_ref().map(|line| decoder::ids(line.as_bytes())).unwrap_or_default();
        let expected = judged.into_iter().collect();
        assert_eq!(
            carried,
            expected,
            "{:?}",
            sent.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>()
        );
        match (&authorization, carried.is_empty()) {
            (Some(_), false) => tokens += 1,
            (Some(_), true) => others += 1,
            (None, _) => refused += 1,
        }
    }
    assert!(
        tokens > 40_000 && others > 1_000 && refused > 20_000,
        "{tokens} tokens, {others} others, {refused} refused"
    );
}
