//! What a request is, by its method and target, and which targets could be read in two ways.

use tokenwarden::{
    model::{Scope, TokenId},
    serve::front::classify::{Ambiguous, Class, Kind, OwnerPath, Prefixes, TokenRequest, classify},
};

use super::secret::Random;

fn read(method: &str, target: &str) -> Result<Class, Ambiguous> {
    classify(method, target, &Prefixes::new("", "/scm"))
}

fn word(method: &str, target: &str) -> &'static str {
    read(method, target).unwrap_or_else(|error| panic!("{method} {target}: {error}")).kind.word()
}

#[test]
fn requests_of_git_and_lfs_read_or_write_whatever_their_method_is() {
    let repository = "/scm/PLAT/app.git";
    for (method, path, expected) in [
        ("GET", "/info/refs?service=git-upload-pack", "git-read"),
        ("HEAD", "/info/refs?service=git-upload-pack", "git-read"),
        ("GET", "/info/refs/?service=git-upload-pack", "git-read"),
        ("POST", "/git-upload-pack", "git-read"),
        ("GET", "/info/refs?service=git-receive-pack", "git-write"),
        ("HEAD", "/info/refs?service=git-receive-pack", "git-write"),
        ("GET", "/info/refs?%73ervice=git%2Dreceive%2dpack", "git-write"),
        ("GET", "/info/refs?SERVICE=git-receive-pack", "git-write"),
        ("GET", "/info/refs?a=b;service=git-receive-pack", "git-write"),
        ("GET", "/info/refs?a=b&service=git-receive-pack&c", "git-write"),
        ("GET", "/info/refs?service=GIT-UPLOAD-PACK", "git-write"),
        ("GET", "/info/refs?service=git-upload-archive", "git-write"),
        ("GET", "/info/refs?service=git%252dupload-pack", "git-write"),
        ("GET", "/info/refs?service=", "git-write"),
        ("GET", "/info/refs", "git-read"),
        ("POST", "/info/refs?service=git-upload-pack", "git-write"),
        ("POST", "/git-receive-pack", "git-write"),
        ("GET", "/git-receive-pack", "git-write"),
        ("POST", "/git-receive-pack/", "git-write"),
        ("GET", "/git-upload-pack", "git-read"),
        ("PUT", "/git-upload-pack", "git-write"),
        ("POST", "/git-upload-archive", "git-write"),
        ("GET", "/HEAD", "git-read"),
        ("GET", "/objects/info/packs", "git-read"),
        ("PROPFIND", "/", "git-write"),
        ("POST", "/info/lfs/objects/batch", "lfs-batch"),
        ("GET", "/info/lfs/objects/batch", "lfs-read"),
        ("PUT", "/info/lfs/objects/batch", "lfs-write"),
        ("GET", "/info/lfs/locks", "lfs-read"),
        ("GET", "/info/lfs/locks?path=x", "lfs-read"),
        ("POST", "/info/lfs/locks", "lfs-write"),
        ("POST", "/info/lfs/locks/verify", "lfs-write"),
        ("GET", "/info/lfs/locks/verify", "lfs-write"),
        ("POST", "/info/lfs/locks/7/unlock", "lfs-write"),
        ("GET", "/info/lfs/objects/4f2e", "lfs-read"),
    ] {
        assert_eq!(word(method, &format!("{repository}{path}")), expected, "{method} {path}");
    }
    // Without the suffix, of a person, and where nobody expects it.
    assert_eq!(word("GET", "/scm/PLAT/app/info/refs?service=git-receive-pack"), "git-write");
    assert_eq!(word("POST", "/scm/~mary/app.git/git-receive-pack"), "git-write");
    assert_eq!(word("POST", "/git/PLAT/app.git/git-receive-pack"), "git-write");
    assert_eq!(word("POST", "/other/scm/PLAT/app.git/git-upload-pack"), "git-read");
    // Projects and repositories that are called like the words of Git.
    assert_eq!(word("GET", "/scm/BATCH/Locks.git/info/refs?service=git-upload-pack"), "git-read");
    assert_eq!(word("POST", "/scm/INFO/REFS/git-upload-pack"), "git-read");
}

#[test]
fn everything_else_is_rest_a_page_or_our_own() {
    for (method, target, expected) in [
        ("GET", "/rest/api/latest/projects", "rest"),
        ("GET", "/rest/api/latest/projects/PLAT/repos/app/browse/info/refs", "rest"),
        (
            "GET",
            "/rest/api/latest/projects/%7Emary/repos/app/browse/a%20b/c%23.md?at=refs%2Fheads%2Fmain",
            "rest",
        ),
        ("GET", "/rest/api/latest/projects/P/repos/r/browse/100%25.txt", "rest"),
        ("GET", "/rest/api/latest/projects/P/repos/r/browse/%C3%A4.txt", "rest"),
        ("GET", "/rest", "rest"),
        ("PUT", "/rest/git-lfs/storage/PLAT/app/4f2e", "lfs-storage"),
        ("GET", "/rest/git-lfs/admin/x", "rest"),
        ("GET", "/rest/access-tokens/latest/users/mary", "rest"),
        ("OPTIONS", "/rest/access-tokens/latest/users/mary", "rest"),
        ("GET", "/", "page"),
        ("GET", "/login?next=/projects", "page"),
        ("POST", "/j_atl_security_check", "page"),
        ("GET", "/projects/PLAT/repos/app/browse/rest/access-tokens/x", "page"),
        ("GET", "/resting/place", "page"),
        ("GET", "/healthz", "own"),
        ("GET", "/readyz/", "own"),
        ("GET", "/metrics", "own"),
        ("GET", "/authz/envoy/rest/api", "own"),
        ("PUT", "/rest/tokenwarden/1/settings", "own"),
        ("GET", "/healthz/x", "page"),
    ] {
        assert_eq!(word(method, target), expected, "{method} {target}");
    }
}

#[test]
fn requests_about_tokens_name_their_owner_and_what_is_to_be_done() {
    let user = || OwnerPath::User { slug: "mary".to_owned() };
    let project = || OwnerPath::Project { key: "PLAT".to_owned() };
    let repository = || OwnerPath::Repository { project: "PLAT".to_owned(), slug: "app".to_owned() };
    let id = || TokenId::new("075905477751");
    for (method, path, expected) in [
        ("PUT", "/users/mary", TokenRequest::Create(user())),
        ("PUT", "/users/mary/", TokenRequest::Create(user())),
        ("PUT", "/users/mary?x=1", TokenRequest::Create(user())),
        ("POST", "/users/mary/075905477751", TokenRequest::Change(user(), id())),
        ("DELETE", "/users/mary/075905477751", TokenRequest::Revoke(user(), id())),
        ("PUT", "/projects/PLAT", TokenRequest::Create(project())),
        ("POST", "/projects/PLAT/075905477751", TokenRequest::Change(project(), id())),
        ("PUT", "/projects/PLAT/repos/app", TokenRequest::Create(repository())),
        ("DELETE", "/projects/PLAT/repos/app/075905477751", TokenRequest::Revoke(repository(), id())),
        ("PUT", "/users/%7Emary", TokenRequest::Create(OwnerPath::User { slug: "~mary".to_owned() })),
        ("PUT", "/settings", TokenRequest::Administer),
        ("POST", "", TokenRequest::Administer),
    ] {
        for version in ["latest", "1.0"] {
            let target = format!("/rest/access-tokens/{version}{path}");
            assert_eq!(
                read(method, &target).unwrap().kind,
                Kind::Tokens(expected.clone()),
                "{method} {target}"
            );
        }
    }
    for (method, path) in [
        ("POST", "/users/mary"),
        ("PATCH", "/users/mary/1"),
        ("PUT", "/users/mary/1"),
        ("PUT", "/users"),
        ("PUT", "/users/mary/1/2"),
        ("PUT", "/projects/PLAT/repos"),
        ("DELETE", "/projects/PLAT/repos/app"),
        ("PUT", "/users/mary.json"),
        ("PUT", "/users/mary.XML/"),
        ("PUT", "/projects/PLAT.json"),
        ("DELETE", "/users/mary/075905477751.json"),
    ] {
        let target = format!("/rest/access-tokens/latest{path}");
        assert_eq!(read(method, &target), Err(Ambiguous::Tokens), "{method} {target}");
    }
}

#[test]
fn a_target_that_could_be_read_in_two_ways_is_refused() {
    use Ambiguous::{Case, Character, Encoding, Form, Place, Segment, Service};
    for (method, target, expected) in [
        ("GET", "", Form),
        ("GET", "*", Form),
        ("GET", "http://bitbucket/rest/api", Form),
        ("GET", "//bitbucket/rest/api", Segment),
        ("GET", "rest/api", Form),
        // Dot segments and empty ones.
        ("GET", "/rest/api/../access-tokens/latest/users/mary", Segment),
        ("GET", "/rest/./api", Segment),
        ("GET", "/rest/api/..", Segment),
        ("GET", "/..", Segment),
        ("GET", "/rest//api", Segment),
        ("GET", "/rest/api//", Segment),
        ("GET", "/scm/P/r.git//info/refs?service=git-receive-pack", Segment),
        // Encoded ones, once and twice.
        ("GET", "/rest/%2e%2e/api", Encoding),
        ("GET", "/rest/%2E/api", Encoding),
        ("GET", "/rest/.%2e/api", Encoding),
        ("GET", "/rest%2fapi", Encoding),
        ("GET", "/rest%2Fapi", Encoding),
        ("GET", "/rest%5capi", Encoding),
        ("GET", "/rest%252fapi", Encoding),
        ("GET", "/rest/%252e%252e/api", Encoding),
        ("GET", "/rest/%25%32%65/api", Encoding),
        ("GET", "/%72est/access-tokens/latest/users/mary", Encoding),
        ("PUT", "/rest/access%2dtokens/latest/users/mary", Encoding),
        ("PUT", "/rest/access%252dtokens/latest/users/mary", Encoding),
        ("POST", "/scm/P/r.git/git%2Dreceive%2Dpack", Encoding),
        ("POST", "/scm/P/r.git/git-receive-pac%6b", Encoding),
        ("GET", "/rest/a%3bb", Encoding),
        ("GET", "/rest/%00", Encoding),
        ("GET", "/rest/a%0d%0ab", Encoding),
        ("GET", "/rest/a%7f", Encoding),
        ("GET", "/rest/%", Encoding),
        ("GET", "/rest/%4", Encoding),
        ("GET", "/rest/%zz", Encoding),
        ("GET", "/rest/%+1", Encoding),
        ("GET", "/rest/%c0%af", Encoding),
        ("GET", "/rest/%ff", Encoding),
        ("GET", "/rest/%u002f", Encoding),
        ("GET", "/rest/%C2%85", Segment),
        // Behind the last word.
        ("POST", "/scm/P/r.git/git-receive-pack%20", Segment),
        ("POST", "/scm/P/r.git/%20git-receive-pack", Segment),
        ("POST", "/scm/P/r.git/git-receive-pack%C2%A0", Segment),
        ("POST", "/scm/P/r.git/git-receive-pack%09", Encoding),
        ("PUT", "/rest/access-tokens%20/latest/users/mary", Segment),
        // Characters.
        ("GET", "/rest;x/api", Character),
        ("GET", "/rest/api;jsessionid=1", Character),
        ("PUT", "/rest/access-tokens;a=b/latest/users/mary", Character),
        ("POST", "/scm/P/r.git/git-receive-pack;", Character),
        ("GET", "/..;/rest", Character),
        ("GET", "/rest\\api", Character),
        ("GET", "/rest/a b", Character),
        ("GET", "/rest/a\tb", Character),
        ("GET", "/rest/a\0", Character),
        ("GET", "/rest/\u{e4}", Character),
        ("GET", "/rest/\u{ff0f}api", Character),
        ("GET", "/rest#/api", Character),
        ("GET", "/rest?a#b", Character),
        ("GET", "/rest?a b", Character),
        ("GET", "/rest/{x}", Character),
        // Words in another case, also where only some take that for the same.
        ("GET", "/REST/api", Case),
        ("PUT", "/Rest/access-tokens/latest/users/mary", Case),
        ("PUT", "/re%C5%BFt/access-tokens/latest/users/mary", Case),
        ("PUT", "/rest/Access-Tokens/latest/users/mary", Case),
        ("PUT", "/rest/access-to%E2%84%AAens/latest/users/mary", Case),
        ("PUT", "/rest/access-tokens/latest/USERS/mary", Case),
        ("PUT", "/rest/access-tokens/latest/projects/P/Repos/r", Case),
        ("PUT", "/rest/Git-LFS/storage/P/r/1", Case),
        ("POST", "/SCM/P/r.git/git-receive-pack", Case),
        ("POST", "/Scm/P/r.git/git-upload-pack", Case),
        ("POST", "/scm/P/r.git/Git-Receive-Pack", Case),
        ("GET", "/scm/P/r.git/INFO/refs?service=git-receive-pack", Case),
        ("POST", "/scm/P/r.git/info/lfs/objects/Batch", Case),
        // Tokens where they are not.
        ("PUT", "/s/abc/_/rest/access-tokens/latest/users/mary", Place),
        ("PUT", "/bitbucket/rest/access-tokens/latest/users/mary", Place),
        ("DELETE", "/plugins/rest/access-tokens/1.0/users/mary/1", Place),
        // Two services.
        ("GET", "/scm/P/r.git/info/refs?service=git-upload-pack&service=git-receive-pack", Service),
        ("GET", "/scm/P/r.git/info/refs?service=git-upload-pack;Service=git-receive-pack", Service),
        ("GET", "/scm/P/r.git/info/refs?service=git-upload-pack&%73ervice=git-upload-pack", Service),
        ("GET", "/rest/api?os_username=mary&os_password=pw", Ambiguous::Password),
        ("GET", "/?os%5Fpassword=pw", Ambiguous::Password),
    ] {
        assert_eq!(read(method, target).map(|class| class.kind), Err(expected), "{method} {target}");
    }
}

#[test]
fn a_context_path_is_taken_off_and_everything_beside_it_is_read_alike() {
    let prefixes = Prefixes::new("/bitbucket/", "scm");
    let read = |method: &str, target: &str| classify(method, target, &prefixes);
    let class = read("GET", "/bitbucket/rest/api/latest/users").unwrap();
    assert_eq!((class.kind, class.path.as_str()), (Kind::Rest, "/rest/api/latest/users"));
    let push = read("GET", "/bitbucket/scm/P/r.git/info/refs?service=git-receive-pack").unwrap();
    assert_eq!(push.kind, Kind::Git(Scope::ReadWrite));
    assert!(matches!(
        read("PUT", "/bitbucket/rest/access-tokens/latest/users/mary").unwrap().kind,
        Kind::Tokens(TokenRequest::Create(_))
    ));
    assert_eq!(read("GET", "/BitBucket/rest/api"), Err(Ambiguous::Case));
    assert_eq!(read("PUT", "/other/rest/access-tokens/latest/users/mary"), Err(Ambiguous::Place));
    assert!(matches!(read("PUT", "/rest/access-tokens/latest/users/mary").unwrap().kind, Kind::Tokens(_)));
    assert_eq!(read("GET", "/rest/tokenwarden/1/whoami").unwrap().kind, Kind::Own);
    assert_eq!(read("GET", "/bitbucket/rest/tokenwarden/1/whoami").unwrap().kind, Kind::Rest);
    assert_eq!(read("GET", "/bitbucket").unwrap().kind, Kind::Page);

    let nested = Prefixes::new("", "/code/git");
    let kind = |target: &str| classify("POST", target, &nested).map(|class| class.kind);
    assert_eq!(kind("/code/git/P/r/Git-Receive-Pack"), Err(Ambiguous::Case));
    assert_eq!(kind("/code/Git/P/r/git-receive-pack"), Err(Ambiguous::Case));
    assert_eq!(kind("/code/git/P/r/unknown"), Ok(Kind::Git(Scope::ReadWrite)));
    assert_eq!(kind("/code/other"), Ok(Kind::Page));
}

#[test]
fn a_method_that_nobody_knows_writes() {
    for method in ["get", "Get", "TRACE", "PROPFIND", "BREW", ""] {
        assert_eq!(word(method, "/scm/P/r.git/HEAD"), "git-write", "{method}");
        assert_eq!(read(method, "/rest/access-tokens/latest/users/mary"), Err(Ambiguous::Tokens), "{method}");
    }
}

/// The path of a target as somebody reads it who forgives everything: encoded several times, with parameters, other
/// slashes, dots, white space, letters in any case.
fn forgiven(target: &str) -> String {
    let mut text = target.split(['?', '#']).next().unwrap().as_bytes().to_vec();
    for _ in 0..3 {
        text = decoded(&text);
    }
    let text = String::from_utf8_lossy(&text).replace('\\', "/").to_uppercase().to_lowercase();
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        let segment = segment.split([';', '\0']).next().unwrap();
        match segment.trim_matches(|c: char| c.is_whitespace() || c.is_control()) {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let path = format!("/{}", segments.join("/"));
    // The form that is wanted.
    path.strip_suffix(".json").map(str::to_owned).unwrap_or(path)
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(byte) = text.get(at) {
        if let (b'%', Some(high), Some(low)) = (byte, digit(at + 1), digit(at + 2)) {
            bytes.push(u8::try_from(high * 16 + low).unwrap());
            at += 3;
        } else {
            bytes.push(*byte);
            at += 1;
        }
    }
    bytes
}

/// A target that was one of those that matter.
fn hostile(random: &mut Random) -> String {
    const BASES: [&str; 7] = [
        "/scm/PLAT/app.git/git-receive-pack",
        "/rest/access-tokens/latest/users/mary",
        "/rest/access-tokens/1.0/projects/PLAT/repos/app",
        "/rest/access-tokens/1.0/users/mary/075905477751",
        "/rest/api/latest/projects",
        "/scm/PLAT/app.git/git-upload-pack",
        "/projects/PLAT",
    ];
    const PARTS: [&str; 24] = [
        "/", "//", "/./", "/../", "/x/../", ";", ";a=b", "%2f", "%2F", "%5c", "\\", "%2e", "%2e%2e/", "%00",
        "%20", "%09", "%25", "%252f", "%3b", "#", ".json", "%C5%BF", "\u{17f}", "/s/a/_",
    ];
    let mut text = BASES[random.below(BASES.len())].to_owned();
    for _ in 0..=random.below(3) {
        let places: Vec<usize> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
        let place = places[random.below(places.len())];
        let letter = text[place..].chars().next().filter(char::is_ascii_alphanumeric);
        match (random.below(4), letter) {
            (0, Some(letter)) => {
                let code = format!("%{:02x}", u32::from(letter));
                text.replace_range(place..=place, &code);
            }
            (1, Some(letter)) => {
                let other = if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter };
                text.replace_range(place..=place, &other.to_string());
            }
            (2, Some(letter)) => {
                let code = format!("%25{:02x}", u32::from(letter));
                text.replace_range(place..=place, &code);
            }
            _ => text.insert_str(place, PARTS[random.below(PARTS.len())]),
        }
    }
    text
}

#[test]
fn of_100_000_hostile_targets_none_pushes_or_makes_tokens_for_who_forgives_more() {
    let mut random = Random(0x5851_f42d_4c95_7f2d);
    let (mut pushes, mut tokens, mut refused) = (0, 0, 0);
    for _ in 0..100_000 {
        let target = hostile(&mut random);
        let method = ["PUT", "POST", "DELETE"][random.below(3)];
        let Ok(class) = read(method, &target) else {
            refused += 1;
            continue;
        };
        let path = forgiven(&target);
        if path.starts_with("/rest/access-tokens/") {
            assert!(
                matches!(class.kind, Kind::Tokens(_)),
                "{method} {target} is {path}, not {:?}",
                class.kind
            );
            tokens += 1;
        } else if path.ends_with("/git-receive-pack")
            && path.starts_with("/scm/")
            && path.split('/').count() > 4
        {
            assert_eq!(class.kind, Kind::Git(Scope::ReadWrite), "{method} {target} is {path}");
            pushes += 1;
        }
    }
    assert!(
        pushes > 500 && tokens > 500 && refused > 50_000,
        "{pushes} push, {tokens} make tokens, {refused} refused"
    );
}
