//! Listing keys by prefix, page by page.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Call, Client, Consistency, Error};

/// Options of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct List {
    limit: Option<usize>,
    cursor: Option<String>,
    keys_only: bool,
    revision: Option<u64>,
    consistency: Consistency,
}

impl List {
    /// The first page of a linearizable listing, as long as the server makes it by default.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most this many keys in a page.
    pub fn limit(mut self, keys: usize) -> Self {
        self.limit = Some(keys);
        self
    }

    /// Goes on where a page ended ([`Page::next`]), at the revision of that page.
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// Leaves the values out.
    pub fn keys_only(mut self) -> Self {
        self.keys_only = true;
        self
    }

    /// Lists the keys as they were at this revision.
    pub fn at_revision(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    /// How fresh the answer must be.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// The request.
    pub fn call(&self, prefix: &str) -> Call {
        let call = Call::read(format!("/v1/kv?prefix={}", Call::text(prefix)));
        let mut call = self.consistency.add_to(call);
        if let Some(keys) = self.limit {
            call = call.query("limit", &keys.to_string());
        }
        if self.keys_only {
            call = call.query("keys", "");
        }
        if let Some(revision) = self.revision {
            call = call.query("rev", &revision.to_string());
        }
        if let Some(cursor) = &self.cursor {
            call = call.query("cursor", cursor);
        }
        call
    }
}

/// A page of a listing.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    /// The revision of the store that was read; the same for all pages of a listing.
    pub revision: u64,
    /// The keys, in order.
    pub items: Vec<Item>,
    /// Number of keys under the prefix, those of other pages included.
    #[serde(default)]
    pub count: u64,
    /// Where the next page begins; `None` after the last.
    #[serde(default)]
    pub next: Option<String>,
}

/// A key as a listing names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A key of text, as every key that came in through this API is.
    Text(String),
    /// A key that another surface stored and that is not text.
    Bytes {
        /// Its bytes.
        base64: String,
    },
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Bytes { base64 } => write!(formatter, "base64:{base64}"),
        }
    }
}

/// One key of a listing.
#[derive(Clone, Debug, Deserialize)]
pub struct Item {
    /// The key.
    pub key: Key,
    /// The value as JSON: itself if it is JSON, a string if it is text, else
    /// `{"base64": …}`. `None` if only keys were asked for.
    #[serde(default)]
    pub value: Option<Box<RawValue>>,
    /// The revision of the last write to the key.
    pub revision: u64,
    /// Number of writes since creation; 1 for a fresh key.
    #[serde(default)]
    pub version: u64,
}

/// The pages of a listing, all at the revision of the first.
#[derive(Debug)]
pub struct Pages {
    client: Client,
    prefix: String,
    list: Option<List>,
}

impl Pages {
    /// The next page; `None` after the last. A page that failed can be asked for again.
    ///
    /// # Errors
    /// See [`Client::send`]. `compacted` if retention has dropped the revision in the meantime.
    pub async fn next(&mut self) -> Result<Option<Page>, Error> {
        let Some(list) = &self.list else {
            return Ok(None);
        };
        let page = self.client.list(&self.prefix, list).await?;
        self.list = page.next.clone().map(|cursor| list.clone().cursor(cursor));
        Ok(Some(page))
    }
}

impl Client {
    /// Reads one page of the keys under a prefix; the empty prefix means all keys.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn list(&self, prefix: &str, list: &List) -> Result<Page, Error> {
        self.send(&list.call(prefix)).await?.json()
    }

    /// All pages of the keys under a prefix, at one revision.
    #[must_use]
    pub fn pages(&self, prefix: &str, list: List) -> Pages {
        Pages { client: self.clone(), prefix: prefix.to_owned(), list: Some(list) }
    }
}
