//! Where a redirect is followed to, or why it is not. Credentials never go to another origin, writes are
//! not sent on, and loops are detected.

use std::fmt;

use reqwest::{Method, StatusCode, Url};

/// How often one call is sent on.
const MOST: usize = 5;

/// How much of an address is shown, in characters.
const SHOWN: usize = 300;

/// A place that a call is sent to and does not go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where, without credentials, query and parameters.
    pub to: String,
    /// Why the call does not go there.
    pub obstacle: Obstacle,
    /// The base of the server there, when it can be told and is another one.
    pub base: Option<String>,
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`, {}; ", self.to, self.obstacle)?;
        match &self.base {
            Some(base) => write!(f, "if that is the server, write `url: {base}`"),
            None => f.write_str("is this the right URL?"),
        }
    }
}

/// Why a call is not sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It leads to another origin than this one, where the credential must not go.
    OtherOrigin(String),
    /// The same host wants to be called with TLS, which is another origin as well.
    Encryption,
    /// The call may write: that is done where we were told to, or not at all. And it was not done.
    Write,
    /// The same, and nobody can tell whether it was done: many pages answer a form like that.
    AfterWrite,
    /// It leads to where the call was before.
    Circle,
    /// The call was sent on so often already.
    TooOften(usize),
    /// The status is not one that sends a call on, or it leads nowhere.
    Unclear,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherOrigin(here) => {
                write!(f, "which is another origin than `{here}`: the credential must not go there")
            }
            Self::Encryption => f.write_str("since the server requires encryption"),
            Self::Write => f.write_str("where a call that may write does not follow: nothing was changed"),
            Self::AfterWrite => f.write_str("where a call that may write does not follow"),
            Self::Circle => f.write_str("where the call was before: this is a redirect loop"),
            Self::TooOften(times) => write!(f, "after the call was sent on {times} times"),
            Self::Unclear => f.write_str("which is not followed"),
        }
    }
}

/// Whether `status` says that the call was not carried out, and would be elsewhere (RFC 9110, sections
/// 15.4.2, 15.4.3, 15.4.8 and 15.4.9). 303 is none of these: it comes after the deed.
pub(super) fn sends_on(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Whether `status` says of a call that writes that nothing was done: 307 and 308 ask for the same call elsewhere,
/// while 301 and 302 also come after the deed (RFC 9110, section 15.4).
pub(super) fn is_untouched(status: StatusCode) -> bool {
    matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
}

/// Where a call was that is sent on.
#[derive(Default)]
pub(super) struct Trail(Vec<Url>);

impl Trail {
    /// Where a call of `method` goes on that was answered by `from` with `status` and `location`.
    pub(super) fn onward(
        &mut self,
        method: &Method,
        status: StatusCode,
        from: &Url,
        location: &str,
    ) -> Result<Url, Obstacle> {
        let to = join(from, location).filter(|_| sends_on(status)).ok_or(Obstacle::Unclear)?;
        if *method != Method::GET && *method != Method::HEAD {
            return Err(if is_untouched(status) { Obstacle::Write } else { Obstacle::AfterWrite });
        }
        // INVARIANT: whatever we are told, the credential stays with the origin that the config file names.
        if to.origin() != from.origin() {
            let encrypts = from.scheme() == "http" && to.scheme() == "https" && from.host() == to.host();
            let here = || Obstacle::OtherOrigin(from.origin().ascii_serialization());
            return Err(if encrypts { Obstacle::Encryption } else { here() });
        }
        self.0.push(from.clone());
        if self.0.contains(&to) {
            return Err(Obstacle::Circle);
        }
        if self.0.len() > MOST {
            return Err(Obstacle::TooOften(MOST));
        }
        Ok(to)
    }
}

/// Where `location` leads from `from`, without credentials, which are ours to send, and fragment.
fn join(from: &Url, location: &str) -> Option<Url> {
    let mut to = from.join(location).ok()?;
    // Both fail only for addresses without a host, which have no credentials.
    let _ = to.set_username("");
    let _ = to.set_password(None);
    to.set_fragment(None);
    Some(to)
}

/// `url` for people: without credentials, query and the parameters of a path, which may hold a session.
pub(super) fn shown(url: &Url) -> String {
    let mut url = join(url, "").unwrap_or_else(|| url.clone());
    url.set_query(None);
    let path = url.path().split(';').next().unwrap_or_default().to_owned();
    url.set_path(&path);
    let mut characters = url.as_str().chars();
    let mut shown: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The place that `from` sends a call of `path` to on the server at `base`, by `location`.
pub(super) fn stopped(from: &Url, location: &str, path: &str, base: &str, obstacle: Obstacle) -> Redirect {
    let to = destination(from, location);
    let base = other_base(&to, path, base);
    Redirect { to, obstacle, base }
}

/// Where `location` leads from `from`, for people.
fn destination(from: &Url, location: &str) -> String {
    join(from, location).map_or_else(|| "an invalid URL".to_owned(), |to| shown(&to))
}

/// The base to write in place of `base`, where a call of `path` leads to `to`, as [`destination`] names
/// it; `None` when that cannot be told.
fn other_base(to: &str, path: &str, base: &str) -> Option<String> {
    let other = to.strip_suffix(path).filter(|other| other.starts_with("http") && *other != base)?;
    Some(other.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_read_goes_on_within_its_origin_alone() {
        let onward = |from: &str, location: &str| {
            Trail::default()
                .onward(&Method::GET, StatusCode::FOUND, &url(from), location)
                .map(|to| to.to_string())
        };
        let other = |here: &str| Err(Obstacle::OtherOrigin(here.to_owned()));
        let from = "https://bitbucket.example.com/rest/x?limit=1";
        assert_eq!(
            onward(from, "/ctx/rest/x?limit=1").unwrap(),
            "https://bitbucket.example.com/ctx/rest/x?limit=1"
        );
        assert_eq!(
            onward(from, "https://BITBUCKET.example.com:443/y").unwrap(),
            "https://bitbucket.example.com/y"
        );
        assert_eq!(
            onward(from, "https://me:hush@bitbucket.example.com/y#z").unwrap(),
            "https://bitbucket.example.com/y"
        );
        for elsewhere in [
            "https://evil.example.com/rest/x",
            "//evil.example.com/x",
            "https://bitbucket.example.com:8443/",
            "http://bitbucket.example.com/rest/x",
            "https://bitbucket.example.com.evil.example/",
            "ftp://bitbucket.example.com/x",
            "https://bitbucket.example.com@evil.example.com/",
            "data:application/json,{}",
        ] {
            assert_eq!(onward(from, elsewhere), other("https://bitbucket.example.com"), "{elsewhere}");
        }
        let plain = "http://bitbucket.example.com:7990/rest/x";
        assert_eq!(onward(plain, "https://bitbucket.example.com/rest/x"), Err(Obstacle::Encryption));
        assert_eq!(onward(plain, "https://other.example.com/"), other("http://bitbucket.example.com:7990"));
        assert_eq!(onward(plain, "https://["), Err(Obstacle::Unclear));
    }

    #[test]
    fn what_may_write_and_what_was_done_already_go_nowhere() {
        let from = url("https://bitbucket.example.com/rest/x");
        let onward = |method: Method, status: u16| {
            Trail::default().onward(&method, StatusCode::from_u16(status).unwrap(), &from, "/y").err()
        };
        for status in [301, 302, 307, 308] {
            assert_eq!((onward(Method::GET, status), onward(Method::HEAD, status)), (None, None));
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let obstacle = if status < 307 { Obstacle::AfterWrite } else { Obstacle::Write };
                assert_eq!(onward(method, status), Some(obstacle));
            }
        }
        for status in [300, 303, 304, 305] {
            assert_eq!(onward(Method::GET, status), Some(Obstacle::Unclear));
            assert_eq!(onward(Method::PUT, status), Some(Obstacle::Unclear));
        }
    }

    #[test]
    fn a_call_goes_on_five_times_and_never_to_where_it_was() {
        let go = |places: &[&str]| {
            let (mut trail, mut at) = (Trail::default(), url("https://h/0"));
            places.iter().try_for_each(|to| {
                at = trail.onward(&Method::GET, StatusCode::FOUND, &at, to)?;
                Ok(())
            })
        };
        assert_eq!(go(&["1", "2", "3", "4", "5"]), Ok(()));
        assert_eq!(go(&["1", "2", "3", "4", "5", "6"]), Err(Obstacle::TooOften(5)));
        assert_eq!(go(&["0"]), Err(Obstacle::Circle));
        assert_eq!(go(&["1", "2", "0"]), Err(Obstacle::Circle));
        assert_eq!(go(&["0?again"]), Ok(()));
    }

    #[test]
    fn where_a_call_is_sent_is_named_without_anything_that_may_be_secret() {
        let to = |location| destination(&url("https://bitbucket.example.com/rest/x"), location);
        assert_eq!(to("/login;jsessionid=5F2?next=%2Frest"), "https://bitbucket.example.com/login");
        assert_eq!(to("https://warden:hush@sso.example.com/in?ticket=1#t"), "https://sso.example.com/in");
        assert_eq!(to("https://["), "an invalid URL");
        assert!(!to("/a\u{1b}[31mb").contains('\u{1b}'));
    }

    #[test]
    fn the_base_to_write_is_what_stands_before_the_path_of_the_call() {
        let other = |to| other_base(to, "/rest/x", "https://h");
        assert_eq!(other("https://h/ctx/rest/x").as_deref(), Some("https://h/ctx"));
        assert_eq!((other("https://h/login"), other("https://h/rest/x")), (None, None));
    }
}
