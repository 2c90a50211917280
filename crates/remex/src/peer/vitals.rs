//! What members tell each other about themselves once a second, beside consensus.
//!
//! A frame of the same connection, told from a message of consensus by its first byte. Encoding,
//! version 1 (little-endian):
//!
//! ```text
//! u8 0xf0, u8 version, u8 leads, u64 sent, u64 echo, u64 held,
//! u64 used, u64 free, u8 full, u8 has checkpoint, u64 index, u64 state hash,
//! marks (as `Marks` writes them), u32 sessions, each: u64 member, u64 session
//! ```

use bytes::Bytes;
use remex_consensus::Marks;
use remex_model::{DecodeError, Decoder, DiskUsage, Encoder, Index, NodeId};

/// First byte of the frame; no message of consensus begins with it.
pub(crate) const TAG: u8 = 0xf0;

const VERSION: u8 = 1;

/// What one member says to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Whether it leads.
    pub(crate) leads: bool,
    pub(crate) stamp: Stamp,
    pub(crate) disk: DiskUsage,
    /// The hash of its state at its newest checkpoint.
    pub(crate) checkpoint: Option<(Index, u64)>,
    /// What leaders have seen each member acknowledge.
    pub(crate) marks: Marks,
    /// Who is connected to it, and by which run of its process.
    pub(crate) sessions: Vec<(NodeId, u64)>,
}

/// Times from which the round trip is told, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// When this was sent, on the sender's clock; never 0.
    pub(crate) sent_us: u64,
    /// When the last one that came from the receiver was sent, on the receiver's clock; 0 if none
    /// has come.
    pub(crate) echo_us: u64,
    /// How long ago that one came.
    pub(crate) held_us: u64,
}

impl Stamp {
    /// The round trip that a stamp shows which comes at `now_us`. `None` if it shows none.
    pub(crate) fn round_trip_us(self, now_us: u64) -> Option<u64> {
        if self.echo_us == 0 {
            return None;
        }
        now_us.checked_sub(self.echo_us)?.checked_sub(self.held_us)
    }
}

impl Vitals {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        encoder.u8(TAG);
        encoder.u8(VERSION);
        encoder.bool(self.leads);
        encoder.u64(self.stamp.sent_us);
        encoder.u64(self.stamp.echo_us);
        encoder.u64(self.stamp.held_us);
        encoder.u64(self.disk.used_bytes);
        encoder.u64(self.disk.free_bytes);
        encoder.bool(self.disk.full);
        let (index, hash) = self.checkpoint.unwrap_or_default();
        encoder.bool(self.checkpoint.is_some());
        encoder.u64(index.get());
        encoder.u64(hash);
        self.marks.encode(&mut encoder);
        encoder.count(self.sessions.len());
        for (id, session) in &self.sessions {
            encoder.u64(id.get());
            encoder.u64(*session);
        }
    }

    /// Reads vitals, its first byte included.
    pub(crate) fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(payload);
        for (field, expected) in [("vitals", TAG), ("version of vitals", VERSION)] {
            let found = decoder.u8(field)?;
            if found != expected {
                return Err(DecodeError::Unknown { field, value: u64::from(found) });
            }
        }
        let leads = decoder.bool("leads")?;
        let stamp = Stamp {
            sent_us: decoder.u64("sent")?,
            echo_us: decoder.u64("echo")?,
            held_us: decoder.u64("held")?,
        };
        let disk = DiskUsage {
            used_bytes: decoder.u64("used")?,
            free_bytes: decoder.u64("free")?,
            full: decoder.bool("full")?,
        };
        let has_checkpoint = decoder.bool("has checkpoint")?;
        let index = Index(decoder.u64("checkpoint")?);
        let hash = decoder.u64("state hash")?;
        let marks = Marks::decode(&mut decoder)?;
        let sessions = (0..decoder.count(16, "number of sessions")?)
            .map(|_| Ok((NodeId(decoder.u64("connected member")?), decoder.u64("session")?)))
            .collect::<Result<_, _>>()?;
        decoder.finish()?;
        let checkpoint = has_checkpoint.then_some((index, hash));
        Ok(Self { leads, stamp, disk, checkpoint, marks, sessions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vitals_round_trip_and_every_cut_is_refused() {
        let mut out = vec![1];
        let mut encoder = Encoder::new(&mut out);
        encoder.count(2);
        for number in [2, 3, 40, 5, 3, 41] {
            encoder.u64(number);
        }
        let marks = Marks::decode(&mut Decoder::new(out.into())).unwrap();
        let full = Vitals {
            leads: true,
            stamp: Stamp { sent_us: 10, echo_us: 11, held_us: 12 },
            disk: DiskUsage { used_bytes: 7, free_bytes: 8, full: true },
            checkpoint: Some((Index(64), 0xfeed)),
            marks,
            sessions: vec![(NodeId(2), 77), (NodeId(5), 78)],
        };
        for vitals in [full, Vitals::default()] {
            let mut out = Vec::new();
            vitals.encode(&mut out);
            let bytes = Bytes::from(out);
            assert_eq!(bytes[0], TAG);
            assert_eq!(Vitals::decode(bytes.clone()).unwrap(), vitals);
            for end in 0..bytes.len() {
                assert!(Vitals::decode(bytes.slice(..end)).is_err(), "{vitals:?} cut at {end}");
            }
        }
    }

    #[test]
    fn a_round_trip_leaves_out_the_time_that_the_other_side_held_it() {
        let stamp = |echo_us, held_us| Stamp { sent_us: 1, echo_us, held_us };
        assert_eq!(stamp(1000, 400).round_trip_us(1650), Some(250));
        assert_eq!(stamp(0, 0).round_trip_us(1650), None, "nothing came yet");
        assert_eq!(stamp(5000, 0).round_trip_us(1650), None, "of an earlier run");
        assert_eq!(stamp(1000, 900).round_trip_us(1650), None);
    }
}
