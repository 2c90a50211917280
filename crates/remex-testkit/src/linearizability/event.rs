//! What a client asked, when, and what it was told.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One operation on one key as its client saw it.
///
/// Times come from one clock for the whole history, in any unit. Events with the same `client`
/// and `call_at` are parts of one command (a batch) and may share a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who asked.
    pub client: u64,
    /// The key.
    pub key: String,
    /// What was asked.
    pub op: Op,
    /// When the request left the client.
    pub call_at: u64,
    /// When its answer reached the client; `None` if it never did.
    pub return_at: Option<u64>,
    /// What the answer was.
    pub result: Outcome,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Read the key.
    Get,
    /// Write the key, whatever it holds.
    Put {
        /// The new value; no other write of the key may carry the same.
        value: String,
    },
    /// Remove the key, whatever it holds.
    Delete,
    /// Write or remove the key if it holds what is expected.
    CompareAndSet {
        /// What the key must hold; `None`: it must not exist.
        expect: Option<String>,
        /// The new value; `None` removes the key.
        value: Option<String>,
    },
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A read's answer: what the key held, or `None` if it did not exist.
    Read(Option<Found>),
    /// The write was acknowledged.
    Written {
        /// The revision that the answer named.
        revision: Option<u64>,
        /// Whether the key existed before, if the answer told (created or replaced, deleted one
        /// or none).
        existed: Option<bool>,
    },
    /// The condition of a compare-and-set did not hold.
    Refused,
    /// No answer, or one that does not tell: the write may take effect at any time after its
    /// call, or never.
    Unknown,
    /// Certainly without effect, now and later.
    Failed,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The value.
    pub value: String,
    /// The revision of the write that made it, if the answer told.
    pub revision: Option<u64>,
}

impl Outcome {
    /// The answer of a read that found a value.
    #[must_use]
    pub fn found(value: impl Into<String>, revision: Option<u64>) -> Self {
        Self::Read(Some(Found { value: value.into(), revision }))
    }

    /// The acknowledgement of a write at a revision.
    #[must_use]
    pub fn written(revision: u64) -> Self {
        Self::Written { revision: Some(revision), existed: None }
    }
}

impl Event {
    /// The value that this operation leaves in the key if it takes effect: `None` for a read,
    /// `Some(None)` for a removal.
    #[must_use]
    pub fn writes(&self) -> Option<Option<&str>> {
        match &self.op {
            Op::Get => None,
            Op::Put { value } => Some(Some(value)),
            Op::Delete => Some(None),
            Op::CompareAndSet { value, .. } => Some(value.as_deref()),
        }
    }

    /// # Panics
    /// If the operation returns before it is called, or carries an answer to another kind of
    /// operation: such a history was recorded wrongly, and no verdict on it means anything.
    pub(super) fn assert_well_formed(&self) {
        if let Some(return_at) = self.return_at {
            assert!(self.call_at <= return_at, "an event returns before it is called: {self}");
        }
        let fits = match (&self.op, &self.result) {
            (_, Outcome::Unknown | Outcome::Failed) => true,
            (Op::Get, Outcome::Read(_)) | (Op::CompareAndSet { .. }, Outcome::Refused) => true,
            (Op::Get, Outcome::Written { .. } | Outcome::Refused) => false,
            (Op::Put { .. } | Op::Delete, Outcome::Written { .. }) => true,
            (Op::Put { .. } | Op::Delete, Outcome::Read(_) | Outcome::Refused) => false,
            (Op::CompareAndSet { .. }, Outcome::Written { .. }) => true,
            (Op::CompareAndSet { .. }, Outcome::Read(_)) => false,
        };
        assert!(fits, "the answer does not fit the operation: {self}");
    }
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let return_at = self.return_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        write!(formatter, "client {:<4} [{:>14} .. {return_at:>14}]  ", self.client, self.call_at)?;
        write!(formatter, "{:<36} -> {}", self.op.to_string(), self.result)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get => formatter.write_str("get"),
            Self::Put { value } => write!(formatter, "put {value:?}"),
            Self::Delete => formatter.write_str("delete"),
            Self::CompareAndSet { expect, value } => {
                let expect = Content(expect.as_deref());
                match value {
                    Some(value) => write!(formatter, "if {expect} put {value:?}"),
                    None => write!(formatter, "if {expect} delete"),
                }
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(None) => formatter.write_str("absent"),
            Self::Read(Some(Found { value, revision: None })) => write!(formatter, "{value:?}"),
            Self::Read(Some(Found { value, revision: Some(revision) })) => {
                write!(formatter, "{value:?} at revision {revision}")
            }
            Self::Written { revision, existed } => {
                formatter.write_str("written")?;
                if let Some(revision) = revision {
                    write!(formatter, " at revision {revision}")?;
                }
                match existed {
                    Some(true) => formatter.write_str(", the key existed"),
                    Some(false) => formatter.write_str(", the key did not exist"),
                    None => Ok(()),
                }
            }
            Self::Refused => formatter.write_str("refused"),
            Self::Unknown => formatter.write_str("unknown"),
            Self::Failed => formatter.write_str("failed"),
        }
    }
}

/// What a key holds, for people.
pub(super) struct Content<'a>(pub(super) Option<&'a str>);

impl fmt::Display for Content<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(formatter, "{value:?}"),
            None => formatter.write_str("absent"),
        }
    }
}
