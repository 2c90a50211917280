//! How far back the past is kept.
//!
//! The *floor* is the oldest revision that can be read. It moves when an entry is applied, by two
//! measures: the age of what lies behind it, in the time that the log carries, and the size of
//! what lies before it, as written. Rows behind the floor vanish in compaction.
//!
//! Now and then a *mark* notes which revision had been reached when, and how much history there
//! was. The floor only ever moves to a mark, so it lags by at most one step: about a thousandth
//! of either measure. That also bounds the number of marks. The floor decides nothing about the
//! outcome of commands, so nodes may keep different lengths of history.

use std::collections::VecDeque;

use remex_model::{DecodeError, Decoder, Encoder, Revision};

/// How much of the past is kept; whichever limit is reached first. 0 keeps nothing but the
/// present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of superseded records and of change lists, before compression.
    pub history_bytes_max: u64,
    /// Milliseconds that a superseded record stays readable, by the times in the log.
    pub history_age_ms: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { history_bytes_max: 1 << 30, history_age_ms: 24 * 60 * 60 * 1000 }
    }
}

/// Marks for each measure, about.
const STEPS: u64 = 1024;

/// A revision, when it was reached, and how much history had been written by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    revision: Revision,
    time_ms: u64,
    bytes: u64,
}

impl Mark {
    fn encode(self, encoder: &mut Encoder<'_>) {
        encoder.u64(self.revision.get());
        encoder.u64(self.time_ms);
        encoder.u64(self.bytes);
    }

    fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self {
            revision: Revision(decoder.u64("mark revision")?),
            time_ms: decoder.u64("mark time")?,
            bytes: decoder.u64("mark bytes")?,
        })
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// History written since the store began, whether still kept or not.
    bytes: u64,
    floor: Mark,
    marks: VecDeque<Mark>,
}

impl History {
    /// Of an empty store.
    pub(crate) fn new(revision: Revision) -> Self {
        let floor = Mark { revision, time_ms: 0, bytes: 0 };
        Self { bytes: 0, floor, marks: VecDeque::new() }
    }

    /// The oldest revision that can be read.
    pub(crate) fn floor(&self) -> Revision {
        self.floor.revision
    }

    /// Counts what a change adds.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Moves the floor, after an entry has been applied.
    pub(crate) fn advance(&mut self, revision: Revision, now_ms: u64, retention: &Retention) {
        let last = *self.marks.back().unwrap_or(&self.floor);
        let step_bytes = retention.history_bytes_max / STEPS;
        let step_ms = retention.history_age_ms / STEPS;
        let due = self.bytes - last.bytes > step_bytes || now_ms - last.time_ms > step_ms;
        if revision > last.revision && due {
            self.marks.push_back(Mark { revision, time_ms: now_ms, bytes: self.bytes });
        }
        while let Some(&mark) = self.marks.front() {
            let large = self.bytes - self.floor.bytes > retention.history_bytes_max;
            let old = now_ms - mark.time_ms >= retention.history_age_ms;
            if !large && !old {
                break;
            }
            self.floor = mark;
            self.marks.pop_front();
        }
    }

    /// Appends `u64 bytes, floor, u32 number of marks, marks`; a mark is
    /// `u64 revision, u64 time in ms, u64 bytes`.
    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.u64(self.bytes);
        self.floor.encode(encoder);
        encoder.count(self.marks.len());
        for mark in &self.marks {
            mark.encode(encoder);
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        let bytes = decoder.u64("history bytes")?;
        let floor = Mark::decode(decoder)?;
        let marks = (0..decoder.count(24, "number of marks")?)
            .map(|_| Mark::decode(decoder))
            .collect::<Result<_, _>>()?;
        Ok(Self { bytes, floor, marks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_follows_age() {
        let retention = Retention { history_bytes_max: u64::MAX, history_age_ms: 10_240 };
        let mut history = History::new(Revision(1));
        for step in 1..=2000 {
            history.advance(Revision(1 + step), step * 100, &retention);
            let expected = step.saturating_sub(102) + 1;
            assert!(history.floor().get().abs_diff(expected) <= 1, "step {step}: {history:?}");
        }
        assert!(history.marks.len() <= 104);
    }

    #[test]
    fn the_floor_follows_size() {
        let retention = Retention { history_bytes_max: 102_400, history_age_ms: u64::MAX };
        let mut history = History::new(Revision(1));
        for step in 1..=10_000_u64 {
            history.add(70);
            history.advance(Revision(1 + step), 5, &retention);
            let kept = history.bytes - history.floor.bytes;
            assert!(kept <= 102_400, "step {step} keeps {kept}");
            assert!(step < 1463 || kept >= 102_400 - 300, "step {step} keeps only {kept}");
        }
        assert!(history.marks.len() <= 1026);
    }

    #[test]
    fn keeping_nothing_leaves_the_present() {
        let retention = Retention { history_bytes_max: 0, history_age_ms: 0 };
        let mut history = History::new(Revision(1));
        history.add(1);
        history.advance(Revision(2), 1000, &retention);
        assert_eq!(history.floor(), Revision(2));
    }
}
