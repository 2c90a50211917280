//! Keys in paths.

use bytes::Bytes;
use remex_model::{Error, ErrorCode, Key};

use crate::layers::{Plus, decode, key_text};
use crate::traffic::Route;

/// What stands before a key.
const KEY_PATH: &str = "/v1/kv/";

/// Whether a request to `path` is about one key.
pub(crate) fn is_key(path: &str) -> bool {
    path.starts_with(KEY_PATH)
}

/// What a request to `path` is about. The first comparison settles nearly all of them.
pub(crate) fn route_of(path: &str) -> Route {
    if is_key(path) {
        return Route::Key;
    }
    let is_below = |root: &str| {
        path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match path {
        "/v1/kv" => Route::Keys,
        "/v1/batch" => Route::Batch,
        "/v1/snapshot" => Route::Snapshot,
        "/v1/node" | "/v1/status" | "/v1/log-level" | "/metrics" | "/version" => Route::Node,
        _ if is_below("/v1/cluster") => Route::Cluster,
        _ if is_below("/livez") || is_below("/readyz") => Route::Health,
        _ => Route::Other,
    }
}

/// The key in `path`, taken as it was sent: no segment is resolved, no slash folded.
pub(crate) fn key(path: &str) -> Result<Key, Error> {
    let coded = path.strip_prefix(KEY_PATH).unwrap_or_default();
    if coded.is_empty() {
        return Err(Error::new(ErrorCode::InvalidKey, "the key is empty")
            .hint("name a key as in /v1/kv/app/config, or list with /v1/kv?prefix="));
    }
    let decoded = decode(coded, Plus::Literal)?;
    key_text(&decoded)?;
    Ok(Key::new(match decoded {
        std::borrow::Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_stands_in_the_path() {
        for (path, expected) in [
            ("/v1/kv/a", "a"),
            ("/v1/kv/app/config", "app/config"),
            ("/v1/kv/%2Fapp", "/app"),
            ("/v1/kv//app", "/app"),
            ("/v1/kv/a/../b", "a/../b"),
            ("/v1/kv/./a//", "./a//"),
            ("/v1/kv/a+b%20c%25", "a+b c%"),
            ("/v1/kv/%F0%9F%AA%B6", "🪶"),
            ("/v1/kv/ü", "ü"),
        ] {
            assert_eq!(key(path).unwrap(), Key::from(expected), "{path}");
        }
    }

    #[test]
    fn paths_are_sorted_by_what_they_are_about() {
        for (path, route) in [
            ("/v1/kv/", Route::Key),
            ("/v1/kv", Route::Keys),
            ("/v1/kvs", Route::Other),
            ("/v1/cluster", Route::Cluster),
            ("/v1/cluster/members/n1/promote", Route::Cluster),
            ("/v1/clusters", Route::Other),
            ("/readyz/leader", Route::Health),
            ("/metrics", Route::Node),
            ("/", Route::Other),
        ] {
            assert_eq!(route_of(path), route, "{path}");
        }
    }

    #[test]
    fn what_is_not_printable_text_is_refused() {
        for path in
            ["/v1/kv/", "/v1/kv/a%00", "/v1/kv/%0A", "/v1/kv/%7F", "/v1/kv/%C2%85", "/v1/kv/%FF"]
        {
            assert_eq!(key(path).unwrap_err().code, ErrorCode::InvalidKey, "{path}");
        }
    }
}
