//! The texts there can be, as far as patterns with `*` tell them apart.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

/// A set of texts: those that match one of its patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextSet {
    /// The patterns; `*` is any text.
    pub patterns: Vec<String>,
}

/// Where the reading of a text stands in one pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Stand {
    pattern: usize,
    at: usize,
}

/// What is known after reading the beginning of a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// The sets that hold the text, whatever follows.
    settled: u64,
    /// Of the others, ascending.
    stands: Vec<Stand>,
}

/// The patterns as characters, each with the set that it belongs to.
struct Patterns(Vec<(usize, Vec<char>)>);

/// As many states are looked at.
const STATES_AT_MOST: usize = 20_000;

/// Every combination of `sets`, of which there are 64 at most, that holds some text which begins with `begin` and is
/// longer than nothing, with a shortest such text; `None` when there are too many patterns to tell.
#[must_use]
pub fn text_classes(sets: &[TextSet], begin: &str) -> Option<BTreeMap<u64, String>> {
    let patterns = Patterns::of(sets);
    let other = patterns.unused();
    let mut start = patterns.start();
    for c in begin.chars() {
        start = patterns.after(&start, c);
    }
    let mut found = BTreeMap::new();
    let mut seen = HashSet::new();
    let mut ahead = VecDeque::from([(start, begin.to_owned())]);
    while let Some((state, text)) = ahead.pop_front() {
        if !text.is_empty() {
            found.entry(patterns.holding(&state)).or_insert_with(|| text.clone());
        }
        for c in [other].into_iter().chain(patterns.next(&state)) {
            let next = patterns.after(&state, c);
            if !seen.contains(&next) {
                if seen.len() >= STATES_AT_MOST {
                    return None;
                }
                seen.insert(next.clone());
                ahead.push_back((next, format!("{text}{c}")));
            }
        }
    }
    Some(found)
}

impl Patterns {
    fn of(sets: &[TextSet]) -> Self {
        let of_set = |(set, texts): (usize, &TextSet)| {
            texts.patterns.iter().map(move |text| (set, text.chars().collect())).collect::<Vec<_>>()
        };
        Self(sets.iter().enumerate().flat_map(of_set).collect())
    }

    /// A character that stands in no pattern: it stands for all others.
    fn unused(&self) -> char {
        let used: BTreeSet<char> = self.0.iter().flat_map(|(_, pattern)| pattern).copied().collect();
        ('x'..='z')
            .chain('a'..='w')
            .chain('0'..='9')
            .chain('\u{e0}'..='\u{ffff}')
            .find(|c| !used.contains(c))
            .unwrap_or('x')
    }

    fn character(&self, stand: Stand) -> Option<char> {
        self.0.get(stand.pattern)?.1.get(stand.at).copied()
    }

    fn start(&self) -> State {
        self.state(0, (0..self.0.len()).map(|pattern| Stand { pattern, at: 0 }))
    }

    fn after(&self, state: &State, c: char) -> State {
        let moved = state.stands.iter().filter_map(|stand| match self.character(*stand)? {
            '*' => Some(*stand),
            expected => (expected == c).then_some(Stand { at: stand.at + 1, ..*stand }),
        });
        self.state(state.settled, moved)
    }

    /// The state of `stands`, with what a `*` matches by matching nothing, and without what makes no difference: in one
    /// pattern whatever lies before a `*` that was reached, and all of a set that holds the text anyway.
    fn state(&self, mut settled: u64, stands: impl Iterator<Item = Stand>) -> State {
        let mut all = BTreeSet::new();
        for mut stand in stands {
            all.insert(stand);
            while self.character(stand) == Some('*') {
                stand.at += 1;
                all.insert(stand);
            }
        }
        let mut last_star: BTreeMap<usize, usize> = BTreeMap::new();
        for stand in all.iter().filter(|stand| self.character(**stand) == Some('*')) {
            last_star.insert(stand.pattern, stand.at);
        }
        for (pattern, at) in &last_star {
            if let Some((set, characters)) = self.0.get(*pattern)
                && at + 1 == characters.len()
            {
                settled |= 1 << (set % 64);
            }
        }
        let matters = |stand: &Stand| {
            let set = self.0.get(stand.pattern).map_or(0, |(set, _)| *set);
            settled & 1 << (set % 64) == 0
                && last_star.get(&stand.pattern).is_none_or(|star| stand.at >= *star)
        };
        State { settled, stands: all.into_iter().filter(matters).collect() }
    }

    /// The sets that hold the text as it is.
    fn holding(&self, state: &State) -> u64 {
        let whole = state.stands.iter().filter_map(|stand| {
            let (set, pattern) = self.0.get(stand.pattern)?;
            (stand.at == pattern.len()).then_some(1 << (set % 64))
        });
        whole.fold(state.settled, |all, bit| all | bit)
    }

    /// The characters that lead further in some pattern.
    fn next(&self, state: &State) -> BTreeSet<char> {
        state.stands.iter().filter_map(|stand| self.character(*stand)).filter(|c| *c != '*').collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::wildcard;

    fn sets(sets: &[&[&str]]) -> Vec<TextSet> {
        let of =
            |texts: &&[&str]| TextSet { patterns: texts.iter().map(|text| (*text).to_owned()).collect() };
        sets.iter().map(of).collect()
    }

    fn holding(sets: &[TextSet], text: &str) -> u64 {
        let holds = |set: &TextSet| set.patterns.iter().any(|pattern| wildcard(pattern, text));
        sets.iter().enumerate().filter(|(_, set)| holds(set)).map(|(index, _)| 1 << index).sum()
    }

    #[test]
    fn a_shortest_text_is_found_for_every_combination_that_there_is() {
        let sets = sets(&[&["svc-*", "root"], &["*-deploy"]]);
        let found = text_classes(&sets, "").unwrap();
        let told: Vec<(u64, &str)> = found.iter().map(|(key, text)| (*key, text.as_str())).collect();
        assert_eq!(told, [(0, "x"), (1, "root"), (2, "-deploy"), (3, "svc-deploy")]);
    }

    #[test]
    fn patterns_of_more_than_can_be_told_are_not_told() {
        let each: Vec<TextSet> = ('a'..='z').map(|c| TextSet { patterns: vec![format!("*{c}*")] }).collect();
        assert_eq!(text_classes(&each, "/"), None);
    }

    proptest! {
        #[test]
        fn every_text_is_in_a_class_and_every_class_is_that_of_its_text(
            patterns in proptest::collection::vec(proptest::collection::vec("[ab*]{0,4}", 0..3), 0..4),
            text in "[abc]{1,6}",
        ) {
            let sets: Vec<TextSet> = patterns.into_iter().map(|patterns| TextSet { patterns }).collect();
            let found = text_classes(&sets, "").unwrap();
            prop_assert!(found.contains_key(&holding(&sets, &text)), "{text} {found:?}");
            for (key, text) in &found {
                prop_assert_eq!(holding(&sets, text), *key);
            }
        }
    }
}
