//! How many tokens each owner has, told before any of them is looked at.

use std::collections::HashMap;

use crate::model::{Owner, OwnerMark};

/// How many tokens each owner has, those that expired among them, or more: owners of one mark are counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census(HashMap<OwnerMark, u32>);

impl Census {
    /// Counts a token of the owner with this mark.
    pub fn add(&mut self, owner: OwnerMark) {
        let count = self.0.entry(owner).or_default();
        *count = count.saturating_add(1);
    }

    /// Whether `owner` may have more than `at_most` tokens that work; also who was not counted may.
    #[must_use]
    pub fn may_exceed(&self, owner: &Owner, at_most: u32) -> bool {
        self.0.get(&owner.mark()).is_none_or(|count| *count > at_most)
    }
}

#[cfg(test)]
mod tests {
    use super::Census;
    use crate::model::{Owner, OwnerMark};

    #[test]
    fn owners_are_counted_however_their_names_are_written() {
        let mut census = Census::default();
        for written in ["mary", "Mary", "MARY", "Ülrich", "ülrich", "ΣΑΣ", "σας", "İ", "i̇"] {
            census.add(OwnerMark::of_user(written));
        }
        let may_exceed = |written: &str, at_most| census.may_exceed(&Owner::User(written.into()), at_most);
        assert!(may_exceed("marY", 2) && !may_exceed("marY", 3));
        for written in ["ÜLRICH", "σας", "i̇"] {
            assert!(may_exceed(written, 1) && !may_exceed(written, 2), "{written}");
        }
        assert!(may_exceed("sam", 1_000), "who was not counted");
    }
}
