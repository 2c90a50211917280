//! Writes a snapshot, row by row.

use std::io::Write;

use super::format::{CHUNK_BYTES, Kind, PartStart, Totals, encode_header};
use super::{Header, SnapshotError, Summary};

/// A snapshot that is being written.
#[derive(Debug)]
pub(super) struct Writer<W> {
    out: W,
    header: Header,
    salt: u64,
    /// What is not yet written of the rows; at most a chunk between calls.
    chunk: Vec<u8>,
    parts: u64,
    totals: Totals,
    bytes: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    pub(super) fn new(mut out: W, header: Header, salt: u64) -> Result<Self, SnapshotError> {
        let encoded = encode_header(&header, salt).ok_or_else(|| {
            std::io::Error::other("the membership is larger than a snapshot can hold")
        })?;
        out.write_all(&encoded)?;
        let (chunk, totals) = (Vec::with_capacity(CHUNK_BYTES), Totals::new(salt));
        Ok(Self { out, header, salt, chunk, parts: 0, totals, bytes: encoded.len() as u64 })
    }

    /// Adds a row; the rows come in the order of their keys.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), SnapshotError> {
        let length = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).expect("the engine's rows are below 4 GiB");
            length.to_le_bytes()
        };
        self.rows_bytes(&length(key))?;
        self.rows_bytes(&length(value))?;
        self.rows_bytes(key)?;
        self.rows_bytes(value)?;
        self.totals.rows += 1;
        Ok(())
    }

    fn rows_bytes(&mut self, mut bytes: &[u8]) -> Result<(), SnapshotError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() == CHUNK_BYTES {
                self.write_chunk()?;
            }
        }
        Ok(())
    }

    fn write_chunk(&mut self) -> Result<(), SnapshotError> {
        let chunk = std::mem::take(&mut self.chunk);
        self.totals.add(&chunk);
        self.write_part(Kind::Chunk, &chunk)?;
        self.chunk = chunk;
        self.chunk.clear();
        Ok(())
    }

    fn write_part(&mut self, kind: Kind, payload: &[u8]) -> Result<(), SnapshotError> {
        let start = PartStart::of(self.salt, kind, self.parts, payload).encode(self.salt);
        self.out.write_all(&start)?;
        self.out.write_all(payload)?;
        self.parts += 1;
        self.bytes += (start.len() + payload.len()) as u64;
        Ok(())
    }

    /// Writes what is left and the end.
    pub(super) fn finish(mut self) -> Result<Summary, SnapshotError> {
        if !self.chunk.is_empty() {
            self.write_chunk()?;
        }
        self.write_part(Kind::End, &self.totals.encode())?;
        self.out.flush()?;
        let (rows, checksum) = (self.totals.rows, self.totals.checksum);
        Ok(Summary { header: self.header, rows, bytes: self.bytes, checksum })
    }
}
