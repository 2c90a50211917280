//! The network between the nodes: late, lossy, doubled, cut.

use std::collections::VecDeque;

use bytes::Bytes;
use remex_model::NodeId;

use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::settings::NetworkSettings;

/// Old messages that each link remembers, to bring them again.
const REMEMBERED: usize = 32;

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// The place that it comes from.
    pub(crate) from: usize,
    /// The place that it goes to.
    pub(crate) to: usize,
    pub(crate) sender: NodeId,
    pub(crate) receiver: NodeId,
    /// The run of the sender's process.
    pub(crate) run: u64,
    /// Position on its link, to notice that it was overtaken; the network sets it.
    pub(crate) number: u64,
    pub(crate) bytes: Bytes,
}

/// One direction between two nodes.
#[derive(Debug, Default)]
struct Link {
    sent: u64,
    /// The highest number that was delivered.
    delivered: u64,
    /// When the last message will arrive: on a link that keeps the order none comes earlier.
    last_at_us: u64,
    /// Nothing passes before this moment.
    cut_until_us: u64,
    /// Before this moment everything takes so much longer.
    slow_until_us: u64,
    slower_us: u64,
    remembered: VecDeque<Packet>,
}

/// All links.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: usize,
    links: Vec<Link>,
    settings: NetworkSettings,
    dice: Dice,
}

impl Network {
    pub(crate) fn new(nodes: usize, settings: NetworkSettings, dice: Dice) -> Self {
        let links = (0..nodes * nodes).map(|_| Link::default()).collect();
        Self { nodes, links, settings, dice }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.nodes + to]
    }

    /// Takes a message; tells `arrives` when it does, perhaps never, perhaps several times. False
    /// if it does not arrive at all.
    pub(crate) fn send(
        &mut self,
        now_us: u64,
        mut packet: Packet,
        coverage: &mut Coverage,
        mut arrives: impl FnMut(u64, Packet),
    ) -> bool {
        let (from, to) = (packet.from, packet.to);
        coverage.sent += 1;
        let link = self.link(from, to);
        link.sent += 1;
        packet.number = link.sent;
        if link.cut_until_us > now_us {
            coverage.cut += 1;
            return false;
        }
        if self.dice.chance(self.settings.loss) {
            coverage.lost += 1;
            return false;
        }
        if self.dice.chance(self.settings.doubling) {
            coverage.doubled += 1;
            arrives(self.arrival(now_us, from, to), packet.clone());
        }
        if self.settings.replay > 0 {
            if self.dice.chance(self.settings.replay) {
                self.replay(now_us, from, to, coverage, &mut arrives);
            }
            let remembered = &mut self.link(from, to).remembered;
            remembered.push_back(packet.clone());
            if remembered.len() > REMEMBERED {
                remembered.pop_front();
            }
        }
        arrives(self.arrival(now_us, from, to), packet);
        true
    }

    /// An old message of a link comes again.
    fn replay(
        &mut self,
        now_us: u64,
        from: usize,
        to: usize,
        coverage: &mut Coverage,
        arrives: &mut impl FnMut(u64, Packet),
    ) {
        let count = self.link(from, to).remembered.len();
        if count > 0 {
            coverage.replayed += 1;
            let position = self.dice.below(count);
            let old = self.link(from, to).remembered[position].clone();
            arrives(now_us + self.dice.between(1, 5_000_000), old);
        }
    }

    fn arrival(&mut self, now_us: u64, from: usize, to: usize) -> u64 {
        let jitter = self.dice.between(0, self.settings.jitter_us);
        let at = now_us + self.settings.latency_us + jitter;
        let overtaking = self.settings.overtaking;
        let link = self.link(from, to);
        let at = if link.slow_until_us > now_us { at + link.slower_us } else { at };
        link.last_at_us = link.last_at_us.max(at);
        if overtaking { at } else { link.last_at_us }
    }

    /// A message arrives. False if a cut that began meanwhile strikes it.
    pub(crate) fn deliver(
        &mut self,
        now_us: u64,
        packet: &Packet,
        coverage: &mut Coverage,
    ) -> bool {
        let link = self.link(packet.from, packet.to);
        if link.cut_until_us > now_us {
            coverage.cut += 1;
            return false;
        }
        if packet.number < link.delivered {
            coverage.overtaken += 1;
        }
        link.delivered = link.delivered.max(packet.number);
        true
    }

    pub(crate) fn is_cut(&self, now_us: u64, from: usize, to: usize) -> bool {
        self.links[from * self.nodes + to].cut_until_us > now_us
    }

    /// Nothing passes from one node to another until then.
    pub(crate) fn cut(&mut self, from: usize, to: usize, until_us: u64) {
        let link = self.link(from, to);
        link.cut_until_us = link.cut_until_us.max(until_us);
    }

    /// Until then everything from one node to another takes so much longer.
    pub(crate) fn slow_down(&mut self, from: usize, to: usize, slower_us: u64, until_us: u64) {
        let link = self.link(from, to);
        (link.slower_us, link.slow_until_us) = (slower_us, until_us);
    }

    /// How long a step of a transfer takes that is no message, in both directions.
    pub(crate) fn round_trip(&mut self) -> u64 {
        2 * self.settings.latency_us + self.dice.between(0, self.settings.jitter_us)
    }

    /// Ends every cut and every misbehavior: from now on messages come soon and in order.
    pub(crate) fn heal(&mut self) {
        for link in &mut self.links {
            (link.cut_until_us, link.slow_until_us) = (0, 0);
        }
        self.settings.latency_us = self.settings.latency_us.min(1_000);
        self.settings.jitter_us = self.settings.jitter_us.min(1_000);
        self.settings.overtaking = false;
        self.settings.loss = 0;
        self.settings.doubling = 0;
        self.settings.replay = 0;
        self.settings.client_loss = 0;
    }

    /// How long a client's request, or the answer to it, is on its way; `None` if it gets lost.
    pub(crate) fn client_delay(&mut self) -> Option<u64> {
        let lost = self.dice.chance(self.settings.client_loss);
        let delay = self.settings.latency_us + self.dice.between(0, self.settings.jitter_us);
        (!lost).then_some(delay)
    }
}
