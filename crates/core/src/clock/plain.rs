//! `2026-01-31T09:30:00.125Z`: the form in which every moment is written here, read and made without
//! the machinery for all others. A list reads and makes four of them for each task.

/// How many bytes it has.
pub(super) const LEN: usize = 24;

const DAY_MS: i64 = 86_400_000;
/// Of four hundred years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;
/// From the first of March of the year 0 to 1970.
const EPOCH_DAYS: i64 = 719_468;

/// Milliseconds since 1970; `None` where it is any other form.
pub(super) fn read(text: &[u8]) -> Option<i64> {
    let text: &[u8; LEN] = text.try_into().ok()?;
    let marks = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'.'),
        (23, b'Z'),
    ];
    if marks.iter().any(|&(at, mark)| text[at] != mark) {
        return None;
    }
    let (year, month, day) = (
        number(&text[..4])?,
        number(&text[5..7])?,
        number(&text[8..10])?,
    );
    let (hour, minute) = (number(&text[11..13])?, number(&text[14..16])?);
    let (second, milli) = (number(&text[17..19])?, number(&text[20..23])?);
    let fits = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    fits.then(|| {
        let minutes = (days_until(year, month, day) * 24 + hour) * 60 + minute;
        (minutes * 60 + second) * 1000 + milli
    })
}

/// The text; `None` for a year that has not four digits.
pub(super) fn write(millis: i64) -> Option<[u8; LEN]> {
    let (year, month, day) = date(millis.div_euclid(DAY_MS));
    if !(0..=9999).contains(&year) {
        return None;
    }
    let rest = millis.rem_euclid(DAY_MS);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], rest / 3_600_000);
    put(&mut text[14..16], rest / 60_000 % 60);
    put(&mut text[17..19], rest / 1000 % 60);
    put(&mut text[20..23], rest % 1000);
    Some(text)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

fn put(digits: &mut [u8], mut number: i64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970. Years are counted from March here, so that the day that comes and goes is the last.
fn days_until(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, in_era) = (year.div_euclid(400), year.rem_euclid(400));
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + in_year - EPOCH_DAYS
}

/// The reverse.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let (era, in_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * march + 2) / 5 + 1;
    let month = (march + 2) % 12 + 1;
    (era * 400 + year + i64::from(month < 3), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, SecondsFormat, Utc};
    use proptest::prelude::*;

    fn by_chrono(millis: i64) -> String {
        let moment = DateTime::<Utc>::from_timestamp_millis(millis).unwrap();
        moment.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    #[test]
    fn every_day_is_the_one_of_the_calendar() {
        let first = read(b"0000-01-01T00:00:00.000Z").unwrap();
        let last = read(b"9999-12-31T23:59:59.999Z").unwrap();
        for day in (first..=last).step_by(DAY_MS as usize) {
            let text = write(day).unwrap();
            assert_eq!(std::str::from_utf8(&text).unwrap(), by_chrono(day));
            assert_eq!(read(&text), Some(day));
        }
        assert_eq!((write(first - 1), write(last + 1)), (None, None));
    }

    proptest! {
        #[test]
        fn every_moment_is_what_chrono_makes_of_it(millis in -62_167_219_200_000_i64..253_402_300_800_000) {
            let text = write(millis).unwrap();
            prop_assert_eq!(std::str::from_utf8(&text).unwrap(), by_chrono(millis));
            prop_assert_eq!(read(&text), Some(millis));
        }

        #[test]
        fn what_is_read_chrono_reads_in_the_same_way(text in "[0-3][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9][.,][0-9]{3}[Zz]") {
            if let Some(millis) = read(text.as_bytes()) {
                let moment = DateTime::parse_from_rfc3339(&text).unwrap();
                prop_assert_eq!(moment.timestamp_millis(), millis);
            }
        }
    }
}
