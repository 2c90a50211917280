//! A log driven by dice.

use remex_log::{Disk, HardState, Log, LogError, Position, SpareJob};

use crate::entry;
use crate::model::Tracked;

/// Dice, and what the log that they drive may hold.
pub(crate) struct Driven {
    pub(crate) tracked: Tracked,
    dice: fastrand::Rng,
}

impl Driven {
    pub(crate) fn new(seed: u64) -> Self {
        Self { tracked: Tracked::new(), dice: fastrand::Rng::with_seed(seed) }
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.dice.u32(0..100) < percent
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.dice.u64(0..limit)
    }

    /// Does one random thing.
    pub(crate) fn step<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), LogError> {
        match self.dice.u32(0..100) {
            0..45 => self.append(log),
            45..75 => self.tracked.sync(log),
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
                assert!(self.tracked.matches(log));
                Ok(())
            }
        }
    }

    fn append<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), LogError> {
        let model = self.tracked.now().clone();
        let hard_state = self.chance(40).then(|| HardState {
            term: model.hard_state.term + 1,
            vote: self.dice.u64(0..4),
            commit: self.dice.u64(0..=model.last_index() + 2),
        });
        let floor = model.base.index.max(self.tracked.trimmed).min(model.last_index());
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
        self.tracked.append(log, hard_state, &new)
    }

    fn trim<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), LogError> {
        let least = self.tracked.certain_index();
        let up_to = self.tracked.trimmed.min(least) + self.dice.u64(0..4);
        let up_to = if self.chance(70) { up_to.min(least) } else { self.dice.u64(0..=least) };
        let keep_bytes = self.dice.u64(0..3) * 8192;
        self.tracked.trim(log, up_to, keep_bytes)
    }

    fn start_after<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), LogError> {
        let model = self.tracked.now();
        let (last, term) = (model.last_index(), model.hard_state.term);
        let index = last + self.dice.u64(0..20);
        self.tracked.start_after(log, None, Position { index, term })
    }
}
