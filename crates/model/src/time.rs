//! Wall-clock time as events carry it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment of the wall clock: microseconds since 1970-01-01T00:00:00Z, shown as `2026-11-21T08:30:00.000001Z`.
///
/// The wall clock can jump; durations are measured with the monotonic clock instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// A text that is not an RFC 3339 time at or after 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time: expected RFC 3339 such as 2026-11-21T08:30:00Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The last moment that RFC 3339 can show (year 9999).
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// Reads the system's wall clock.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// From microseconds since 1970; later than [`Self::MAX`] becomes that.
    pub const fn from_unix_micros(micros: u64) -> Self {
        if micros > Self::MAX.0 { Self::MAX } else { Self(micros) }
    }

    /// Microseconds since 1970.
    pub const fn unix_micros(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The moment `duration` later, at most [`Self::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self::from_unix_micros(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// The moment `duration` earlier, at least 1970.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_unix_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000).map_err(|_| fmt::Error)?;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.microsecond()
        )
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let t = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
        u64::try_from(t.unix_timestamp_nanos() / 1000)
            .map(Self::from_unix_micros)
            .map_err(|_| InvalidTimestamp)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_to_the_microsecond_and_read_back() {
        for (micros, shown) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_795_854_600_000_001, "2026-11-28T08:30:00.000001Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ] {
            let t = Timestamp::from_unix_micros(micros);
            assert_eq!(t.to_string(), shown);
            assert_eq!(shown.parse::<Timestamp>(), Ok(t));
        }
        assert_eq!("2026-11-28T09:30:00+01:00".parse::<Timestamp>().unwrap().unix_seconds(), 1_795_854_600);
        assert_eq!(Timestamp::from_unix_micros(u64::MAX), Timestamp::MAX);
        assert!("1969-12-31T23:59:59Z".parse::<Timestamp>().is_err());
    }
}
