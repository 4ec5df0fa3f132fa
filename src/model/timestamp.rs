//! Timestamps in the format of the API. Every record in a response has four, so they are formatted without a general-purpose
//! formatter, which is slower.

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::Serializer;

/// RFC 3339 in UTC with milliseconds: `2026-01-08T10:00:30.000Z`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timestamp([u8; 24]);

impl Timestamp {
    /// Returns `None` if the year does not have four digits.
    fn of(time: &DateTime<Utc>) -> Option<Self> {
        let year = u32::try_from(time.year()).ok().filter(|year| *year <= 9_999)?;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let fields = [
            (0..4, year),
            (5..7, time.month()),
            (8..10, time.day()),
            (11..13, time.hour()),
            (14..16, time.minute()),
            (17..19, time.second()),
            (20..23, time.timestamp_subsec_millis()),
        ];
        for (range, mut value) in fields {
            for digit in text.get_mut(range)?.iter_mut().rev() {
                *digit += u8::try_from(value % 10).unwrap_or_default();
                value /= 10;
            }
        }
        Some(Self(text))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Appends a time to a text.
pub(crate) fn push(text: &mut String, time: &DateTime<Utc>) {
    match Timestamp::of(time) {
        Some(stamp) => text.push_str(stamp.as_str()),
        None => text.push_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
    }
}

/// Serializes a time, for serde's `serialize_with`.
pub(crate) fn rfc3339<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    match Timestamp::of(time) {
        Some(stamp) => serializer.serialize_str(stamp.as_str()),
        None => serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn formats_times_like_chrono(milliseconds in -100_000_000_000_000_i64..400_000_000_000_000) {
            let time = DateTime::from_timestamp_millis(milliseconds).unwrap();
            let mut text = String::new();
            push(&mut text, &time);
            prop_assert_eq!(text, time.to_rfc3339_opts(SecondsFormat::Millis, true));
        }
    }
}
