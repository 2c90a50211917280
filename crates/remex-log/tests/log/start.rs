//! Logs that begin behind a state made elsewhere: of a founded cluster, or from a snapshot.

use remex_log::{HardState, Log, Position};

use crate::entry;
use crate::faulty::Faulty;
use crate::life::{End, goes_on, options};
use crate::model::Tracked;

const SEGMENT_BYTES: u64 = 16 * 1024;

/// A log, and what it should hold.
struct Before {
    disk: Faulty,
    log: Log<Faulty>,
    tracked: Tracked,
}

impl Before {
    fn fresh(seed: u64) -> Self {
        let disk = Faulty::new(seed);
        let (log, _) = Log::open(disk.clone(), options(SEGMENT_BYTES, 1)).expect("nothing fails");
        Self { disk, log, tracked: Tracked::new() }
    }

    fn append(&mut self, indexes: std::ops::RangeInclusive<u64>, term: u64) -> &mut Self {
        let entries: Vec<_> = indexes.map(|index| entry(index, term, 1500)).collect();
        let commit = self.tracked.certain_index();
        let hard_state = Some(HardState { term, vote: 3, commit });
        self.tracked.append(&mut self.log, hard_state, &entries).expect("nothing fails");
        self
    }

    fn sync(&mut self) -> &mut Self {
        self.tracked.sync(&mut self.log).expect("nothing fails");
        self
    }

    fn trim(&mut self, up_to: u64) -> &mut Self {
        self.tracked.trim(&mut self.log, up_to, 0).expect("nothing fails");
        self
    }

    fn reopen(&mut self) -> &mut Self {
        self.log = Log::open(self.disk.clone(), options(SEGMENT_BYTES, 2)).expect("it opens").0;
        self.tracked.recovered(&self.log);
        self
    }
}

/// How a log may have come before: every way to end before, at, behind, or apart from the
/// snapshot's position, (40, 7).
const BEFORE: &[fn(u64) -> Before] = &[
    Before::fresh,
    |seed| {
        let mut fresh = Before::fresh(seed);
        fresh.reopen();
        fresh
    },
    // Ends before it; synced, or in part.
    |seed| {
        let mut log = Before::fresh(seed);
        log.append(1..=9, 1).sync();
        log
    },
    |seed| {
        let mut log = Before::fresh(seed);
        log.append(1..=5, 1).sync().append(6..=7, 2);
        log
    },
    // The last segment is full: a new one is begun.
    |seed| {
        let mut log = Before::fresh(seed);
        log.append(1..=1, 1).append(2..=2, 1).sync();
        log
    },
    // Ends at it, and goes beyond it, with another history; synced and not.
    |seed| {
        let mut log = Before::fresh(seed);
        log.append(1..=40, 6).sync();
        log
    },
    |seed| {
        let mut log = Before::fresh(seed);
        log.append(1..=45, 6).sync().append(44..=50, 8);
        log
    },
    // Trimmed, just opened, and begun behind another snapshot.
    |seed| {
        let mut log = Before::fresh(seed);
        log.append(1..=30, 4).sync().trim(25).append(31..=32, 5);
        log
    },
    |seed| {
        let mut log = Before::fresh(seed);
        log.append(1..=12, 4).reopen();
        log
    },
    |seed| {
        let mut log = Before::fresh(seed);
        let position = Position { index: 39, term: 6 };
        log.tracked.start_after(&mut log.log, None, position).expect("nothing fails");
        log.append(40..=41, 6);
        log
    },
];

/// Where a founded cluster begins, and where a snapshot ends.
const POSITIONS: [Position; 2] = [Position { index: 1, term: 1 }, Position { index: 40, term: 7 }];

/// Starts behind the position, and syncs.
fn start(before: &mut Before, position: Position) -> Result<(), remex_log::LogError> {
    let hard_state = HardState { term: position.term, vote: 0, commit: position.index };
    before.tracked.start_after(&mut before.log, Some(hard_state), position)?;
    before.tracked.sync(&mut before.log)
}

#[test]
fn a_log_starts_behind_any_position() {
    for (before, position) in BEFORE.iter().flat_map(|before| POSITIONS.map(|at| (before, at))) {
        let mut log = before(1);
        start(&mut log, position).unwrap();
        for reopened in [false, true] {
            if reopened {
                log.disk.memory.power_cut();
                log.reopen();
            }
            let Position { index, term } = position;
            assert!(log.tracked.matches(&log.log));
            assert_eq!((log.log.first_index(), log.log.last_index()), (index + 1, index));
            assert_eq!((log.log.term(index), log.log.term(index - 1)), (Some(term), None));
            assert_eq!(log.log.hard_state(), HardState { term, vote: 0, commit: index });
        }
        // Whatever was before takes no space any more, and the log goes on.
        log.trim(0);
        assert!(log.log.disk_bytes() <= 3 * SEGMENT_BYTES, "{}", log.log.disk_bytes());
        log.append(position.index + 1..=position.index + 4, 9).sync();
        goes_on(&log.disk.memory, &log.tracked, SEGMENT_BYTES);
    }
}

#[test]
fn a_crash_leaves_the_old_log_or_the_new_one() {
    let (mut ends, mut old, mut new) = (0, 0, 0);
    for (before, position) in BEFORE.iter().flat_map(|before| POSITIONS.map(|at| (before, at))) {
        for cut in 1.. {
            let mut log = before(cut);
            log.disk.memory.cut_power_at(cut);
            if start(&mut log, position).is_ok() {
                assert!(cut > 2, "a write and a sync at least");
                break;
            }
            for end in End::all() {
                let disk = end.of(&log.disk.memory);
                let (opened, _) = Log::open(disk.fork(), options(SEGMENT_BYTES, 5)).unwrap();
                let is_new = opened.last_index() == position.index
                    && opened.term(position.index) == Some(position.term);
                *(if is_new { &mut new } else { &mut old }) += 1;
                goes_on(&disk, &log.tracked, SEGMENT_BYTES);
                ends += 1;
            }
        }
    }
    assert!(ends > 500 && old > 100 && new > 100, "{ends} {old} {new}");
}
