//! What is still to happen, in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When something happens, and where it is kept.
///
/// The order is that of the fields: by time, then as it was scheduled. The place decides nothing,
/// because no two have the same sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    at_us: u64,
    sequence: u64,
    place: usize,
}

/// Happenings by time, then by the order in which they were scheduled.
///
/// They are kept beside the heap: what it moves up and down, many times for each happening, is
/// small then.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    slots: BinaryHeap<Reverse<Slot>>,
    next_sequence: u64,
    kept: Vec<Option<T>>,
    /// Places of `kept` that are free.
    free: Vec<usize>,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { slots: BinaryHeap::new(), next_sequence: 0, kept: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn push(&mut self, at_us: u64, what: T) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let place = match self.free.pop() {
            Some(place) => {
                self.kept[place] = Some(what);
                place
            }
            None => {
                self.kept.push(Some(what));
                self.kept.len() - 1
            }
        };
        self.slots.push(Reverse(Slot { at_us, sequence, place }));
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        let Reverse(Slot { at_us, place, .. }) = self.slots.pop()?;
        self.free.push(place);
        let what = self.kept[place].take().expect("every slot has what it stands for");
        Some((at_us, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_comes_first_and_a_tie_keeps_its_order() {
        let mut queue = Queue::new();
        for (at_us, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b')] {
            queue.push(at_us, what);
        }
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, "abcd");
    }

    /// A place that is used again does not change the order.
    #[test]
    fn what_comes_late_may_be_kept_in_an_early_place() {
        let mut queue = Queue::new();
        for (at_us, what) in [(1, 'a'), (3, 'c'), (3, 'd')] {
            queue.push(at_us, what);
        }
        assert_eq!(queue.pop(), Some((1, 'a')));
        queue.push(3, 'e');
        queue.push(2, 'b');
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, "bcde");
    }
}
