//! In: nothing, or a moment that was chosen. Out: what time it is. It refuses to know what for.

use jiff::Timestamp;

/// What time it is for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// What the system says.
    System,
    /// Always this moment.
    Fixed(Timestamp),
}

impl Clock {
    /// The present moment, UTC, in whole milliseconds: the store keeps no more.
    #[must_use]
    pub fn now(self) -> Timestamp {
        let now = match self {
            Self::System => Timestamp::now(),
            Self::Fixed(moment) => moment,
        };
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
