//! Numbers, times and lists as a reader expects them. Pure: now and the zone are parameters.
//!
//! Times are milliseconds since 1970 in UTC; the wire has RFC 3339.

use super::{Key, t, tn, tp};

/// A number with its thousands apart: `2,032`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let separator = t(Key::NumberSeparator);
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push_str(separator);
        }
        out.push(digit);
    }
    out
}

/// A number of any width: from 2^40 on as the nearest power of two, as nobody counts so far.
pub fn big_number(n: u128) -> String {
    if n < 1 << 40 {
        return number(n as u64);
    }
    let power = 127 - n.leading_zeros();
    let half = 1_u128 << (power - 1);
    format!(
        "2^{}",
        if n - (1_u128 << power) >= half {
            power + 1
        } else {
            power
        }
    )
}

/// Part of the whole in percent, rounded; never 100 before it is full, never 0 once begun.
pub fn percent(used: u64, total: u64) -> u8 {
    if total == 0 {
        return 0;
    }
    let percent = (u128::from(used) * 100 / u128::from(total)).min(100) as u8;
    match percent {
        0 if used > 0 => 1,
        100 if used < total => 99,
        _ => percent,
    }
}

/// As [`percent`], in words: `91 %`.
pub fn percent_text(used: u64, total: u64) -> String {
    tp(Key::Percent, &[("n", &percent(used, total).to_string())])
}

/// Milliseconds of an RFC 3339 time; `None` if it is none.
pub fn parse_time(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            (&rest[..end], &rest[end..])
        }
        None => ("", rest),
    };
    let millis = fraction
        .bytes()
        .chain([b'0'; 3])
        .take(3)
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let offset = match zone.as_bytes() {
        [] | [b'Z'] | [b'z'] => 0,
        [sign @ (b'+' | b'-'), ..] => {
            let hours = zone.get(1..3)?.parse::<i64>().ok()?;
            let minutes = zone.get(4..6)?.parse::<i64>().ok()?;
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + (minute - offset) * 60 + second;
    Some(seconds * 1_000 + millis)
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month (1 to 12) and day of a number of days since 1970-01-01.
fn civil_from_days(days: i64) -> (i64, usize, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as usize, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// The time of day, `12:04:31`, `offset` minutes east of UTC.
pub fn clock(time: i64, offset: i64) -> String {
    let second = (time.div_euclid(1_000) + offset * 60).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// Day and minute: `21 Nov 2026, 12:04`.
pub fn date(time: i64, offset: i64) -> String {
    let local = time.div_euclid(1_000) + offset * 60;
    let (year, month, day) = civil_from_days(local.div_euclid(86_400));
    let months = t(Key::MonthNames);
    let month = months.split(' ').nth(month - 1).unwrap_or_default();
    tp(
        Key::DateAndTime,
        &[
            ("day", &day.to_string()),
            ("month", month),
            ("year", &year.to_string()),
            ("time", &clock(time, offset)[..5]),
        ],
    )
}

/// Everything, with the zone: `21 Nov 2026, 12:04:31 UTC+3`.
pub fn whole(time: i64, offset: i64) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let zone = match (offset.abs() / 60, offset.abs() % 60) {
        (0, 0) => "UTC".to_owned(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
    };
    format!("{}{} {zone}", date(time, offset), &clock(time, offset)[5..])
}

/// How long ago, up to a day; after that the date, and of a time to come, by a clock that was or is wrong, too.
pub fn ago(time: i64, now: i64, offset: i64) -> String {
    let seconds = (now - time) / 1_000;
    match seconds {
        -60..=4 => t(Key::JustNow).to_owned(),
        5..86_400 => tp(Key::Ago, &[("time", &duration(now - time))]),
        _ => date(time, offset),
    }
}

/// A length of time in its largest unit, which stays on the line: `0.4 s`, `42 s`, `3 min`, `5 h`, `2 days`.
pub fn duration(millis: i64) -> String {
    let millis = millis.max(0);
    match millis / 1_000 {
        0 => tp(
            Key::Seconds,
            &[("n", &format!("0{}{}", t(Key::DecimalSeparator), millis / 100))],
        ),
        seconds @ 1..60 => tp(Key::Seconds, &[("n", &seconds.to_string())]),
        seconds @ 60..3_600 => tp(Key::Minutes, &[("n", &(seconds / 60).to_string())]),
        seconds @ 3_600..86_400 => tp(Key::Hours, &[("n", &(seconds / 3_600).to_string())]),
        seconds => tn(Key::Days, (seconds / 86_400) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;
    use crate::i18n::tests::in_language;

    /// 2026-11-21 12:04:31.250 UTC.
    const NOON: i64 = 1_795_262_671_250;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(number),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [1 << 64, (1 << 64) - 2, 65_536, u128::MAX].map(big_number),
            ["2^64", "2^64", "65,536", "2^128"]
        );
    }

    #[test]
    fn percent_tells_begun_from_none_and_nearly_from_full() {
        assert_eq!(
            [(0, 0), (0, 9), (1, 1000), (999, 1000), (5, 5)].map(|(a, b)| percent(a, b)),
            [0, 0, 1, 99, 100]
        );
    }

    #[test]
    fn times_are_read_in_every_zone() {
        for text in [
            "2026-11-21T12:04:31.250Z",
            "2026-11-21T15:04:31.250999+03:00",
            "2026-11-21T11:34:31.25-00:30",
        ] {
            assert_eq!(parse_time(text), Some(NOON), "{text}");
        }
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_time("1969-12-31T23:59:59Z"), Some(-1_000));
        for bad in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "2026-11-21T12:04:31x",
            "2026-11-21T25:00:00Z",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_come_back() {
        for days in [-719_468, -1, 0, 59, 60, 11_016, 20_000, 40_000] {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month as i64, day), days);
        }
        assert_eq!(date(NOON, 0), "21 Nov 2026, 12:04");
        assert_eq!(whole(NOON, 180), "21 Nov 2026, 15:04:31 UTC+3");
        assert_eq!(whole(NOON, -210), "21 Nov 2026, 08:34:31 UTC-3:30");
    }

    #[test]
    fn ago_is_relative_up_to_a_day() {
        let ago = |seconds: i64| ago(NOON - seconds * 1_000, NOON, 0).replace('\u{a0}', " ");
        assert_eq!(ago(1), "just now");
        assert_eq!(ago(42), "42 s ago");
        assert_eq!(ago(185), "3 min ago");
        assert_eq!(ago(7_300), "2 h ago");
        assert_eq!(ago(86_400), "20 Nov 2026, 12:04");
        assert_eq!(
            super::ago(NOON + 60_000, NOON, 0),
            "just now",
            "a clock that is ahead says nothing of the future"
        );
        assert_eq!(super::ago(NOON + 86_400_000, NOON, 0), "22 Nov 2026, 12:04");
    }

    #[test]
    fn russian_numbers_and_times_are_as_russians_write_them() {
        in_language(Lang::Ru, || {
            assert_eq!(
                [999, 1_234, 1_234_567].map(number),
                ["999", "1\u{a0}234", "1\u{a0}234\u{a0}567"]
            );
            assert_eq!(percent_text(231, 253), "91\u{a0}%");
            assert_eq!(date(NOON, 0), "21 нояб. 2026, 12:04");
            assert_eq!(whole(NOON, 180), "21 нояб. 2026, 15:04:31 UTC+3");
            let ago = |seconds: i64| ago(NOON - seconds * 1_000, NOON, 0);
            assert_eq!(ago(1), "только что");
            assert_eq!(ago(185), "3\u{a0}мин назад");
            assert_eq!(ago(86_400), "20 нояб. 2026, 12:04");
            assert_eq!(
                [400, 42_000, 8_000_000, 86_400_000, 200_000_000, 500_000_000].map(duration),
                [
                    "0,4\u{a0}сек",
                    "42\u{a0}сек",
                    "2\u{a0}ч",
                    "1\u{a0}день",
                    "2\u{a0}дня",
                    "5\u{a0}дней"
                ]
            );
        });
    }

    #[test]
    fn durations_take_their_largest_unit() {
        assert_eq!(
            [400, 42_000, 200_000, 8_000_000, 200_000_000].map(|length| duration(length).replace('\u{a0}', " ")),
            ["0.4 s", "42 s", "3 min", "2 h", "2 days"]
        );
    }
}
