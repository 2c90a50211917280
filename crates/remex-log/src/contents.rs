//! What the log holds, in memory: where each group is, which terms, the hard state. No data.

use std::collections::VecDeque;

use crate::format::Record;
use crate::{HardState, Position};

/// Where a group lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Sequence of the segment.
    pub(crate) sequence: u64,
    /// Offset of the group's header in it.
    pub(crate) offset: u64,
    /// Bytes of header and payload.
    pub(crate) bytes: usize,
}

/// A group that holds live entries: those from `first_index` up to the next group's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) first_index: u64,
    pub(crate) place: Place,
}

/// The live part of the log. Built by replaying records, kept current by appending them, so both
/// ways lead to the same value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The entry before the first one.
    base: Position,
    last_index: u64,
    /// Runs of entries of one term: index of the first, and the term; ascending.
    terms: VecDeque<Position>,
    /// Ascending in `first_index` and in place. The first one begins right behind `base`.
    groups: VecDeque<Group>,
    pub(crate) hard_state: HardState,
}

impl Contents {
    /// An empty log behind `base`.
    pub(crate) fn new(base: Position, hard_state: HardState) -> Self {
        let (terms, groups) = (VecDeque::new(), VecDeque::new());
        Self { base, last_index: base.index, terms, groups, hard_state }
    }

    pub(crate) fn first_index(&self) -> u64 {
        self.base.index + 1
    }

    /// The last entry, or the one before the first if there is none.
    pub(crate) fn last(&self) -> Position {
        match self.terms.back() {
            Some(run) => Position { index: self.last_index, term: run.term },
            None => self.base,
        }
    }

    /// The term of an entry held, or of the one before the first.
    pub(crate) fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        if index > self.last_index || index < self.base.index {
            return None;
        }
        let run = self.terms.partition_point(|run| run.index <= index).checked_sub(1)?;
        self.terms.get(run).map(|run| run.term)
    }

    /// Adds the entry `position`, which lies in the group at `place`. False if it does not follow
    /// the last one; then nothing has changed.
    pub(crate) fn push(&mut self, position: Position, place: Place) -> bool {
        if position.index != self.last_index + 1 {
            return false;
        }
        if self.terms.back().is_none_or(|run| run.term != position.term) {
            self.terms.push_back(position);
        }
        if self.groups.back().is_none_or(|group| group.place != place) {
            self.groups.push_back(Group { first_index: position.index, place });
        }
        self.last_index = position.index;
        true
    }

    /// Takes in a record that is not an entry.
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::HardState(hard_state) => self.hard_state = *hard_state,
            Record::Truncate(last) => self.truncate(*last),
            Record::Start(base) => self.start(*base),
            Record::Entry(_) | Record::Seal(_) => {}
        }
    }

    /// Drops the entries behind `last`. It may lie before the base when the segments between were
    /// released: then the log goes on from there.
    pub(crate) fn truncate(&mut self, last: Position) {
        if last.index <= self.base.index {
            self.start(last);
            return;
        }
        while self.terms.back().is_some_and(|run| run.index > last.index) {
            self.terms.pop_back();
        }
        while self.groups.back().is_some_and(|group| group.first_index > last.index) {
            self.groups.pop_back();
        }
        self.last_index = self.last_index.min(last.index);
    }

    /// Drops all entries; the next one follows `base`.
    pub(crate) fn start(&mut self, base: Position) {
        *self = Self::new(base, self.hard_state);
    }

    /// The first live entry that lies behind segment `sequence`; the index behind the last one if
    /// none does.
    pub(crate) fn first_index_behind(&self, sequence: u64) -> u64 {
        let position = self.groups.partition_point(|group| group.place.sequence <= sequence);
        self.groups.get(position).map_or(self.last_index + 1, |group| group.first_index)
    }

    /// Forgets the entries in segment `sequence` and all before it.
    pub(crate) fn release(&mut self, sequence: u64) {
        let first_index = self.first_index_behind(sequence);
        let before = first_index - 1;
        let term = self.term(before).expect("the entries released are held until now");
        while self.groups.front().is_some_and(|group| group.place.sequence <= sequence) {
            self.groups.pop_front();
        }
        if first_index > self.last_index {
            self.terms.clear();
        }
        while self.terms.get(1).is_some_and(|run| run.index <= first_index) {
            self.terms.pop_front();
        }
        if let Some(run) = self.terms.front_mut() {
            run.index = run.index.max(first_index);
        }
        self.base = Position { index: before, term };
    }

    /// The group that holds `index`, and the index behind its last live entry.
    pub(crate) fn group(&self, index: u64) -> Option<(Group, u64)> {
        let behind = self.groups.partition_point(|group| group.first_index <= index);
        let group = self.groups.get(behind.checked_sub(1)?)?;
        let end = self.groups.get(behind).map_or(self.last_index + 1, |next| next.first_index);
        (index < end).then_some((*group, end))
    }

    /// Moves the groups of segment `from` at or behind `offset` to segment `to`, shifted so that
    /// the block at `offset` comes to lie at `new_offset`.
    pub(crate) fn relocate(&mut self, from: u64, offset: u64, to: u64, new_offset: u64) {
        for group in &mut self.groups {
            let place = &mut group.place;
            if place.sequence == from && place.offset >= offset {
                place.sequence = to;
                place.offset = place.offset - offset + new_offset;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64, term: u64) -> Position {
        Position { index, term }
    }

    fn place(sequence: u64) -> Place {
        Place { sequence, offset: 4096, bytes: 100 }
    }

    fn sample() -> Contents {
        let mut contents = Contents::new(at(0, 0), HardState::default());
        for index in 1..=9 {
            // Segments 1, 2 and 3 hold three entries each; the term changes at 2, 5 and 8.
            assert!(contents.push(at(index, (index + 1) / 3), place(index.div_ceil(3))));
        }
        contents
    }

    #[test]
    fn terms_answer_for_every_entry_and_the_one_before() {
        let mut contents = sample();
        for index in 1..=9 {
            assert_eq!(contents.term(index), Some((index + 1) / 3));
        }
        assert_eq!((contents.term(0), contents.term(10)), (Some(0), None));
        contents.release(1);
        assert_eq!(contents.first_index(), 4);
        assert_eq!(
            (contents.term(2), contents.term(3), contents.term(4)),
            (None, Some(1), Some(1))
        );
        contents.release(3);
        assert_eq!((contents.first_index(), contents.last()), (10, at(9, 3)));
        assert_eq!((contents.term(9), contents.group(9)), (Some(3), None));
    }

    #[test]
    fn truncation_keeps_the_group_that_straddles_it() {
        let mut contents = sample();
        contents.truncate(at(5, 2));
        assert_eq!(contents.last(), at(5, 2));
        assert!(!contents.push(at(7, 4), place(3)), "an entry must follow the last one");
        assert!(contents.push(at(6, 4), place(3)));
        let (group, end) = contents.group(5).unwrap();
        assert_eq!((group.first_index, group.place, end), (4, place(2), 6));
        assert_eq!(contents.group(6).unwrap().0.place, place(3));
        assert_eq!(contents.term(6), Some(4));
    }

    #[test]
    fn truncation_may_go_back_behind_a_released_base() {
        let mut contents = Contents::new(at(9, 3), HardState::default());
        contents.truncate(at(5, 2));
        assert_eq!((contents.first_index(), contents.last()), (6, at(5, 2)));
    }
}
