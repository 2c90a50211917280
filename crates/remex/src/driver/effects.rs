//! Carrying out the core's effects: sending, applying, answering.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use remex_consensus::{ChangeRefusal, Entry, EntryKind, Leadership, Message, Role};
use remex_model::{Error, ErrorCode, NodeId};
use remex_state::{AppliedMembership, Change};
use tracing::Level;

use super::Driver;
use crate::cluster::Cluster;
use crate::ending::Ending;
use crate::inbox::ChangeError;
use crate::peer::frame;

/// Frames for each peer, gathered over a turn and sent with one system call.
#[derive(Debug, Default)]
pub(crate) struct Outboxes {
    frames: BTreeMap<NodeId, Vec<u8>>,
}

/// Pause between two looks whether the background has written a buffer.
const ROOM_PAUSE: Duration = Duration::from_millis(2);

/// Memory that an outbox keeps between turns; a large batch's is given back.
const OUTBOX_BYTES_KEPT: usize = 256 * 1024;

/// The part of the log that names every key that is written (docs/operations.md): a name of its own,
/// because most who look for details do not want a line for every write.
const WRITES: &str = "remex::writes";

impl Outboxes {
    pub(crate) fn add(&mut self, to: NodeId, message: &Message) {
        frame::append(self.frames.entry(to).or_default(), |out| message.encode(out));
    }

    pub(crate) fn flush(&mut self, cluster: &Cluster) {
        let peers = cluster.peers();
        for (to, frames) in &mut self.frames {
            if frames.is_empty() {
                continue;
            }
            if let Some(peer) = peers.get(to) {
                peer.link.send(frames);
            }
            frames.clear();
            frames.shrink_to(OUTBOX_BYTES_KEPT);
        }
    }
}

impl Driver {
    /// Applies committed entries and answers the clients of this node among them.
    pub(super) fn apply(&mut self, entries: Vec<Entry>) -> Result<(), Ending> {
        let mut outcomes = Vec::new();
        let mut memberships = Vec::new();
        let are_told = tracing::enabled!(target: WRITES, Level::DEBUG);
        let mut told = Vec::new();
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            for entry in entries {
                let index = entry.index;
                let failed =
                    |error| Ending::of_state(&format!("cannot apply entry {index}"), &error);
                match entry.kind {
                    EntryKind::Data => {
                        let applied = state.apply(index, entry.term, entry.data).map_err(failed)?;
                        let session = self.session;
                        let mine =
                            applied.outcomes.into_iter().filter(|(id, _)| id.session == session);
                        outcomes.extend(mine);
                        if are_told {
                            told.extend(applied.changes);
                        }
                    }
                    EntryKind::Membership => {
                        let applied = state.apply_membership(index, entry.term, entry.data);
                        memberships.push(applied.map_err(failed)?);
                    }
                }
                self.checkpoints.note(index, || state.hash());
            }
            self.board.set_buffer_bytes(state.buffer_bytes());
            self.board.set_revision(state.revision());
        }
        for (id, outcome) in outcomes {
            self.replies.written(id.sequence, outcome);
        }
        for applied in memberships {
            self.change_membership(applied);
        }
        told.iter().for_each(tell);
        self.wait_for_room();
        Ok(())
    }

    /// Takes a new membership on, and answers whoever asked for it.
    fn change_membership(&mut self, applied: AppliedMembership) {
        let AppliedMembership { id, membership, accepted } = applied;
        if accepted.is_ok() {
            let names: Vec<String> = membership
                .members()
                .map(|(member, part)| format!("{} ({part:?})", member.name))
                .collect();
            tracing::info!(members = %names.join(", "), "the membership changed");
            self.cluster.update(&membership);
            self.board.set_membership(Arc::clone(&membership));
        }
        if id.session == self.session {
            let refused = |error| ChangeError::Refused(ChangeRefusal::Invalid(error));
            self.replies.changed(id.sequence, accepted.map(|()| membership).map_err(refused));
        }
    }

    /// Holds applying back while the disk cannot keep up, so that memory stays bounded. A leader
    /// that is held back for long is replaced by one with a faster disk.
    fn wait_for_room(&self) {
        while self.board.buffer_bytes() > self.buffer_bytes_max && !self.inbox.must_stop() {
            std::thread::sleep(ROOM_PAUSE);
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            self.board.set_buffer_bytes(state.buffer_bytes());
        }
    }

    /// Tells people who leads.
    pub(super) fn announce(&mut self, leadership: Leadership) {
        let term = leadership.term;
        if leadership.role != Role::Leader {
            self.replies.changes_lost();
        }
        if leadership.leader.is_some_and(|leader| self.last_leader.replace(leader) != Some(leader))
        {
            self.meters.leader_changes.add();
        }
        match (leadership.role, leadership.leader) {
            (Role::Leader, _) => tracing::info!(%term, "this node leads"),
            (Role::Candidate, _) => tracing::info!(%term, "standing for election"),
            (Role::Follower, Some(leader)) => {
                tracing::info!(%term, leader = %self.cluster.name(leader), "following");
            }
            (Role::Follower, None) => tracing::info!(%term, "no leader"),
        }
    }

    /// Why a write was not resolved in time.
    pub(super) fn why_no_write(&self, sent: bool) -> Error {
        if sent {
            let detail = "the deadline passed before the write was known to be committed";
            return Error::new(ErrorCode::Timeout, detail)
                .hint("read the key to see whether the write was applied; with an Idempotency-Key a prompt retry is safe")
                .effect_unknown()
                .retry_after(1000);
        }
        self.why_no_read()
    }

    /// Why a read was not confirmed, or a write not even sent, in time.
    pub(super) fn why_no_read(&self) -> Error {
        let leadership = self.core.leadership();
        let (me, term) = (&self.cluster.me.name, leadership.term);
        let leader = leadership.leader.filter(|_| leadership.role != Role::Candidate);
        let detail = match leader {
            Some(leader) => {
                let leader = self.cluster.name(leader);
                format!("{me} has had no answer from the leader {leader} of term {term} in time")
            }
            None => format!("{me} knows of no leader (term {term})"),
        };
        let peers = self.cluster.peers();
        let silent: Vec<String> = peers
            .values()
            .filter(|peer| self.cluster.since_contact_ms(peer).is_none_or(|since| since > 2000))
            .map(|peer| self.cluster.name(peer.id))
            .collect();
        let members = peers.len() + 1;
        let hint = if silent.is_empty() {
            "an election may be under way; run: remex status".to_owned()
        } else {
            let (count, names) = (silent.len(), silent.join(", "));
            format!("{count} of {members} members unreachable: {names}. Run: remex status")
        };
        Error::new(ErrorCode::NoLeader, detail).hint(hint).retry_after(1000)
    }
}

/// Names a key that was written, for those who look for it; never its value.
fn tell(change: &Change) {
    let (key, revision) = (String::from_utf8_lossy(change.key.as_bytes()), change.revision);
    let done = if change.record.is_some() { "set" } else { "deleted" };
    tracing::debug!(target: WRITES, key = &*key, %revision, "{done}");
}
