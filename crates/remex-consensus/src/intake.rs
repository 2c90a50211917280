//! The leader's memory of which forwards it has seen, so that each is taken at most once.
//!
//! A forward may arrive twice: the network doubled it, or its sender repeated it because nothing
//! came back. It is stamped with the term whose leader may take it, and a node leads a term at
//! most once and in one run, so this memory lives as long as the leadership and needs no disk.

use std::collections::{BTreeMap, BTreeSet};

use remex_model::Term;

/// How far behind the newest forward of a session an older one may still come in. One that is
/// older yet counts as seen: its proposals are never taken, and their callers are told that the
/// outcome is unknown when their time is up.
const WINDOW: u64 = 4096;

#[derive(Debug, Default)]
struct Window {
    /// Every forward up to this number counts as seen.
    floor: u64,
    /// Forwards above the floor that were seen.
    above: BTreeSet<u64>,
    /// Forwards that the leader did not take: it says so again when they come again.
    refused: BTreeSet<u64>,
}

/// What the leader knows of a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It was not there before.
    New,
    /// It was taken, or is too old to tell.
    Taken,
    /// It was refused, and its sender may not have heard.
    Refused,
}

/// Which forwards the leader of one term has seen.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    term: Term,
    sessions: BTreeMap<u64, Window>,
}

impl Intake {
    /// Notes a forward; it is new once.
    pub(crate) fn note(&mut self, term: Term, session: u64, batch: u64) -> Seen {
        if self.term != term {
            *self = Self { term, sessions: BTreeMap::new() };
        }
        let window = self.sessions.entry(session).or_default();
        if window.refused.contains(&batch) {
            return Seen::Refused;
        }
        if batch <= window.floor || !window.above.insert(batch) {
            return Seen::Taken;
        }
        window.floor = window.floor.max(batch.saturating_sub(WINDOW));
        let floor = window.floor;
        while window.above.first().is_some_and(|&first| first <= floor) {
            window.above.pop_first();
        }
        while window.above.first() == Some(&(window.floor + 1)) {
            window.above.pop_first();
            window.floor += 1;
        }
        Seen::New
    }

    /// The forward that was just noted was not taken.
    pub(crate) fn refuse(&mut self, session: u64, batch: u64) {
        let refused = &mut self.sessions.entry(session).or_default().refused;
        refused.insert(batch);
        while refused.first().is_some_and(|&first| first < batch.saturating_sub(WINDOW)) {
            refused.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_new_once_in_any_order() {
        let mut intake = Intake::default();
        let taken = [5, 3, 5, 4, 3, 6].map(|batch| intake.note(Term(1), 9, batch) == Seen::New);
        assert_eq!(taken, [true, true, false, true, false, true]);
    }

    #[test]
    fn sessions_and_terms_do_not_mix() {
        let mut intake = Intake::default();
        assert_eq!(intake.note(Term(1), 1, 1), Seen::New);
        assert_eq!(intake.note(Term(1), 2, 1), Seen::New);
        assert_eq!(intake.note(Term(1), 1, 1), Seen::Taken);
        assert_eq!(intake.note(Term(2), 1, 1), Seen::New);
    }

    #[test]
    fn memory_is_bounded_when_forwards_are_lost() {
        let mut intake = Intake::default();
        for batch in (2..100_000).step_by(2) {
            assert_eq!(intake.note(Term(1), 1, batch), Seen::New);
        }
        assert!(intake.sessions[&1].above.len() <= 4096);
        assert_eq!(intake.note(Term(1), 1, 1), Seen::Taken, "too old to tell: counts as seen");
    }

    #[test]
    fn a_refused_forward_is_refused_again() {
        let mut intake = Intake::default();
        assert_eq!(intake.note(Term(1), 9, 5), Seen::New);
        intake.refuse(9, 5);
        assert_eq!(intake.note(Term(1), 9, 5), Seen::Refused);
        assert_eq!(intake.note(Term(2), 9, 5), Seen::New, "another leadership");
    }
}
