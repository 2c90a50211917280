//! Little-endian encoding of records: fixed-width integers and length-prefixed bytes.
//!
//! Used for the log record, peer messages and stored rows, each with its own types and its own
//! version byte; this module only reads and writes the primitives. Decoding never panics and
//! never allocates more than the input holds.

use bytes::{BufMut, Bytes};
use thiserror::Error;

/// Why bytes could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ended inside a field.
    #[error("the input ends inside `{0}`")]
    Truncated(&'static str),
    /// A tag, version or flag has a value that this version does not know.
    #[error("`{field}` has the unknown value {value}")]
    Unknown {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// Bytes were left over behind the last field.
    #[error("{0} bytes are left over behind the last field")]
    Trailing(usize),
}

/// Appends primitives to a byte vector.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// Writes behind what `out` already holds.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.out.put_u8(value);
    }

    /// Appends a boolean as one byte.
    pub fn bool(&mut self, value: bool) {
        self.out.put_u8(u8::from(value));
    }

    /// Appends a 32-bit integer.
    pub fn u32(&mut self, value: u32) {
        self.out.put_u32_le(value);
    }

    /// Appends a 64-bit integer.
    pub fn u64(&mut self, value: u64) {
        self.out.put_u64_le(value);
    }

    /// Appends a number of items as 32 bits.
    ///
    /// # Panics
    /// If there are 2³² items or more, which admission excludes.
    pub fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("counts are bounded far below 2^32 on admission"));
    }

    /// Appends a length as 32 bits and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.out.put_slice(bytes);
    }

    /// Appends bytes without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }
}

/// Takes primitives from the front of a shared buffer; byte strings share it.
#[derive(Clone, Debug)]
pub struct Decoder {
    input: Bytes,
}

impl Decoder {
    /// Reads from the front of `input`.
    #[must_use]
    pub fn new(input: Bytes) -> Self {
        Self { input }
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.input.len()
    }

    fn take(&mut self, count: usize, field: &'static str) -> Result<Bytes, DecodeError> {
        if self.input.len() < count {
            return Err(DecodeError::Truncated(field));
        }
        Ok(self.input.split_to(count))
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let value = *self.input.first_chunk::<N>().ok_or(DecodeError::Truncated(field))?;
        bytes::Buf::advance(&mut self.input, N);
        Ok(value)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] naming `field`, here and in all methods below.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        Ok(self.array::<1>(field)?[0])
    }

    /// Takes a boolean.
    ///
    /// # Errors
    /// Also [`DecodeError::Unknown`] for a byte other than 0 and 1.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::Unknown { field, value: u64::from(other) }),
        }
    }

    /// Takes a 32-bit integer.
    ///
    /// # Errors
    /// See [`Decoder::u8`].
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// Takes a 64-bit integer.
    ///
    /// # Errors
    /// See [`Decoder::u8`].
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    /// Takes a number of items of at least `item_bytes_min` bytes each; a count that the rest of
    /// the input cannot hold is refused before anything is allocated for it.
    ///
    /// # Errors
    /// See [`Decoder::u8`].
    pub fn count(
        &mut self,
        item_bytes_min: usize,
        field: &'static str,
    ) -> Result<usize, DecodeError> {
        let count = self.u32(field)? as usize;
        if count.saturating_mul(item_bytes_min.max(1)) > self.remaining() {
            return Err(DecodeError::Truncated(field));
        }
        Ok(count)
    }

    /// Takes a length and that many bytes, shared with the input.
    ///
    /// # Errors
    /// See [`Decoder::u8`].
    pub fn bytes(&mut self, field: &'static str) -> Result<Bytes, DecodeError> {
        let length = self.u32(field)? as usize;
        self.take(length, field)
    }

    /// Takes a length and passes over that many bytes.
    ///
    /// # Errors
    /// See [`Decoder::u8`].
    pub fn skip_bytes(&mut self, field: &'static str) -> Result<(), DecodeError> {
        let length = self.u32(field)? as usize;
        if self.input.len() < length {
            return Err(DecodeError::Truncated(field));
        }
        bytes::Buf::advance(&mut self.input, length);
        Ok(())
    }

    /// Takes a length and that many bytes of UTF-8 text.
    ///
    /// # Errors
    /// Also [`DecodeError::Unknown`] if the bytes are not UTF-8.
    pub fn text(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let bytes = self.bytes(field)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => {
                let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
                Err(DecodeError::Unknown { field, value: u64::from(byte) })
            }
        }
    }

    /// Takes everything that is left.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.input)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] if bytes are left over.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.input.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        encoder.u8(7);
        encoder.bool(true);
        encoder.u32(0xdead_beef);
        encoder.u64(u64::MAX);
        encoder.bytes(b"abc");
        let mut decoder = Decoder::new(Bytes::from(out));
        assert_eq!(decoder.u8("a"), Ok(7));
        assert_eq!(decoder.bool("b"), Ok(true));
        assert_eq!(decoder.u32("c"), Ok(0xdead_beef));
        assert_eq!(decoder.u64("d"), Ok(u64::MAX));
        assert_eq!(decoder.bytes("e").as_deref(), Ok(&b"abc"[..]));
        assert_eq!(decoder.finish(), Ok(()));
    }

    #[test]
    fn hostile_lengths_are_refused_without_allocating() {
        let huge = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0]);
        assert_eq!(Decoder::new(huge.clone()).bytes("x"), Err(DecodeError::Truncated("x")));
        assert_eq!(Decoder::new(huge.clone()).skip_bytes("x"), Err(DecodeError::Truncated("x")));
        assert_eq!(Decoder::new(huge).count(8, "y"), Err(DecodeError::Truncated("y")));
        assert_eq!(Decoder::new(Bytes::new()).u64("z"), Err(DecodeError::Truncated("z")));
    }
}
