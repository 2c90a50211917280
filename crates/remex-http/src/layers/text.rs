//! Values as text, for dialects whose values are strings.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use remex_model::Value;

/// A value as such a dialect shows it: a JSON string as its text, any other JSON without the white
/// space between its parts, anything else as it is.
pub(crate) fn shown(value: &Value) -> Bytes {
    if !value.json {
        return value.bytes.clone();
    }
    match serde_json::from_slice::<Cow<'_, str>>(&value.bytes) {
        Ok(text) => Bytes::from(text.into_owned()),
        Err(_other_json) => compact(&value.bytes),
    }
}

/// As [`shown`], where the answer must be text: other bytes become Base64.
pub(crate) fn shown_text(value: &Value) -> String {
    let shown = shown(value);
    match std::str::from_utf8(&shown) {
        Ok(text) => text.to_owned(),
        Err(_bytes) => STANDARD.encode(&shown),
    }
}

/// JSON without white space outside its strings. Digits, escapes and order stay as they are.
fn compact(json: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(json.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for &byte in json {
        if in_string {
            in_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_lose_their_quotes_and_the_rest_its_white_space() {
        for (json, text) in [
            (r#" "a\u00e4 \"b" "#, "aä \"b"),
            ("{ \"a b\" : [ 1.50, 1e400 ] }", "{\"a b\":[1.50,1e400]}"),
            (r#"{"a\\" : "b \" c"}"#, r#"{"a\\":"b \" c"}"#),
            ("12345678901234567890123", "12345678901234567890123"),
            (" null\n", "null"),
        ] {
            assert_eq!(shown(&Value::json(json)), text, "{json}");
        }
    }

    #[test]
    fn text_and_bytes_are_shown_as_they_are() {
        for text in ["", "23", "\"quoted\"", "{ \"a\": 1 }", " x "] {
            assert_eq!(shown(&Value::raw(text)), text);
            assert_eq!(shown_text(&Value::raw(text)), text);
        }
        assert_eq!(shown(&Value::raw(vec![0xff, 0])), vec![0xff, 0]);
        assert_eq!(shown_text(&Value::raw(vec![0xff, 0])), "/wA=");
    }
}
