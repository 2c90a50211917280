//! The bytes of a snapshot. All integers are little-endian.
//!
//! ```text
//! header   8 bytes "REMEXSNP", u32 version = 1, u32 length of the body, u32 checksum of all these
//!          and of the body; the body: u64 cluster, u64 index, u64 term, u64 revision, u64 time in
//!          ms, u64 hash, u64 salt, membership
//! part     4 bytes "RXSC" (chunk) or "RXSE" (end), u32 keyed checksum of these 4 bytes and of the
//!          16 behind the checksum, u64 number (from 0), u32 length of the payload, u32 keyed
//!          checksum of number and payload; the payload
//! ```
//!
//! A snapshot is a header, chunks, and one end. The payloads of the chunks, one behind the other,
//! are the rows, each `u32 length of the key, u32 length of the value, key, value`; every chunk but
//! the last is full (1 MiB), so a row may go on in the next. The payload of the end is `u64 rows,
//! u64 bytes in the payloads of all chunks, u64 checksum over them`: XXH3-64 of each payload with
//! the result so far as the seed, first the salt.
//!
//! Checksums of 32 bits are CRC-32C; the keyed ones begin with the salt. The salt is the XXH3-64
//! of the row `meta` with the cluster as the seed. Magic, version, length and checksum of the header
//! keep their places in every version.

use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};
use remex_model::{ClusterId, DecodeError, Decoder, Encoder, Index, Membership, Revision, Term};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Damage, Header};

pub(super) const VERSION: u32 = 1;
pub(super) const MAGIC: [u8; 8] = *b"REMEXSNP";

/// Bytes of a header before its body.
pub(super) const HEADER_BYTES: usize = 20;
/// Longest body of a header. What it holds is bounded by the size of a cluster.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of a part before its payload.
pub(super) const PART_BYTES: usize = 24;
/// Length of the payload of every chunk but the last.
pub(super) const CHUNK_BYTES: usize = 1 << 20;
/// Length of the payload of the end.
pub(super) const END_BYTES: usize = 24;
/// Bytes of a row before its key.
pub(super) const ROW_BYTES: usize = 8;

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Chunk,
    End,
}

impl Kind {
    fn magic(self) -> [u8; 4] {
        match self {
            Self::Chunk => *b"RXSC",
            Self::End => *b"RXSE",
        }
    }

    fn of(magic: [u8; 4]) -> Option<Self> {
        [Self::Chunk, Self::End].into_iter().find(|kind| kind.magic() == magic)
    }
}

/// The salt of a snapshot: the same whenever the same state is written.
pub(super) fn salt(cluster: ClusterId, meta: &[u8]) -> u64 {
    xxh3_64_with_seed(meta, cluster.get())
}

/// The checksum over all payloads so far, with one more.
pub(super) fn roll(sum: u64, payload: &[u8]) -> u64 {
    xxh3_64_with_seed(payload, sum)
}

/// The whole header; `None` if its body is longer than it may be.
pub(super) fn encode_header(header: &Header, salt: u64) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut encoder = Encoder::new(&mut body);
    encoder.u64(header.cluster.get());
    encoder.u64(header.index.get());
    encoder.u64(header.term.get());
    encoder.u64(header.revision.get());
    encoder.u64(header.time_ms);
    encoder.u64(header.hash);
    encoder.u64(salt);
    header.membership.encode(&mut encoder);
    if body.len() > BODY_BYTES_MAX {
        return None;
    }
    let mut out = MAGIC.to_vec();
    let mut encoder = Encoder::new(&mut out);
    encoder.u32(VERSION);
    encoder.count(body.len());
    let checksum = crc32c_append(crc32c(&out), &body);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&body);
    Some(out)
}

/// What a header begins with.
#[derive(Debug)]
pub(super) struct HeaderStart {
    pub(super) magic: [u8; 8],
    pub(super) version: u32,
    pub(super) length: u32,
    checksum: u32,
    /// Checksum of the bytes before the checksum.
    start: u32,
}

impl HeaderStart {
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [magic @ .., v0, v1, v2, v3, l0, l1, l2, l3, c0, c1, c2, c3] = *bytes;
        Self {
            magic,
            version: u32::from_le_bytes([v0, v1, v2, v3]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            checksum: u32::from_le_bytes([c0, c1, c2, c3]),
            start: crc32c(&bytes[..16]),
        }
    }

    /// Whether this is the start of the header with this body.
    pub(super) fn matches(&self, body: &[u8]) -> bool {
        crc32c_append(self.start, body) == self.checksum
    }
}

/// Reads the body of a header. Returns the salt, too.
pub(super) fn decode_body(body: Vec<u8>) -> Result<(Header, u64), DecodeError> {
    let mut decoder = Decoder::new(Bytes::from(body));
    let cluster = ClusterId(decoder.u64("cluster")?);
    let index = Index(decoder.u64("index")?);
    let term = Term(decoder.u64("term")?);
    let revision = Revision(decoder.u64("revision")?);
    let time_ms = decoder.u64("time")?;
    let hash = decoder.u64("hash")?;
    let salt = decoder.u64("salt")?;
    let membership = Membership::decode(&mut decoder)?;
    decoder.finish()?;
    Ok((Header { cluster, index, term, revision, time_ms, hash, membership }, salt))
}

/// What a part begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartStart {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) length: u32,
    checksum: u32,
}

impl PartStart {
    pub(super) fn of(salt: u64, kind: Kind, number: u64, payload: &[u8]) -> Self {
        let length = u32::try_from(payload.len()).expect("a payload has at most a mebibyte");
        Self { kind, number, length, checksum: payload_checksum(salt, number, payload) }
    }

    pub(super) fn encode(&self, salt: u64) -> [u8; PART_BYTES] {
        let mut out = [0; PART_BYTES];
        out[..4].copy_from_slice(&self.kind.magic());
        out[8..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..20].copy_from_slice(&self.length.to_le_bytes());
        out[20..].copy_from_slice(&self.checksum.to_le_bytes());
        let checksum = start_checksum(salt, &out);
        out[4..8].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    pub(super) fn decode(salt: u64, bytes: &[u8; PART_BYTES]) -> Result<Self, Damage> {
        let [m0, m1, m2, m3, c0, c1, c2, c3, rest @ ..] = *bytes;
        let [n0, n1, n2, n3, n4, n5, n6, n7, l0, l1, l2, l3, p0, p1, p2, p3] = rest;
        let kind = Kind::of([m0, m1, m2, m3]).ok_or(Damage::Kind)?;
        if u32::from_le_bytes([c0, c1, c2, c3]) != start_checksum(salt, bytes) {
            return Err(Damage::Checksum("start of a part"));
        }
        Ok(Self {
            kind,
            number: u64::from_le_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            checksum: u32::from_le_bytes([p0, p1, p2, p3]),
        })
    }

    /// Checks that this is the part that is due, and of a length that is ever written.
    pub(super) fn check(&self, expected: u64) -> Result<(), Damage> {
        if self.number != expected {
            return Err(Damage::Place { expected, found: self.number });
        }
        let (part, lengths) = match self.kind {
            Kind::Chunk => ("chunk", 1..=CHUNK_BYTES),
            Kind::End => ("end", END_BYTES..=END_BYTES),
        };
        match lengths.contains(&(self.length as usize)) {
            true => Ok(()),
            false => Err(Damage::Length { part, length: self.length }),
        }
    }

    /// Whether this is the start of the part with this payload.
    pub(super) fn matches(&self, salt: u64, payload: &[u8]) -> bool {
        self.checksum == payload_checksum(salt, self.number, payload)
    }
}

fn start_checksum(salt: u64, bytes: &[u8; PART_BYTES]) -> u32 {
    crc32c_append(crc32c_append(crc32c(&salt.to_le_bytes()), &bytes[..4]), &bytes[8..])
}

fn payload_checksum(salt: u64, number: u64, payload: &[u8]) -> u32 {
    let key = crc32c_append(crc32c(&salt.to_le_bytes()), &number.to_le_bytes());
    crc32c_append(key, payload)
}

/// What a snapshot has come to so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) rows: u64,
    /// In the payloads of chunks.
    pub(super) bytes: u64,
    pub(super) checksum: u64,
}

impl Totals {
    pub(super) fn new(salt: u64) -> Self {
        Self { rows: 0, bytes: 0, checksum: salt }
    }

    /// Adds the payload of a chunk.
    pub(super) fn add(&mut self, payload: &[u8]) {
        self.bytes += payload.len() as u64;
        self.checksum = roll(self.checksum, payload);
    }

    /// The payload of the end.
    pub(super) fn encode(&self) -> [u8; END_BYTES] {
        let mut out = [0; END_BYTES];
        for (slot, number) in out.chunks_exact_mut(8).zip([self.rows, self.bytes, self.checksum]) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        out
    }
}
