//! What a client wants next.

use bytes::Bytes;
use remex_model::{Command, Key, RequestKey, Test, Value, Write};
use remex_testkit::linearizability::Op;

use super::{Client, Operation, Part};
use crate::around::Around;
use crate::node::Call;

/// Keys in one batch.
const BATCH_KEYS: usize = 3;

impl Client {
    pub(super) fn draw(&mut self, around: &Around) -> Operation {
        let settings = &around.settings;
        if let Part::Probe { keys_left, written, .. } = self.part {
            return match written {
                false => self.put(1, around),
                true => Self::get(key_name(keys_left - 1), around),
            };
        }
        let key = key_name(self.dice.below(settings.keys));
        match self.dice.below(100) {
            0..40 => Self::get(key, around),
            40..65 => self.put(1, around),
            65..72 => self.put(BATCH_KEYS.min(settings.keys), around),
            72..80 => {
                let command = Command::delete(Key::from(key.as_str()));
                self.write(vec![(key, Op::Delete)], command, around)
            }
            _ => self.compare_and_set(key, around),
        }
    }

    fn get(key: String, around: &Around) -> Operation {
        let call = Call::Read(Key::from(key.as_str()));
        Operation {
            call_at: around.now_us,
            parts: vec![(key, Op::Get)],
            call,
            tries: 0,
            doubtful: false,
            named: false,
        }
    }

    /// Puts into so many keys at once.
    fn put(&mut self, count: usize, around: &Around) -> Operation {
        let first = self.dice.below(around.settings.keys);
        let mut parts = Vec::new();
        let mut command = Command::default();
        for offset in 0..count {
            let key = key_name((first + offset) % around.settings.keys);
            let value = self.value(around);
            command.writes.push(put(&key, &value));
            parts.push((key, Op::Put { value }));
        }
        self.write(parts, command, around)
    }

    /// Puts or deletes if the key holds what this client last knew of it.
    fn compare_and_set(&mut self, key: String, around: &Around) -> Operation {
        let belief = self.beliefs.get(&key).cloned().flatten();
        let (expect, test) = match belief {
            Some((value, revision)) => (Some(value), Test::Revision(revision)),
            None => (None, Test::Absent),
        };
        let (value, mut command) = if self.dice.chance(2_000) {
            (None, Command::delete(Key::from(key.as_str())))
        } else {
            let value = self.value(around);
            let writes = vec![put(&key, &value)];
            (Some(value), Command { writes, ..Command::default() })
        };
        command = command.only_if(Key::from(key.as_str()), test);
        self.write(vec![(key, Op::CompareAndSet { expect, value })], command, around)
    }

    fn write(
        &mut self,
        parts: Vec<(String, Op)>,
        mut command: Command,
        around: &Around,
    ) -> Operation {
        let named = around.settings.request_keys && self.dice.chance(5_000);
        if named {
            self.values += 1;
            let name = format!("request {} {}", self.number, self.values);
            command.request_key = Some(RequestKey(Bytes::from(name)));
        }
        let call = Call::Write(command.to_bytes());
        let call_at = around.now_us;
        Operation { call_at, parts, call, tries: 0, doubtful: false, named }
    }

    /// A value that nobody has ever written; sometimes a long one.
    fn value(&mut self, around: &Around) -> String {
        self.values += 1;
        let mut text = format!("c{}-{}", self.number, self.values);
        let length = self.dice.below(around.settings.value_bytes_max);
        text.push_str(&".".repeat(length.saturating_sub(text.len())));
        text
    }
}

fn put(key: &str, value: &str) -> Write {
    let value = Value::raw(Bytes::copy_from_slice(value.as_bytes()));
    Write::Put { key: Key::from(key), value, lease: 0 }
}

fn key_name(number: usize) -> String {
    format!("key-{number}")
}
