//! The one shape of the dialect's bodies.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize as DeserializeField, Serialize};

/// A key and its value.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Pair<'a> {
    pub(crate) k: Cow<'a, str>,
    pub(crate) v: Cow<'a, str>,
}

/// Text that borrows from the body where it can.
#[derive(DeserializeField)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Pair<'de> {
    /// As Go does: names in any case, the last of several wins, others are ignored.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Pair<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object with the texts `k` and `v`")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pair<'de>, M::Error> {
                let (mut k, mut v) = (None, None);
                while let Some(Text(name)) = map.next_key()? {
                    if name.eq_ignore_ascii_case("k") {
                        k = Some(map.next_value::<Text<'de>>()?.0);
                    } else if name.eq_ignore_ascii_case("v") {
                        v = Some(map.next_value::<Text<'de>>()?.0);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                let k = k.ok_or_else(|| M::Error::missing_field("k"))?;
                Ok(Pair { k, v: v.ok_or_else(|| M::Error::missing_field("v"))? })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
