//! What the headers say about a body.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use remex_model::{Error, ErrorCode};

/// How the body of a put is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// It says that it is JSON, so it must be.
    Json,
    /// It says that it is bytes: it is not looked at.
    Bytes,
    /// JSON if it parses, else text or bytes. Also what `curl -d` and browsers send.
    Any,
}

/// Reads `Content-Type` and `Content-Encoding`.
///
/// # Errors
/// For bodies whose bytes are surely not what was meant to be stored: forms of several parts,
/// compressed bodies.
pub(crate) fn of(headers: &HeaderMap) -> Result<Media, Error> {
    if let Some(coding) = headers.get(CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let coding = String::from_utf8_lossy(coding.as_bytes());
        return Err(unsupported(format!("the body is encoded as `{coding}`"), "send it as it is"));
    }
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Media::Any) };
    let essence =
        value.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        Ok(Media::Json)
    } else if essence.eq_ignore_ascii_case(b"application/octet-stream") {
        Ok(Media::Bytes)
    } else if essence.len() >= 10 && essence[..10].eq_ignore_ascii_case(b"multipart/") {
        let hint = "send the bare body: curl -X PUT --data-binary @FILE";
        Err(unsupported("the body is a form of several parts".into(), hint))
    } else if essence.eq_ignore_ascii_case(b"application/json5") {
        Err(unsupported("lenient JSON is not taken".into(), "send strict JSON"))
    } else {
        Ok(Media::Any)
    }
}

fn unsupported(detail: String, hint: &str) -> Error {
    Error::new(ErrorCode::UnsupportedMediaType, detail).hint(hint)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_content_type_decides_how_a_body_is_taken() {
        let of = |value| {
            of(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))])).ok()
        };
        assert_eq!(of("Application/JSON; charset=utf-8"), Some(Media::Json));
        assert_eq!(of("application/octet-stream"), Some(Media::Bytes));
        assert_eq!(of("application/x-www-form-urlencoded"), Some(Media::Any));
        assert_eq!(of(""), Some(Media::Any));
        assert_eq!(of("multipart/form-data; boundary=x"), None);
        assert_eq!(of("application/json5"), None);
    }

    #[test]
    fn a_compressed_body_is_refused() {
        let of = |value| {
            of(&HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert_eq!(of("identity").unwrap(), Media::Any);
        assert_eq!(of("gzip").unwrap_err().code, ErrorCode::UnsupportedMediaType);
    }
}
