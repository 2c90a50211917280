//! Between wire and model: what a request says.
#![warn(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]

use remex_model::{Error, ErrorCode, Key, Limits, Record, Value, Write};

use super::wire::{DataBody, SetPayload};
use crate::layers::{key_text, parameter, peer_address, shown_text};

/// The write that the body of `/set` asks for.
pub(crate) fn set(body: &[u8]) -> Result<Write, Error> {
    let SetPayload { key, value } = serde_json::from_slice(body).map_err(|error| {
        Error::new(ErrorCode::InvalidJson, format!("the body cannot be used: {error}"))
            .hint(r#"send {"key": "x", "value": "23"}"#)
    })?;
    let key = Key::from(key_text(key.as_bytes())?);
    Ok(Write::Put { key, value: Value::from(value.as_ref()), lease: 0 })
}

/// The error for a body of `/set` over the limit.
pub(crate) fn too_large(length: usize, limits: &Limits) -> Error {
    let max = limits.request_bytes_max;
    let detail = format!("the body has {length} bytes, the limit is {max}");
    Error::new(ErrorCode::RequestTooLarge, detail).hint("send one key and its value")
}

/// The key that the query names.
pub(crate) fn key(query: Option<&str>) -> Result<Key, Error> {
    let key = named(query, "key", "x")?;
    key_text(key.as_bytes()).map(Key::from)
}

/// Name and peer address of the node that the query of `/join` names.
pub(crate) fn follower(query: Option<&str>) -> Result<(String, String), Error> {
    let address = named(query, "followerAddr", "localhost:2223")?;
    let name = named(query, "followerId", "node2")?;
    Ok((name, peer_address("followerAddr", &address)?))
}

/// What `/get` answers; no key is the same as an empty one.
pub(crate) fn data(record: Option<&Record>) -> DataBody {
    DataBody { data: record.map(|record| shown_text(&record.value)).unwrap_or_default() }
}

fn named(query: Option<&str>, name: &str, example: &str) -> Result<String, Error> {
    match parameter(query, name)? {
        Some(text) if !text.is_empty() => Ok(text),
        Some(_) | None => {
            let detail = format!("the parameter `{name}` is missing or empty");
            Err(Error::new(ErrorCode::BadRequest, detail).hint(format!("as in ?{name}={example}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> Write {
        Write::Put { key: key.into(), value: value.into(), lease: 0 }
    }

    #[test]
    fn e6_names_are_read_in_any_case_and_the_last_one_counts() {
        for body in [
            r#"{"key": "x", "value": "23"}"#,
            r#" {"Value":"23","Key":"x"}"#,
            r#"{"KEY":"y","vAlUe":"0","key":"x","other":[1,{}],"value":"23"}"#,
            r#"{"\u006bey":"x","value":"\u0032\u0033"}"#,
        ] {
            assert_eq!(set(body.as_bytes()).unwrap(), put("x", "23"), "{body}");
        }
        // What looks like JSON stays the text that it is.
        assert_eq!(set(br#"{"key":"x","value":"[1, 2]"}"#).unwrap(), put("x", "[1, 2]"));
    }

    #[test]
    fn e8_a_body_that_is_no_pair_of_texts_is_refused() {
        for body in [
            "",
            "x",
            "[]",
            "null",
            "{}",
            r#"{"key":"x"}"#,
            r#"{"value":"23"}"#,
            r#"{"key":"x","value":23}"#,
            r#"{"key":"x","value":null}"#,
            r#"{"key":1,"key":"x","value":"23"}"#,
            r#"{"key":"x","value":"23"}{}"#,
        ] {
            assert_eq!(set(body.as_bytes()).unwrap_err().code, ErrorCode::InvalidJson, "{body}");
        }
        let error = set(br#"{"key":"a\n","value":""}"#).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidKey);
    }

    #[test]
    fn e3_a_follower_has_an_address_and_an_id() {
        let of = |query| follower(Some(query));
        assert_eq!(
            of("followerAddr=localhost:2223&followerId=node2").unwrap(),
            ("node2".to_owned(), "localhost:2223".to_owned())
        );
        for query in [
            "",
            "followerId=node2",
            "followerAddr=localhost:2223",
            "followerAddr=localhost&followerId=node2",
            "followerAddr=&followerId=node2",
        ] {
            assert_eq!(of(query).unwrap_err().code, ErrorCode::BadRequest, "{query}");
        }
    }

    #[test]
    fn e10_a_missing_key_and_an_empty_one_are_not_told_apart_but_no_key_is_an_error() {
        assert_eq!(data(None).data, "");
        assert_eq!(key(Some("key=a%20b&key=c")).unwrap(), Key::from("a b"));
        assert_eq!(key(None).unwrap_err().code, ErrorCode::BadRequest);
    }
}
