//! Calling the ports within the deadline.

use std::time::{Duration, Instant};

use remex_model::{
    Command, Consistency, Context, Error, ErrorCode, Get, GetResponse, Key, Operation, Outcome,
    ReadOptions, Request, Response, Write, Written,
};

use crate::surface::Shared;

/// How much longer than the deadline the surface waits. The service watches the deadline itself
/// and knows whether a write had been proposed by then, so its answer is the better one; this is
/// the net below it, so that no connection can hang for ever.
const GRACE: Duration = Duration::from_millis(500);

/// Carries out one operation.
pub(crate) async fn call(
    shared: &Shared,
    operation: Operation,
    deadline: Instant,
) -> Result<Response, Error> {
    let is_write = matches!(operation, Operation::Write(_));
    let request = Request { context: Context { deadline }, operation };
    let wait = tokio::time::timeout_at((deadline + GRACE).into(), shared.service.call(request));
    match wait.await {
        Ok(result) => result,
        Err(_elapsed) => {
            let ms = shared.options.request_timeout_ms;
            let error = Error::new(ErrorCode::Timeout, format!("no answer within {ms} ms"));
            Err(if is_write {
                error
                    .effect_unknown()
                    .hint("the write may still happen: read the key, or retry with the same Idempotency-Key")
            } else {
                error.retry_after(1_000)
            })
        }
    }
}

/// Reads one key.
pub(crate) async fn get(
    shared: &Shared,
    key: Key,
    consistency: Consistency,
    deadline: Instant,
) -> Result<GetResponse, Error> {
    let options = ReadOptions { consistency, ..ReadOptions::default() };
    match call(shared, Operation::Get(Get { key, options }), deadline).await? {
        Response::Get(found) => Ok(found),
        Response::List(_) | Response::Write(_) => Err(mismatched()),
    }
}

/// Writes under the command's conditions.
pub(crate) async fn write(
    shared: &Shared,
    command: Command,
    deadline: Instant,
) -> Result<Outcome, Error> {
    match call(shared, Operation::Write(command), deadline).await? {
        Response::Write(outcome) => Ok(outcome),
        Response::Get(_) | Response::List(_) => Err(mismatched()),
    }
}

/// Writes without conditions.
pub(crate) async fn write_all(
    shared: &Shared,
    writes: Vec<Write>,
    deadline: Instant,
) -> Result<Written, Error> {
    match write(shared, Command { writes, ..Command::default() }, deadline).await? {
        Outcome::Written(written) => Ok(written),
        Outcome::Refused(_) | Outcome::KeyReused { .. } => Err(mismatched()),
    }
}

/// The error for a service that answers another question than it was asked.
fn mismatched() -> Error {
    Error::new(ErrorCode::Internal, "the service answered another request").effect_unknown()
}

/// Waits for what the node does to its cluster or with its disk.
pub(crate) async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout_at((deadline + GRACE).into(), work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Error::new(ErrorCode::Timeout, "no answer from the node in time")
            .effect_unknown()
            .hint("it may still happen: look at GET /v1/cluster before you repeat it")),
    }
}
