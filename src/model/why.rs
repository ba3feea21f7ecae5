//! Why something was not done or not seen: in full for the person who runs the program, and in a form that may
//! be kept.

use std::{error::Error, fmt, ops::Deref};

/// A reason. `{}` is all that is known, and may hold text from a server and addresses with names in them;
/// `{:#}` has codes, identifiers and our own words alone, for journals and documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    whole: String,
    kept: String,
}

impl Why {
    /// A reason in our own words.
    #[must_use]
    pub fn own(words: impl Into<String>) -> Self {
        let whole = words.into();
        Self { kept: whole.clone(), whole }
    }

    /// An error with its causes. One that says something else in its alternate form (`{:#}`) says with that all
    /// that may be kept, of its causes too.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let (mut whole, mut kept) = (Vec::new(), Vec::new());
        let (mut next, mut is_kept) = (Some(error), true);
        while let Some(error) = next {
            let (said, short) = (error.to_string(), format!("{error:#}"));
            if is_kept {
                is_kept = said == short;
                kept.push(short);
            }
            whole.push(said);
            next = error.source();
        }
        Self { whole: whole.join(": "), kept: kept.join(": ") }
    }

    /// The same behind `words` of our own.
    #[must_use]
    pub fn behind(self, words: &str) -> Self {
        Self { whole: format!("{words}: {}", self.whole), kept: format!("{words}: {}", self.kept) }
    }

    /// What may be kept of it.
    #[must_use]
    pub fn kept(&self) -> &str {
        &self.kept
    }
}

/// All that is known.
impl Deref for Why {
    type Target = str;

    fn deref(&self) -> &str {
        &self.whole
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if f.alternate() { &self.kept } else { &self.whole })
    }
}
