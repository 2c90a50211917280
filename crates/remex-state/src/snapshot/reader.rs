//! Reads a snapshot, verifying all of it.

use std::io::{self, ErrorKind, Read};

use bytes::{Buf, Bytes, BytesMut};

use super::check::RowCheck;
use super::format::{
    BODY_BYTES_MAX, HEADER_BYTES, HeaderStart, Kind, MAGIC, PART_BYTES, PartStart, ROW_BYTES,
    Totals, VERSION, decode_body,
};
use super::{Damage, Header, SnapshotError, Summary};

/// Takes a snapshot from anything that can be read. It needs memory for one chunk (1 MiB) and for
/// one row, which grows with what was verified, never with what is announced.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    header: Header,
    salt: u64,
    /// Bytes read and verified, all parts whole.
    offset: u64,
    /// Where the part begins that was read last.
    part_offset: u64,
    parts: u64,
    totals: Totals,
    /// Rows of verified chunks that are not yet handed out.
    rows: BytesMut,
    check: RowCheck,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads and verifies the header.
    ///
    /// # Errors
    /// If the input cannot be read, or does not begin with the header of a snapshot that this
    /// version can read.
    pub fn new(mut input: R) -> Result<Self, SnapshotError> {
        let start = HeaderStart::decode(&array(&mut input, 0)?);
        if start.magic != MAGIC {
            return Err(damaged(0, Damage::Magic));
        }
        if start.length as usize > BODY_BYTES_MAX {
            return Err(damaged(0, Damage::Length { part: "header", length: start.length }));
        }
        let body = bytes(&mut input, start.length, 0)?;
        if !start.matches(&body) {
            return Err(damaged(0, Damage::Checksum("header")));
        }
        if start.version != VERSION {
            return Err(SnapshotError::Version { found: start.version });
        }
        let offset = (HEADER_BYTES + body.len()) as u64;
        let (header, salt) =
            decode_body(body).map_err(|source| damaged(0, Damage::Header(source)))?;
        Ok(Self {
            input,
            header,
            salt,
            offset,
            part_offset: offset,
            parts: 0,
            totals: Totals::new(salt),
            rows: BytesMut::new(),
            check: RowCheck::default(),
            ended: false,
        })
    }

    /// What the snapshot says about itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes from the beginning that have been read and verified.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next row, key and value; `None` behind the last one, once the end was verified and
    /// nothing follows it. After an error the reader must not be used any more.
    ///
    /// # Errors
    /// If the input cannot be read, is damaged, or ends too early.
    pub fn next_row(&mut self) -> Result<Option<(Bytes, Bytes)>, SnapshotError> {
        loop {
            if let Some((key, value)) = take_row(&mut self.rows) {
                self.totals.rows += 1;
                let checked = self.check.row(&self.header, &key, &value);
                checked.map_err(|damage| damaged(self.part_offset, damage))?;
                return Ok(Some((key, value)));
            }
            if self.ended {
                return Ok(None);
            }
            self.read_part()?;
        }
    }

    /// Reads what is left.
    ///
    /// # Errors
    /// See [`Reader::next_row`].
    pub fn verify(mut self) -> Result<Summary, SnapshotError> {
        while self.next_row()?.is_some() {}
        Ok(self.into_summary())
    }

    /// What the snapshot came to, once all rows were read.
    pub(super) fn into_summary(self) -> Summary {
        let (rows, checksum) = (self.totals.rows, self.totals.checksum);
        Summary { header: self.header, rows, bytes: self.offset, checksum }
    }

    fn read_part(&mut self) -> Result<(), SnapshotError> {
        let offset = self.offset;
        self.part_offset = offset;
        let start = PartStart::decode(self.salt, &array(&mut self.input, offset)?)
            .and_then(|start| start.check(self.parts).map(|()| start))
            .map_err(|damage| damaged(offset, damage))?;
        let payload = bytes(&mut self.input, start.length, offset)?;
        if !start.matches(self.salt, &payload) {
            return Err(damaged(offset, Damage::Checksum("payload of a part")));
        }
        self.parts += 1;
        self.offset += (PART_BYTES + payload.len()) as u64;
        match start.kind {
            Kind::Chunk => {
                self.totals.add(&payload);
                self.rows.extend_from_slice(&payload);
                Ok(())
            }
            Kind::End => {
                self.check_end(&payload).map_err(|damage| damaged(offset, damage))?;
                self.nothing_follows()?;
                self.ended = true;
                Ok(())
            }
        }
    }

    /// Compares the end with what came before it.
    fn check_end(&self, payload: &[u8]) -> Result<(), Damage> {
        if !self.rows.is_empty() {
            return Err(Damage::Row);
        }
        if payload != self.totals.encode() {
            return Err(Damage::Totals);
        }
        self.check.finish()
    }

    fn nothing_follows(&mut self) -> Result<(), SnapshotError> {
        let mut behind = Vec::new();
        match (&mut self.input).take(1).read_to_end(&mut behind)? {
            0 => Ok(()),
            _ => Err(damaged(self.offset, Damage::Trailing)),
        }
    }
}

fn damaged(offset: u64, damage: Damage) -> SnapshotError {
    SnapshotError::Damaged { offset, damage }
}

/// Reads `N` bytes of the part that begins at `offset`.
fn array<const N: usize>(input: &mut impl Read, offset: u64) -> Result<[u8; N], SnapshotError> {
    let mut out = [0; N];
    input.read_exact(&mut out).map_err(|error| reading(error, offset))?;
    Ok(out)
}

/// The input may tell by itself that it ends too early.
fn reading(error: io::Error, offset: u64) -> SnapshotError {
    match error.kind() {
        ErrorKind::UnexpectedEof => SnapshotError::Cut { offset },
        _ => error.into(),
    }
}

/// Reads some bytes of the part that begins at `offset`; memory is taken as they come.
fn bytes(input: &mut impl Read, length: u32, offset: u64) -> Result<Vec<u8>, SnapshotError> {
    let mut out = Vec::new();
    let read = input.take(length.into()).read_to_end(&mut out);
    read.map_err(|error| reading(error, offset))?;
    if out.len() == length as usize { Ok(out) } else { Err(SnapshotError::Cut { offset }) }
}

/// Takes the first row, if all of it is there.
fn take_row(rows: &mut BytesMut) -> Option<(Bytes, Bytes)> {
    let mut lengths = rows.get(..ROW_BYTES)?;
    let (key, value) = (lengths.get_u32_le() as usize, lengths.get_u32_le() as usize);
    if rows.len() - ROW_BYTES < key.saturating_add(value) {
        return None;
    }
    rows.advance(ROW_BYTES);
    let key = rows.split_to(key).freeze();
    Some((key, rows.split_to(value).freeze()))
}
