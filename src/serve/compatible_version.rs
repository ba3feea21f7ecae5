//! The version of Bitbucket that clients are told: they split it into numbers and ask for what came with one.

use std::{fmt, str::FromStr};

/// A version of Bitbucket, such as `9.4.16`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompatibleVersion(Vec<u32>);

/// The text is not a version of Bitbucket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version of Bitbucket; write two or three numbers separated by dots, e.g. `9.4.16`")]
pub struct BadVersion(String);

impl Default for CompatibleVersion {
    /// One of the long-term releases whose specification the answers follow.
    fn default() -> Self {
        Self(vec![9, 4, 16])
    }
}

impl CompatibleVersion {
    /// The number of the build that Bitbucket gives such a version: `9004016` for `9.4.16`.
    #[must_use]
    pub fn build_number(&self) -> String {
        let number = |place: usize| self.0.get(place).copied().unwrap_or_default();
        format!("{}{:03}{:03}", number(0), number(1), number(2))
    }
}

impl FromStr for CompatibleVersion {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let number = |part: &str| part.parse::<u32>().ok().filter(|number| number.to_string() == part);
        let numbers: Option<Vec<u32>> = text.split('.').map(number).collect();
        let version = numbers.filter(|numbers| {
            matches!(numbers.len(), 2 | 3)
                && numbers.iter().all(|number| *number < 1000)
                && !numbers.starts_with(&[0])
        });
        version.map(Self).ok_or_else(|| BadVersion(text.to_owned()))
    }
}

impl fmt::Display for CompatibleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_or_three_numbers_are_a_version_and_nothing_else_is() {
        for (text, build) in
            [("9.4.16", "9004016"), ("8.7.0", "8007000"), ("10.4.1", "10004001"), ("9.4", "9004000")]
        {
            let version: CompatibleVersion = text.parse().unwrap();
            assert_eq!((version.to_string().as_str(), version.build_number().as_str()), (text, build));
        }
        for bad in ["", "9", "9.4.x", "9.4.16.1", "9.4.016", "+9.4.1", "9.4.1000", "0.4.1", " 9.4.1", "9.4."]
        {
            assert!(bad.parse::<CompatibleVersion>().is_err(), "{bad}");
        }
    }
}
