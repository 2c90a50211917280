//! What stands in a request target.

/// The number of a node as people write it: decimal, or with the prefix `0x`, `0o` or `0`, or `0b`
/// of another base, and with underscores between digits, as literals of Go are written. `None` if
/// it is none, is greater than 64 bits hold, or is 0, which no node has.
pub(crate) fn node_number(text: &str) -> Option<u64> {
    let prefix = text.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (base, digits) = match prefix.as_str() {
        "0x" => (16, text.get(2..)?),
        "0o" => (8, text.get(2..)?),
        "0b" => (2, text.get(2..)?),
        _ if prefix.starts_with('0') => (8, text.get(1..)?),
        _ => (10, text),
    };
    // An underscore stands between two digits, or between the prefix and a digit.
    let is_first = digits.starts_with('_') && base == 10;
    if is_first || digits.ends_with('_') || digits.contains("__") || digits.contains('+') {
        return None;
    }
    let number = u64::from_str_radix(&digits.replace('_', ""), base).ok()?;
    (number != 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r5_r6_numbers_are_read_as_go_reads_literals() {
        for (text, number) in [
            ("4", 4),
            ("0x4", 4),
            ("0X1f", 31),
            ("0b101", 5),
            ("0o17", 15),
            ("017", 15),
            ("0_7", 7),
            ("0x_f_f", 255),
            ("1_000", 1000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(node_number(text), Some(number), "{text}");
        }
    }

    #[test]
    fn r5_r6_anything_else_is_no_node() {
        for text in [
            "",
            "0",
            "00",
            "0x",
            "0b",
            "0b2",
            "08",
            "_1",
            "1_",
            "1__0",
            "0x_",
            "+4",
            "-4",
            "0x+4",
            " 4",
            "4 ",
            "4/",
            "4?x",
            "4.0",
            "four",
            "1e3",
            "%34",
            "ü",
            "0ü",
            "18446744073709551616",
        ] {
            assert_eq!(node_number(text), None, "{text}");
        }
    }
}
