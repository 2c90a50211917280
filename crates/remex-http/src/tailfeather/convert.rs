//! Between the dialect and the model, pure and total.
#![warn(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use remex_model::{
    ClusterView, Consistency, Error, ErrorCode, Key, MemberRole, MemberView, NodeRole, NodeStatus,
    Value, Write,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::lenient;
use super::query::Query;
use super::wire::{BytesBody, FlockBody, NodeBody, OperationBody, Text};
use crate::layers::{self, key_text};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// What a batch looks like.
const BATCH_HINT: &str =
    r#"the body is [{"Type":"Add","Key":"a","Value":1},{"Type":"Del","Key":"b"}]"#;

/// An answer of JSON, indented as Json.NET indents it.
pub(crate) fn reply<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let bytes = serde_json::to_vec(body)
        .expect("a structure of text, numbers and JSON always becomes JSON");
    let mut response = Response::new(Body::from(layers::indent(&bytes)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    layers::spoken(response)
}

/// The key of a parameter or an operation.
pub(crate) fn key(text: &str) -> Result<Key, Error> {
    if text.is_empty() {
        return Err(Error::new(ErrorCode::InvalidKey, "the key is empty")
            .hint("name a key of at least one character"));
    }
    key_text(text.as_bytes()).map(Key::from)
}

/// A value as it is stored: JSON if the text is JSON as Json.NET reads it, else a JSON string.
pub(crate) fn value(text: &str) -> Value {
    let json = match lenient::strict(text) {
        Some(json) => json.into_owned(),
        None => string(text),
    };
    Value::json(json)
}

/// A stored value as JSON: text as a JSON string, other bytes as `{"base64": …}`.
pub(crate) fn shown(value: &Value) -> Box<RawValue> {
    let Ok(text) = std::str::from_utf8(&value.bytes) else {
        return raw(&BytesBody { base64: STANDARD.encode(&value.bytes) });
    };
    if value.json
        && let Ok(json) = RawValue::from_string(text.to_owned())
    {
        return json;
    }
    raw(&text)
}

fn raw<T: Serialize>(body: &T) -> Box<RawValue> {
    to_raw_value(body).expect("text always becomes JSON")
}

fn string(text: &str) -> String {
    serde_json::to_string(text).expect("text always becomes JSON")
}

/// The writes of a batch, in order.
///
/// # Errors
/// If it is not JSON as Json.NET reads it, or not a list of operations; names the one at fault.
pub(crate) fn batch(body: &[u8]) -> Result<Vec<Write>, Error> {
    let bad = |detail: String| Error::new(ErrorCode::InvalidJson, detail).hint(BATCH_HINT);
    let text = std::str::from_utf8(body)
        .map_err(|error| bad(format!("the body is not UTF-8 from byte {}", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Text that is not even lenient is read all the same, for its error names a place.
    let json = lenient::strict(text).unwrap_or(Cow::Borrowed(text));
    let operations: Vec<&RawValue> = serde_json::from_str(&json)
        .map_err(|error| bad(format!("the body cannot be used: {error}")))?;
    let mut writes = Vec::with_capacity(operations.len());
    for (position, raw) in operations.into_iter().enumerate() {
        let write = serde_json::from_str(raw.get())
            .map_err(|error| Error::new(ErrorCode::BadRequest, error.to_string()))
            .and_then(write);
        writes.push(write.map_err(|mut error| {
            error.detail = format!("operation {position}: {}", error.detail);
            error.hint(BATCH_HINT)
        })?);
    }
    Ok(writes)
}

fn write(operation: OperationBody<'_>) -> Result<Write, Error> {
    let bad = |detail: String| Error::new(ErrorCode::BadRequest, detail);
    let OperationBody { kind, key: name, value } = operation;
    let Some(Text(name)) = name else { return Err(bad("`Key` is missing".to_owned())) };
    let Some(kind) = kind else { return Err(bad("`Type` is missing".to_owned())) };
    let key = key(&name)?;
    // An enumeration: its name in any case, or its number, which may be text too.
    match kind.get().trim_matches('"').to_ascii_lowercase().as_str() {
        "add" | "0" => match value {
            Some(json) => {
                Ok(Write::Put { key, value: Value::json(json.get().to_owned()), lease: 0 })
            }
            None => Err(bad("`Value` is missing".to_owned())),
        },
        "del" | "1" => Ok(Write::Delete { key }),
        _ => Err(bad(format!("`Type` is {}; it must be `Add` or `Del`", kind.get()))),
    }
}

/// How fresh a read has to be, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// This node's own copy.
    Any,
    /// All that was acknowledged, on any node.
    Quorum,
    /// All that was acknowledged, answered by the leader.
    Leader,
}

impl ReadMode {
    /// What the parameters `mode` and `consistency` ask for, of which one may be given.
    pub(crate) fn of(query: &Query) -> Result<Self, Error> {
        let bad = |detail: &str| Err(Error::new(ErrorCode::BadRequest, detail));
        match (query.text("mode"), query.text("consistency")) {
            (None, None | Some("stale")) => Ok(Self::Any),
            (None, Some("linearizable")) => Ok(Self::Quorum),
            (None, Some(_)) => bad("`consistency` must be `linearizable` or `stale`"),
            (Some(mode), None) => match mode.to_ascii_lowercase().as_str() {
                "any" => Ok(Self::Any),
                "quorum" => Ok(Self::Quorum),
                "leader" => Ok(Self::Leader),
                _ => bad("Unknown read mode"),
            },
            (Some(_), Some(_)) => bad("`mode` and `consistency` are two names of one thing"),
        }
    }

    pub(crate) fn consistency(self) -> Consistency {
        match self {
            Self::Any => Consistency::Stale,
            Self::Quorum | Self::Leader => Consistency::Linearizable,
        }
    }
}

/// A node's part, by the names of the imitated system.
pub(crate) fn state(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Leader => "Leader",
        NodeRole::Candidate => "Candidate",
        NodeRole::Follower | NodeRole::Learner => "Follower",
        NodeRole::Repairing => "SnapshotInstallation",
        NodeRole::Waiting | NodeRole::Removed => "None",
    }
}

/// The cluster as a body.
pub(crate) fn flock(status: &NodeStatus, view: ClusterView) -> FlockBody {
    let leader = view.members.iter().find(|member| Some(member.id) == view.leader);
    let mut body = FlockBody {
        current_leader: leader.map(|member| member.name.clone()),
        current_term: view.term.get(),
        state: state(status.role),
        commit_index: status.commit_index.get(),
        all_voting_nodes: Vec::new(),
        promotable_nodes: Vec::new(),
        non_voting_nodes: Vec::new(),
    };
    for member in view.members {
        let kind = match member.role {
            MemberRole::Voter => &mut body.all_voting_nodes,
            MemberRole::Learner if member.auto_promote => &mut body.promotable_nodes,
            MemberRole::Learner => &mut body.non_voting_nodes,
        };
        kind.push(node(member));
    }
    body
}

fn node(member: MemberView) -> NodeBody {
    let uri = Some(member.client_url).filter(|url| !url.is_empty());
    NodeBody { name: member.name, uri }
}

/// A URL with the usual port if it names none.
pub(crate) fn with_port(url: &str) -> Cow<'_, str> {
    let bare = url.strip_suffix('/').unwrap_or(url);
    match bare.strip_prefix("http://") {
        Some(host) if !host.is_empty() && (host.ends_with(']') || !host.contains([':', '/'])) => {
            Cow::Owned(format!("{bare}:80"))
        }
        _ => Cow::Borrowed(url),
    }
}

/// The name of a node that was given none: its host, and its port unless that is the usual one.
pub(crate) fn usual_name(address: &str) -> &str {
    address.strip_suffix(":80").unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, json: &str) -> Write {
        Write::Put { key: key.into(), value: Value::json(json.to_owned()), lease: 0 }
    }

    #[test]
    fn t8_a_value_is_json_or_becomes_a_string() {
        for (text, stored) in [
            ("hello", "\"hello\""),
            ("42", "42"),
            ("true", "true"),
            ("null", "null"),
            ("\"x\"", "\"x\""),
            ("'x'", "\"x\""),
            ("", "\"\""),
            ("{a:1", "\"{a:1\""),
            ("say \"hi\"\n", "\"say \\\"hi\\\"\\n\""),
            ("{ \"a\": 1.50 }", "{ \"a\": 1.50 }"),
        ] {
            assert_eq!(value(text), Value::json(stored.to_owned()), "{text}");
        }
    }

    #[test]
    fn t10_any_stored_value_is_shown_as_json() {
        for (value, json) in [
            (Value::json(" { \"a\": 1 } "), "{ \"a\": 1 }"),
            (Value::raw("42"), "\"42\""),
            (Value::raw(""), "\"\""),
            (Value::raw(vec![0xff, 0]), r#"{"base64":"/wA="}"#),
        ] {
            assert_eq!(shown(&value).get(), json);
        }
    }

    #[test]
    fn t14_a_batch_is_read_as_json_net_reads_it() {
        let want = [
            put("a", "1"),
            Write::Delete { key: "b".into() },
            put("c", "null"),
            Write::Delete { key: "d".into() },
            put("e", "{\"x\":1.50}"),
        ];
        let strict = r#"[{"Type":"Add","Key":"a","Value":1},{"Type":"Del","Key":"b"},
            {"Type":0,"Key":"c","Value":null},{"type":1,"key":"d","Value":7,"Other":[]},
            {"TYPE":"add","KEY":"e","VALUE":{"x":1.50}}]"#;
        assert_eq!(batch(strict.as_bytes()).unwrap(), want);
        let lenient = "\u{feff}[{Type:'Add',Key:'a',Value:1,},{Type:'1',Key:'b'},\
            {Value:null,Key:'c',Type:'0'},{Type:'DEL',Key:'d'},\
            {Type:'Add',Key:'e',Value:{'x':1.50}}]//";
        assert_eq!(batch(lenient.as_bytes()).unwrap(), want);
        assert_eq!(batch(b"[]").unwrap(), []);
    }

    #[test]
    fn t14_an_operation_that_is_none_is_named() {
        for (body, said) in [
            (
                r#"[{"Type":"Del","Key":"a"},{"Type":"Move","Key":"b"}]"#,
                "operation 1: `Type` is \"Move\"",
            ),
            (r#"[{"Type":2,"Key":"a"}]"#, "operation 0: `Type` is 2"),
            (r#"[{"Key":"a","Value":1}]"#, "`Type` is missing"),
            (r#"[{"Type":"Add","Key":"a"}]"#, "`Value` is missing"),
            (r#"[{"Type":"Del"}]"#, "`Key` is missing"),
            (r#"[{"Type":"Del","Key":7}]"#, "`Key` must be text"),
            (r#"[{"Type":"Del","Key":""}]"#, "the key is empty"),
            ("[1]", "operation 0"),
            ("{}", "expected a sequence"),
            ("null", "expected a sequence"),
            ("", "EOF"),
            ("[{'Type'", "line 1 column"),
        ] {
            let error = batch(body.as_bytes()).unwrap_err();
            assert!(error.detail.contains(said), "{body}: {}", error.detail);
            assert!(error.hint.is_some());
        }
        assert!(batch(b"[\xff]").unwrap_err().detail.contains("byte 1"));
    }

    #[test]
    fn t12_modes_are_told_apart() {
        let mode = |query: &str| {
            ReadMode::of(&Query::parse(Some(query), &["mode", "consistency"]).unwrap())
        };
        for (query, expected) in [
            ("", ReadMode::Any),
            ("mode=any", ReadMode::Any),
            ("mode=Quorum", ReadMode::Quorum),
            ("mode=leader", ReadMode::Leader),
            ("consistency=linearizable", ReadMode::Quorum),
            ("consistency=stale", ReadMode::Any),
        ] {
            assert_eq!(mode(query).unwrap(), expected, "{query}");
        }
        assert_eq!(mode("mode=all").unwrap_err().detail, "Unknown read mode");
        assert!(mode("consistency=strong").is_err());
        assert!(mode("mode=any&consistency=stale").is_err());
    }

    #[test]
    fn t20_a_node_without_a_name_is_called_by_its_address() {
        assert_eq!(usual_name("localhost:9078"), "localhost:9078");
        assert_eq!(usual_name("feather.example:80"), "feather.example");
        assert_eq!(usual_name("[::1]:8080"), "[::1]:8080");
        for (url, with) in [
            ("http://two", "http://two:80"),
            ("http://two/", "http://two:80"),
            ("http://[::1]", "http://[::1]:80"),
            ("http://two:9078", "http://two:9078"),
            ("http://[::1]:9078/", "http://[::1]:9078/"),
            ("nonsense", "nonsense"),
            ("http://", "http://"),
        ] {
            assert_eq!(with_port(url), with);
        }
    }
}
