//! Reading one key.

use bytes::Bytes;

use crate::{Answer, Call, Client, Error};

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every write that was acknowledged before the read began.
    #[default]
    Linearizable,
    /// Whatever the node has that is asked.
    Stale,
}

impl Consistency {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linearizable => "linearizable",
            Self::Stale => "stale",
        }
    }

    pub(crate) fn add_to(self, call: Call) -> Call {
        match self {
            Self::Linearizable => call,
            Self::Stale => call.query("consistency", "stale"),
        }
    }
}

/// Options of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Get {
    consistency: Consistency,
    min_revision: Option<u64>,
    revision: Option<u64>,
    meta: bool,
}

impl Get {
    /// A linearizable read of the newest value.
    pub fn new() -> Self {
        Self::default()
    }

    /// How fresh the answer must be.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// Waits until the node has at least this revision.
    pub fn min_revision(mut self, revision: u64) -> Self {
        self.min_revision = Some(revision);
        self
    }

    /// Reads the key as it was at this revision.
    pub fn at_revision(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Asks for a JSON object with value and metadata in place of the bare value. Only for
    /// [`Client::send`]: [`Client::get_with`] takes the metadata from the headers.
    pub fn meta(mut self) -> Self {
        self.meta = true;
        self
    }

    /// The request for `key`.
    ///
    /// # Errors
    /// If the key is empty.
    pub fn call(self, key: &str) -> Result<Call, Error> {
        let mut call = self.consistency.add_to(Call::read(Call::key_path(key)?));
        if let Some(revision) = self.min_revision {
            call = call.query("min_revision", &revision.to_string());
        }
        if let Some(revision) = self.revision {
            call = call.query("rev", &revision.to_string());
        }
        if self.meta {
            call = call.query("meta", "");
        }
        Ok(call)
    }
}

/// A key's value with its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value, byte for byte.
    pub value: Bytes,
    /// `application/json`, `text/plain…` or `application/octet-stream`.
    pub content_type: String,
    /// The revision of the last write to the key: what [`crate::Put::if_revision`] takes.
    pub revision: u64,
    /// The revision at which the key was last created.
    pub create_revision: u64,
    /// Number of writes since creation; 1 for a fresh key.
    pub version: u64,
}

impl Entry {
    /// Whether the value is one JSON text.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.content_type.starts_with("application/json")
    }

    fn from_answer(answer: &Answer) -> Result<Self, Error> {
        let number = |name: &str| {
            answer.number(name).ok_or_else(|| answer.not_understood(&format!("no header {name}")))
        };
        Ok(Self {
            revision: number("etag")?,
            create_revision: number("remex-create-revision")?,
            version: number("remex-version")?,
            content_type: answer.content_type().to_owned(),
            value: answer.body.clone(),
        })
    }
}

impl Client {
    /// Reads a key; `None` if it does not exist.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.get_with(key, &Get::new()).await
    }

    /// Reads a key with options; `None` if it does not exist (at that revision).
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn get_with(&self, key: &str, get: &Get) -> Result<Option<Entry>, Error> {
        let call = Get { meta: false, ..*get }.call(key)?;
        match self.send(&call).await {
            Ok(answer) => Entry::from_answer(&answer).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
