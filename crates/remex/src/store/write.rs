//! Writing one key.

use remex_model::{
    Command, Condition, Error, ErrorCode, Key, Operation, Outcome, Refusal, Response, Revision,
    Test, Value, WriteResult, Written,
};
use serde::Serialize;

use super::entry::name;
use super::read::mixed_up;
use super::{Entry, Receipt, Store, json};

impl Store {
    /// Sets a key. Returns when the write is safe: committed by a majority and visible to every read
    /// that begins from now on.
    ///
    /// # Errors
    /// See [`ErrorCode`]: a key that is empty or too long, a value that is too large, no leader in
    /// time, a full disk, a store that is closed. [`Error::effect`] says whether the write may have
    /// been applied all the same; after a timeout nobody can tell.
    pub async fn put(
        &self,
        key: impl Into<Key>,
        value: impl Into<Value>,
    ) -> Result<Receipt, Error> {
        self.write_one(Command::put(key.into(), value.into())).await
    }

    /// Sets a key to the JSON of a value.
    ///
    /// # Errors
    /// As [`Store::put`] and [`json`].
    pub async fn put_json<T: Serialize + ?Sized>(
        &self,
        key: impl Into<Key>,
        value: &T,
    ) -> Result<Receipt, Error> {
        let command = Command::put(key.into(), json(value)?);
        self.write_one(command).await
    }

    /// Sets a key only if it does not exist.
    ///
    /// # Errors
    /// [`ErrorCode::AlreadyExists`] if it does, with its revision; and as [`Store::put`].
    pub async fn put_if_absent(
        &self,
        key: impl Into<Key>,
        value: impl Into<Value>,
    ) -> Result<Receipt, Error> {
        let key = key.into();
        let command = Command::put(key.clone(), value.into());
        self.write_one(command.only_if(key, Test::Absent)).await
    }

    /// Sets a key only if it was last written at a revision: compare and set.
    ///
    /// # Errors
    /// [`ErrorCode::RevisionMismatch`] if it was written since, with the revision of that, or does
    /// not exist; and as [`Store::put`].
    pub async fn put_if_revision(
        &self,
        key: impl Into<Key>,
        value: impl Into<Value>,
        revision: Revision,
    ) -> Result<Receipt, Error> {
        let key = key.into();
        let command = Command::put(key.clone(), value.into());
        self.write_one(command.only_if(key, Test::Revision(revision))).await
    }

    /// Removes a key. One that does not exist is no error: nothing changes.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn delete(&self, key: impl Into<Key>) -> Result<Receipt, Error> {
        self.write_one(Command::delete(key.into())).await
    }

    /// Removes a key only if it was last written at a revision.
    ///
    /// # Errors
    /// As [`Store::put_if_revision`].
    pub async fn delete_if_revision(
        &self,
        key: impl Into<Key>,
        revision: Revision,
    ) -> Result<Receipt, Error> {
        let key = key.into();
        let command = Command::delete(key.clone());
        self.write_one(command.only_if(key, Test::Revision(revision))).await
    }

    /// Carries out a command of one write of one key.
    async fn write_one(&self, command: Command) -> Result<Receipt, Error> {
        let key = command.writes.first().and_then(key_of).cloned().ok_or_else(mixed_up)?;
        let Written { revision, mut results, .. } = self.write(command).await?;
        let previous = results.pop().and_then(previous);
        Ok(Receipt { revision, previous: previous.map(|record| Entry::new(key, record)) })
    }

    /// Carries out a command whose conditions must hold.
    pub(super) async fn write(&self, command: Command) -> Result<Written, Error> {
        let conditions = command.conditions.clone();
        match self.call(Operation::Write(command)).await? {
            Response::Write(Outcome::Written(written)) => Ok(written),
            Response::Write(Outcome::Refused(refusal)) => Err(refused(&refusal, &conditions)),
            Response::Write(Outcome::KeyReused { .. }) => {
                let detail = "the name of this batch is that of another one, applied earlier";
                Err(Error::new(ErrorCode::Conflict, detail)
                    .hint("give every batch a name of its own, and only repeat it unchanged"))
            }
            Response::Get(_) | Response::List(_) => Err(mixed_up()),
        }
    }
}

/// The key of a write, unless it is of a range.
pub(super) fn key_of(write: &remex_model::Write) -> Option<&Key> {
    match write {
        remex_model::Write::Put { key, .. } | remex_model::Write::Delete { key } => Some(key),
        remex_model::Write::DeleteRange { .. } => None,
    }
}

/// What a write replaced.
pub(super) fn previous(result: WriteResult) -> Option<remex_model::Record> {
    match result {
        WriteResult::Put { previous, .. } | WriteResult::Deleted { previous, .. } => previous,
    }
}

/// The error for a condition that did not hold.
fn refused(refusal: &Refusal, conditions: &[Condition]) -> Error {
    let Some(Condition { key, test }) = conditions.get(refusal.condition) else {
        return mixed_up();
    };
    let is = match refusal.current {
        Some(current) => format!("{} is at revision {current}", name(key)),
        None => format!("{} does not exist", name(key)),
    };
    let (code, detail) = match test {
        Test::Absent => (ErrorCode::AlreadyExists, is),
        Test::Exists => (ErrorCode::RevisionMismatch, is),
        Test::Revision(wanted) => (ErrorCode::RevisionMismatch, format!("{is}, not at {wanted}")),
    };
    let error = Error::new(code, detail).hint("read the key, decide again, and write");
    match refusal.current {
        Some(current) => error.at_revision(current),
        None => error,
    }
}
