//! Between wire and model: what a request says, and what is said of nodes.
#![warn(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]

use remex_model::{ClusterView, Error, ErrorCode, Key, Limits, NodeInfo, Record, Value, Write};

use super::wire::{NodeBody, PairBody, StatusBody, Texts};
use crate::layers::{Plus, decode, key_text, peer_address, shown_text};

const PAIRS_HINT: &str = r#"send pairs of texts: {"user1": "batman"}"#;
const SET_HINT: &str = r#"send {"key": "user1", "val": "batman"}"#;
const JOIN_HINT: &str = r#"send {"addr": "localhost:12001", "id": "node1"}"#;
const ADDRESS_HINT: &str = r#"send {"addr": "127.0.0.1:8740"}"#;

/// A node that is to become a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Newcomer {
    pub(crate) name: String,
    pub(crate) address: String,
}

/// The writes that the body of hraftd's `/key` asks for: all its pairs, in order.
pub(crate) fn pairs(body: &[u8]) -> Result<Vec<Write>, Error> {
    texts(body, PAIRS_HINT)?.pairs().into_iter().map(|(key, value)| put(&key, value)).collect()
}

/// The write that the body of huffleraft's `/key` asks for.
pub(crate) fn set(body: &[u8]) -> Result<Write, Error> {
    let mut texts = texts(body, SET_HINT)?;
    let (Some(key), Some(value)) = (texts.take("key"), texts.take("val")) else {
        return Err(
            Error::new(ErrorCode::BadRequest, "the body needs `key` and `val`").hint(SET_HINT)
        );
    };
    put(&key, value)
}

/// The node that the body of hraftd's `/join` names.
pub(crate) fn newcomer(body: &[u8]) -> Result<Newcomer, Error> {
    let mut texts = texts(body, JOIN_HINT)?;
    let are_both = texts.are(["addr", "id"]);
    match (texts.take("addr"), texts.take("id")) {
        (Some(address), Some(name)) if are_both && !name.is_empty() => {
            Ok(Newcomer { name, address: peer_address("addr", &address)? })
        }
        _ => Err(Error::new(ErrorCode::BadRequest, "the body needs exactly `addr` and `id`")
            .hint(JOIN_HINT)),
    }
}

/// The peer address in the body of huffleraft's `/join`.
pub(crate) fn address(body: &[u8]) -> Result<String, Error> {
    match texts(body, ADDRESS_HINT)?.take("addr") {
        Some(address) => peer_address("addr", &address),
        None => Err(Error::new(ErrorCode::BadRequest, "the body needs `addr`").hint(ADDRESS_HINT)),
    }
}

/// The key that stands behind the first `/key/` of a path, slashes and all.
pub(crate) fn key(path: &str) -> Result<Key, Error> {
    let coded = path.split_once("/key/").map_or("", |(_, coded)| coded);
    if coded.is_empty() {
        return Err(Error::new(ErrorCode::InvalidKey, "the path names no key")
            .hint("name it as in /key/user1"));
    }
    let decoded = decode(coded, Plus::Literal)?;
    key_text(&decoded).map(Key::from)
}

/// What a read answers; no key is the same as an empty one.
pub(crate) fn pair<'a>(key: &'a Key, record: Option<&Record>) -> PairBody<'a> {
    PairBody {
        key: key.as_text().expect("a key of this dialect was checked to be text"),
        value: record.map(|record| shown_text(&record.value)).unwrap_or_default(),
    }
}

/// What `/status` answers. Ids are names of members, addresses those for peers.
pub(crate) fn status(me: NodeInfo, view: ClusterView) -> StatusBody {
    let mut status = StatusBody {
        me: NodeBody { id: me.name, address: me.peer_address },
        leader: NodeBody::default(),
        followers: Vec::new(),
    };
    for member in view.members {
        let body = NodeBody { id: member.name, address: member.peer_address };
        if member.leader {
            status.leader = body;
        } else {
            status.followers.push(body);
        }
    }
    status
}

/// The error for a body over the limit.
pub(crate) fn too_large(length: usize, limits: &Limits) -> Error {
    let max = limits.request_bytes_max;
    let detail = format!("the body has {length} bytes, the limit is {max}");
    Error::new(ErrorCode::RequestTooLarge, detail)
        .hint("send fewer pairs, or raise --max-request-bytes on every node")
}

fn texts(body: &[u8], hint: &str) -> Result<Texts, Error> {
    serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body cannot be used: {error}");
        Error::new(ErrorCode::InvalidJson, detail).hint(hint)
    })
}

fn put(key: &str, value: String) -> Result<Write, Error> {
    if key.is_empty() {
        return Err(Error::new(ErrorCode::InvalidKey, "the key is empty")
            .hint("name a key of at least one character"));
    }
    let key = Key::from(key_text(key.as_bytes())?);
    Ok(Write::Put { key, value: Value::from(value), lease: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(key: &str, value: &str) -> Write {
        Write::Put { key: key.into(), value: value.into(), lease: 0 }
    }

    #[test]
    fn h10_all_pairs_are_written_in_order() {
        assert_eq!(pairs(br#"{"user1":"batman"}"#).unwrap(), [written("user1", "batman")]);
        assert_eq!(
            pairs(br#"{"b":"1","a":"","b":"2"}"#).unwrap(),
            [written("b", "1"), written("a", ""), written("b", "2")]
        );
        assert_eq!(pairs(b"{}").unwrap(), []);
    }

    #[test]
    fn h10_what_is_no_object_of_texts_is_refused_whole() {
        for body in
            ["", "[]", "null", r#"{"a":1}"#, r#"{"a":"1","b":null}"#, r#"{"a":"1"}{"b":"2"}"#]
        {
            assert_eq!(pairs(body.as_bytes()).unwrap_err().code, ErrorCode::InvalidJson, "{body}");
        }
        for body in [r#"{"":"1"}"#, r#"{"a":"1","b\u0000":"2"}"#] {
            assert_eq!(pairs(body.as_bytes()).unwrap_err().code, ErrorCode::InvalidKey, "{body}");
        }
    }

    #[test]
    fn h4_the_other_form_names_key_and_value() {
        assert_eq!(set(br#"{"val":"no","key":"yes"}"#).unwrap(), written("yes", "no"));
        for body in [r#"{"key":"a"}"#, r#"{"val":"a"}"#, r#"{"key":"","val":""}"#, "{}", ""] {
            assert!(set(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn h4_h12_a_join_has_exactly_its_fields() {
        let node = Newcomer { name: "node1".to_owned(), address: "localhost:12001".to_owned() };
        assert_eq!(newcomer(br#"{"addr":"localhost:12001","id":"node1"}"#).unwrap(), node);
        for body in [
            r#"{"addr":"localhost:12001"}"#,
            r#"{"id":"node1"}"#,
            r#"{"addr":"localhost:12001","id":"node1","x":""}"#,
            r#"{"addr":"localhost:12001","ID":"node1"}"#,
            r#"{"addr":"localhost","id":"node1"}"#,
            r#"{"addr":"localhost:12001","id":""}"#,
            r#"{"addr":"localhost:12001","id":1}"#,
        ] {
            assert!(newcomer(body.as_bytes()).is_err(), "{body}");
        }
        assert_eq!(address(br#"{"addr":"127.0.0.1:8740"}"#).unwrap(), "127.0.0.1:8740");
        assert!(address(b"{}").is_err());
    }

    #[test]
    fn h4_h11_the_key_is_all_that_follows_the_first_key() {
        for (path, expected) in [
            ("/key/user1", "user1"),
            ("/key/a/b%2Fc", "a/b/c"),
            ("/key//a", "/a"),
            ("/raft1/key/yes", "yes"),
            ("/raft1/key/a/key/b", "a/key/b"),
            ("/key/key/a", "key/a"),
        ] {
            assert_eq!(key(path).unwrap(), Key::from(expected), "{path}");
        }
        for path in ["/key", "/key/", "/raft1/key", "/raft1/key/", "/key/%00", "/key/%"] {
            assert!(key(path).is_err(), "{path}");
        }
    }
}
