//! Writing one key.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use crate::{Call, Client, Error};

/// Options of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Put {
    condition: Option<Condition>,
    content_type: Option<String>,
    idempotency_key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Revision(u64),
    Absent,
}

impl Put {
    /// A write without condition.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes only if the key's last write has this revision. Takes the place of
    /// [`Put::if_absent`].
    pub fn if_revision(mut self, revision: u64) -> Self {
        self.condition = Some(Condition::Revision(revision));
        self
    }

    /// Writes only if the key does not exist. Takes the place of [`Put::if_revision`].
    pub fn if_absent(mut self) -> Self {
        self.condition = Some(Condition::Absent);
        self
    }

    /// The media type of the value. Without it, what parses as JSON is JSON; with
    /// `application/json`, what does not parse is refused; with any other, it is kept as bytes.
    pub fn content_type(mut self, media_type: impl Into<String>) -> Self {
        self.content_type = Some(media_type.into());
        self
    }

    /// A key chosen at random for this one write, under which the server applies it at most
    /// once, however often it arrives. The client makes one for every write that it may repeat;
    /// set one to repeat a write yourself, for example after a restart of your program.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The request.
    ///
    /// # Errors
    /// If the key is empty.
    pub fn call(&self, key: &str, value: impl Into<Bytes>) -> Result<Call, Error> {
        let mut call = Call::data_write(Method::PUT, Call::key_path(key)?).body(value);
        match self.condition {
            Some(Condition::Revision(revision)) => {
                call = call.header("if-match", format!("\"{revision}\""));
            }
            Some(Condition::Absent) => call = call.header("if-none-match", "*"),
            None => {}
        }
        if let Some(media_type) = &self.content_type {
            call = call.header("content-type", media_type);
        }
        if let Some(key) = &self.idempotency_key {
            call = call.idempotency_key(key);
        }
        Ok(call)
    }
}

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PutResult {
    /// The key.
    pub key: String,
    /// The revision of this write.
    pub revision: u64,
    /// The revision at which the key was created; equal to `revision` for a fresh key.
    pub create_revision: u64,
    /// Number of writes since creation, this one included.
    pub version: u64,
}

impl Client {
    /// Writes a key.
    ///
    /// # Errors
    /// See [`Client::send`]. A condition that does not hold is one
    /// ([`Error::is_condition_failed`]); [`crate::Problem::current_revision`] then tells the
    /// key's revision.
    pub async fn put(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        put: &Put,
    ) -> Result<PutResult, Error> {
        self.send(&put.call(key, value)?).await?.json()
    }
}
