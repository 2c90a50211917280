//! Nodes that meet: messages that come in, handshakes, snapshots on their way.

use super::World;
use crate::around::Happening;
use crate::network::Packet;
use crate::node::{End, Greeting, Refusal};
use crate::violation::{Check, Stop};

/// Shortest pause before a fetch that found no source is tried again, in microseconds.
const FETCH_PAUSE_US: u64 = 100_000;

impl World {
    /// A message has come to a place.
    pub(super) fn deliver(&mut self, packet: Packet) -> Check {
        let node = packet.to;
        let Some(receiver) = self.nodes[node].running() else { return Ok(()) };
        if !receiver.has_greeted(packet.sender, packet.run) && !self.greet(&packet) {
            return Ok(());
        }
        let done = self.nodes[node].receive(packet, &mut self.around);
        self.stopped(node, done)
    }

    /// The first message of a process to another one: they greet, if both are there and the links
    /// between them pass in both directions, and look at each other.
    fn greet(&mut self, packet: &Packet) -> bool {
        let (from, to) = (packet.from, packet.to);
        let around = &mut self.around;
        let theirs = self.nodes[from].running().map(|running| running.greeting());
        let theirs = theirs.filter(|it| it.id == packet.sender && it.run == packet.run);
        let mine = self.nodes[to].running().map(|running| running.greeting());
        let (Some(theirs), Some(mine)) = (theirs, mine) else { return false };
        if around.network.is_cut(around.now_us, to, from) {
            return false;
        }
        let admitted = self.look(to, from, theirs);
        // Whoever has another self at its address is told by that one, and goes no further.
        let admitted = mine.id == packet.receiver && admitted && self.look(from, to, mine);
        if admitted {
            for (node, greeting) in [(to, theirs), (from, mine)] {
                let running = self.nodes[node].running_mut().expect("both run");
                running.greet(greeting);
            }
        }
        admitted
    }

    /// The node at `node` decides about the process at `other`, and tells it if it refuses.
    fn look(&mut self, node: usize, other: usize, them: Greeting) -> bool {
        let around = &mut self.around;
        let running = self.nodes[node].running().expect("it was just looked at");
        let Err(refusal) = running.admit(them, around.plant) else { return true };
        around.coverage.processes_refused += 1;
        around.trace.note([31, node as u64, other as u64]);
        around.trace.line(around.now_us, || format!("n{node} refuses n{other}: {refusal:?}"));
        if refusal != Refusal::Stranger {
            let delay = around.network.round_trip();
            let run = them.run;
            around.after(delay, Happening::Refused { node: other, run, refusal });
        }
        false
    }

    /// A process learns that a peer has refused it.
    pub(super) fn refused(&mut self, node: usize, run: u64, refusal: Refusal) -> Check {
        if self.nodes[node].run() != Some(run) {
            return Ok(());
        }
        let running = self.nodes[node].running().expect("this run of it lives");
        match refusal {
            Refusal::Stranger => {}
            Refusal::Removed => self.crash(node, End::Removed),
            Refusal::RolledBack(mark) if running.is_below(mark) => {
                let reason = format!("it is below {mark:?}");
                self.around.judge.finds_old_disk(running.id(), &reason)?;
                self.crash(node, End::OldDisk);
            }
            Refusal::RolledBack(_) => {}
        }
        Ok(())
    }

    /// The next piece of a snapshot, from a node that has one.
    pub(super) fn fetch(&mut self, node: usize, run: u64) -> Check {
        let around = &mut self.around;
        let Some(wanted) = self.nodes[node].wanted(run, &around.selves) else { return Ok(()) };
        let again = Happening::Fetch { node, run };
        let from = wanted.place.unwrap_or_else(|| around.dice.below(self.nodes.len()));
        let open = from != node
            && !around.network.is_cut(around.now_us, node, from)
            && !around.network.is_cut(around.now_us, from, node);
        let source = self.nodes[from]
            .running_mut()
            .filter(|source| open && wanted.from.is_none_or(|id| id == source.id()));
        let offer = match source.map(|source| source.offer(wanted.at_least, around)).transpose() {
            Ok(offer) => offer.flatten(),
            Err(Stop::Broken(broken)) => return Err(broken),
            Err(Stop::Ended(end)) => {
                self.crash(from, end);
                None
            }
        };
        let around = &mut self.around;
        let Some(offer) = offer else {
            around.coverage.fetches_cut_off += 1;
            self.nodes[node].goes_on_with(None);
            let pause = FETCH_PAUSE_US + around.dice.around(FETCH_PAUSE_US);
            around.after(pause, again);
            return Ok(());
        };
        self.nodes[node].goes_on_with(Some(from));
        let more = self.nodes[node].take_piece(&offer, around)?;
        if more {
            let delay = around.dice.around(around.settings.snapshot_piece_us);
            let delay = delay + around.network.round_trip();
            around.after(delay, again);
        } else if self.nodes[node].running().is_none() {
            around.after(1, Happening::Restart { node });
        }
        Ok(())
    }
}
