//! A count-min sketch: counts of any number of keys in a fixed amount of memory. It forgets nothing and never counts
//! too little; of very many keys it may count one too high.

/// Each key has a cell in each of the rows, and its count is the least of them.
const ROWS: usize = 4;
/// The cells of a row, one for each `u16`.
const WIDTH: usize = 1 << 16;

/// Counts of keys, which must be hashes that nobody outside can foresee: 512 KiB.
#[derive(Debug)]
pub(super) struct CountMinSketch([Box<[u16]>; ROWS]);

impl Default for CountMinSketch {
    fn default() -> Self {
        Self([(); ROWS].map(|()| vec![0; WIDTH].into()))
    }
}

impl CountMinSketch {
    /// How often `key` was added, less how often it was taken away; never less than that.
    pub(super) fn of(&self, key: u64) -> u32 {
        let cells = self.0.iter().zip(places(key)).filter_map(|(row, place)| row.get(place));
        cells.min().copied().map_or(0, u32::from)
    }

    pub(super) fn add(&mut self, key: u64) {
        self.cells(key).for_each(|cell| *cell = cell.saturating_add(1));
    }

    /// Takes away what was added.
    pub(super) fn take(&mut self, key: u64) {
        self.cells(key).for_each(|cell| *cell = cell.saturating_sub(1));
    }

    pub(super) fn clear(&mut self) {
        self.0.iter_mut().for_each(|row| row.fill(0));
    }

    fn cells(&mut self, key: u64) -> impl Iterator<Item = &mut u16> {
        self.0.iter_mut().zip(places(key)).filter_map(|(row, place)| row.get_mut(place))
    }
}

/// The place of `key` in each row.
fn places(key: u64) -> [usize; ROWS] {
    [0, 16, 32, 48].map(|shift| usize::try_from(key >> shift & 0xffff).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_key_is_counted_too_low(keys in proptest::collection::vec((0u64..40, any::<bool>()), 0..400)) {
            // So few different places that many keys share them.
            let spread = |key: u64| (key % 7) | (key % 5) << 16 | (key % 3) << 32 | (key % 2) << 48;
            let (mut counts, mut exact) = (CountMinSketch::default(), HashMap::<u64, u32>::new());
            for (key, more) in keys {
                let count = exact.entry(key).or_default();
                if more {
                    *count += 1;
                    counts.add(spread(key));
                } else if *count > 0 {
                    *count -= 1;
                    counts.take(spread(key));
                }
            }
            for (key, count) in exact {
                prop_assert!(counts.of(spread(key)) >= count);
            }
        }
    }
}
