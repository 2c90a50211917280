//! The shapes of this dialect's bodies.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An object whose values are all text, in the order in which they stand: all that is ever sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Texts(Vec<(String, String)>);

impl Texts {
    /// The pairs, in order. A name may stand there several times; the last one counts.
    pub(crate) fn pairs(self) -> Vec<(String, String)> {
        self.0
    }

    /// The text of a name.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let position = self.0.iter().rposition(|(other, _)| other == name)?;
        Some(std::mem::take(&mut self.0.get_mut(position)?.1))
    }

    /// Whether these names and no others stand there.
    pub(crate) fn are(&self, names: [&str; 2]) -> bool {
        let has = |name: &str| self.0.iter().any(|(other, _)| other == name);
        names.iter().all(|name| has(name))
            && self.0.iter().all(|(name, _)| names.contains(&name.as_str()))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Texts;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object whose values are texts")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Texts, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Texts(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// What a read answers: an object of one pair.
#[derive(Debug)]
pub(crate) struct PairBody<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: String,
}

impl Serialize for PairBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.key, &self.value)?;
        map.end()
    }
}

/// What `/status` answers.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StatusBody {
    pub(crate) me: NodeBody,
    pub(crate) leader: NodeBody,
    pub(crate) followers: Vec<NodeBody>,
}

/// A node. Both texts are empty if there is none.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct NodeBody {
    pub(crate) id: String,
    pub(crate) address: String,
}
