//! Request ids: what joins an answer with the lines of the log.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries the id in both directions.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Longest id that is taken from a client, in bytes; a longer one is cut.
const CLIENT_ID_BYTES_MAX: usize = 128;

/// Makes the ids of one process: a random prefix and a running number. No random source is asked
/// for each request; the ids need to be told apart, not to be guessed at.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        // The standard library seeds every hasher state from the system's random source, which
        // is all that is wanted here.
        let prefix = RandomState::new().hash_one(std::process::id()) >> 16;
        Self { prefix, next: AtomicU64::new(1) }
    }

    /// The client's id if it sent a usable one, else a new one.
    pub(crate) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        headers.get(REQUEST_ID).and_then(usable).unwrap_or_else(|| self.make())
    }

    fn make(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut buffer = [0_u8; 32];
        let mut rest = &mut buffer[..];
        write!(rest, "{:012x}-{number:x}", self.prefix)
            .expect("12 digits, a hyphen and at most 16 digits fit into 32 bytes");
        let unused = rest.len();
        HeaderValue::from_bytes(&buffer[..buffer.len() - unused])
            .expect("hexadecimal digits and a hyphen are a header value")
    }
}

/// A client's id that can go into a header, a log line and a JSON body as it is: visible ASCII.
fn usable(value: &HeaderValue) -> Option<HeaderValue> {
    let bytes = value.as_bytes();
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    if bytes.len() <= CLIENT_ID_BYTES_MAX {
        return Some(value.clone());
    }
    HeaderValue::from_bytes(&bytes[..CLIENT_ID_BYTES_MAX]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &RequestIds, value: &[u8]) -> HeaderValue {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        ids.of(&headers)
    }

    #[test]
    fn a_usable_id_is_kept_and_a_long_one_cut() {
        let ids = RequestIds::new();
        assert_eq!(of(&ids, b"trace-7/x"), "trace-7/x");
        assert_eq!(of(&ids, &[b'a'; 500]).len(), CLIENT_ID_BYTES_MAX);
    }

    #[test]
    fn an_unusable_or_absent_id_is_replaced_by_a_new_one_each_time() {
        let ids = RequestIds::new();
        let made =
            [of(&ids, b""), of(&ids, b"a b"), of(&ids, "ü".as_bytes()), ids.of(&HeaderMap::new())];
        for (position, id) in made.iter().enumerate() {
            let text = id.to_str().unwrap();
            assert!(text.len() >= 14 && text.is_ascii(), "{text}");
            assert_eq!(text.split_once('-').unwrap().1, format!("{:x}", position + 1));
        }
    }
}
