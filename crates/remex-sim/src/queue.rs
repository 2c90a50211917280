//! What is still to happen, in order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that will happen at a moment of virtual time.
#[derive(Debug)]
struct Slot<T> {
    at_us: u64,
    /// Order among what happens at the same moment: as it was scheduled.
    sequence: u64,
    what: T,
}

/// Happenings by time, then by the order in which they were scheduled.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    slots: BinaryHeap<Slot<T>>,
    next_sequence: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { slots: BinaryHeap::new(), next_sequence: 0 }
    }

    pub(crate) fn push(&mut self, at_us: u64, what: T) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.slots.push(Slot { at_us, sequence, what });
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        self.slots.pop().map(|slot| (slot.at_us, slot.what))
    }
}

impl<T> Ord for Slot<T> {
    /// Reversed, because the heap gives its greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_us, other.sequence).cmp(&(self.at_us, self.sequence))
    }
}

impl<T> PartialOrd for Slot<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Slot<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Slot<T> {}

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
}
