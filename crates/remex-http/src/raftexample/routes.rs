//! The one route: everything, sorted by its method.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode, Uri};
use remex_model::{Consistency, Error, ErrorCode, Limits, MemberRequest, MemberStep};

use super::{convert, error};
use crate::dialect::{Place, Registration};
use crate::layers::{self, plain_status, shown, spoken};
use crate::surface::Shared;
use crate::traffic::Route;

pub(crate) const REGISTRATION: Registration = Registration {
    name: "raftexample",
    place: Place::OwnPort,
    register,
    // Whether a request is about a key or a node depends on its method, which is measured apart.
    route_of: |_path| Some(Route::Key),
    unescaped: None,
    example: |url| format!("curl -L {url}/my-key -XPUT -d hello"),
};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Longest URL of a peer, in bytes.
const URL_BYTES_MAX: usize = 1024;

/// Adds the routes of this dialect.
fn register(router: Router, shared: &Arc<Shared>) -> Router {
    router.merge(Router::new().fallback(answer).with_state(Arc::clone(shared)))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (answer, line) = match parts.method {
        Method::PUT => (put(&shared, &parts.uri, body).await, "Failed on PUT"),
        Method::GET => (get(&shared, &parts.uri).await, "Failed to GET"),
        Method::POST => (add(&shared, &parts.uri, body).await, "Failed on POST"),
        Method::DELETE => (remove(&shared, &parts.uri).await, "Failed on DELETE"),
        _ => return other_method(&parts.method),
    };
    answer.unwrap_or_else(|error| error::failed(line, error))
}

async fn put(shared: &Shared, uri: &Uri, body: Body) -> Result<Response, Error> {
    let deadline = shared.deadline();
    let key = convert::key(uri)?;
    let bytes_max = shared.service.limits().value_bytes_max;
    let body = layers::read(body, bytes_max, deadline).await;
    let body =
        body.map_err(|error| error.explain(|length| Limits::value_too_large(length, bytes_max)))?;
    layers::write_all(shared, vec![convert::put(key, body)], deadline).await?;
    Ok(plain_status(StatusCode::NO_CONTENT))
}

async fn get(shared: &Shared, uri: &Uri) -> Result<Response, Error> {
    let key = convert::key(uri)?;
    let found = layers::get(shared, key, Consistency::Stale, shared.deadline()).await?;
    match found.record {
        Some(record) => Ok(value(shown(&record.value))),
        None => {
            let hint = "the whole target is the key, with its slash and its query";
            Err(Error::new(ErrorCode::KeyNotFound, "the key does not exist").hint(hint))
        }
    }
}

async fn add(shared: &Shared, uri: &Uri, body: Body) -> Result<Response, Error> {
    let until = shared.deadline();
    let body = layers::read(body, URL_BYTES_MAX, until).await;
    let body = body.map_err(|error| error.explain(url_too_long))?;
    let name = convert::node_name(uri)?;
    layers::take_in(shared, convert::address(&body)?, Some(name), until).await?;
    Ok(plain_status(StatusCode::NO_CONTENT))
}

async fn remove(shared: &Shared, uri: &Uri) -> Result<Response, Error> {
    let deadline = shared.change_deadline();
    let name = convert::node_name(uri)?;
    let step = MemberStep::Remove(name.clone());
    let request = MemberRequest { step, force: false, deadline };
    match layers::within(deadline, shared.admin.change_members(request)).await {
        // It is not there, or not any more, which is what was asked for: so a retry is safe.
        Err(error) if error.code == ErrorCode::MemberNotFound => {
            tracing::info!(node = name, "asked to remove a node that is no member");
        }
        result => drop(result?),
    }
    Ok(plain_status(StatusCode::NO_CONTENT))
}

fn value(bytes: Bytes) -> Response {
    let kind = if std::str::from_utf8(&bytes).is_ok() { TEXT } else { BYTES };
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    spoken(response)
}

fn url_too_long(length: usize) -> Error {
    let detail = format!("the body has {length} bytes, the URL of a peer at most {URL_BYTES_MAX}");
    Error::new(ErrorCode::BadRequest, detail)
}

fn other_method(method: &Method) -> Response {
    const ALLOWED: &str = "PUT, GET, POST, DELETE";
    let detail = format!("{method} means nothing here; every path serves {ALLOWED}");
    let mut response =
        error::failed("Method not allowed", Error::new(ErrorCode::MethodNotAllowed, detail));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(ALLOWED));
    response
}
