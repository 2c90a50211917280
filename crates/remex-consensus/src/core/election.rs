//! When this node stands for election.

use raft::StateRole;
use remex_model::{NodeId, Term};

use super::Core;
use crate::timeout::Rank;

impl Core {
    pub(super) fn tick_election(&mut self) {
        if self.must_sync_first() {
            return;
        }
        let timeout = self.election_timeout();
        self.raft.raft.set_randomized_election_timeout(timeout);
        let elapsed = self.raft.raft.election_elapsed;
        self.raft.tick();
        // The library starts the count anew when it stands for election (a leader does so for
        // its own purposes).
        let raft = &self.raft.raft;
        if raft.state != StateRole::Leader && raft.election_elapsed <= elapsed {
            self.elections += 1;
            if self.now < self.hurried_until {
                self.hurry();
            }
        }
        self.forget_silent_leader(timeout);
    }

    /// Whoever cannot stand for election would follow a leader that is gone for ever. It must know
    /// that it has none: then it listens to leaders of whom it has not been told, and its clients
    /// are not sent to the old one.
    fn forget_silent_leader(&mut self, timeout: usize) {
        let raft = &mut self.raft.raft;
        let follows = raft.state == StateRole::Follower && raft.leader_id != 0;
        if follows && !raft.promotable() && raft.election_elapsed >= timeout {
            let term = raft.term;
            raft.become_follower(term, 0);
        }
    }

    /// Whether winning an election at this very moment is impossible: the only voter wins by
    /// standing, and the library wants the winner's log synced.
    pub(super) fn must_sync_first(&self) -> bool {
        let raft = &self.raft.raft;
        raft.state != StateRole::Leader
            && raft.promotable()
            && raft.prs().is_singleton()
            && raft.raft_log.persisted < raft.raft_log.last_index()
    }

    /// A peer's process is gone. If it led, an election comes soon. If that was a false alarm,
    /// nobody else's vote is lost by it (Raft thesis §9.6, pre-vote), and the leader's next
    /// heartbeat makes this node follow it again.
    pub(super) fn peer_gone(&mut self, peer: NodeId) {
        self.contacts.lost(peer);
        let raft = &mut self.raft.raft;
        if raft.state == StateRole::Follower && raft.leader_id == peer.get() {
            let term = raft.term;
            raft.become_follower(term, 0);
            // Others that have not noticed yet ignore candidates for an election timeout.
            self.hurried_until = self.now + 2 * self.config.election_ticks as u64;
            self.hurry();
        }
    }

    /// Moves the next election close. The library takes no timeout below its least one, so the
    /// time that has passed is what is changed.
    fn hurry(&mut self) {
        let soon = self.timeout.hurried_ticks(Term(self.raft.raft.term), self.rank());
        self.raft.raft.election_elapsed = self.election_timeout().saturating_sub(soon);
    }

    fn election_timeout(&self) -> usize {
        self.timeout.ticks(Term(self.raft.raft.term), self.elections, self.rank())
    }

    fn rank(&self) -> Rank {
        let me = self.id();
        Rank {
            before: self.membership.voters().filter(|&id| id < me).count(),
            voters: self.membership.voters().count(),
        }
    }
}
