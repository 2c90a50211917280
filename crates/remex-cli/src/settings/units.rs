//! Durations and sizes as people write them: `1h30m`, `500ms`, `16KiB`.

use std::time::Duration;

/// Reads a duration: numbers with units, the larger ones first or not, each at most once or not.
/// Without a unit only 0 means something.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const WANT: &str = "is not a duration such as 5s, 500ms or 1h30m";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, unit, tail) = number_with_unit(rest).ok_or(WANT)?;
        let one = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(86_400),
            _ => return Err(WANT.to_owned()),
        };
        let count = u32::try_from(number).map_err(|_too_large| "is too long".to_owned())?;
        let part = one.checked_mul(count).ok_or("is too long")?;
        total = total.checked_add(part).ok_or("is too long")?;
        rest = tail;
    }
    if text.is_empty() { Err(WANT.to_owned()) } else { Ok(total) }
}

/// Reads a size in bytes: a number, alone or with `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    const WANT: &str = "is not a size such as 16384, 16KiB or 1MiB";
    let (number, unit, rest) = number_with_unit(text).ok_or(WANT)?;
    if !rest.is_empty() {
        return Err(WANT.to_owned());
    }
    let one: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(WANT.to_owned()),
    };
    let bytes = number.checked_mul(one).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| "is too large".to_owned())
}

/// Splits off a whole number and the letters behind it.
fn number_with_unit(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("500ms", 500),
            ("5s", 5_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1s500ms", 1_500),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "s", "5x", "-5s", "1.5s", "5 s", "99999999999d", "5s5"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("16384", 16_384), ("16KiB", 16_384), ("1MiB", 1_048_576), ("2kB", 2_000), ("7B", 7)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "16K", "1.5MiB", "16 KiB", "99999999999999999GiB", "1KiB1"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
