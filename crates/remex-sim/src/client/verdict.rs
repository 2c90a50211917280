//! What a client makes of an answer.

use remex_model::{GetResponse, Outcome as Applied, WriteResult};
use remex_testkit::linearizability::{Op, Outcome};

use super::{Client, Part};
use crate::around::Around;
use crate::violation::Check;

const NAME: &str = "answers";

impl Client {
    /// A write was answered.
    pub(super) fn written(&mut self, answer: &Applied, around: &mut Around) -> Check {
        let operation = self.current.take().expect("an operation is under way");
        let written = match answer {
            Applied::Written(written) => written,
            Applied::KeyReused { .. } => {
                return Err((NAME, format!("a fresh key is said to be taken: {operation:?}")));
            }
            Applied::Refused(_) => {
                let [(key, Op::CompareAndSet { .. })] = &operation.parts[..] else {
                    return Err((NAME, format!("refused without a condition: {operation:?}")));
                };
                around.coverage.refused += 1;
                self.beliefs.remove(key);
                self.remember(operation, Some(around.now_us), |_| Outcome::Refused);
                self.think(around);
                return Ok(());
            }
        };
        around.coverage.answered += 1;
        around.coverage.answers_remembered += u64::from(written.repeated);
        if written.results.len() != operation.parts.len() {
            return Err((NAME, format!("{written:?} answers {operation:?}")));
        }
        let revision = written.revision;
        let mut existed = Vec::new();
        for ((key, op), result) in operation.parts.iter().zip(&written.results) {
            let value = match op {
                Op::Put { value } => Some(value),
                Op::CompareAndSet { value, .. } => value.as_ref(),
                Op::Get | Op::Delete => None,
            };
            existed.push(match (value, result) {
                (Some(_), WriteResult::Put { version, .. }) => Some(*version > 1),
                (None, WriteResult::Deleted { count, .. }) => Some(*count > 0),
                (Some(_), WriteResult::Deleted { .. }) | (None, WriteResult::Put { .. }) => {
                    return Err((NAME, format!("{written:?} answers {operation:?}")));
                }
            });
            let belief = value.map(|value| (value.clone(), revision));
            self.beliefs.insert(key.clone(), belief);
        }
        if let Part::Probe { written, .. } = &mut self.part {
            *written = true;
        }
        self.remember(operation, Some(around.now_us), |position| Outcome::Written {
            revision: Some(revision.get()),
            existed: existed[position],
        });
        self.think(around);
        Ok(())
    }

    /// A read was answered.
    pub(super) fn read(&mut self, found: GetResponse, around: &mut Around) -> Check {
        let operation = self.current.take().expect("an operation is under way");
        around.coverage.answered += 1;
        let belief = found.record.map(|record| {
            let value = String::from_utf8_lossy(&record.value.bytes).into_owned();
            (value, record.mod_revision)
        });
        for (key, _) in &operation.parts {
            self.beliefs.insert(key.clone(), belief.clone());
        }
        if let Part::Probe { keys_left, .. } = &mut self.part {
            *keys_left -= 1;
        }
        let outcome = match belief {
            Some((value, revision)) => Outcome::found(value, Some(revision.get())),
            None => Outcome::Read(None),
        };
        self.remember(operation, Some(around.now_us), |_| outcome.clone());
        self.think(around);
        Ok(())
    }
}
