//! Between the dialect and the model, pure and total.
#![warn(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]

use std::borrow::Cow;

use bytes::Bytes;
use remex_model::{Error, ErrorCode, Key, Limits, Record, Value, Write};

use super::wire::Pair;
use crate::layers::{Plus, decode, key_text, shown_text};

/// The shape of the body that writes.
const HINT: &str = r#"the body is {"k":"a","v":"1"}"#;

/// What JSON takes beside the text of a key and a value.
const BODY_BYTES_BESIDE: usize = 4 * 1024;

/// The longest body that can hold a key and a value within the limits, all of it escaped.
pub(crate) fn body_bytes_max(limits: &Limits) -> usize {
    // A byte takes up to six: \u0001. A character of up to four bytes, escaped, takes twelve.
    let text = limits.value_bytes_max.saturating_mul(6);
    text.saturating_add(limits.key_chars_max.saturating_mul(12)).saturating_add(BODY_BYTES_BESIDE)
}

/// The error for a body over [`body_bytes_max`].
pub(crate) fn body_too_large(length: usize, limits: &Limits) -> Error {
    let max = body_bytes_max(limits);
    let detail = format!("the body has {length} bytes, the limit is {max}");
    Error::new(ErrorCode::RequestTooLarge, detail).hint("send one key and its value")
}

/// What a body asks to write: its value as the text that was sent.
///
/// # Errors
/// If it is not `{"k": text, "v": text}`, or the key is not printable text.
pub(crate) fn write(body: &[u8]) -> Result<Write, Error> {
    let Pair { k, v } = serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body cannot be used: {error}");
        Error::new(ErrorCode::InvalidJson, detail).hint(HINT)
    })?;
    let key = Key::from(key_text(k.as_bytes())?);
    Ok(Write::Put { key, value: Value::from(v.as_ref()), lease: 0 })
}

/// The key in what stands behind `/v1/data/`, slashes and all.
///
/// # Errors
/// If an escape is broken, or the key is not printable text.
pub(crate) fn key(coded: &str) -> Result<Key, Error> {
    let decoded = decode(coded, Plus::Literal)?;
    let text = key_text(&decoded)?;
    if text.is_empty() {
        return Err(Error::new(ErrorCode::InvalidKey, "the path names no key")
            .hint("name it as in /v1/data/a"));
    }
    Ok(Key::from(text))
}

/// A record as the body of a read.
pub(crate) fn body(key: &Key, record: &Record) -> Bytes {
    let pair = Pair {
        k: String::from_utf8_lossy(key.as_bytes()),
        v: Cow::Owned(shown_text(&record.value)),
    };
    Bytes::from(serde_json::to_vec(&pair).expect("two texts always become JSON"))
}

#[cfg(test)]
mod tests {
    use remex_model::Revision;

    use super::*;

    fn put(key: &str, value: &str) -> Write {
        Write::Put { key: key.into(), value: Value::from(value), lease: 0 }
    }

    #[test]
    fn u1_names_are_read_in_any_case_and_the_last_one_counts() {
        for body in [
            r#"{"k":"a","v":"1"}"#,
            r#" {"V":"1","K":"a"} "#,
            r#"{"k":"x","v":"0","K":"a","other":[1],"v":"1"}"#,
            r#"{"\u006b":"a","v":"\u0031"}"#,
        ] {
            assert_eq!(write(body.as_bytes()).unwrap(), put("a", "1"), "{body}");
        }
        assert_eq!(write(br#"{"k":"a","v":"{\"x\":1}"}"#).unwrap(), put("a", "{\"x\":1}"));
    }

    #[test]
    fn u1_a_body_that_is_no_pair_of_texts_is_refused() {
        for body in [
            "",
            "a",
            "{",
            "[]",
            "{}",
            r#"{"k":"a"}"#,
            r#"{"v":"1"}"#,
            r#"{"k":"a","v":1}"#,
            r#"{"k":"a","v":null}"#,
            r#"{"k":"a","v":"1"} x"#,
        ] {
            let error = write(body.as_bytes()).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidJson, "{body}");
        }
        let error = write(b"{\"k\":\"a\\u0000\",\"v\":\"1\"}").unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidKey);
    }

    #[test]
    fn u2_the_key_is_all_that_follows() {
        for (coded, expected) in [("a", "a"), ("a%2Fb/c+d%20", "a/b/c+d "), ("/a//", "/a//")] {
            assert_eq!(key(coded).unwrap(), Key::from(expected));
        }
        for coded in ["", "%", "%00", "%ff"] {
            assert!(key(coded).is_err(), "{coded}");
        }
    }

    #[test]
    fn u2_any_value_is_shown_as_text() {
        let shown = |value| {
            let (revision, one) = (Revision(2), 1);
            let record = Record {
                create_revision: revision,
                mod_revision: revision,
                version: one,
                lease: 0,
                time_ms: 0,
                value,
            };
            body(&Key::from("k\""), &record)
        };
        assert_eq!(shown(Value::raw("1")), r#"{"k":"k\"","v":"1"}"#);
        assert_eq!(shown(Value::json("\"a\\u00e4\"")), r#"{"k":"k\"","v":"aä"}"#);
        assert_eq!(shown(Value::json("{ \"a\": 1.0 }")), r#"{"k":"k\"","v":"{\"a\":1.0}"}"#);
        assert_eq!(shown(Value::raw(vec![0xff])), r#"{"k":"k\"","v":"/w=="}"#);
    }
}
