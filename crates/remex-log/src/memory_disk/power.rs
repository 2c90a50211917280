//! The faults that are planned, and whether there is power.

use std::io;

#[derive(Clone, Debug, Default)]
pub(super) struct Power {
    /// Counts writes, syncs, and changes and syncs of names.
    pub(super) changes: u64,
    pub(super) writes: u64,
    pub(super) syncs: u64,
    pub(super) cut_at: Option<u64>,
    pub(super) fail_write_at: Option<u64>,
    pub(super) fail_sync_at: Option<u64>,
    pub(super) is_cut: bool,
    pub(super) full: bool,
    pub(super) full_at: Option<u64>,
    /// Bytes that all files together can have; no limit if none.
    pub(super) capacity: Option<u64>,
}

/// How an operation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// The power is cut in its middle.
    Cut,
    /// It fails.
    Failed,
}

impl Power {
    pub(super) fn no_power() -> io::Error {
        io::Error::other("the power is cut")
    }

    pub(super) fn check(&self) -> io::Result<()> {
        if self.is_cut { Err(Self::no_power()) } else { Ok(()) }
    }

    /// Counts a change.
    fn change(&mut self) -> Fate {
        self.changes += 1;
        self.full |= self.full_at == Some(self.changes);
        if self.cut_at.is_some_and(|at| self.changes >= at) {
            self.is_cut = true;
            return Fate::Cut;
        }
        Fate::Done
    }

    /// Counts a change of names. One that the power cut meets has not happened.
    pub(super) fn change_names(&mut self) -> io::Result<()> {
        self.check()?;
        match self.change() {
            Fate::Done => Ok(()),
            Fate::Cut | Fate::Failed => Err(Self::no_power()),
        }
    }

    pub(super) fn write(&mut self) -> Fate {
        self.writes += 1;
        let fails = self.fail_write_at == Some(self.writes);
        match self.change() {
            Fate::Done if fails => Fate::Failed,
            fate => fate,
        }
    }

    pub(super) fn sync(&mut self) -> Fate {
        self.syncs += 1;
        let fails = self.fail_sync_at == Some(self.syncs);
        match self.change() {
            Fate::Done if fails => Fate::Failed,
            fate => fate,
        }
    }

    /// Forgets what was planned; there is power.
    pub(super) fn restore(&mut self) {
        (self.cut_at, self.fail_write_at, self.fail_sync_at) = (None, None, None);
        self.full_at = None;
        self.is_cut = false;
    }
}
