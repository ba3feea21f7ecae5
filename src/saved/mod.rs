//! A saved plan: a plan as a file for people, for programs, and for `apply`.
//!
//! The file says what was reviewed, never what may be done. Only a change that the policy at hand asks for as well
//! is made, so that a forged file can do nothing that the policy does not do anyway.
//!
//! The file is the JSON of [`PlanDocument`] with one more member at its end, `digest`: the SHA-256 of all
//! bytes before the comma in front of it. It is there against damage, not against malice; a person who must be
//! sure that the file is the reviewed one gives `apply` the digest of the review.

pub mod document;
mod seal;
mod shown;
pub mod statistics;
mod verdict;

pub use seal::Seal;
pub use shown::{BadPlan, Shown};
pub use verdict::{ReviewVerdict, Reviewed};

use std::{io, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, de::Error as _};

use crate::{
    model::{Period, TokenId, digest::sha256},
    plan::{Review, ReviewedChange},
};

use document::{FORMAT_VERSION, PlanDocument, TargetEntry};

/// How long a saved plan may be applied.
pub const VALID_FOR: Period = Period::days(7);
/// How far the clock of the machine that saved a plan may be ahead of ours.
const CLOCKS_APART: Period = Period::hours(1);
/// What is between the rest of the file and the digest itself.
const DIGEST: &str = ",\n  \"digest\": \"sha256:";
/// What is behind it.
const END: &str = "\"\n}\n";
/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// The file that `document` makes.
///
/// # Errors
///
/// When the document cannot be written as JSON.
pub fn write(document: &PlanDocument<'_>) -> io::Result<String> {
    let mut sealed = Seal::new(Vec::new());
    serde_json::to_writer_pretty(&mut sealed, document)?;
    String::from_utf8(sealed.finish()?).map_err(io::Error::other)
}

/// A saved plan whose bytes are whole.
#[derive(Debug)]
pub struct SavedPlan {
    /// The digest, in hexadecimal.
    pub digest: String,
    /// When it was made, UTC.
    pub made_at: Timestamp,
    /// Until when it may be applied, UTC.
    pub valid_until: Timestamp,
    /// The changes that were reviewed.
    pub review: Arc<Review>,
    document: PlanDocument<'static>,
    text: String,
}

/// Why a saved plan cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum UnusablePlan {
    /// It is something else than a saved plan, or was cut off.
    #[error("not a complete saved plan (digest missing)")]
    NoDigest,
    /// Its bytes are not those that were saved.
    #[error("digest mismatch: the saved plan was altered or damaged")]
    Altered,
    /// It is whole, and not the one that was reviewed.
    #[error("digest mismatch: the saved plan has {0}, which is not the expected one")]
    Unexpected(String),
    /// It is of a later version of the program.
    #[error("unsupported format {0} of the saved plan; this version reads {FORMAT_VERSION}")]
    Format(String),
    /// It has another form.
    #[error("the saved plan does not have the expected form")]
    Form(#[source] serde_json::Error),
    /// A part of it has no meaning.
    #[error(transparent)]
    Meaning(BadPlan),
    /// It is too old.
    #[error("the saved plan expired at {0:.0}; run `plan --out` again")]
    Expired(Timestamp),
    /// It says that it was made in the future.
    #[error("the saved plan is dated in the future ({0:.0}); check the clocks")]
    FromTheFuture(Timestamp),
}

impl SavedPlan {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// When they are not whole, or have a form that this version does not know.
    pub fn read(bytes: &[u8]) -> Result<Self, UnusablePlan> {
        let text = str::from_utf8(bytes).map_err(|_| UnusablePlan::NoDigest)?;
        let rest = text.strip_suffix(END).ok_or(UnusablePlan::NoDigest)?;
        let cut = rest.len().checked_sub(DIGITS).ok_or(UnusablePlan::NoDigest)?;
        let (rest, digest) = rest.split_at_checked(cut).ok_or(UnusablePlan::NoDigest)?;
        let body = rest.strip_suffix(DIGEST).ok_or(UnusablePlan::NoDigest)?;
        if sha256(body.as_bytes()) != digest {
            return Err(UnusablePlan::Altered);
        }
        let version: Version = serde_json::from_str(text).map_err(UnusablePlan::Form)?;
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        if major(&version.format_version) != major(FORMAT_VERSION) {
            return Err(UnusablePlan::Format(version.format_version));
        }
        let document: PlanDocument<'_> = serde_json::from_str(text).map_err(UnusablePlan::Form)?;
        let said = |moment: Option<Timestamp>, member| {
            moment.ok_or_else(|| UnusablePlan::Form(serde_json::Error::missing_field(member)))
        };
        let changes = document.resource_changes.read().iter().map(|change| {
            let [verb] = change.change.actions;
            let (address, precondition) = (change.address.clone(), change.precondition.clone());
            ReviewedChange { address, verb, after: change.change.after.clone(), precondition }
        });
        Ok(Self {
            digest: digest.to_owned(),
            made_at: said(document.made_at, "made_at")?,
            valid_until: said(document.valid_until, "valid_until")?,
            review: Arc::new(Review::new(changes.collect())),
            document,
            text: text.to_owned(),
        })
    }

    /// Whether it is the one with the digest `expected`, when one is.
    ///
    /// # Errors
    ///
    /// When it is another one.
    pub fn check_digest(&self, expected: Option<&str>) -> Result<(), UnusablePlan> {
        let expected = expected.map(|digest| digest.strip_prefix("sha256:").unwrap_or(digest));
        if expected.is_some_and(|digest| !digest.eq_ignore_ascii_case(&self.digest)) {
            return Err(UnusablePlan::Unexpected(self.digest.clone()));
        }
        Ok(())
    }

    /// Whether it may be applied at `now`, by the clock of the server that it was made for.
    ///
    /// # Errors
    ///
    /// When it may not.
    pub fn check_age(&self, now: Timestamp) -> Result<(), UnusablePlan> {
        if self.made_at > CLOCKS_APART.after(now) {
            return Err(UnusablePlan::FromTheFuture(self.made_at));
        }
        // Whatever the file says: nothing is valid for longer.
        let until = self.valid_until.min(VALID_FOR.after(self.made_at));
        if until < now { Err(UnusablePlan::Expired(until)) } else { Ok(()) }
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The targets that were planned.
    #[must_use]
    pub fn targets(&self) -> &[TargetEntry] {
        &self.document.targets
    }

    /// What it shows.
    ///
    /// # Errors
    ///
    /// When a part of it has no meaning.
    pub fn shown(&self) -> Result<Shown, UnusablePlan> {
        shown::shown(&self.document, self.made_at).map_err(UnusablePlan::Meaning)
    }

    /// The tokens of `target` that it would change.
    pub fn tokens<'a>(&'a self, target: &'a str) -> impl Iterator<Item = TokenId> + 'a {
        self.review.changes().iter().filter_map(move |change| change.token(target))
    }
}

#[derive(Deserialize)]
struct Version {
    format_version: String,
}
