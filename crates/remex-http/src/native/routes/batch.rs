//! `/v1/batch`: puts and deletes in one atomic entry.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::{Method, StatusCode};
use remex_model::{
    Command, Error, ErrorCode, Key, Operation, Response as ModelResponse, Write, WriteResult,
};

use crate::layers;
use crate::native::query::Query;
use crate::native::reply::{self, Reply};
use crate::native::wire::{BatchBody, BatchResult, KeyBody};
use crate::native::{convert, media, precondition};
use crate::surface::Shared;

pub(crate) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return reply::other_method(&parts.method, "POST, OPTIONS");
    }
    let deadline = shared.deadline();
    precondition::none(&parts.headers)?;
    let query = Query::parse(parts.uri.query(), &["pretty"])?;
    let is_pretty = query.flag("pretty")?;
    media::of(&parts.headers)?;
    let bytes_max = shared.service.limits().request_bytes_max;
    let body = layers::read(body, bytes_max, deadline).await;
    let body = body.map_err(|error| error.explain(|length| too_large(length, bytes_max)))?;
    let writes = convert::batch(&body)?;
    // The keys are kept for the answer; they share their bytes.
    let keys: Vec<Key> = writes.iter().filter_map(key).cloned().collect();
    let request_key = convert::request_key(&parts.headers);
    let command = Command { request_key, conditions: Vec::new(), writes };
    let written = match layers::call(&shared, Operation::Write(command), deadline).await? {
        ModelResponse::Write(outcome) => convert::written(outcome, &[])?,
        other @ (ModelResponse::Get(_) | ModelResponse::List(_)) => {
            return Err(reply::mismatched(&other));
        }
    };
    if written.results.len() != keys.len() {
        return Err(convert::unfit_results(&written));
    }
    let results = keys.iter().zip(&written.results).map(|(key, result)| match result {
        WriteResult::Put { create_revision, version, .. } => BatchResult::Put {
            key: KeyBody(key),
            create_revision: create_revision.get(),
            version: *version,
        },
        WriteResult::Deleted { count, .. } => {
            BatchResult::Delete { key: KeyBody(key), deleted: *count }
        }
    });
    let body = BatchBody { revision: written.revision.get(), results: results.collect() };
    let mut response = reply::json(StatusCode::OK, &body, is_pretty);
    reply::stamp_revision(&mut response, written.revision);
    reply::stamp_replayed(&mut response, written.repeated);
    Ok(response)
}

fn key(write: &Write) -> Option<&Key> {
    match write {
        Write::Put { key, .. } | Write::Delete { key } => Some(key),
        Write::DeleteRange { .. } => None,
    }
}

fn too_large(length: usize, max: usize) -> Error {
    let detail = format!("the request body has {length} bytes, the limit is {max}");
    Error::new(ErrorCode::RequestTooLarge, detail)
        .hint("split the batch, or raise --max-request-bytes on every node")
}
