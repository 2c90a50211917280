//! Between wire and model: what a request says, as an operation.
#![warn(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use remex_model::{
    Condition, Consistency, Error, ErrorCode, Key, KeyRange, Limits, List, Order, Outcome,
    ReadOptions, Refusal, RequestKey, Test, Value, Write, Written,
};
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::cursor::Cursor;
use super::media::Media;
use super::query::{Query, malformed};
use super::wire::{BatchOperation, BatchPut};
use crate::layers::{Problem, key_text};

/// Keys in a page if no limit is asked for.
const PAGE_KEYS_DEFAULT: usize = 100;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The body of a put as a value.
///
/// # Errors
/// If the body claims to be JSON and is not.
pub(crate) fn value(media: Media, body: Bytes) -> Result<Value, Error> {
    if media == Media::Bytes {
        return Ok(Value::raw(body));
    }
    match serde_json::from_slice::<&RawValue>(&body) {
        Ok(_) => Ok(Value::json(body)),
        Err(error) if media == Media::Json => {
            let detail = format!("the body is not JSON: {error}");
            Err(Error::new(ErrorCode::InvalidJson, detail)
                .hint("leave `Content-Type: application/json` out to store text"))
        }
        Err(_not_json) => Ok(Value::raw(body)),
    }
}

/// The client's name for a write, if it gave one. Its length is checked on admission.
pub(crate) fn request_key(headers: &HeaderMap) -> Option<RequestKey> {
    headers.get(IDEMPOTENCY_KEY).map(|key| RequestKey(Bytes::copy_from_slice(key.as_bytes())))
}

/// How fresh a read must be: `consistency`, `min_revision` and `rev`.
pub(crate) fn read_options(query: &Query<'_>) -> Result<ReadOptions, Error> {
    Ok(ReadOptions {
        consistency: match query.text("consistency") {
            None | Some("linearizable") => Consistency::Linearizable,
            Some("stale") => Consistency::Stale,
            Some(other) => {
                return Err(malformed("consistency", other, "`linearizable` or `stale`"));
            }
        },
        min_revision: query.revision("min_revision")?,
        at: query.revision("rev")?,
    })
}

/// A listing from its parameters. `Some` count is the one that an earlier page counted.
pub(crate) fn listing(query: &Query<'_>, limits: &Limits) -> Result<(List, Option<u64>), Error> {
    let limit = match query.number("limit")? {
        None => PAGE_KEYS_DEFAULT.min(limits.list_keys_max),
        Some(number) => match usize::try_from(number) {
            Ok(number) if number >= 1 && number <= limits.list_keys_max => number,
            _ => {
                let expected = format!("from 1 to {}", limits.list_keys_max);
                return Err(malformed("limit", &number.to_string(), &expected));
            }
        },
    };
    let range = range(query)?;
    let order = match query.text("order") {
        None => None,
        Some("asc") => Some(Order::Ascending),
        Some("desc") => Some(Order::Descending),
        Some(other) => return Err(malformed("order", other, "`asc` or `desc`")),
    };
    let options = read_options(query)?;
    let keys_only = query.flag("keys")?;
    let Some(cursor) = query.text("cursor") else {
        let list = List {
            range: range.unwrap_or_else(KeyRange::all),
            after: None,
            limit,
            order: order.unwrap_or_default(),
            keys_only,
            count: true,
            options,
        };
        return Ok((list, None));
    };
    let cursor = Cursor::from_text(cursor)?;
    let agrees = range.is_none_or(|range| range == cursor.range)
        && order.is_none_or(|order| order == cursor.order)
        && options.at.is_none_or(|at| at == cursor.revision);
    if !agrees {
        let detail = "the cursor belongs to a listing of another range, order or revision";
        return Err(Error::new(ErrorCode::BadRequest, detail)
            .hint("send the cursor with the parameters of its first page, or alone"));
    }
    // The state at a revision never changes, so any node that has it can go on without asking
    // the leader.
    let options = ReadOptions {
        consistency: Consistency::Stale,
        min_revision: options.min_revision.max(Some(cursor.revision)),
        at: Some(cursor.revision),
    };
    let Cursor { count, range, order, after, .. } = cursor;
    let list = List { range, after: Some(after), limit, order, keys_only, count: false, options };
    Ok((list, Some(count)))
}

/// The range that `prefix`, or `start` and `end`, name; `None` if none is given.
fn range(query: &Query<'_>) -> Result<Option<KeyRange>, Error> {
    let bytes = |name| query.text(name).map(|text| Bytes::copy_from_slice(text.as_bytes()));
    match (bytes("prefix"), bytes("start"), bytes("end")) {
        (None, None, None) => Ok(None),
        (Some(prefix), None, None) => Ok(Some(KeyRange::prefix(prefix))),
        (None, start, end) => Ok(Some(KeyRange { start: start.unwrap_or_default(), end })),
        (Some(_), _, _) => {
            let detail = "`prefix` and `start` or `end` exclude each other";
            Err(Error::new(ErrorCode::BadRequest, detail).hint("send one of the two forms"))
        }
    }
}

/// The writes of a batch: a JSON list of operations, or one operation after the other (NDJSON).
///
/// # Errors
/// Names the operation at fault by its position, from 0.
pub(crate) fn batch(body: &[u8]) -> Result<Vec<Write>, Error> {
    let mut operations: Vec<BatchOperation<'_>> = Vec::new();
    let parsed = match body.trim_ascii_start().first() {
        Some(b'[') => {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            let list = deserializer.deserialize_seq(Operations(&mut operations));
            list.and_then(|()| deserializer.end())
        }
        Some(b'{') => {
            let mut stream = serde_json::Deserializer::from_slice(body).into_iter();
            stream.try_for_each(|operation| operation.map(|one| operations.push(one)))
        }
        _ => {
            let detail = "the body is neither a list of operations nor one operation a line";
            return Err(Error::new(ErrorCode::BadRequest, detail).hint(BATCH_HINT));
        }
    };
    if let Err(error) = parsed {
        let code = if error.is_data() { ErrorCode::BadRequest } else { ErrorCode::InvalidJson };
        let detail = format!("operation {}: {error}", operations.len());
        return Err(Error::new(code, detail).hint(BATCH_HINT));
    }
    let writes = operations.into_iter().enumerate().map(|(position, operation)| {
        batch_write(operation).map_err(|mut error| {
            error.detail = format!("operation {position}: {}", error.detail);
            error
        })
    });
    writes.collect()
}

const BATCH_HINT: &str =
    r#"an operation is {"put":{"key":"a","value":1}} or {"delete":{"key":"b"}}"#;

/// Collects operations, so that the number of those before a fault is known.
struct Operations<'o, 'de>(&'o mut Vec<BatchOperation<'de>>);

impl<'de> Visitor<'de> for Operations<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list of operations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(operation) = list.next_element()? {
            self.0.push(operation);
        }
        Ok(())
    }
}

fn batch_write(operation: BatchOperation<'_>) -> Result<Write, Error> {
    match (operation.put, operation.delete) {
        (Some(put), None) => {
            let key = batch_key(&put.key)?;
            Ok(Write::Put { key, value: batch_value(&put)?, lease: 0 })
        }
        (None, Some(delete)) => Ok(Write::Delete { key: batch_key(&delete.key)? }),
        _ => {
            let detail = "it has to be exactly one of `put` and `delete`";
            Err(Error::new(ErrorCode::BadRequest, detail).hint(BATCH_HINT))
        }
    }
}

fn batch_key(key: &str) -> Result<Key, Error> {
    key_text(key.as_bytes()).map(Key::from)
}

fn batch_value(put: &BatchPut<'_>) -> Result<Value, Error> {
    match (put.value, &put.text, &put.base64) {
        (Some(json), None, None) => Ok(Value::json(Bytes::copy_from_slice(json.get().as_bytes()))),
        (None, Some(text), None) => Ok(Value::raw(Bytes::copy_from_slice(text.as_bytes()))),
        (None, None, Some(base64)) => match STANDARD.decode(base64.as_bytes()) {
            Ok(bytes) => Ok(Value::raw(bytes)),
            Err(error) => {
                let detail = format!("`base64` cannot be read: {error}");
                Err(Error::new(ErrorCode::BadRequest, detail)
                    .hint("use the standard alphabet with padding"))
            }
        },
        _ => {
            let detail = "a put has exactly one of `value` (any JSON), `text` and `base64`";
            Err(Error::new(ErrorCode::BadRequest, detail).hint(BATCH_HINT))
        }
    }
}

/// What was written, or the problem that says which condition did not hold.
pub(crate) fn written(outcome: Outcome, conditions: &[Condition]) -> Result<Written, Problem> {
    match outcome {
        Outcome::Written(written) => Ok(written),
        Outcome::Refused(refusal) => Err(refused(&refusal, conditions)),
        Outcome::KeyReused { revision } => Err(key_reused().store_revision(revision)),
    }
}

fn key_reused() -> Problem {
    Error::new(ErrorCode::Conflict, "the idempotency key belongs to another request")
        .hint("use a fresh Idempotency-Key for every write, and the same one for its retries")
        .into()
}

fn refused(refusal: &Refusal, conditions: &[Condition]) -> Problem {
    let test = conditions.get(refusal.condition).map(|condition| condition.test);
    let (code, detail) = match (test, refusal.current) {
        (Some(Test::Absent), Some(current)) => (
            ErrorCode::AlreadyExists,
            format!("the key exists, last written at revision {current}"),
        ),
        (Some(Test::Revision(wanted)), Some(current)) => {
            (ErrorCode::RevisionMismatch, format!("the key is at revision {current}, not {wanted}"))
        }
        (Some(Test::Revision(_) | Test::Exists), None) => {
            (ErrorCode::RevisionMismatch, "the key does not exist".to_owned())
        }
        // No pair of test and state that the model can refuse; said without a guess.
        (Some(Test::Absent), None) | (Some(Test::Exists), Some(_)) | (None, _) => {
            (ErrorCode::RevisionMismatch, "a condition did not hold".to_owned())
        }
    };
    let mut error = Error::new(code, detail).hint("read the key again and decide anew");
    error.revision = refusal.current;
    Problem::from(error).store_revision(refusal.revision)
}

/// The problem for results that do not fit the write: a defect of ours, and the write behind them
/// has happened.
pub(crate) fn unfit_results(written: &Written) -> Problem {
    let detail = "the service's results do not fit the write";
    let error = Error::new(ErrorCode::Internal, detail).effect_unknown();
    Problem::from(error).store_revision(written.revision)
}

/// The problem for a listing without the count that was asked for: a defect of ours.
pub(crate) fn uncounted() -> Problem {
    Error::new(ErrorCode::Internal, "the service's listing has no count").into()
}
