//! Between wire and model: what a request target and a body say.
#![warn(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]

use bytes::Bytes;
use http::Uri;
use remex_model::{Error, ErrorCode, Key, Value, Write};

use super::wire::node_number;
use crate::layers::{key_text, peer_address};

/// The key: the request target as it was sent, with its slash and its query, nothing decoded.
pub(crate) fn key(uri: &Uri) -> Result<Key, Error> {
    key_text(target(uri).as_bytes()).map(Key::from)
}

/// The name of the node whose number is the path.
pub(crate) fn node_name(uri: &Uri) -> Result<String, Error> {
    let target = target(uri);
    let text = target.strip_prefix('/').unwrap_or(target);
    match node_number(text) {
        Some(number) => Ok(number.to_string()),
        None => {
            let detail = format!("`{text}` is not the number of a node");
            let hint = "numbers are 1, 2, 3 …, also as 0x4; a key cannot be deleted here, but by \
                        DELETE /v1/kv/KEY on the client port";
            Err(Error::new(ErrorCode::BadRequest, detail).hint(hint))
        }
    }
}

/// The peer address in the body of a request that adds a node.
pub(crate) fn address(body: &[u8]) -> Result<String, Error> {
    let url = std::str::from_utf8(body).map_err(|error| {
        let detail =
            format!("the body is no URL: it is not UTF-8 from byte {}", error.valid_up_to());
        Error::new(ErrorCode::BadRequest, detail)
    })?;
    peer_address("the body", url.trim())
        .map_err(|error| error.hint("send the URL for peers: -d http://127.0.0.1:42379"))
}

/// The write of a key.
pub(crate) fn put(key: Key, body: Bytes) -> Write {
    Write::Put { key, value: Value::raw(body), lease: 0 }
}

fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("", |target| target.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &'static str) -> Uri {
        Uri::from_static(text)
    }

    #[test]
    fn r4_the_whole_target_is_the_key() {
        for target in ["/", "/my-key", "/a?b=1", "/a?", "//a/../b", "/a%2Fb", "/a+b", "/ü"] {
            assert_eq!(key(&uri(target)).unwrap(), Key::from(target));
        }
        // As HTTP/2 carries it, and proxies ask for it.
        assert_eq!(key(&uri("http://127.0.0.1:12380/a?b")).unwrap(), Key::from("/a?b"));
    }

    #[test]
    fn r5_r6_a_node_is_named_by_its_number() {
        assert_eq!(node_name(&uri("/0x4")).unwrap(), "4");
        for target in ["/", "/my-key", "/4?x", "//4", "/0"] {
            let error = node_name(&uri(target)).unwrap_err();
            assert_eq!(error.code, ErrorCode::BadRequest, "{target}");
        }
    }

    #[test]
    fn r5_a_peer_is_given_by_its_url() {
        assert_eq!(address(b"http://127.0.0.1:42379").unwrap(), "127.0.0.1:42379");
        assert_eq!(address(b"http://127.0.0.1:42379\n").unwrap(), "127.0.0.1:42379");
        for body in [&b""[..], b"http://127.0.0.1", b"\xff", b"value"] {
            assert_eq!(address(body).unwrap_err().code, ErrorCode::BadRequest, "{body:?}");
        }
    }
}
