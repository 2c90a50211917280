//! `If-Match` and `If-None-Match` (RFC 9110, section 13). The entity tag of a key is its
//! modification revision in quotes.

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use remex_model::{Condition, Error, ErrorCode, Key, Revision, Test};

/// The conditions under which a write of `key` may happen.
pub(crate) fn of_write(headers: &HeaderMap, key: &Key) -> Result<Vec<Condition>, Error> {
    let mut conditions = Vec::new();
    for value in headers.get_all(IF_MATCH) {
        let test = match value.as_bytes().trim_ascii() {
            b"*" => Test::Exists,
            tag => Test::Revision(strong(tag).ok_or_else(|| malformed_match(value))?),
        };
        conditions.push(Condition { key: key.clone(), test });
    }
    for value in headers.get_all(IF_NONE_MATCH) {
        if value.as_bytes().trim_ascii() != b"*" {
            let detail = "a write takes `If-None-Match: *` alone: only if the key does not exist";
            return Err(Error::new(ErrorCode::BadRequest, detail)
                .hint("send `If-Match: \"R\"` to write only at revision R"));
        }
        conditions.push(Condition { key: key.clone(), test: Test::Absent });
    }
    Ok(conditions)
}

/// Checks that a request that takes no conditions has none: ignoring one could destroy what it
/// was to protect.
pub(crate) fn none(headers: &HeaderMap) -> Result<(), Error> {
    for name in [IF_MATCH, IF_NONE_MATCH] {
        if headers.contains_key(&name) {
            let detail = format!("this request takes no `{name}`: it is not about one key");
            return Err(Error::new(ErrorCode::BadRequest, detail).hint(
                "leave the header out; to write many keys under conditions, write them one by one",
            ));
        }
    }
    Ok(())
}

/// Whether the client already has the key at `revision`, so that a read is answered with 304.
pub(crate) fn client_has(headers: &HeaderMap, revision: Revision) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        value.as_bytes().split(|&byte| byte == b',').any(|tag| {
            let tag = tag.trim_ascii();
            tag == b"*" || strong(tag.strip_prefix(b"W/").unwrap_or(tag)) == Some(revision)
        })
    })
}

/// The revision in a strong entity tag.
fn strong(tag: &[u8]) -> Option<Revision> {
    let digits = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(Revision)
}

fn malformed_match(value: &HeaderValue) -> Error {
    let value = String::from_utf8_lossy(value.as_bytes());
    let detail = format!("`If-Match: {value}` is neither one entity tag of ours nor `*`");
    Error::new(ErrorCode::BadRequest, detail)
        .hint("send the ETag of an earlier answer with its quotes, as in: If-Match: \"42\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    fn test(name: http::HeaderName, value: &'static str) -> Option<Test> {
        let conditions = of_write(&headers(name, value), &"k".into()).ok()?;
        Some(conditions.first().expect("a header makes a condition").test)
    }

    #[test]
    fn conditions_of_a_write() {
        assert_eq!(test(IF_MATCH, "\"42\""), Some(Test::Revision(Revision(42))));
        assert_eq!(test(IF_MATCH, " * "), Some(Test::Exists));
        assert_eq!(test(IF_NONE_MATCH, "*"), Some(Test::Absent));
        for value in ["42", "W/\"42\"", "\"a\"", "\"1\", \"2\"", "\"+1\"", "", "\""] {
            assert_eq!(test(IF_MATCH, value), None, "{value}");
        }
        assert_eq!(test(IF_NONE_MATCH, "\"42\""), None);
    }

    #[test]
    fn a_read_compares_weakly_with_any_tag_of_the_list() {
        let has = |value| client_has(&headers(IF_NONE_MATCH, value), Revision(42));
        assert!(has("\"42\"") && has("W/\"42\"") && has("\"1\", \"42\"") && has("*"));
        assert!(!has("\"41\"") && !has("42") && !has("\"a,b\""));
    }
}
