//! A moment as it stands in JSON: RFC 3339, UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since the epoch, UTC; written to the second, as Neutron does (RFC 3339).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A text that is not a moment such as `2026-01-31T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time in UTC, such as 2026-01-31T12:00:00Z")]
pub struct BadTime;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400;

impl Time {
    /// With six digits after the second, as the Identity API writes times.
    pub fn precise(self) -> String {
        let text = self.to_string();
        format!("{}.{:06}Z", text.trim_end_matches('Z'), self.0.rem_euclid(SECOND))
    }
}

/// Year, month and day of a day counted from the epoch, in the proleptic Gregorian calendar
/// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// The inverse of [`civil`].
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl Time {
    /// The text, in place: lists write two times a port. Years beyond four digits are cut off.
    fn text(self) -> [u8; 20] {
        let seconds = self.0.div_euclid(SECOND);
        let (year, month, day) = civil(seconds.div_euclid(DAY));
        let of_day = seconds.rem_euclid(DAY);
        let mut text = *b"0000-00-00T00:00:00Z";
        let mut put = |at: usize, digits: usize, mut number: i64| {
            for place in text[at..at + digits].iter_mut().rev() {
                // A digit: below ten.
                *place += number.rem_euclid(10) as u8;
                number = number.div_euclid(10);
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, of_day / 3_600);
        put(14, 2, of_day / 60 % 60);
        put(17, 2, of_day % 60);
        text
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl FromStr for Time {
    type Err = BadTime;

    /// Reads what [`fmt::Display`] and [`Time::precise`] write; no offsets but `Z`.
    fn from_str(text: &str) -> Result<Self, BadTime> {
        let bytes = text.as_bytes();
        let shape = bytes.len() >= 20
            && [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')]
                .iter()
                .all(|(at, mark)| bytes[*at] == *mark);
        if !shape || !text.is_ascii() {
            return Err(BadTime);
        }
        let number = |from: usize, to: usize| -> Result<i64, BadTime> {
            let digits = &text[from..to];
            if digits.bytes().all(|b| b.is_ascii_digit()) {
                digits.parse().map_err(|_| BadTime)
            } else {
                Err(BadTime)
            }
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let day_number = days(year, month, day);
        if civil(day_number) != (year, month, day) || hour > 23 || minute > 59 || second > 59 {
            return Err(BadTime);
        }
        let micros = match text[19..].strip_suffix('Z') {
            Some("") => 0,
            Some(fraction) => {
                let digits = fraction.strip_prefix('.').ok_or(BadTime)?;
                if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(BadTime);
                }
                format!("{digits:0<6}").parse().map_err(|_| BadTime)?
            }
            None => return Err(BadTime),
        };
        Ok(Self(
            (day_number * DAY + hour * 3_600 + minute * 60 + second) * SECOND + micros,
        ))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Time(951_827_696_000_000).to_string(), "2000-02-29T12:34:56Z");
        assert_eq!(Time(-1).to_string(), "1969-12-31T23:59:59Z");
        assert_eq!(Time(1_700_000_000_000_042).precise(), "2023-11-14T22:13:20.000042Z");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00+01:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00é",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(bad.parse::<Time>(), Err(BadTime), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(micros in 0..253_402_300_800_000_000_i64) {
            prop_assert_eq!(Time(micros).precise().parse(), Ok(Time(micros)));
        }
    }
}
