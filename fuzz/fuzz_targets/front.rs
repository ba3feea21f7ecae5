//! A request to a server behind the gateway: its target has one reading, which percent-encoding and case change
//! nothing of, and the token that its credentials are judged as is the token that is forwarded. The first line is the
//! method and the target; every other one is an `Authorization`.
#![no_main]

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use libfuzzer_sys::fuzz_target;
use tokenwarden::{
    model::Scope,
    serve::front::{
        classify::{Kind, Prefixes, classify},
        secret::Presented,
    },
};

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (method, target) = first.split_once(' ').unwrap_or(("GET", &first));
    let headers: HeaderMap = lines
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .map(|value| (AUTHORIZATION, value))
        .collect();
    let Ok(class) = classify(method, target, &Prefixes::new("", "/scm")) else { return };
    // Whatever is written, what pushes is known to write, and what makes tokens to make them.
    let path = target.split('?').next().unwrap_or_default().trim_end_matches('/').to_ascii_lowercase();
    if path.starts_with("/scm/") && path.ends_with("/git-receive-pack") && path.split('/').count() > 4 {
        assert_eq!(class.kind, Kind::Git(Scope::ReadWrite));
    }
    if path.starts_with("/rest/access-tokens/") && !Scope::ReadOnly.allows(method) {
        assert!(matches!(class.kind, Kind::Tokens(_)), "{class:?}");
    }
    assert!(!class.path.contains("/../") && !class.path.contains("//"), "{class:?}");

    let Ok(presented) = Presented::of(&headers, &class) else { return };
    match presented {
        Presented::Bitbucket { id, authorization, is_forwarded: true, .. } => {
            assert_eq!(id_in(&authorization).as_deref(), Some(id.as_str()));
            assert!(headers.values().any(|sent| *sent == authorization), "written anew, and as it was");
        }
        Presented::Password { authorization, .. }
        | Presented::OtherBearer { authorization: Some(authorization) } => {
            assert_eq!(id_in(&authorization), None);
        }
        _ => {}
    }
});

/// The identifier in a header that is forwarded, read in another way than the gateway does.
fn id_in(authorization: &HeaderValue) -> Option<String> {
    let text = String::from_utf8_lossy(authorization.as_bytes()).into_owned();
    let (scheme, rest) = text.split_once(' ')?;
    let secret = if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8_lossy(&STANDARD.decode(rest).ok()?).into_owned();
        pair.split_once(':')?.1.to_owned()
    } else {
        rest.to_owned()
    };
    let body = secret.strip_prefix("BBDC-").unwrap_or(&secret).replace('-', "+").replace('_', "/");
    let bytes = STANDARD.decode(body).ok().filter(|bytes| bytes.len() == 33)?;
    let (digits, rest) = bytes.split_at(12);
    let is_token = digits.iter().all(u8::is_ascii_digit) && rest.starts_with(b":");
    is_token.then(|| String::from_utf8_lossy(digits).into_owned())
}
