//! The store as one would write it without a thought for cost: every key with all its versions.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use remex_model::{
    Command, Condition, Key, KeyRange, Outcome, Record, Refusal, Revision, Test, Write,
    WriteResult, Written,
};

/// See the module.
pub(crate) struct Model {
    pub(crate) revision: Revision,
    time_ms: u64,
    keys: BTreeMap<Bytes, Vec<(Revision, Option<Record>)>>,
    changes: Vec<(Revision, Bytes)>,
    requests: VecDeque<(Command, Outcome)>,
    request_keys_max: usize,
}

impl Model {
    pub(crate) fn new(request_keys_max: usize) -> Self {
        Self {
            revision: Revision(1),
            time_ms: 0,
            keys: BTreeMap::new(),
            changes: Vec::new(),
            requests: VecDeque::new(),
            request_keys_max,
        }
    }

    pub(crate) fn apply(&mut self, time_ms: u64, command: &Command) -> Outcome {
        self.time_ms = self.time_ms.max(time_ms);
        let remembered =
            self.requests.iter().find(|(had, _)| had.request_key == command.request_key);
        if let (Some((had, outcome)), true) = (remembered, command.request_key.is_some()) {
            if had != command {
                return Outcome::KeyReused { revision: self.revision };
            }
            return outcome.clone();
        }
        let outcome = self.execute(command);
        if command.request_key.is_some() {
            self.requests.push_back((command.clone(), as_repeated(&outcome)));
            if self.requests.len() > self.request_keys_max {
                self.requests.pop_front();
            }
        }
        outcome
    }

    fn execute(&mut self, command: &Command) -> Outcome {
        for (condition, Condition { key, test }) in command.conditions.iter().enumerate() {
            let current = self.get(key.bytes(), self.revision).map(|record| record.mod_revision);
            let holds = match test {
                Test::Revision(revision) => current == Some(*revision),
                Test::Exists => current.is_some(),
                Test::Absent => current.is_none(),
            };
            if !holds {
                return Outcome::Refused(Refusal { revision: self.revision, condition, current });
            }
        }
        let next = self.revision.next();
        let lines = self.changes.len();
        let results = command.writes.iter().map(|write| self.write(next, write)).collect();
        if self.changes.len() > lines {
            self.revision = next;
        }
        Outcome::Written(Written { revision: self.revision, results, repeated: false })
    }

    fn write(&mut self, revision: Revision, write: &Write) -> WriteResult {
        match write {
            Write::Put { key, value, lease } => {
                let previous = self.get(key.bytes(), revision);
                let create_revision = previous.as_ref().map_or(revision, |old| old.create_revision);
                let version = previous.as_ref().map_or(1, |old| old.version + 1);
                let record = Record {
                    create_revision,
                    mod_revision: revision,
                    version,
                    lease: *lease,
                    time_ms: self.time_ms,
                    value: value.clone(),
                };
                self.set(revision, key.bytes(), Some(record));
                WriteResult::Put { create_revision, version, previous }
            }
            Write::Delete { key } => {
                let previous = self.get(key.bytes(), revision);
                if previous.is_some() {
                    self.set(revision, key.bytes(), None);
                }
                WriteResult::Deleted { count: u64::from(previous.is_some()), previous }
            }
            Write::DeleteRange { range } => {
                let keys = self.list(range, revision);
                for (key, _) in &keys {
                    self.set(revision, key, None);
                }
                WriteResult::Deleted { count: keys.len() as u64, previous: None }
            }
        }
    }

    fn set(&mut self, revision: Revision, key: &Bytes, record: Option<Record>) {
        let versions = self.keys.entry(key.clone()).or_default();
        if versions.last().is_some_and(|(last, _)| *last == revision) {
            versions.pop();
        } else {
            self.changes.push((revision, key.clone()));
        }
        versions.push((revision, record));
    }

    /// The key's record at a revision.
    pub(crate) fn get(&self, key: &Bytes, at: Revision) -> Option<Record> {
        let versions = self.keys.get(key)?;
        versions.iter().rev().find(|(revision, _)| *revision <= at)?.1.clone()
    }

    /// The keys of a range at a revision, ascending.
    pub(crate) fn list(&self, range: &KeyRange, at: Revision) -> Vec<(Bytes, Record)> {
        let keys = self.keys.keys().filter(|key| range.contains(key));
        keys.filter_map(|key| Some((key.clone(), self.get(key, at)?))).collect()
    }

    /// The changes behind a revision.
    pub(crate) fn changes(&self, after: Revision) -> Vec<(Revision, Key, Option<Record>)> {
        let lines = self.changes.iter().filter(|(revision, _)| *revision > after);
        lines
            .map(|(revision, key)| (*revision, Key::new(key.clone()), self.get(key, *revision)))
            .collect()
    }
}

fn as_repeated(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused(_) | Outcome::KeyReused { .. } => outcome.clone(),
        Outcome::Written(written) => {
            let mut written = written.clone();
            written.repeated = true;
            for result in &mut written.results {
                match result {
                    WriteResult::Put { previous, .. } | WriteResult::Deleted { previous, .. } => {
                        *previous = None;
                    }
                }
            }
            Outcome::Written(written)
        }
    }
}
