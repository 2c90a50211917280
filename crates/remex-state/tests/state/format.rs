//! The rows of version 1, held fast: `format-1.hex` has one row a line, key and value in
//! hexadecimal, and today's code must write exactly these and read them.
//! `REMEX_GOLDEN=1 cargo test -p remex-state` writes the file anew; that is a new format, and
//! needs a new version.

use std::fmt::Write as _;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use remex_engine::{Direction, Engine, MemoryEngine};
use remex_model::{
    Command, Condition, Index, Key, KeyRange, Membership, Outcome, RequestKey, Revision, Term,
    Test, Value, Write,
};
use remex_state::{Options, State};

use crate::{batch, member};

/// One row of every kind, with every field used.
pub(crate) fn entries() -> Vec<bytes::Bytes> {
    let put =
        |key: &'static [u8], value: Value, lease| Write::Put { key: Key::new(key), value, lease };
    let first = Command {
        writes: vec![
            put(b"a\0b", Value::json("{\"n\": 1}"), 7),
            put(b"c", Value::raw("text"), 0),
            put(b"d", Value::default(), 0),
        ],
        ..Command::default()
    };
    let second = Command {
        request_key: Some(RequestKey("written".into())),
        writes: vec![
            put(b"a\0b", Value::json("2"), 0),
            Write::DeleteRange { range: KeyRange { start: "c".into(), end: None } },
        ],
        ..Command::default()
    };
    let refused = Command {
        request_key: Some(RequestKey("refused".into())),
        conditions: vec![Condition { key: Key::new(&b"a\0b"[..]), test: Test::Absent }],
        writes: vec![Write::Delete { key: "x".into() }],
    };
    vec![batch(1_700_000_000_000, &[first]), batch(1_700_000_000_500, &[second, refused])]
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the fixture is a file")]
fn rows_of_version_1_are_what_they_were() {
    let engine = Arc::new(MemoryEngine::new());
    let founders = Membership::founded([member(1), member(2)]);
    let mut state = State::open(Arc::clone(&engine), Options::default(), Some(founders)).unwrap();
    for payload in entries() {
        state.apply(state.applied().next(), Term(3), payload).unwrap();
    }
    let frozen = state.freeze().unwrap();
    frozen.write().unwrap();
    drop(state.finish_flush(frozen));
    let mut actual = String::new();
    for row in engine.scan(Bound::Unbounded, Bound::Unbounded, Direction::Forward) {
        let (key, value) = row.unwrap();
        writeln!(actual, "{key:x} {value:x}").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state/format-1.hex");
    if std::env::var_os("REMEX_GOLDEN").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    assert_eq!(actual, std::fs::read_to_string(path).unwrap());
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn rows_of_version_1_are_read() {
    let engine = MemoryEngine::new();
    let mut fill = |sink: &mut dyn remex_engine::RowSink| {
        for line in include_str!("format-1.hex").lines() {
            let (key, value) = line.split_once(' ').unwrap();
            sink.put(&unhex(key), &unhex(value))?;
        }
        Ok(())
    };
    engine.ingest(&mut fill).unwrap();
    let mut state = State::open(Arc::new(engine), Options::default(), None).unwrap();
    assert_eq!((state.applied(), state.applied_term()), (Index(3), Term(3)));
    assert_eq!(state.revision(), Revision(3));
    assert_eq!(*state.membership(), Membership::founded([member(1), member(2)]));
    let get = |state: &State<_>, key: &[u8], at| {
        state.get(&Key::new(key.to_vec()), Some(Revision(at))).unwrap().record
    };
    let old = get(&state, b"a\0b", 2).unwrap();
    assert_eq!((old.value, old.lease), (Value::json("{\"n\": 1}"), 7));
    let new = get(&state, b"a\0b", 3).unwrap();
    assert_eq!((new.value, new.version, new.time_ms), (Value::json("2"), 2, 1_700_000_000_500));
    assert_eq!(get(&state, b"c", 2).unwrap().value, Value::raw("text"));
    assert_eq!(get(&state, b"c", 3), None);
    assert_eq!(state.changes(Revision(1), 100).unwrap().len(), 6);
    // The remembered outcomes are those of the first time.
    let again = state.apply(Index(4), Term(3), entries()[1].clone()).unwrap();
    let outcomes: Vec<Outcome> = again.outcomes.into_iter().map(|(_, it)| it).collect();
    assert!(matches!(&outcomes[0], Outcome::Written(it) if it.repeated && it.results.len() == 2));
    assert!(matches!(&outcomes[1], Outcome::Refused(it) if it.current == Some(Revision(3))));
    assert_eq!(state.revision(), Revision(3));
}
