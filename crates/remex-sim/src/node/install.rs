//! Putting a snapshot in the place of the engine, in the product's order of durable steps: the
//! engine goes, the new one comes, the log is emptied behind it unless it reaches that far, and only
//! then the snapshot goes. The power may fail after each.

use std::sync::Arc;

use remex_consensus::Entry;
use remex_engine::{Direction, Engine as _, MemoryEngine};
use remex_log::memory_disk::MemoryDisk;
use remex_log::{Log, LogError};
use remex_model::{Index, NodeId};
use remex_state::{Options, State, snapshot};

use super::{End, Node, found};
use crate::around::Around;
use crate::plant::Plant;
use crate::violation::Stop;

/// Where the numbers of the oldest remembered request and of the next one stand in the first row.
const FIRST_REQUEST: std::ops::Range<usize> = 41..49;
const NEXT_REQUEST: std::ops::Range<usize> = 49..57;

impl Node {
    /// Puts the snapshot that waits for it in the place of the engine. Answers whether the state is
    /// that of a snapshot: from then on the log may begin behind it.
    pub(super) fn install(&mut self, around: &mut Around) -> Result<bool, Stop> {
        let Some(bytes) = self.media.pending.clone() else { return Ok(false) };
        let broken = |error: &dyn std::fmt::Display| {
            Stop::Broken(("snapshot", format!("a snapshot that was checked: {error}")))
        };
        let reader = snapshot::Reader::new(&bytes[..]).map_err(|error| broken(&error))?;
        let index = reader.header().index;
        let there = self.engine_index();
        if there.is_some_and(|there| there >= index) {
            return Ok(there == Some(index));
        }
        self.media.engine = Arc::new(MemoryEngine::new());
        self.media.engine_rotten = false;
        self.crash_point(around)?;
        let membership = match around.plant {
            Some(Plant::SnapshotOfOtherMembers) => Some(around.founding.clone()),
            Some(_) | None => None,
        };
        snapshot::import(&*self.media.engine, reader, membership)
            .map_err(|error| broken(&error))?;
        if around.plant == Some(Plant::RequestsLeftOut) {
            forget_requests(&self.media.engine).map_err(|error| broken(&error))?;
        }
        around.coverage.snapshots_installed += 1;
        self.crash_point(around)?;
        Ok(true)
    }

    /// Up to where the engine holds the state, if it can be read.
    fn engine_index(&self) -> Option<Index> {
        let engine = Arc::new(self.media.engine.image());
        let state = State::open(engine, Options::default(), None);
        state.ok().filter(|_| !self.media.engine_rotten).map(|state| state.durable())
    }

    /// Here the power may fail.
    fn crash_point(&mut self, around: &mut Around) -> Result<(), Stop> {
        if self.dice.chance(around.settings.disk.cut_in_recovery) {
            around.coverage.crashes_in_installing += 1;
            return self.fails(End::PowerCut);
        }
        Ok(())
    }

    /// Makes sure that the log goes on where the state ends. A log that is new, or that does not
    /// reach a snapshot that was just installed, begins behind it. Answers with its entries.
    pub(super) fn connect(
        &mut self,
        id: NodeId,
        (log, entries): (&mut Log<MemoryDisk>, Vec<Entry>),
        state: &State<MemoryEngine>,
        installed: bool,
        around: &mut Around,
    ) -> Result<Vec<Entry>, Stop> {
        let (applied, term) = (state.applied(), state.applied_term());
        if installed {
            around.judge.installed(id, applied, term, state.hash(), &state.membership())?;
        }
        let reaches = log.term(applied.get()) == Some(term.get());
        let forgets = around.plant == Some(Plant::SnapshotForgetsTail) && installed;
        if reaches && !forgets {
            return Ok(entries);
        }
        if self.has_log && !installed {
            let (first, last) = (log.first_index(), log.last_index());
            let detail = format!(
                "node {}: the log holds entries {first} to {last}, the state has applied {applied}",
                self.position
            );
            return Err(Stop::Broken(("log", detail)));
        }
        if self.has_log {
            let behind = found::hard_state_behind(log.hard_state(), applied, term);
            around.judge.emptying(id, applied, (behind.term, behind.vote));
            around.coverage.logs_emptied += 1;
        }
        if let Err(error) = found::begin_behind(log, applied, term) {
            let planned = match error {
                LogError::Io(_) | LogError::Poisoned if self.media.disk.is_cut() => {
                    Some(End::PowerCut)
                }
                LogError::Full(_) if self.disk_full => Some(End::DiskFull),
                _ => None,
            };
            return Err(self.start_failed(planned, &error));
        }
        let hard_state = super::recover::hard_state(log);
        around.judge.recovered(id, hard_state, Index(log.first_index()), &[])?;
        if installed {
            self.crash_point(around)?;
        }
        Ok(Vec::new())
    }
}

/// The planted bug: the first row says that no request is remembered.
fn forget_requests(engine: &MemoryEngine) -> Result<(), remex_engine::EngineError> {
    use std::ops::Bound::Unbounded;
    let Some(row) = engine.scan(Unbounded, Unbounded, Direction::Forward).next() else {
        return Ok(());
    };
    let (key, row) = row?;
    let mut row = row.to_vec();
    row.copy_within(NEXT_REQUEST, FIRST_REQUEST.start);
    engine.ingest(&mut |sink| sink.put(&key, &row))
}
