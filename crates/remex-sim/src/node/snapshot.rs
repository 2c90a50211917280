//! Snapshots on their way from one node to another: made from the engine, fetched piece by piece,
//! checked as a whole, left to be installed.

use bytes::Bytes;
use remex_model::{ClusterId, Index, NodeId};
use remex_state::snapshot;
use xxhash_rust::xxh3::xxh3_64;

use super::media::Part;
use super::running::Running;
use super::{End, FOUNDING, Inside, Life, Node, inside};
use crate::around::{Around, Happening};
use crate::selves::Selves;
use crate::violation::{Broken, Stop};

/// How long the log keeps what follows a snapshot that is being fetched, in microseconds.
const HOLD_US: u64 = 3_000_000;

/// A snapshot that a node gives to others.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    index: Index,
    digest: u64,
    bytes: Bytes,
    held_until_us: u64,
}

impl Running {
    /// This node needs a snapshot.
    pub(super) fn want(&mut self, from: NodeId, index: Index, around: &mut Around) {
        self.wanted = Some((from, index));
        if !std::mem::replace(&mut self.fetching, true) {
            let (node, run) = (self.position, self.run);
            around.after(around.settings.network.latency_us, Happening::Fetch { node, run });
        }
    }

    /// Up to where the log may be trimmed for the sake of those who fetch.
    pub(super) fn trim_floor(&mut self, now_us: u64) -> Option<Index> {
        self.outgoing.take_if(|outgoing| outgoing.held_until_us < now_us);
        self.outgoing.as_ref().map(|outgoing| outgoing.index)
    }

    /// A snapshot that holds at least the effect of this entry, if there is one by now.
    pub(crate) fn offer(
        &mut self,
        at_least: Index,
        around: &mut Around,
    ) -> Result<Option<Outgoing>, Stop> {
        let held_until_us = around.now_us + HOLD_US;
        if let Some(outgoing) = self.outgoing.as_mut().filter(|it| it.index >= at_least) {
            outgoing.held_until_us = held_until_us;
            return Ok(Some(outgoing.clone()));
        }
        if self.state.durable() < at_least.max(FOUNDING.0) {
            self.flush_soon(around);
            return Ok(None);
        }
        if self.engine_rotten {
            return Err(Stop::Ended(End::EngineRotten));
        }
        let mut bytes = Vec::new();
        let made = snapshot::export(&*self.engine, ClusterId(1), &mut bytes);
        let summary =
            made.map_err(|error| ("snapshot", format!("node {}: {error}", self.position)))?;
        around.coverage.snapshots_made += 1;
        let (index, digest) = (summary.header.index, xxh3_64(&bytes));
        self.outgoing = Some(Outgoing { index, digest, bytes: bytes.into(), held_until_us });
        Ok(self.outgoing.clone())
    }
}

/// What a node that fetches asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// At which place; anywhere if it does not say.
    pub(crate) place: Option<usize>,
    /// Whom; whoever lives there if it does not say.
    pub(crate) from: Option<NodeId>,
    pub(crate) at_least: Index,
}

impl Node {
    /// What this node fetches, if this is still the run that does.
    pub(crate) fn wanted(&mut self, run: u64, selves: &Selves) -> Option<Wanted> {
        if self.runs != run {
            return None;
        }
        if let Life::Repairing { at_least, from } = self.life {
            return Some(Wanted { place: from, from: None, at_least });
        }
        let running = self.running.as_mut()?;
        let needed = running.wanted.filter(|&(_, index)| index > running.core.applied());
        if needed.is_none() {
            (running.wanted, running.fetching) = (None, false);
        }
        needed.map(|(from, at_least)| Wanted {
            place: Some(selves.place(from)),
            from: Some(from),
            at_least,
        })
    }

    /// Where a node that is repaired goes on asking: nowhere in particular if nothing came.
    pub(crate) fn goes_on_with(&mut self, place: Option<usize>) {
        self.fetch_interrupted |= place.is_none();
        if let Life::Repairing { from, .. } = &mut self.life {
            *from = place;
        }
    }

    /// The next piece of a snapshot comes in. True if there are more.
    pub(crate) fn take_piece(
        &mut self,
        offer: &Outgoing,
        around: &mut Around,
    ) -> Result<bool, Broken> {
        let part = &mut self.media.part;
        if part.digest != offer.digest || part.bytes.len() > offer.bytes.len() {
            *part = Part { digest: offer.digest, bytes: Vec::new() };
        }
        let begun = part.bytes.len();
        let interrupted = std::mem::take(&mut self.fetch_interrupted);
        around.coverage.snapshots_resumed += u64::from(interrupted && begun > 0);
        let piece = offer.bytes.len().div_ceil(around.settings.snapshot_pieces).max(1);
        let end = offer.bytes.len().min(begun + piece);
        part.bytes.extend_from_slice(&offer.bytes[begun..end]);
        around.coverage.snapshot_pieces += 1;
        let position = self.position;
        around.trace.note([30, position as u64, end as u64]);
        around.trace.line(around.now_us, || format!("n{position} has {end} bytes of a snapshot"));
        if end < offer.bytes.len() {
            if let Some(running) = &self.running {
                let chance = around.settings.faults.cut_in_fetch;
                running.lose_power_soon(chance, 2_000, around);
            }
            return Ok(true);
        }
        let part = std::mem::take(&mut self.media.part);
        if xxh3_64(&part.bytes) != part.digest {
            // Its beginning was lost in a crash: it is fetched again.
            around.coverage.snapshots_damaged += 1;
            return Ok(true);
        }
        let checked = snapshot::Reader::new(&part.bytes[..]).and_then(snapshot::Reader::verify);
        checked.map_err(|error| ("snapshot", format!("node {position} was given: {error}")))?;
        self.media.pending = Some(part.bytes.into());
        match &mut self.running {
            Some(running) => {
                (running.wanted, running.fetching) = (None, false);
                let delay = around.dice.between(0, 2_000);
                around.after(delay, inside(position, running.run, Inside::Fetched));
            }
            None => {
                // What is damaged may look whole, and newer than the snapshot.
                self.media.engine = std::sync::Arc::default();
                self.media.engine_rotten = false;
                self.life = Life::Member;
            }
        }
        Ok(false)
    }

    /// A snapshot waits to be installed. Meanwhile the log may have brought more.
    pub(super) fn fetched(&mut self) -> Result<(), Stop> {
        let applied = self.running.as_ref().map(|running| running.core.applied());
        let Some(pending) = &self.media.pending else { return Ok(()) };
        let reader = snapshot::Reader::new(&pending[..])
            .map_err(|error| ("snapshot", format!("that was checked: {error}")))?;
        if applied.is_some_and(|applied| reader.header().index <= applied) {
            self.media.pending = None;
            return Ok(());
        }
        Err(Stop::Ended(End::Install))
    }
}
