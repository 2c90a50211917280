//! What several clients did, recorded from many threads, and kept for whoever has to explain a
//! failure.
//!
//! An operation is recorded when it begins, as unknown, and completed when it ends. So a client
//! that dies or gives up leaves behind what is true: its write may still take effect.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Context;

use crate::linearizability::{Event, Op, Outcome};

/// A history that grows, stamped in nanoseconds since it was created.
#[derive(Debug)]
pub struct History {
    created: Instant,
    events: Mutex<Vec<Event>>,
}

/// An operation that has begun. Dropping it leaves its outcome unknown.
#[derive(Debug)]
#[must_use = "an operation that is never ended stays unknown"]
pub struct Pending {
    position: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// An empty history; its clock starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { created: Instant::now(), events: Mutex::default() }
    }

    /// Records that a client is about to ask. Call it before the request leaves.
    pub fn begin(&self, client: u64, key: impl Into<String>, op: Op) -> Pending {
        let key = key.into();
        let mut events = self.lock();
        let position = events.len();
        let (call_at, result) = (self.now(), Outcome::Unknown);
        events.push(Event { client, key, op, call_at, return_at: None, result });
        Pending { position }
    }

    /// Records the answer. Call it after the answer has arrived.
    pub fn end(&self, pending: Pending, result: Outcome) {
        let mut events = self.lock();
        let return_at = self.now();
        let event = &mut events[pending.position];
        event.return_at = Some(return_at);
        event.result = result;
    }

    /// A copy of what was recorded so far, in the order of the calls.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Writes what was recorded so far to a file, one JSON object a line.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_ndjson(&self, path: &Path) -> anyhow::Result<()> {
        let context = || format!("writing the history {}", path.display());
        let mut file = BufWriter::new(File::create(path).with_context(context)?);
        for event in self.events() {
            serde_json::to_writer(&mut file, &event).with_context(context)?;
            file.write_all(b"\n").with_context(context)?;
        }
        file.flush().with_context(context)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_nanos()).expect("no test runs for 500 years")
    }

    /// A client that panicked has not broken the list: every change to it is a single step.
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a file that [`History::write_ndjson`] wrote, to judge a failure again.
///
/// # Errors
/// If the file cannot be read, or a line is not an event; names the line.
pub fn read_ndjson(path: &Path) -> anyhow::Result<Vec<Event>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut events = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let context = || format!("{}, line {}", path.display(), number + 1);
        events.push(serde_json::from_str(&line.with_context(context)?).with_context(context)?);
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_comes_back_from_its_file() {
        let history = History::new();
        let put = history.begin(1, "k", Op::Put { value: "a\n\"b\"".to_owned() });
        let get = history.begin(2, "k", Op::Get);
        history.end(put, Outcome::written(2));
        history.end(get, Outcome::found("a\n\"b\"", Some(2)));
        let cas = Op::CompareAndSet { expect: None, value: None };
        let _lost = history.begin(3, "k", cas);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.ndjson");
        history.write_ndjson(&path).unwrap();
        let events = read_ndjson(&path).unwrap();
        assert_eq!(events, history.events());
        assert_eq!(events[2].result, Outcome::Unknown);
        assert_eq!(events[2].return_at, None);
        assert!(events[0].call_at <= events[1].call_at);
        assert!(events[0].return_at <= events[1].return_at);
    }

    #[test]
    fn a_file_that_is_no_history_is_refused_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.ndjson");
        std::fs::write(&path, "{\"client\":1}\n").unwrap();
        assert!(read_ndjson(&path).unwrap_err().to_string().ends_with("line 1"));
    }
}
