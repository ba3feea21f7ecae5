//! A list of a plan document: of entries that were read, or of such as are made one by one while they are written.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What makes entries, as often as they are written.
type Making<'a, T> = Box<dyn Fn() -> Box<dyn Iterator<Item = T> + 'a> + Send + Sync + 'a>;

/// A list that may be very long. What is written of it is made when its turn comes, and is gone then.
pub struct EntryList<'a, T> {
    read: Vec<T>,
    made: Vec<Making<'a, T>>,
}

impl<'a, T> EntryList<'a, T> {
    /// Adds what `entries` makes, each time that the list is written.
    pub fn add(&mut self, entries: impl Iterator<Item = T> + Clone + Send + Sync + 'a) {
        self.made.push(Box::new(move || Box::new(entries.clone())));
    }

    /// Those that were read from a document.
    #[must_use]
    pub fn read(&self) -> &[T] {
        &self.read
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.made().next().is_none()
    }

    fn made(&self) -> impl Iterator<Item = T> {
        self.made.iter().flat_map(|make| make())
    }
}

impl<T> Default for EntryList<'_, T> {
    fn default() -> Self {
        Self { read: Vec::new(), made: Vec::new() }
    }
}

impl<T: fmt::Debug> fmt::Debug for EntryList<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.read).entries(self.made()).finish()
    }
}

/// Either of the two ways in which there is an entry.
enum Entry<'e, T> {
    Read(&'e T),
    Made(T),
}

impl<T: Serialize> Serialize for Entry<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Read(entry) => entry.serialize(serializer),
            Self::Made(entry) => entry.serialize(serializer),
        }
    }
}

impl<T: Serialize> Serialize for EntryList<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.read.iter().map(Entry::Read).chain(self.made().map(Entry::Made)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for EntryList<'_, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { read: Vec::deserialize(deserializer)?, made: Vec::new() })
    }
}

impl<T: JsonSchema> JsonSchema for EntryList<'_, T> {
    fn inline_schema() -> bool {
        Vec::<T>::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        Vec::<T>::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Vec::<T>::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// What was written, with a look that no entry behind the first two was made that is not written.
    struct Watched<'a>(&'a AtomicUsize, String);

    impl io::Write for Watched<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += str::from_utf8(bytes).unwrap();
            let written = self.1.matches(|c: char| c.is_ascii_digit()).count();
            let made = self.0.load(Ordering::Relaxed);
            assert!(made < written.max(2), "{made} are made, {written} written");
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_entry_is_made_when_its_turn_comes_and_not_before() {
        let made = AtomicUsize::new(0);
        let mut entries: EntryList<'_, u8> = serde_json::from_str("[1, 2]").unwrap();
        for _ in 0..2 {
            entries.add((3..6).inspect(|_| _ = made.fetch_add(1, Ordering::Relaxed)));
        }
        let mut out = Watched(&made, String::new());
        serde_json::to_writer(&mut out, &entries).unwrap();
        assert_eq!(out.1, "[1,2,3,4,5,3,4,5]");
        assert_eq!(format!("{entries:?}"), "[1, 2, 3, 4, 5, 3, 4, 5]", "as often as it is asked for");
        assert!(!entries.is_empty());
        assert!(EntryList::<u8>::default().is_empty());
    }
}
