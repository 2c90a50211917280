//! Deep equality of JSON: the order of members does not matter, nor how a text is escaped, nor
//! white space. Whole numbers are equal by their digits, however many; others by their value.
#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Below this nesting, texts are equal if they are the same byte for byte. Every level reads the
/// text below it once.
const DEPTH_MAX: usize = 64;

#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether two JSON texts mean the same.
pub(crate) fn equal(one: &str, other: &str) -> bool {
    equal_at(one.trim(), other.trim(), DEPTH_MAX)
}

fn equal_at(one: &str, other: &str, depth: usize) -> bool {
    if one == other {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else { return false };
    match (one.bytes().next(), other.bytes().next()) {
        (Some(b'{'), Some(b'{')) => {
            both::<BTreeMap<Text<'_>, &RawValue>>(one, other).is_some_and(|(one, other)| {
                one.len() == other.len()
                    && one.iter().zip(&other).all(|((name, one), (same, other))| {
                        name == same && equal_at(one.get(), other.get(), depth)
                    })
            })
        }
        (Some(b'['), Some(b'[')) => {
            both::<Vec<&RawValue>>(one, other).is_some_and(|(one, other)| {
                let mut pairs = one.iter().zip(&other);
                one.len() == other.len()
                    && pairs.all(|(one, other)| equal_at(one.get(), other.get(), depth))
            })
        }
        (Some(b'"'), Some(b'"')) => {
            both::<Text<'_>>(one, other).is_some_and(|(one, other)| one == other)
        }
        _ => {
            let whole = |text: &str| !text.contains(['.', 'e', 'E']);
            let is_zero = |text: &str| text.parse::<f64>().is_ok_and(|number| number == 0.0);
            let are_whole = whole(one) && whole(other);
            // Whole numbers of other digits differ, apart from 0 and -0.
            (!are_whole || (is_zero(one) && is_zero(other)))
                && both::<f64>(one, other).is_some_and(|(one, other)| one == other)
        }
    }
}

/// Reads both texts as the same type; `None` if one cannot be read so.
fn both<'a, T: Deserialize<'a>>(one: &'a str, other: &'a str) -> Option<(T, T)> {
    Some((serde_json::from_str(one).ok()?, serde_json::from_str(other).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t15_texts_that_mean_the_same_are_equal() {
        for (one, other) in [
            ("null", " null "),
            ("{\"a\":1,\"b\":[true,{}]}", "{ \"b\" : [ true , { } ], \"a\" : 1 }"),
            (r#""\u00e4\/""#, "\"ä/\""),
            (r#"{"\u0061":[]}"#, r#"{"a":[ ]}"#),
            ("1.0", "1"),
            ("1e2", "100"),
            ("-0", "0"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("{\"a\":1,\"a\":2}", "{\"a\":2}"),
        ] {
            assert!(equal(one, other) && equal(other, one), "{one} {other}");
        }
    }

    #[test]
    fn t15_others_are_not() {
        for (one, other) in [
            ("null", "0"),
            ("null", "false"),
            ("null", "\"null\""),
            ("1", "\"1\""),
            ("1", "2"),
            ("{}", "[]"),
            ("{\"a\":1}", "{\"a\":1,\"b\":1}"),
            ("{\"a\":1}", "{\"b\":1}"),
            ("[1,2]", "[2,1]"),
            ("[1]", "[1,1]"),
            ("12345678901234567890123", "12345678901234567890124"),
            ("\"a\"", "\"A\""),
        ] {
            assert!(!equal(one, other) && !equal(other, one), "{one} {other}");
        }
    }

    #[test]
    fn hostile_nesting_ends() {
        let deep = |core: &str| ["[".repeat(8_000), core.to_owned(), "]".repeat(8_000)].concat();
        assert!(equal(&deep("1"), &deep("1")));
        assert!(!equal(&deep("1"), &deep("2")));
    }
}
