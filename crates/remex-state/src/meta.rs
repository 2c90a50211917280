//! The one row that says where the rows of all tables stand.
//!
//! It is part of every run that goes to the engine, so rows and applied index become durable in
//! one step.

use std::sync::Arc;

use bytes::Bytes;
use remex_model::{DecodeError, Decoder, Encoder, Index, Membership, Revision, Term};

use crate::digest::Digest;
use crate::error::Fatal;
use crate::history::History;
use crate::rows;

/// Where the state stands. As a row:
///
/// ```text
/// u8 version = 1, u64 applied index, u64 its term, u64 revision, u64 time in ms, u64 hash,
/// u64 first request, u64 next request, membership (see `remex_model::Membership`),
/// history (see `history`)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The last entry applied.
    pub(crate) applied: Index,
    pub(crate) term: Term,
    pub(crate) revision: Revision,
    /// The latest time that any batch has carried, in milliseconds since 1970.
    pub(crate) time_ms: u64,
    pub(crate) digest: Digest,
    /// Numbers of the oldest remembered request and of the next one.
    pub(crate) requests: (u64, u64),
    /// Who belongs to the cluster, as of the last entry applied.
    pub(crate) membership: Arc<Membership>,
    pub(crate) history: History,
}

impl Meta {
    /// Of an empty store, which is at revision 1 as in etcd.
    pub(crate) fn new() -> Self {
        let revision = Revision(1);
        Self {
            applied: Index(0),
            term: Term(0),
            revision,
            time_ms: 0,
            digest: Digest::default(),
            requests: (0, 0),
            membership: Arc::default(),
            history: History::new(revision),
        }
    }

    /// Of a cluster that is just founded: its membership is the state at index 1, as if an entry
    /// before the log had set it.
    pub(crate) fn founded(membership: Membership) -> Self {
        let mut digest = Digest::default();
        digest.membership(&membership);
        let membership = Arc::new(membership);
        Self { applied: Index(1), term: Term(1), digest, membership, ..Self::new() }
    }

    /// Whether a row may be left out of a store that stands here.
    pub(crate) fn drops(&self, row: &[u8]) -> bool {
        rows::is_behind(row, self.history.floor(), self.requests.0)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        let mut encoder = Encoder::new(out);
        rows::put_version(&mut encoder);
        encoder.u64(self.applied.get());
        encoder.u64(self.term.get());
        encoder.u64(self.revision.get());
        encoder.u64(self.time_ms);
        encoder.u64(self.digest.0);
        encoder.u64(self.requests.0);
        encoder.u64(self.requests.1);
        self.membership.encode(&mut encoder);
        self.history.encode(&mut encoder);
    }

    pub(crate) fn decode(row: Bytes) -> Result<Self, Fatal> {
        let decode = |row| -> Result<_, DecodeError> {
            let mut decoder = Decoder::new(row);
            rows::check_version(&mut decoder)?;
            let meta = Self {
                applied: Index(decoder.u64("applied index")?),
                term: Term(decoder.u64("applied term")?),
                revision: Revision(decoder.u64("revision")?),
                time_ms: decoder.u64("time")?,
                digest: Digest(decoder.u64("hash")?),
                requests: (decoder.u64("first request")?, decoder.u64("next request")?),
                membership: Arc::new(Membership::decode(&mut decoder)?),
                history: History::decode(&mut decoder)?,
            };
            decoder.finish()?;
            Ok(meta)
        };
        decode(row).map_err(|source| Fatal::Row { table: "meta", source })
    }
}
