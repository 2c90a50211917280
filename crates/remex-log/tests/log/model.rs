//! The reference: a log is a vector. And what a crash may leave of it.

use remex_log::{Disk, HardState, Log, LogEntry, LogError, Position, SpareJob};

use crate::entry;

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

/// A log driven by dice, with everything that a crash may leave of it.
pub(crate) struct Driven {
    /// What the log may hold after a crash; the first one is durable, the last one is what it
    /// holds now.
    pub(crate) possible: Vec<Model>,
    /// Entries up to here may have been released.
    pub(crate) trimmed: u64,
    dice: fastrand::Rng,
}

impl Driven {
    pub(crate) fn new(seed: u64) -> Self {
        let dice = fastrand::Rng::with_seed(seed);
        Self { possible: vec![Model::default()], trimmed: 0, dice }
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.dice.u32(0..100) < percent
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.dice.u64(0..limit)
    }

    pub(crate) fn now(&self) -> &Model {
        self.possible.last().expect("there is always one")
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

    fn is_durable(&mut self) {
        self.possible.drain(..self.possible.len() - 1);
    }

    /// Does one random thing.
    pub(crate) fn step<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), LogError> {
        match self.dice.u32(0..100) {
            0..45 => self.append(log),
            45..75 => {
                log.sync()?;
                self.is_durable();
                Ok(())
            }
            75..80 => log.mark_synced(),
            80..90 => self.trim(log),
            90..93 => self.start_after(log),
            93..96 => {
                // A spare that could not be made does not concern the log.
                if let Some(Ok(spare)) = log.spare_job().map(SpareJob::run) {
                    log.add_spare(spare);
                }
                Ok(())
            }
            _ => {
                log.read(log.first_index(), log.last_index() + 1, 0)?;
                assert!(self.now().matches(log, self.trimmed));
                Ok(())
            }
        }
    }

    fn append<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), LogError> {
        let mut model = self.now().clone();
        let hard_state = self.chance(40).then(|| HardState {
            term: model.hard_state.term + 1,
            vote: self.dice.u64(0..4),
            commit: self.dice.u64(0..=model.last_index() + 2),
        });
        let floor = model.base.index.max(self.trimmed).min(model.last_index());
        let conflict = self.chance(20);
        let first = match (conflict, self.chance(50)) {
            (false, _) => model.last_index() + 1,
            // Right behind what was trimmed: segments that replaced entries are released too.
            (true, true) => floor + 1,
            (true, false) => self.dice.u64(floor..=model.last_index()) + 1,
        };
        let count = self.dice.u64(0..6);
        let term = model.hard_state.term + u64::from(conflict);
        let new: Vec<_> = (first..first + count)
            .map(|index| {
                let bytes = if self.chance(10) { 4096 } else { self.dice.usize(0..600) };
                entry(index, term, bytes)
            })
            .collect();
        if let Some(hard_state) = hard_state {
            model.hard_state = hard_state;
        }
        if count > 0 {
            model.truncate(first - 1);
        }
        self.possible.push(model.clone());
        for entry in &new {
            model.entries.push(entry.clone());
            self.possible.push(model.clone());
        }
        log.append(hard_state, &new)
    }

    fn trim<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), LogError> {
        let least = self.possible.iter().map(Model::last_index).min().unwrap_or_default();
        let up_to = self.trimmed.min(least) + self.dice.u64(0..4);
        let up_to = if self.chance(70) { up_to.min(least) } else { self.dice.u64(0..=least) };
        self.trimmed = self.trimmed.max(up_to);
        log.trim(up_to)
    }

    fn start_after<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), LogError> {
        let mut model = self.now().clone();
        let index = model.last_index() + self.dice.u64(0..20);
        model.base = Position { index, term: model.hard_state.term };
        model.entries.clear();
        self.possible.push(model.clone());
        log.start_after(None, model.base)
    }
}
