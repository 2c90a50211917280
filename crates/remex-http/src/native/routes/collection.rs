//! `/v1/kv`: ranges of keys.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::header::LINK;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use remex_model::{
    Command, Error, ErrorCode, KeyRange, List, ListResponse, Operation, Order, ReadOptions,
    RequestKey, Response as ModelResponse, Write, WriteResult,
};

use crate::layers::{self, Problem};
use crate::native::convert;
use crate::native::cursor::Cursor;
use crate::native::precondition;
use crate::native::query::Query;
use crate::native::reply::{self, Reply};
use crate::native::wire::{DeleteBody, PageBody, RecordBody};
use crate::surface::Shared;

const ALLOW: &str = "GET, HEAD, DELETE, OPTIONS";

const LIST_PARAMETERS: [&str; 11] = [
    "prefix",
    "start",
    "end",
    "limit",
    "cursor",
    "keys",
    "order",
    "rev",
    "consistency",
    "min_revision",
    "pretty",
];

pub(crate) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    let (parts, _body) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => list(&shared, &parts).await,
        Method::DELETE => delete(&shared, &parts).await,
        _ => reply::other_method(&parts.method, ALLOW),
    }
}

async fn list(shared: &Shared, parts: &Parts) -> Reply {
    let query = Query::parse(parts.uri.query(), &LIST_PARAMETERS)?;
    let is_pretty = query.flag("pretty")?;
    let (list, counted) = convert::listing(&query, shared.service.limits())?;
    let page = call_list(shared, list.clone()).await?;
    let Some(count) = page.count.or(counted) else {
        return Err(convert::uncounted());
    };
    let next = next(&list, &page, count);
    let items = page.items.iter().map(|item| {
        if list.keys_only {
            RecordBody::without_value(&item.key, &item.record)
        } else {
            RecordBody::new(&item.key, &item.record)
        }
    });
    let revision = page.revision.get();
    let body = PageBody { revision, items: items.collect(), count, next: next.as_deref() };
    let mut response = reply::json(StatusCode::OK, &body, is_pretty);
    reply::stamp_revision(&mut response, page.revision);
    if let Some(next) = &next {
        let (limit, keys) = (list.limit, if list.keys_only { "&keys" } else { "" });
        let pretty = if is_pretty { "&pretty" } else { "" };
        let link = format!("</v1/kv?cursor={next}&limit={limit}{keys}{pretty}>; rel=\"next\"");
        let link = HeaderValue::from_str(&link).expect("a cursor is base64url, so visible ASCII");
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// The cursor of the next page, if there is one.
fn next(list: &List, page: &ListResponse, count: u64) -> Option<String> {
    let last = page.items.last().filter(|_| page.more)?;
    let cursor = Cursor {
        revision: page.revision,
        count,
        range: list.range.clone(),
        order: list.order,
        after: last.key.clone(),
    };
    Some(cursor.to_text())
}

async fn call_list(shared: &Shared, list: List) -> Result<ListResponse, Problem> {
    match layers::call(shared, Operation::List(list), shared.deadline()).await? {
        ModelResponse::List(page) => Ok(page),
        other @ (ModelResponse::Get(_) | ModelResponse::Write(_)) => Err(reply::mismatched(&other)),
    }
}

async fn delete(shared: &Shared, parts: &Parts) -> Reply {
    precondition::none(&parts.headers)?;
    let query = Query::parse(parts.uri.query(), &["prefix", "all", "dry_run", "pretty"])?;
    let is_pretty = query.flag("pretty")?;
    let prefix = match (query.text("prefix"), query.flag("all")?) {
        (None | Some(""), true) => "",
        (Some(prefix), _) if !prefix.is_empty() => prefix,
        _ => {
            let detail = "without a prefix this would delete every key";
            return Err(Error::new(ErrorCode::BadRequest, detail)
                .hint("name a prefix, or add all=true to delete every key")
                .into());
        }
    };
    let range = KeyRange::prefix(bytes::Bytes::copy_from_slice(prefix.as_bytes()));
    if query.flag("dry_run")? {
        return count(shared, range, is_pretty).await;
    }
    let first = delete_step(shared, &range, convert::request_key(&parts.headers)).await?;
    let (mut count, mut last) = (first.count, first.count);
    let mut revision = first.revision;
    // A large range goes in steps, each of them atomic.
    while last == Write::DELETE_RANGE_KEYS_MAX {
        let step = delete_step(shared, &range, None).await.map_err(|problem| {
            problem.after(&format!("{count} keys were deleted before that; repeat for the rest"))
        })?;
        (count, last, revision) = (count + step.count, step.count, step.revision);
    }
    let mut response = deleted(count, false, revision, is_pretty);
    reply::stamp_replayed(&mut response, first.repeated);
    Ok(response)
}

/// What one step of a delete did.
struct Step {
    count: u64,
    revision: remex_model::Revision,
    repeated: bool,
}

async fn delete_step(
    shared: &Shared,
    range: &KeyRange,
    request_key: Option<RequestKey>,
) -> Result<Step, Problem> {
    let writes = vec![Write::DeleteRange { range: range.clone() }];
    let command = Command { request_key, conditions: Vec::new(), writes };
    let operation = Operation::Write(command);
    let written = match layers::call(shared, operation, shared.deadline()).await? {
        ModelResponse::Write(outcome) => convert::written(outcome, &[])?,
        other @ (ModelResponse::Get(_) | ModelResponse::List(_)) => {
            return Err(reply::mismatched(&other));
        }
    };
    let [WriteResult::Deleted { count, .. }] = &written.results[..] else {
        return Err(convert::unfit_results(&written));
    };
    Ok(Step { count: *count, revision: written.revision, repeated: written.repeated })
}

/// Says how many keys a delete of the range would remove now.
async fn count(shared: &Shared, range: KeyRange, is_pretty: bool) -> Reply {
    let list = List {
        range,
        after: None,
        limit: 1,
        order: Order::Ascending,
        keys_only: true,
        count: true,
        options: ReadOptions::default(),
    };
    let page = call_list(shared, list).await?;
    let count = page.count.ok_or_else(convert::uncounted)?;
    Ok(deleted(count, true, page.revision, is_pretty))
}

fn deleted(
    deleted: u64,
    dry_run: bool,
    revision: remex_model::Revision,
    is_pretty: bool,
) -> Response {
    let body = DeleteBody { deleted, dry_run, revision: revision.get(), prev: None };
    let mut response = reply::json(StatusCode::OK, &body, is_pretty);
    reply::stamp_revision(&mut response, revision);
    response
}
