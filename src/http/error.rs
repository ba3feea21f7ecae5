//! The error of a call: it names method and URL without query and credentials, and says whether the call
//! may have taken effect.

use std::{error::Error, fmt, time::Duration};

use reqwest::StatusCode;

use super::{
    cause,
    page::PagingFault,
    redirect::{self, Redirect},
    refusal::{RefusalKind, ServerMessage},
};

/// Method and URL of a call, without query and credentials, how often it was tried and where it was sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// Such as `GET https://bitbucket.example.com/rest/api/latest/users`.
    pub name: String,
    /// How often it was tried, from 1.
    pub tries: u32,
    /// Where on the same server it was sent on, last of all.
    pub sent_on: Option<String>,
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.tries > 1 {
            write!(f, " ({} tries)", self.tries)?;
        }
        self.sent_on.iter().try_for_each(|to| write!(f, ", sent on to `{to}`"))
    }
}

/// A call that did not come to what it was for. Its alternate form (`{:#}`) has codes and our own words alone:
/// no address, which may have names in it, and nothing that the server said.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client could not be set up.
    Setup {
        /// Address of the server.
        base: String,
        /// What the libraries for HTTP and TLS say.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// No answer came: the server is away, or the connection broke.
    Unreachable {
        /// The call.
        call: Called,
        /// What the HTTP library says.
        #[source]
        source: reqwest::Error,
    },
    /// The server answered that it will not.
    Refused {
        /// The call.
        call: Called,
        /// The status that it answered.
        status: StatusCode,
        /// What that means.
        refusal: RefusalKind,
        /// Its own words, when it said any.
        words: ServerMessage,
        /// How long it asks to be left alone, from when it answered.
        retry_after: Option<Duration>,
    },
    /// The server sends us elsewhere, and we do not go there.
    Redirected {
        /// The call.
        call: Called,
        /// The status that it answered.
        status: StatusCode,
        /// Where to, and why we do not go there.
        redirect: Box<Redirect>,
    },
    /// The answer is something else than JSON, often a login page.
    NotJson {
        /// The call.
        call: Called,
        /// The content type.
        kind: String,
    },
    /// The answer has no body.
    Empty {
        /// The call.
        call: Called,
    },
    /// The answer ends before its JSON does.
    Truncated {
        /// The call.
        call: Called,
    },
    /// The answer is JSON of another form.
    NotUnderstood {
        /// The call.
        call: Called,
        /// Where it differs.
        #[source]
        source: serde_json::Error,
    },
    /// The answer does not end.
    TooLarge {
        /// The call.
        call: Called,
        /// How many bytes are read at most, after decompression.
        bytes: usize,
    },
    /// The pages of a list do not lead to its end.
    Paging {
        /// The call.
        call: Called,
        /// Where the page begins.
        start: u64,
        /// What is wrong with it.
        fault: PagingFault,
    },
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return self.fmt_kept(f);
        }
        match self {
            Self::Setup { base, .. } => write!(f, "cannot set up the connection to {base}"),
            Self::Unreachable { call, .. }
            | Self::Empty { call }
            | Self::Truncated { call }
            | Self::NotUnderstood { call, .. }
            | Self::TooLarge { call, .. }
            | Self::Paging { call, .. } => {
                write!(f, "{call}: ")?;
                self.fmt_kept(f)
            }
            Self::Refused { call, status, refusal, words, retry_after } => {
                write!(f, "{call}: {status}{words}{}{}", refusal.hint(), asked(*retry_after))
            }
            Self::Redirected { call, status, redirect } => write!(f, "{call}: {status} leads to {redirect}"),
            Self::NotJson { call, kind } => {
                let page = if kind.starts_with("text/html") {
                    " It may be a login page, or a context path such as `/bitbucket` is missing"
                } else {
                    ""
                };
                write!(f, "{call}: answered `{kind}` where JSON was expected; is this the right URL?{page}")
            }
        }
    }
}

impl HttpError {
    /// What is wrong, without the call and the server's own words.
    fn fmt_kept(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup { .. } => f.write_str("cannot set up the connection"),
            Self::Unreachable { source, .. } => {
                f.write_str("no answer")?;
                cause::likely(source).map_or(Ok(()), |cause| write!(f, ": {cause}"))
            }
            Self::Refused { status, refusal, retry_after, .. } => {
                write!(f, "{status}{}{}", refusal.hint(), asked(*retry_after))
            }
            Self::Redirected { status, .. } => write!(f, "{status}: the redirect was not followed"),
            Self::NotJson { .. } => f.write_str("the answer is not JSON"),
            Self::Empty { .. } => f.write_str("the answer is empty where JSON was expected"),
            Self::Truncated { .. } => f.write_str("the answer ends in the middle of its JSON"),
            Self::NotUnderstood { .. } => f.write_str("the answer has another form than expected"),
            Self::TooLarge { bytes, .. } => write!(f, "the answer is larger than {bytes} bytes"),
            Self::Paging { start, fault, .. } => write!(f, "the page from {start} {fault}"),
        }
    }

    /// Whether it says by itself what is likely wrong, so that what the libraries say adds nothing.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if cause::likely(source).is_some())
    }

    /// The status that the server answered, when it refused.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The server's own words, when it refused.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Refused { words, .. } => Some(words.text()),
            _ => None,
        }
    }

    /// What the refusal of the server means, when it refused.
    #[must_use]
    pub fn refusal(&self) -> Option<RefusalKind> {
        match self {
            Self::Refused { refusal, .. } => Some(*refusal),
            _ => None,
        }
    }

    /// What is wrong with the resource that was asked for, in words of our own, so that it is the same for others
    /// like it; `None` when calls of other resources would fare no better: the server does not answer, asks
    /// to be left alone, or something between us answers in its place.
    #[must_use]
    pub fn of_one_resource(&self) -> Option<String> {
        match self {
            Self::Refused { status, .. }
                if matches!(
                    *status,
                    StatusCode::TOO_MANY_REQUESTS
                        | StatusCode::BAD_GATEWAY
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::GATEWAY_TIMEOUT
                ) =>
            {
                None
            }
            // The server's own words may name the resource, or a line of its log.
            Self::Refused { status, .. } => Some(status.to_string()),
            Self::Empty { .. }
            | Self::Truncated { .. }
            | Self::NotUnderstood { .. }
            | Self::TooLarge { .. }
            | Self::Paging { .. } => Some(format!("{self:#}")),
            Self::Setup { .. }
            | Self::Unreachable { .. }
            | Self::Redirected { .. }
            | Self::NotJson { .. } => None,
        }
    }

    /// Whether the call may have taken effect although the server's own answer did not come: the
    /// connection broke, the server failed, or something between us answered in its place.
    #[must_use]
    pub fn is_lost_answer(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_connect() && !source.is_builder(),
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::REQUEST_TIMEOUT
            }
            Self::Redirected { status, .. } => !redirect::is_untouched(*status),
            Self::NotJson { .. }
            | Self::Empty { .. }
            | Self::Truncated { .. }
            | Self::NotUnderstood { .. }
            | Self::TooLarge { .. } => true,
            Self::Setup { .. } | Self::Paging { .. } => false,
        }
    }
}

/// That a server asks to be left alone, when it does.
fn asked(retry_after: Option<Duration>) -> String {
    match retry_after.map(|wait| wait.as_secs()) {
        None | Some(0) => String::new(),
        Some(seconds) => format!("; it asks to wait {seconds} seconds"),
    }
}
