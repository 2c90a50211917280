//! Conditions: checked against the state before the command's writes.

use std::collections::BTreeMap;

use bytes::Bytes;
use remex_engine::Engine;
use remex_model::{Condition, Record, Refusal, Revision, Test};

use crate::error::Fatal;
use crate::state::State;

/// Records that the conditions had to fetch from the layers below the active buffer, so that the
/// writes of the same keys need not fetch them again.
pub(super) type Fetched = BTreeMap<Bytes, Option<Record>>;

impl<E: Engine> State<E> {
    /// Finds the first condition that does not hold, if there is one.
    pub(super) fn check(
        &self,
        conditions: &[Condition],
    ) -> Result<(Option<Refusal>, Fetched), Fatal> {
        let mut fetched = Fetched::new();
        for (position, condition) in conditions.iter().enumerate() {
            let current = self.mod_revision(condition.key.bytes(), &mut fetched)?;
            let holds = match condition.test {
                Test::Revision(revision) => current == Some(revision),
                Test::Exists => current.is_some(),
                Test::Absent => current.is_none(),
            };
            if !holds {
                let revision = self.meta.revision;
                return Ok((Some(Refusal { revision, condition: position, current }), fetched));
            }
        }
        Ok((None, fetched))
    }

    fn mod_revision(&self, key: &Bytes, fetched: &mut Fetched) -> Result<Option<Revision>, Fatal> {
        if let Some(chain) = self.active.chains.get(key) {
            return Ok(chain.latest().record().map(|record| record.mod_revision));
        }
        if !fetched.contains_key(key) {
            fetched.insert(key.clone(), self.lower.base(key)?);
        }
        Ok(fetched[key].as_ref().map(|record| record.mod_revision))
    }
}
