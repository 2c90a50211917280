//! A disk on which one chosen call fails, of any kind, and that remembers which one it was.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use remex_log::memory_disk::{MemoryDisk, MemoryFile};
use remex_log::{Disk, DiskFile};

/// What a disk is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Create,
    Write,
    Sync,
    Rename,
    Remove,
    SyncDir,
    /// Lists, opens, measures or reads.
    Look,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `EIO`. A write has written its first half; a sync lost some sectors and left them clean.
    Broken,
    /// `ENOSPC`, likewise.
    Full,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Broken => io::Error::from_raw_os_error(5),
            Self::Full => io::Error::from_raw_os_error(28),
        }
    }
}

/// The call that failed.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) call: Call,
    /// Name of the file at that moment; empty for the directory.
    pub(crate) file: String,
    /// Where in it, for a read or a write.
    pub(crate) offset: Option<u64>,
}

impl Hit {
    /// Whether it was a write or sync into a file that is part of the log, or of the directory.
    pub(crate) fn is_live(&self) -> bool {
        match self.call {
            Call::Write | Call::Sync => self.file.ends_with(".log"),
            Call::SyncDir => true,
            Call::Create | Call::Rename | Call::Remove | Call::Look => false,
        }
    }
}

#[derive(Debug, Default)]
struct Plan {
    changes: u64,
    looks: u64,
    /// Counts nothing for now.
    suspended: bool,
    change: Option<(u64, Fault)>,
    look: Option<u64>,
    hit: Option<Hit>,
    /// What the files opened are called now.
    names: BTreeMap<u64, String>,
    next_file: u64,
}

impl Plan {
    /// Counts a call; returns how it fails, if it does.
    fn count(&mut self, call: Call, file: &str, offset: Option<u64>) -> Option<Fault> {
        if self.suspended {
            return None;
        }
        let fault = if call == Call::Look {
            self.looks += 1;
            (self.look == Some(self.looks)).then_some(Fault::Broken)
        } else {
            self.changes += 1;
            self.change.filter(|(at, _)| *at == self.changes).map(|(_, fault)| fault)
        }?;
        self.hit = Some(Hit { call, file: file.to_owned(), offset });
        Some(fault)
    }

    fn check(&mut self, call: Call, file: &str) -> io::Result<()> {
        self.count(call, file, None).map_or(Ok(()), |fault| Err(fault.error()))
    }
}

/// Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Faulty {
    pub(crate) memory: MemoryDisk,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug)]
pub(crate) struct FaultyFile {
    disk: Faulty,
    file: MemoryFile,
    number: u64,
}

impl Faulty {
    pub(crate) fn new(seed: u64) -> Self {
        Self { memory: MemoryDisk::new(seed), plan: Arc::default() }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("no test goes on after a panic")
    }

    pub(crate) fn fail_change_at(&self, nth: u64, fault: Fault) {
        self.plan().change = Some((nth, fault));
    }

    pub(crate) fn fail_look_at(&self, nth: u64) {
        self.plan().look = Some(nth);
    }

    /// How many changes and how many looks there were.
    pub(crate) fn calls(&self) -> (u64, u64) {
        let plan = self.plan();
        (plan.changes, plan.looks)
    }

    pub(crate) fn hit(&self) -> Option<Hit> {
        self.plan().hit.clone()
    }

    /// Does something that is not part of the life under test.
    pub(crate) fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        self.plan().suspended = true;
        let result = act();
        self.plan().suspended = false;
        result
    }

    fn opened(&self, name: &str, file: MemoryFile) -> FaultyFile {
        let mut plan = self.plan();
        plan.next_file += 1;
        let number = plan.next_file;
        plan.names.insert(number, name.to_owned());
        FaultyFile { disk: self.clone(), file, number }
    }
}

impl Disk for Faulty {
    type File = FaultyFile;

    fn place(&self) -> String {
        "a faulty disk".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.plan().check(Call::Look, "")?;
        self.memory.list()
    }

    fn create(&self, name: &str) -> io::Result<FaultyFile> {
        self.plan().check(Call::Create, name)?;
        Ok(self.opened(name, self.memory.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<FaultyFile> {
        self.plan().check(Call::Look, name)?;
        Ok(self.opened(name, self.memory.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan().check(Call::Rename, from)?;
        self.memory.rename(from, to)?;
        for name in self.plan().names.values_mut().filter(|name| *name == from) {
            *name = to.to_owned();
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.plan().check(Call::Remove, name)?;
        self.memory.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        let fault = self.plan().count(Call::SyncDir, "", None);
        if fault.is_some() {
            self.memory.fail_sync_at(1);
        }
        let synced = self.memory.sync_dir();
        fault.map_or(synced, |fault| Err(fault.error()))
    }
}

impl FaultyFile {
    fn count(&self, call: Call, offset: Option<u64>) -> Option<Fault> {
        let mut plan = self.disk.plan();
        let name = plan.names.get(&self.number).cloned().expect("every open file has a name");
        plan.count(call, &name, offset)
    }
}

impl DiskFile for FaultyFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.count(Call::Write, Some(offset)) {
            None => self.file.write_all_at(bytes, offset),
            Some(fault) => {
                self.file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
                Err(fault.error())
            }
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.count(Call::Look, Some(offset)) {
            None => self.file.read_at(buffer, offset),
            Some(fault) => Err(fault.error()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let fault = self.count(Call::Sync, None);
        if fault.is_some() {
            self.disk.memory.fail_sync_at(1);
        }
        let synced = self.file.sync();
        fault.map_or(synced, |fault| Err(fault.error()))
    }

    fn len(&self) -> io::Result<u64> {
        match self.count(Call::Look, None) {
            None => self.file.len(),
            Some(fault) => Err(fault.error()),
        }
    }
}
