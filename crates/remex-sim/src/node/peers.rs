//! Who may speak with this node, and what the members remember of each other's disks.
//!
//! The network brings single messages; what a connection's handshake would decide is decided when
//! the first message of another run of a process comes in: both sides look at the other, and both
//! can refuse. Marks spread as in the product: the leader notes them with every tick, everybody
//! tells everybody once a second.

use bytes::Bytes;
use remex_consensus::{Mark, Marks};
use remex_model::{DecodeError, Decoder, Encoder, Index, NodeId, Term};

use super::running::Running;
use crate::around::{Around, Happening};
use crate::network::Packet;
use crate::plant::Plant;

/// First byte of what members tell each other beside consensus.
pub(crate) const VITALS: u8 = 0xf0;

/// Ticks between two times that a member tells the others what it knows: about a second.
const VITALS_TICKS: u64 = 20;

/// What a process says of itself when it greets another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greeting {
    pub(crate) id: NodeId,
    pub(crate) run: u64,
    pub(crate) term: Term,
    pub(crate) last_index: Index,
}

/// Why a process does not want to hear another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is none of the cluster's business.
    Stranger,
    /// It was removed.
    Removed,
    /// It has less than it once had.
    RolledBack(Mark),
}

impl Running {
    pub(crate) fn greeting(&self) -> Greeting {
        let term = self.core.leadership().term;
        Greeting { id: self.id, run: self.run, term, last_index: self.core.last_index() }
    }

    /// Whether this run of that process was greeted.
    pub(crate) fn has_greeted(&self, id: NodeId, run: u64) -> bool {
        self.greeted.get(&id) == Some(&run)
    }

    pub(crate) fn greet(&mut self, them: Greeting) {
        self.greeted.insert(them.id, them.run);
    }

    /// Decides whether this node speaks with `them`.
    pub(crate) fn admit(&self, them: Greeting, plant: Option<Plant>) -> Result<(), Refusal> {
        let membership = self.core.membership();
        if membership.was_removed(them.id) && plant != Some(Plant::RemovedNotTold) {
            return Err(Refusal::Removed);
        }
        // Without a leader it may have missed that they were added.
        let stranger = |leader| leader != them.id && membership.get(them.id).is_none();
        if self.core.leadership().leader.is_some_and(stranger) {
            return Err(Refusal::Stranger);
        }
        if plant == Some(Plant::OldDiskAdmitted) {
            return Ok(());
        }
        self.marks
            .check(them.id, them.term, them.last_index)
            .map_err(|rolled_back| Refusal::RolledBack(rolled_back.mark))
    }

    /// Whether a refusal still holds: the peer compared what this node had a while ago.
    pub(crate) fn is_below(&self, mark: Mark) -> bool {
        let mine = self.greeting();
        mine.term < mark.term || mine.last_index < mark.index
    }

    /// Whether this node has a connection for messages to a peer.
    pub(super) fn knows(&self, peer: NodeId) -> bool {
        self.core.membership().get(peer).is_some() || self.greeted.contains_key(&peer)
    }

    /// What is remembered of the members' disks.
    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// A tick passed: the leader notes what it knows; now and then everybody tells everybody.
    pub(super) fn tick_marks(&mut self, around: &mut Around) {
        self.core.note_marks(&mut self.marks);
        if !self.ticks.is_multiple_of(VITALS_TICKS) {
            return;
        }
        let mut out = vec![VITALS];
        self.marks.encode(&mut Encoder::new(&mut out));
        let bytes = Bytes::from(out);
        let (me, membership) = (self.id, self.core.membership().clone());
        for (member, _) in membership.members().filter(|(member, _)| member.id != me) {
            self.transmit(member.id, bytes.clone(), around);
        }
    }

    /// A member tells what it remembers.
    pub(super) fn receive_vitals(&mut self, bytes: Bytes) -> Result<(), DecodeError> {
        let mut decoder = Decoder::new(bytes.slice(1..));
        let marks = Marks::decode(&mut decoder)?;
        decoder.finish()?;
        let membership = self.core.membership();
        if !membership.is_empty() {
            self.marks.merge(&marks);
            self.marks.keep_members(membership);
        }
        Ok(())
    }

    /// Puts bytes on their way to a peer; false if they do not arrive.
    pub(super) fn transmit(&mut self, to: NodeId, bytes: Bytes, around: &mut Around) -> bool {
        let (sender, receiver, run) = (self.id, to, self.run);
        let (from, to) = (self.position, around.selves.place(to));
        around.trace.note([1, from as u64, to as u64]);
        around.trace.note_bytes(&bytes);
        let packet = Packet { from, to, sender, receiver, run, number: 0, bytes };
        let now_us = around.now_us;
        let Around { network, queue, coverage, .. } = around;
        let arrives = |at_us, packet| queue.push(at_us, Happening::Deliver(packet));
        network.send(now_us, packet, coverage, arrives)
    }
}
