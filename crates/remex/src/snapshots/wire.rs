//! What the two sides of a snapshot's way say to each other, behind the hello.
//!
//! ```text
//! request  u8 version = 1, u64 index (at least), 32 bytes SHA-256 of what is there already (or 0),
//!          u64 how many bytes of it
//! offer    u8 version = 1, u8 0, u64 index, u64 term, u64 bytes, 32 bytes SHA-256, u64 offset
//!          u8 version = 1, u8 1, bytes reason: there is none to be had
//! then     frames of at most 256 KiB of the file, from the offset to the end
//! ```
//!
//! Empty frames may come at any time: the giving side is alive and busy.

use bytes::Bytes;
use remex_model::{DecodeError, Decoder, Encoder, Index, Term};

const VERSION: u8 = 1;

/// Bytes of the file in one frame.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// SHA-256 of a file.
pub(super) type Sha256 = [u8; 32];

/// What a node asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// It is of use only if it holds the effect of this entry.
    pub(super) at_least: Index,
    /// What is there already of an earlier offer, and how much.
    pub(super) partial: (Sha256, u64),
}

/// What a node gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    File {
        index: Index,
        term: Term,
        bytes: u64,
        sha256: Sha256,
        /// Where it goes on: 0, or what the other side has.
        offset: u64,
    },
    None(String),
}

impl Request {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        encoder.u8(VERSION);
        encoder.u64(self.at_least.get());
        encoder.raw(&self.partial.0);
        encoder.u64(self.partial.1);
    }

    pub(super) fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(payload);
        check_version(&mut decoder)?;
        let at_least = Index(decoder.u64("index")?);
        let partial = (sha256(&mut decoder)?, decoder.u64("offset")?);
        decoder.finish()?;
        Ok(Self { at_least, partial })
    }
}

impl Offer {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        encoder.u8(VERSION);
        match self {
            Self::File { index, term, bytes, sha256, offset } => {
                encoder.u8(0);
                encoder.u64(index.get());
                encoder.u64(term.get());
                encoder.u64(*bytes);
                encoder.raw(sha256);
                encoder.u64(*offset);
            }
            Self::None(reason) => {
                encoder.u8(1);
                encoder.bytes(reason.as_bytes());
            }
        }
    }

    pub(super) fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(payload);
        check_version(&mut decoder)?;
        let offer = match decoder.u8("offer")? {
            0 => Self::File {
                index: Index(decoder.u64("index")?),
                term: Term(decoder.u64("term")?),
                bytes: decoder.u64("bytes")?,
                sha256: sha256(&mut decoder)?,
                offset: decoder.u64("offset")?,
            },
            1 => Self::None(decoder.text("reason")?),
            other => return Err(DecodeError::Unknown { field: "offer", value: other.into() }),
        };
        decoder.finish()?;
        Ok(offer)
    }
}

fn sha256(decoder: &mut Decoder) -> Result<Sha256, DecodeError> {
    let mut digest = [0; 32];
    for part in digest.chunks_exact_mut(8) {
        part.copy_from_slice(&decoder.u64("digest")?.to_le_bytes());
    }
    Ok(digest)
}

fn check_version(decoder: &mut Decoder) -> Result<(), DecodeError> {
    match decoder.u8("snapshot version")? {
        VERSION => Ok(()),
        other => Err(DecodeError::Unknown { field: "snapshot version", value: other.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_offers_round_trip_and_every_cut_is_refused() {
        let digest: Sha256 = std::array::from_fn(|position| u8::try_from(position).unwrap_or(0));
        let request = Request { at_least: Index(7), partial: (digest, 9) };
        let mut out = Vec::new();
        request.encode(&mut out);
        let bytes = Bytes::from(out);
        assert_eq!(Request::decode(bytes.clone()), Ok(request));
        assert!((0..bytes.len()).all(|end| Request::decode(bytes.slice(..end)).is_err()));
        let (index, term) = (Index(1), Term(2));
        let file = Offer::File { index, term, bytes: 3, sha256: digest, offset: 4 };
        for offer in [file, Offer::None("busy".to_owned())] {
            let mut out = Vec::new();
            offer.encode(&mut out);
            let bytes = Bytes::from(out);
            assert_eq!(Offer::decode(bytes.clone()), Ok(offer));
            assert!((0..bytes.len()).all(|end| Offer::decode(bytes.slice(..end)).is_err()));
        }
    }
}
