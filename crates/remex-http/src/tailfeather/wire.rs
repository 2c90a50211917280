//! The shapes of the dialect's bodies.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize as DeserializeField, Serialize};
use serde_json::value::RawValue;

/// A key that was read.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ReadBody<'a> {
    pub(crate) state: &'static str,
    pub(crate) key: &'a str,
    pub(crate) value: &'a RawValue,
}

/// A key that is not there.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MissingBody<'a> {
    pub(crate) state: &'static str,
    pub(crate) key: &'a str,
    pub(crate) missing: bool,
}

/// What came of a compare-and-set.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CasBody<'a> {
    pub(crate) state: &'static str,
    pub(crate) key: &'a str,
    pub(crate) value_changed: bool,
}

/// The cluster as this node sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FlockBody {
    pub(crate) current_leader: Option<String>,
    pub(crate) current_term: u64,
    pub(crate) state: &'static str,
    pub(crate) commit_index: u64,
    pub(crate) all_voting_nodes: Vec<NodeBody>,
    pub(crate) promotable_nodes: Vec<NodeBody>,
    pub(crate) non_voting_nodes: Vec<NodeBody>,
}

/// One member.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeBody {
    pub(crate) name: String,
    /// Where clients reach it; `None` while that is not known.
    pub(crate) uri: Option<String>,
}

/// Any error.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ErrorBody<'a> {
    pub(crate) error: &'a str,
}

/// Bytes that are not text, in place of a value.
#[derive(Serialize)]
pub(crate) struct BytesBody {
    pub(crate) base64: String,
}

/// One operation of a batch, as it was sent.
#[derive(Debug)]
pub(crate) struct OperationBody<'a> {
    /// A name or a number.
    pub(crate) kind: Option<&'a RawValue>,
    pub(crate) key: Option<Text<'a>>,
    /// `None` only if it is left out: `null` is a value.
    pub(crate) value: Option<&'a RawValue>,
}

/// Text that borrows from the body where it can.
#[derive(Debug, DeserializeField)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for OperationBody<'de> {
    /// As Json.NET does: names in any case, the last of several wins, others are ignored.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = OperationBody<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an operation with `Type`, `Key` and `Value`")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut operation = OperationBody { kind: None, key: None, value: None };
                while let Some(Text(name)) = map.next_key()? {
                    if name.eq_ignore_ascii_case("type") {
                        operation.kind = Some(map.next_value()?);
                    } else if name.eq_ignore_ascii_case("key") {
                        operation.key = Some(map.next_value().map_err(|error| {
                            M::Error::custom(format_args!("`Key` must be text: {error}"))
                        })?);
                    } else if name.eq_ignore_ascii_case("value") {
                        operation.value = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(operation)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
