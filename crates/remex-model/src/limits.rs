//! Every limit on what enters, in one place.

use crate::{Command, Error, ErrorCode, Key, Operation, Value, Write};

/// Limits on requests, checked before anything is proposed. They may differ between nodes:
/// what one node admitted, every node applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest key, in characters (bytes for a key that is not text).
    pub key_chars_max: usize,
    /// Longest value, in bytes.
    pub value_bytes_max: usize,
    /// Most writes in one batch.
    pub batch_writes_max: usize,
    /// Longest request body of a batch, in bytes.
    pub request_bytes_max: usize,
    /// Most keys in one page of a listing.
    pub list_keys_max: usize,
    /// Longest request key (`Idempotency-Key`), in bytes.
    pub request_key_bytes_max: usize,
}

impl Limits {
    /// What [`Limits::key_chars_max`] can be raised to.
    pub const KEY_CHARS_CEILING: usize = 4096;
    /// What [`Limits::value_bytes_max`] can be raised to: 1.5 MiB, etcd's request limit.
    pub const VALUE_BYTES_CEILING: usize = 1_572_864;
    /// What [`Limits::request_bytes_max`] can be raised to: a request becomes one entry of the
    /// log and one message to a peer.
    pub const REQUEST_BYTES_CEILING: usize = 8 * 1024 * 1024;
    /// What [`Limits::batch_writes_max`] can be raised to.
    pub const BATCH_WRITES_CEILING: usize = 65_536;

    /// Checks the limits themselves, when a node starts.
    ///
    /// # Errors
    /// Names the setting, its value and what it can be.
    pub fn check(&self) -> Result<(), String> {
        let settings = [
            ("--max-key-chars", self.key_chars_max, Self::KEY_CHARS_CEILING),
            ("--max-value-bytes", self.value_bytes_max, Self::VALUE_BYTES_CEILING),
            ("--max-request-bytes", self.request_bytes_max, Self::REQUEST_BYTES_CEILING),
            ("--max-batch-ops", self.batch_writes_max, Self::BATCH_WRITES_CEILING),
        ];
        for (name, value, ceiling) in settings {
            if value == 0 || value > ceiling {
                return Err(format!("{name} is {value}; it can be 1 to {ceiling}"));
            }
        }
        if self.value_bytes_max > self.request_bytes_max {
            return Err(format!(
                "--max-value-bytes ({}) is more than --max-request-bytes ({}), so that no such value \
                 could come in; raise --max-request-bytes too",
                self.value_bytes_max, self.request_bytes_max
            ));
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_chars_max: 128,
            value_bytes_max: 16 * 1024,
            batch_writes_max: 1024,
            request_bytes_max: 2 * 1024 * 1024,
            list_keys_max: 10_000,
            request_key_bytes_max: 256,
        }
    }
}

impl Limits {
    /// Checks a request where it enters.
    ///
    /// # Errors
    /// Names the limit, the value that broke it, and the option that raises it.
    pub fn admit(&self, operation: &Operation) -> Result<(), Error> {
        match operation {
            Operation::Get(get) => self.admit_key(&get.key),
            Operation::List(_) => Ok(()),
            Operation::Write(command) => self.admit_command(command),
        }
    }

    fn admit_command(&self, command: &Command) -> Result<(), Error> {
        if command.writes.is_empty() {
            return Err(Error::new(ErrorCode::BadRequest, "the batch holds no writes"));
        }
        let count = command.writes.len().max(command.conditions.len());
        if count > self.batch_writes_max {
            let max = self.batch_writes_max;
            let detail = format!("the batch holds {count} operations, the limit is {max}");
            return Err(Error::new(ErrorCode::RequestTooLarge, detail)
                .hint("split the batch, or raise --max-batch-ops on every node"));
        }
        if let Some(key) = &command.request_key {
            let (length, max) = (key.0.len(), self.request_key_bytes_max);
            if length == 0 || length > max {
                let detail =
                    format!("the idempotency key has {length} bytes, 1 to {max} are taken");
                return Err(Error::new(ErrorCode::BadRequest, detail));
            }
        }
        let mut bytes: usize = 0;
        for condition in &command.conditions {
            self.admit_key(&condition.key)?;
            bytes = bytes.saturating_add(condition.key.as_bytes().len());
        }
        for (position, write) in command.writes.iter().enumerate() {
            let length = self.admit_write(write).map_err(|mut error| {
                if command.writes.len() > 1 {
                    error.detail = format!("operation {position}: {}", error.detail);
                }
                error
            })?;
            bytes = bytes.saturating_add(length);
        }
        if bytes > self.request_bytes_max {
            let max = self.request_bytes_max;
            let detail = format!("the batch holds {bytes} bytes, the limit is {max}");
            return Err(Error::new(ErrorCode::RequestTooLarge, detail)
                .hint("split the batch, or raise --max-request-bytes on every node"));
        }
        Ok(())
    }

    fn admit_write(&self, write: &Write) -> Result<usize, Error> {
        match write {
            Write::Put { key, value, .. } => {
                self.admit_key(key)?;
                self.admit_value(value)?;
                Ok(key.as_bytes().len() + value.bytes.len())
            }
            Write::Delete { key } => {
                self.admit_key(key)?;
                Ok(key.as_bytes().len())
            }
            Write::DeleteRange { range } => {
                Ok(range.start.len() + range.end.as_ref().map_or(0, bytes::Bytes::len))
            }
        }
    }

    /// Checks one key: not empty, not longer than the limit.
    ///
    /// # Errors
    /// See [`Limits::admit`].
    pub fn admit_key(&self, key: &Key) -> Result<(), Error> {
        if key.as_bytes().is_empty() {
            return Err(Error::new(ErrorCode::InvalidKey, "the key is empty")
                .hint("name a key of at least one character"));
        }
        let (chars, max) = (key.chars(), self.key_chars_max);
        if chars > max {
            let detail = format!("the key has {chars} characters, the limit is {max}");
            return Err(Error::new(ErrorCode::KeyTooLong, detail).hint(format!(
                "shorten the key, or raise --max-key-chars on every node (up to {})",
                Self::KEY_CHARS_CEILING
            )));
        }
        Ok(())
    }

    /// Checks one value: not longer than the limit.
    ///
    /// # Errors
    /// See [`Limits::admit`].
    pub fn admit_value(&self, value: &Value) -> Result<(), Error> {
        let (length, max) = (value.bytes.len(), self.value_bytes_max);
        if length > max {
            return Err(Self::value_too_large(length, max));
        }
        Ok(())
    }

    /// The error for a value of `length` bytes over the limit `max`.
    #[must_use]
    pub fn value_too_large(length: usize, max: usize) -> Error {
        let detail = format!("the value has {length} bytes, the limit is {max}");
        Error::new(ErrorCode::ValueTooLarge, detail).hint(format!(
            "store a smaller value, or raise --max-value-bytes on every node (up to {})",
            Self::VALUE_BYTES_CEILING
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_have_as_many_characters_as_the_limit() {
        let limits = Limits::default();
        assert!(limits.admit_key(&Key::from("ü".repeat(128).as_str())).is_ok());
        let error = limits.admit_key(&Key::from("ü".repeat(129).as_str())).unwrap_err();
        assert_eq!(error.code, ErrorCode::KeyTooLong);
        assert!(error.detail.contains("129") && error.detail.contains("128"));
        assert_eq!(limits.admit_key(&Key::from("")).unwrap_err().code, ErrorCode::InvalidKey);
    }

    #[test]
    fn limits_have_limits() {
        assert_eq!(Limits::default().check(), Ok(()));
        let large = Limits { value_bytes_max: 2_000_000, ..Limits::default() };
        assert!(large.check().is_err_and(|text| text.contains("max-value-bytes")));
        let none = Limits { key_chars_max: 0, ..Limits::default() };
        assert!(none.check().is_err_and(|text| text.contains("max-key-chars")));
        let narrow = Limits { request_bytes_max: 1024, ..Limits::default() };
        assert!(narrow.check().is_err_and(|text| text.contains("max-request-bytes")));
    }

    #[test]
    fn a_batch_names_the_operation_at_fault() {
        let limits = Limits::default();
        let command = Command {
            writes: vec![
                Write::Delete { key: "a".into() },
                Write::Put { key: "b".into(), value: Value::raw(vec![0; 16_385]), lease: 0 },
            ],
            ..Command::default()
        };
        let error = limits.admit(&Operation::Write(command)).unwrap_err();
        assert_eq!(error.code, ErrorCode::ValueTooLarge);
        assert!(error.detail.starts_with("operation 1: "), "{}", error.detail);
    }
}
