//! Who was heard of lately.
//!
//! The library keeps a mark of its own, but wipes it at every check of the quorum: whoever looks
//! right behind one sees nobody. Here a peer counts for some heartbeats after its last message, and
//! not once its connection has broken.

use std::collections::BTreeMap;

use remex_model::NodeId;

/// Who was heard of lately.
#[derive(Debug)]
pub(crate) struct Contacts {
    /// A peer silent for this many ticks is not active.
    ticks_max: u64,
    /// Ticks since the last message of each peer that is active.
    silent: BTreeMap<NodeId, u64>,
}

impl Contacts {
    pub(crate) fn new(ticks_max: u64) -> Self {
        Self { ticks_max, silent: BTreeMap::new() }
    }

    /// A message came.
    pub(crate) fn heard(&mut self, peer: NodeId) {
        self.silent.insert(peer, 0);
    }

    /// The peer is gone, or cannot be reached.
    pub(crate) fn lost(&mut self, peer: NodeId) {
        self.silent.remove(&peer);
    }

    pub(crate) fn tick(&mut self) {
        let ticks_max = self.ticks_max;
        self.silent.retain(|_, ticks| {
            *ticks += 1;
            *ticks <= ticks_max
        });
    }

    pub(crate) fn is_active(&self, peer: NodeId) -> bool {
        self.silent.contains_key(&peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_counts_for_the_given_ticks_after_its_last_message() {
        let mut contacts = Contacts::new(2);
        contacts.heard(NodeId(1));
        contacts.tick();
        contacts.heard(NodeId(1));
        contacts.tick();
        contacts.tick();
        assert!(contacts.is_active(NodeId(1)));
        contacts.tick();
        assert!(!contacts.is_active(NodeId(1)));
    }

    #[test]
    fn one_that_is_gone_does_not_count_until_it_is_heard_again() {
        let mut contacts = Contacts::new(2);
        contacts.heard(NodeId(1));
        contacts.lost(NodeId(1));
        assert!(!contacts.is_active(NodeId(1)));
        contacts.heard(NodeId(1));
        assert!(contacts.is_active(NodeId(1)));
    }
}
