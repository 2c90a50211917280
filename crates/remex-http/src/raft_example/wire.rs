//! The shapes of this dialect's bodies.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What `/set` stores.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SetPayload<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) value: Cow<'a, str>,
}

/// What `/get` answers.
#[derive(Debug, Serialize)]
pub(crate) struct DataBody {
    pub(crate) data: String,
}

/// What a node that does not lead answers.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorBody {
    pub(crate) error: &'static str,
}

/// Text that borrows from the body where it can.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for SetPayload<'de> {
    /// As Go does: names in any case, the last of several counts, others are ignored.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = SetPayload<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object with the texts `key` and `value`")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let (mut key, mut value) = (None, None);
                while let Some(Text(name)) = map.next_key()? {
                    if name.eq_ignore_ascii_case("key") {
                        key = Some(map.next_value::<Text<'de>>()?.0);
                    } else if name.eq_ignore_ascii_case("value") {
                        value = Some(map.next_value::<Text<'de>>()?.0);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                let key = key.ok_or_else(|| M::Error::missing_field("key"))?;
                let value = value.ok_or_else(|| M::Error::missing_field("value"))?;
                Ok(SetPayload { key, value })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
