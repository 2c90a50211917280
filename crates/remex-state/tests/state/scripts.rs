//! Golden scripts: `scripts/<topic>/<name>` holds commands and, behind `---`, what they print.
//! `REMEX_GOLDEN=1 cargo test -p remex-state` writes anew what they print; read the diff.
//!
//! Each line is one log entry or one question:
//!
//! ```text
//! options [history=BYTES] [age=MS] [requests=N]    first line only
//! write [time=MS] [request=KEY] [if KEY TEST,]... : WRITE; WRITE
//!     TEST:  exists | absent | REVISION
//!     WRITE: put KEY VALUE [LEASE] | del KEY | delrange START [END]
//! entry                                            an entry without commands
//! get KEY [at=R]      list PREFIX [limit=N] [after=KEY] [at=R] [desc] [keys] [count]
//! changes R [max=N]   status                       rows (of the engine, by table)
//! freeze, ingest, finish, flush (all three), crash (and apply again what was lost), compact
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use remex_engine::{Direction, Engine, MemoryEngine};
use remex_model::{
    Command, Condition, Index, Key, KeyRange, List, Order, Outcome, ReadOptions, Record,
    RequestKey, Revision, Term, Test, Value, Write, WriteResult,
};
use remex_state::{Frozen, Options, State};

use crate::batch;

#[test]
#[expect(clippy::disallowed_methods, reason = "the runner reads scripts and may write them")]
fn scripts_print_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let rewrite = std::env::var_os("REMEX_GOLDEN").is_some();
    let mut scripts = 0;
    for topic in std::fs::read_dir(folder).unwrap() {
        for script in std::fs::read_dir(topic.unwrap().path()).unwrap() {
            let path = script.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let actual = run(&text);
            if rewrite {
                std::fs::write(&path, actual).unwrap();
            } else {
                assert_eq!(actual, text, "{}", path.display());
            }
            scripts += 1;
        }
    }
    assert!(scripts >= 7, "only {scripts} scripts were found");
}

/// The script with what it prints now. Blocks end with a blank line.
fn run(text: &str) -> String {
    let mut runner = Runner::new(Options::default());
    let mut out = String::new();
    for block in text.split("\n\n") {
        let input = block.split("---\n").next().unwrap().trim_end();
        if !out.is_empty() {
            out.push('\n');
        }
        writeln!(out, "{input}").unwrap();
        if input.lines().all(|line| line.starts_with('#')) {
            continue;
        }
        out.push_str("---\n");
        for line in input.lines().filter(|line| !line.starts_with('#')) {
            let result = runner.line(line);
            if !result.is_empty() {
                writeln!(out, "{result}").unwrap();
            }
        }
    }
    out
}

struct Runner {
    options: Options,
    engine: Arc<MemoryEngine>,
    state: State<MemoryEngine>,
    frozen: Option<Frozen<MemoryEngine>>,
    log: Vec<Bytes>,
}

/// The words of a line and its `name=value` settings.
struct Line<'a> {
    words: Vec<&'a str>,
    settings: BTreeMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Self {
        let (settings, words) = line.split_whitespace().partition::<Vec<_>, _>(|w| w.contains('='));
        let settings = settings.into_iter().map(|it| it.split_once('=').unwrap()).collect();
        Self { words, settings }
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.settings.get(name).map(|text| text.parse().unwrap())
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }
}

impl Runner {
    fn new(options: Options) -> Self {
        let engine = Arc::new(MemoryEngine::new());
        let state = State::open(Arc::clone(&engine), options, None).unwrap();
        Self { options, engine, state, frozen: None, log: Vec::new() }
    }

    fn line(&mut self, text: &str) -> String {
        let line = Line::parse(text);
        let at = line.number("at").map(Revision);
        match line.words[0] {
            "options" => {
                let mut options = Options::default();
                let retention = &mut options.retention;
                retention.history_bytes_max = line.number("history").unwrap_or(u64::MAX);
                retention.history_age_ms = line.number("age").unwrap_or(u64::MAX);
                options.request_keys_max =
                    line.number("requests").map_or(8, |number| usize::try_from(number).unwrap());
                *self = Self::new(options);
                String::new()
            }
            "write" => self.write(text),
            "entry" => self.append(Bytes::new()),
            "get" => match self.state.get(&Key::from(line.words[1]), at) {
                Ok(found) => format!(
                    "{} @{}",
                    found.record.map_or("none".to_owned(), |record| show(&record)),
                    found.revision
                ),
                Err(error) => error.to_string(),
            },
            "list" => self.list(&line),
            "changes" => {
                let after = Revision(line.words[1].parse().unwrap());
                let max =
                    line.number("max").map_or(usize::MAX, |max| usize::try_from(max).unwrap());
                match self.state.changes(after, max) {
                    Ok(changes) => lines(changes.iter().map(|change| {
                        let record = change.record.as_ref().map_or("deleted".to_owned(), show);
                        format!("@{} {} {record}", change.revision, text_of(&change.key))
                    })),
                    Err(error) => error.to_string(),
                }
            }
            "status" => format!(
                "applied {} durable {} revision {} oldest {}",
                self.state.applied(),
                self.state.durable(),
                self.state.revision(),
                self.state.oldest_revision()
            ),
            "rows" => self.rows(),
            _ => self.flush(line.words[0]),
        }
    }

    fn flush(&mut self, step: &str) -> String {
        match step {
            "freeze" => {
                let frozen = self.state.freeze();
                let result = if frozen.is_some() { "frozen" } else { "nothing to freeze" };
                self.frozen = frozen.or(self.frozen.take());
                result.to_owned()
            }
            "ingest" => {
                self.frozen.as_ref().unwrap().write().unwrap();
                String::new()
            }
            "finish" => {
                drop(self.state.finish_flush(self.frozen.take().unwrap()));
                String::new()
            }
            "flush" => {
                self.flush("freeze");
                self.flush("ingest");
                self.flush("finish")
            }
            "crash" => {
                let hash = self.state.hash();
                self.frozen = None;
                self.engine = Arc::new(self.engine.image());
                self.state = State::open(Arc::clone(&self.engine), self.options, None).unwrap();
                let opened = self.state.applied();
                for payload in &self.log[usize::try_from(opened.get()).unwrap()..] {
                    let index = self.state.applied().next();
                    self.state.apply(index, Term(1), payload.clone()).unwrap();
                }
                assert_eq!(self.state.hash(), hash);
                format!("opened at {opened}, applied up to {}", self.state.applied())
            }
            "compact" => {
                self.engine.compact().unwrap();
                String::new()
            }
            other => panic!("unknown command {other}"),
        }
    }

    fn write(&mut self, text: &str) -> String {
        let (head, writes) = text.split_once(':').unwrap();
        let (head, conditions) = head.split_once(" if ").unwrap_or((head, ""));
        let line = Line::parse(head);
        let request = line.settings.get("request");
        let mut command = Command {
            request_key: request.map(|key| RequestKey(Bytes::copy_from_slice(key.as_bytes()))),
            ..Command::default()
        };
        for condition in conditions.split(',').filter(|condition| !condition.trim().is_empty()) {
            let words: Vec<&str> = condition.split_whitespace().collect();
            let test = match words[1] {
                "exists" => Test::Exists,
                "absent" => Test::Absent,
                revision => Test::Revision(Revision(revision.parse().unwrap())),
            };
            command.conditions.push(Condition { key: words[0].into(), test });
        }
        command.writes = writes.split(';').map(parse_write).collect();
        self.append(batch(line.number("time").unwrap_or(0), &[command]))
    }

    fn append(&mut self, payload: Bytes) -> String {
        self.log.push(payload.clone());
        let index = Index(self.log.len() as u64);
        let applied = self.state.apply(index, Term(1), payload).unwrap();
        lines(applied.outcomes.iter().map(|(_, outcome)| show_outcome(outcome)))
    }

    fn list(&self, line: &Line<'_>) -> String {
        let prefix = line.words.get(1).filter(|word| **word != "*").copied().unwrap_or_default();
        let at = line.number("at").map(Revision);
        let result = self.state.list(&List {
            range: KeyRange::prefix(prefix.to_owned()),
            after: line.settings.get("after").map(|key| Key::from(*key)),
            limit: line.number("limit").map_or(100, |limit| usize::try_from(limit).unwrap()),
            order: if line.has("desc") { Order::Descending } else { Order::Ascending },
            keys_only: line.has("keys"),
            count: line.has("count"),
            options: ReadOptions { at, ..ReadOptions::default() },
        });
        match result {
            Ok(page) => {
                let items = page
                    .items
                    .iter()
                    .map(|item| format!("{} {}", text_of(&item.key), show(&item.record)));
                let count = page.count.map_or(String::new(), |count| format!(" of {count}"));
                let more = if page.more { " and more" } else { "" };
                let summary = format!("{} keys{count}{more} @{}", page.items.len(), page.revision);
                lines(items.chain([summary]))
            }
            Err(error) => error.to_string(),
        }
    }

    fn rows(&self) -> String {
        let names = ["meta", "current", "history", "changes", "requests"];
        let mut counts = [0; 5];
        for row in self.engine.scan(Bound::Unbounded, Bound::Unbounded, Direction::Forward) {
            counts[usize::from(row.unwrap().0[0])] += 1;
        }
        let counts: Vec<String> =
            names.iter().zip(counts).map(|(name, count)| format!("{name} {count}")).collect();
        counts.join(", ")
    }
}

fn parse_write(text: &str) -> Write {
    let words: Vec<&str> = text.split_whitespace().collect();
    let bytes = |word: &str| Bytes::copy_from_slice(word.as_bytes());
    match words[0] {
        "put" => Write::Put {
            key: words[1].into(),
            value: Value::raw(bytes(words[2])),
            lease: words.get(3).map_or(0, |lease| lease.parse().unwrap()),
        },
        "del" => Write::Delete { key: words[1].into() },
        "delrange" => {
            let end = words.get(2).map(|word| bytes(word));
            Write::DeleteRange { range: KeyRange { start: bytes(words[1]), end } }
        }
        other => panic!("unknown write {other}"),
    }
}

fn show_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::KeyReused { revision } => format!("key reused @{revision}"),
        Outcome::Refused(refusal) => format!(
            "refused @{}: condition {} found {}",
            refusal.revision,
            refusal.condition,
            refusal.current.map_or("none".to_owned(), |current| current.to_string())
        ),
        Outcome::Written(written) => {
            let results: Vec<String> = written.results.iter().map(show_result).collect();
            let repeated = if written.repeated { " repeated" } else { "" };
            format!("@{}{repeated}: {}", written.revision, results.join("; "))
        }
    }
}

fn show_result(result: &WriteResult) -> String {
    let was = |previous: &Option<Record>| {
        previous.as_ref().map_or(String::new(), |record| format!(", was {}", show(record)))
    };
    match result {
        WriteResult::Put { create_revision, version, previous } => {
            format!("put created @{create_revision} version {version}{}", was(previous))
        }
        WriteResult::Deleted { count, previous } => format!("deleted {count}{}", was(previous)),
    }
}

fn show(record: &Record) -> String {
    format!(
        "{} (created @{} modified @{} version {} lease {} time {})",
        String::from_utf8_lossy(&record.value.bytes),
        record.create_revision,
        record.mod_revision,
        record.version,
        record.lease,
        record.time_ms
    )
}

fn text_of(key: &Key) -> &str {
    key.as_text().unwrap()
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}
