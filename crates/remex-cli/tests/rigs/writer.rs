//! A client that writes one thing after the other and knows exactly what must be there.
//!
//! Every writer has keys of its own and waits for each answer, so at most one of its writes has an
//! unknown outcome when a node dies. All else must be there to the byte, with its revision and its
//! number of writes, and nothing besides. The write in doubt is sent again under its request key:
//! it must have been applied once in the end, whether it was before or not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use remex_testkit::http::{Failure, HttpClient, Reply};
use serde_json::Value;

/// How long one answer may take. A node that stalls for longer is broken.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Keys of one writer.
const KEYS: usize = 24;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    value: String,
    revision: u64,
    version: u64,
}

/// One write of one or more keys; nothing for a deletion.
#[derive(Clone, Debug)]
struct Write {
    name: String,
    changes: Vec<(String, Option<String>)>,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Acknowledged,
    /// It had no effect, as the answer says: with this status.
    Refused(u16),
    /// Nobody answers, or the outcome is unknown.
    Lost,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    id: usize,
    random: fastrand::Rng,
    written: usize,
    kept: BTreeMap<String, Kept>,
    /// Every acknowledged change of a key with its revision, for reads of the past.
    past: Vec<(u64, String, Option<String>)>,
    /// Revisions that acknowledged writes took.
    changes: u64,
    unknown: Option<Write>,
}

impl Writer {
    pub(crate) fn new(id: usize) -> Self {
        Self {
            id,
            random: fastrand::Rng::with_seed(id as u64 + 1),
            written: 0,
            kept: BTreeMap::new(),
            past: Vec::new(),
            changes: 0,
            unknown: None,
        }
    }

    /// Revisions that this writer's acknowledged writes took.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Number of acknowledged changes of keys.
    pub(crate) fn acknowledged(&self) -> usize {
        self.past.len()
    }

    /// Some write: mostly of one key, now and then of several, now and then a deletion.
    pub(crate) fn step(&mut self, http: &mut HttpClient) -> Step {
        let write = match self.random.u8(..16) {
            0..=1 => self.write(|writer| vec![(writer.any_key(), None)]),
            2 => self.write(|writer| {
                let mut keys: Vec<String> = (0..3).map(|_| writer.any_key()).collect();
                keys.sort();
                keys.dedup();
                keys.into_iter().map(|key| (key, Some(writer.any_value()))).collect()
            }),
            _ => self.write(|writer| vec![(writer.any_key(), Some(writer.any_value()))]),
        };
        self.send(http, write)
    }

    /// Puts a value of this size under a key of this number.
    pub(crate) fn put(&mut self, http: &mut HttpClient, number: usize, bytes: usize) -> Step {
        let write = self.write(|writer| vec![(writer.key(number), Some(writer.value(bytes)))]);
        self.send(http, write)
    }

    /// Deletes the first of its keys; nothing if it has none.
    pub(crate) fn delete_first(&mut self, http: &mut HttpClient) -> Option<Step> {
        let key = self.kept.keys().next()?.clone();
        let write = self.write(|_| vec![(key, None)]);
        Some(self.send(http, write))
    }

    fn key(&self, number: usize) -> String {
        format!("w{}/k{number:06}", self.id)
    }

    fn any_key(&mut self) -> String {
        let number = self.random.usize(..KEYS);
        self.key(number)
    }

    fn any_value(&mut self) -> String {
        let bytes = match self.random.u8(..10) {
            0..=5 => self.random.usize(1..100),
            6..=8 => self.random.usize(100..4_000),
            _ => self.random.usize(4_000..16_000),
        };
        self.value(bytes)
    }

    /// A text that no other write has, of about this size, that does not compress well.
    fn value(&mut self, bytes: usize) -> String {
        let mut text = format!("v{}-{}-", self.id, self.written);
        text.extend(std::iter::repeat_with(|| self.random.alphanumeric()).take(bytes));
        text
    }

    fn write(&mut self, changes: impl FnOnce(&mut Self) -> Vec<(String, Option<String>)>) -> Write {
        self.written += 1;
        let name = format!("w{}-{}", self.id, self.written);
        Write { name, changes: changes(self) }
    }

    fn send(&mut self, http: &mut HttpClient, write: Write) -> Step {
        assert!(self.unknown.is_none(), "writer {} has a write in doubt", self.id);
        match request(http, &write) {
            Err(Failure::NotSent(_)) => Step::Lost,
            Err(Failure::Lost(_)) => {
                self.unknown = Some(write);
                Step::Lost
            }
            Ok(reply) if matches!(reply.status, 200 | 201) => {
                self.acknowledge(&write, &reply);
                Step::Acknowledged
            }
            Ok(reply) => match reply.json().unwrap()["outcome"].as_str() {
                Some("not_applied") => Step::Refused(reply.status),
                Some("unknown") => {
                    self.unknown = Some(write);
                    Step::Lost
                }
                _ => panic!("{} was answered {}: {}", write.name, reply.status, reply.text()),
            },
        }
    }

    /// Takes an acknowledged write over, and checks what the answer says of it.
    fn acknowledge(&mut self, write: &Write, reply: &Reply) {
        let answer = reply.json().unwrap();
        let revision = answer["revision"].as_u64().unwrap();
        let name = &write.name;
        let mut changed = false;
        for (position, (key, value)) in write.changes.iter().enumerate() {
            let old = self.kept.remove(key);
            changed |= value.is_some() || old.is_some();
            if let Some(value) = value {
                let version = old.map_or(1, |old| old.version + 1);
                let part = if write.changes.len() == 1 {
                    &answer
                } else {
                    &answer["results"][position]["put"]
                };
                assert_eq!(part["version"].as_u64(), Some(version), "{name}, {key}: {answer}");
                let value = value.clone();
                self.kept.insert(key.clone(), Kept { value, revision, version });
            } else {
                let deleted = u64::from(old.is_some());
                assert_eq!(answer["deleted"].as_u64(), Some(deleted), "{name}, {key}: {answer}");
            }
            self.past.push((revision, key.clone(), value.clone()));
        }
        self.changes += u64::from(changed);
    }

    /// Compares all that the store has under this writer's keys with what must be there, after
    /// the write in doubt has been sent again.
    pub(crate) fn verify(&mut self, http: &mut HttpClient) {
        if let Some(write) = self.unknown.take() {
            let before = self.listing(http);
            let happened = before != self.kept;
            let reply = request(http, &write).unwrap();
            let text = reply.text();
            assert!(matches!(reply.status, 200 | 201), "{}: {} {text}", write.name, reply.status);
            let replayed = reply.header("idempotency-replayed").is_some();
            // A deletion of nothing may have happened without leaving a trace.
            assert!(
                replayed || !happened,
                "{} was applied twice, or forgotten: {text}",
                write.name
            );
            self.acknowledge(&write, &reply);
            if happened {
                assert!(before == self.kept, "{}", difference(&before, &self.kept));
            }
        }
        let found = self.listing(http);
        assert!(found == self.kept, "{}", difference(&found, &self.kept));
    }

    /// Reads some old revisions again.
    pub(crate) fn verify_past(&mut self, http: &mut HttpClient, reads: usize) {
        for _ in 0..reads.min(self.past.len()) {
            let (revision, key, value) = &self.past[self.random.usize(..self.past.len())];
            let reply = http.get(&format!("/v1/kv/{key}?rev={revision}")).unwrap();
            match value {
                Some(value) => assert!(
                    reply.status == 200 && reply.text() == *value,
                    "{key} at revision {revision}: {} {}",
                    reply.status,
                    reply.text()
                ),
                None => assert_eq!(reply.status, 404, "{key} at {revision}: {}", reply.text()),
            }
        }
    }

    fn listing(&self, http: &mut HttpClient) -> BTreeMap<String, Kept> {
        let mut found = BTreeMap::new();
        let mut target = format!("/v1/kv?prefix=w{}/&limit=10000", self.id);
        loop {
            let reply = http.get(&target).unwrap();
            assert_eq!(reply.status, 200, "{target}: {}", reply.text());
            let page = reply.json().unwrap();
            for item in page["items"].as_array().unwrap() {
                let number = |name: &str| item[name].as_u64().unwrap();
                let text = |name: &str| item[name].as_str().unwrap().to_owned();
                let kept = Kept {
                    value: text("value"),
                    revision: number("revision"),
                    version: number("version"),
                };
                found.insert(text("key"), kept);
            }
            match &page["next"] {
                Value::String(cursor) => target = format!("/v1/kv?cursor={cursor}&limit=10000"),
                _ => return found,
            }
        }
    }
}

/// A client of a node.
pub(crate) fn client(address: SocketAddr) -> HttpClient {
    HttpClient::new(address, ANSWER_TIMEOUT)
}

/// The revision of the store, as a linearizable read sees it.
pub(crate) fn revision(http: &mut HttpClient) -> u64 {
    let reply = http.get("/v1/kv?limit=1&keys").unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json().unwrap()["revision"].as_u64().unwrap()
}

fn request(http: &mut HttpClient, write: &Write) -> Result<Reply, Failure> {
    let headers = [("Content-Type", "text/plain"), ("Idempotency-Key", write.name.as_str())];
    match write.changes.as_slice() {
        [(key, Some(value))] => {
            http.request("PUT", &format!("/v1/kv/{key}"), &headers, value.as_bytes())
        }
        [(key, None)] => http.request("DELETE", &format!("/v1/kv/{key}"), &headers[1..], b""),
        changes => {
            let put = |(key, value): &(String, Option<String>)| {
                let text = value.as_ref().expect("only puts come together");
                serde_json::json!({ "put": { "key": key, "text": text } })
            };
            let body = Value::Array(changes.iter().map(put).collect()).to_string();
            http.request("POST", "/v1/batch", &headers[1..], body.as_bytes())
        }
    }
}

/// What is there and should not be, and the other way round, without the values.
fn difference(found: &BTreeMap<String, Kept>, wanted: &BTreeMap<String, Kept>) -> String {
    let mut text = String::from("the store differs from what was acknowledged:");
    let keys: std::collections::BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    for key in keys {
        let show = |kept: Option<&Kept>| {
            kept.map_or("nothing".to_owned(), |kept| {
                let start: String = kept.value.chars().take(16).collect();
                format!("{start}… at revision {}, version {}", kept.revision, kept.version)
            })
        };
        if found.get(key) != wanted.get(key) {
            let (found, wanted) = (show(found.get(key)), show(wanted.get(key)));
            text.push_str(&format!("\n  {key}: found {found}, should be {wanted}"));
        }
    }
    text
}
