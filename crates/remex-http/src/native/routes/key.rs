//! `/v1/kv/{key}`: one key. The hot path of the surface.

use std::time::Instant;

use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, StatusCode};
use remex_model::{
    Command, Error, ErrorCode, Get, Key, Limits, Operation, Record, Response as ModelResponse,
    Revision, Write, WriteResult, Written,
};

use crate::layers::{self, Problem};
use crate::native::query::Query;
use crate::native::reply::{self, Reply};
use crate::native::wire::{DeleteBody, KeyBody, PutBody, RecordBody};
use crate::native::{convert, media, path, precondition};
use crate::surface::Shared;

const ALLOW: &str = "GET, HEAD, PUT, DELETE, OPTIONS";

/// Answers a request for one key.
pub(crate) async fn answer<B>(shared: &Shared, request: Request<B>, deadline: Instant) -> Reply
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: std::fmt::Display,
{
    let (parts, body) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => get(shared, &parts, deadline).await,
        Method::PUT => put(shared, &parts, body, deadline).await,
        Method::DELETE => delete(shared, &parts, deadline).await,
        _ => reply::other_method(&parts.method, ALLOW),
    }
}

async fn get(shared: &Shared, parts: &Parts, deadline: Instant) -> Reply {
    let known = ["rev", "consistency", "min_revision", "meta", "pretty"];
    let query = Query::parse(parts.uri.query(), &known)?;
    let (is_meta, is_pretty) = (query.flag("meta")?, query.flag("pretty")?);
    let options = convert::read_options(&query)?;
    let key = path::key(parts.uri.path())?;
    let operation = Operation::Get(Get { key: key.clone(), options });
    let found = match layers::call(shared, operation, deadline).await? {
        ModelResponse::Get(found) => found,
        other @ (ModelResponse::List(_) | ModelResponse::Write(_)) => {
            return Err(reply::mismatched(&other));
        }
    };
    let Some(record) = found.record else {
        return Err(missing(&key, options.at).store_revision(found.revision));
    };
    let mut response = if precondition::client_has(&parts.headers, record.mod_revision) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else if is_meta {
        reply::json(StatusCode::OK, &RecordBody::new(&key, &record), is_pretty)
    } else {
        reply::value(&record.value, is_pretty)
    };
    reply::stamp_revision(&mut response, found.revision);
    reply::stamp_record(response.headers_mut(), &record);
    Ok(response)
}

fn missing(key: &Key, at: Option<Revision>) -> Problem {
    let key = String::from_utf8_lossy(key.as_bytes());
    let detail = match at {
        None => format!("the key `{key}` does not exist"),
        Some(revision) => format!("the key `{key}` did not exist at revision {revision}"),
    };
    Error::new(ErrorCode::KeyNotFound, detail).into()
}

async fn put<B>(shared: &Shared, parts: &Parts, body: B, deadline: Instant) -> Reply
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let query = Query::parse(parts.uri.query(), &["prev", "pretty"])?;
    let (wants_prev, is_pretty) = (query.flag("prev")?, query.flag("pretty")?);
    let key = path::key(parts.uri.path())?;
    let media = media::of(&parts.headers)?;
    let bytes_max = shared.service.limits().value_bytes_max;
    let too_large = |length| Limits::value_too_large(length, bytes_max);
    let body = layers::read(body, bytes_max, deadline).await;
    let body = body.map_err(|error| error.explain(too_large))?;
    let value = convert::value(media, body)?;
    let write = Write::Put { key: key.clone(), value, lease: 0 };
    let written = write_one(shared, parts, &key, write, deadline).await?;
    let [WriteResult::Put { create_revision, version, previous }] = &written.results[..] else {
        return Err(convert::unfit_results(&written));
    };
    let body = PutBody {
        key: KeyBody(&key),
        revision: written.revision.get(),
        create_revision: create_revision.get(),
        version: *version,
        prev: prev(wants_prev, &written, &key, previous.as_ref()),
    };
    let status = if *version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = reply::json(status, &body, is_pretty);
    reply::stamp_tag(&mut response, written.revision);
    Ok(stamp(response, &written))
}

async fn delete(shared: &Shared, parts: &Parts, deadline: Instant) -> Reply {
    let query = Query::parse(parts.uri.query(), &["prev", "pretty"])?;
    let (wants_prev, is_pretty) = (query.flag("prev")?, query.flag("pretty")?);
    let key = path::key(parts.uri.path())?;
    let write = Write::Delete { key: key.clone() };
    let written = write_one(shared, parts, &key, write, deadline).await?;
    let [WriteResult::Deleted { count, previous }] = &written.results[..] else {
        return Err(convert::unfit_results(&written));
    };
    let body = DeleteBody {
        deleted: *count,
        dry_run: false,
        revision: written.revision.get(),
        prev: prev(wants_prev, &written, &key, previous.as_ref()),
    };
    Ok(stamp(reply::json(StatusCode::OK, &body, is_pretty), &written))
}

/// Writes one key under the conditions of the headers.
async fn write_one(
    shared: &Shared,
    parts: &Parts,
    key: &Key,
    write: Write,
    deadline: Instant,
) -> Result<Written, Problem> {
    let conditions = precondition::of_write(&parts.headers, key)?;
    let request_key = convert::request_key(&parts.headers);
    // The conditions are kept for the answer; there are none in nearly every write.
    let command = Command { request_key, conditions: conditions.clone(), writes: vec![write] };
    match layers::call(shared, Operation::Write(command), deadline).await? {
        ModelResponse::Write(outcome) => convert::written(outcome, &conditions),
        other @ (ModelResponse::Get(_) | ModelResponse::List(_)) => Err(reply::mismatched(&other)),
    }
}

/// The `prev` member. A repeated outcome does not remember the record, so it says nothing rather
/// than that there was none.
fn prev<'a>(
    wanted: bool,
    written: &Written,
    key: &'a Key,
    previous: Option<&'a Record>,
) -> Option<Option<RecordBody<'a>>> {
    let known = wanted && !(written.repeated && previous.is_none());
    known.then(|| previous.map(|record| RecordBody::new(key, record)))
}

fn stamp(mut response: Response, written: &Written) -> Response {
    reply::stamp_revision(&mut response, written.revision);
    reply::stamp_replayed(&mut response, written.repeated);
    response
}
