//! The reference: a log is a vector. And what a crash may leave of it ([`Tracked`]).

use remex_log::{Disk, HardState, Log, LogEntry, LogError, Position};

use crate::trim;

/// What a log should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) hard_state: HardState,
    pub(crate) base: Position,
    pub(crate) entries: Vec<LogEntry>,
}

impl Model {
    pub(crate) fn last_index(&self) -> u64 {
        self.base.index + self.entries.len() as u64
    }

    fn truncate(&mut self, last: u64) {
        self.entries.retain(|entry| entry.index <= last);
    }

    /// Whether `log` holds this, apart from what may have been trimmed.
    pub(crate) fn matches<D: Disk>(&self, log: &Log<D>, trimmed: u64) -> bool {
        let (first, last) = (log.first_index(), log.last_index());
        let limit = trimmed.max(self.base.index) + 1;
        if last != self.last_index() || first <= self.base.index || first > limit {
            return false;
        }
        let commit = self.hard_state.commit.min(last);
        if log.hard_state() != (HardState { commit, ..self.hard_state }) {
            return false;
        }
        let skipped = usize::try_from(first - self.base.index - 1).expect("a small number");
        let before = match skipped.checked_sub(1) {
            Some(position) => self.entries[position].term,
            None => self.base.term,
        };
        let held = log.read(first, last + 1, usize::MAX).expect("the log reads what it holds");
        held == self.entries[skipped..]
            && log.term(first - 1) == Some(before)
            && held.iter().all(|entry| log.term(entry.index) == Some(entry.term))
    }
}

/// What a log holds and what a crash may leave of it, kept beside the log: each change goes
/// through here.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    /// What the log may hold after a crash; the first one is durable, the last one is what it
    /// holds now.
    pub(crate) possible: Vec<Model>,
    /// Entries up to here may have been released.
    pub(crate) trimmed: u64,
}

impl Tracked {
    pub(crate) fn new() -> Self {
        Self { possible: vec![Model::default()], trimmed: 0 }
    }

    pub(crate) fn now(&self) -> &Model {
        self.possible.last().expect("there is always one")
    }

    /// Whether `log` holds what it should hold.
    pub(crate) fn matches<D: Disk>(&self, log: &Log<D>) -> bool {
        self.now().matches(log, self.trimmed)
    }

    /// Finds what a reopened log holds among what is possible; from then on that is durable.
    pub(crate) fn recovered<D: Disk>(&mut self, log: &Log<D>) {
        let matching = self.possible.iter().find(|model| model.matches(log, self.trimmed));
        let Some(model) = matching.cloned() else {
            let (first, last) = (self.possible.first(), self.possible.last());
            panic!("{log:?} {:?} is none of {first:?} to {last:?}", log.hard_state());
        };
        self.possible = vec![model];
    }

    /// Entries up to here are in every log that a crash may leave.
    pub(crate) fn certain_index(&self) -> u64 {
        self.possible.iter().map(Model::last_index).min().unwrap_or_default()
    }

    pub(crate) fn append<D: Disk>(
        &mut self,
        log: &mut Log<D>,
        hard_state: Option<HardState>,
        entries: &[LogEntry],
    ) -> Result<(), LogError> {
        let mut model = self.now().clone();
        if let Some(hard_state) = hard_state {
            model.hard_state = hard_state;
        }
        if let Some(first) = entries.first() {
            model.truncate(first.index - 1);
        }
        self.possible.push(model.clone());
        for entry in entries {
            model.entries.push(entry.clone());
            self.possible.push(model.clone());
        }
        log.append(hard_state, entries)
    }

    pub(crate) fn start_after<D: Disk>(
        &mut self,
        log: &mut Log<D>,
        hard_state: Option<HardState>,
        base: Position,
    ) -> Result<(), LogError> {
        let hard_state_now = hard_state.unwrap_or(self.now().hard_state);
        self.possible.push(Model { hard_state: hard_state_now, base, entries: Vec::new() });
        log.start_after(hard_state, base)
    }

    pub(crate) fn sync<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), LogError> {
        log.sync()?;
        self.possible.drain(..self.possible.len() - 1);
        Ok(())
    }

    /// Says that entries up to `up_to` are not needed any more.
    pub(crate) fn allow_trim(&mut self, up_to: u64) {
        self.trimmed = self.trimmed.max(up_to);
    }

    pub(crate) fn trim<D: Disk>(
        &mut self,
        log: &mut Log<D>,
        up_to: u64,
        keep_bytes: u64,
    ) -> Result<(), LogError> {
        self.allow_trim(up_to);
        trim(log, up_to, keep_bytes)
    }
}
