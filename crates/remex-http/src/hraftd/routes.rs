//! The paths of both systems. Those of hraftd begin with what they name; those of huffleraft have
//! it behind a directory.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri};
use remex_model::{Error, ErrorCode, Write};

use super::{convert, error, joining};
use crate::dialect::{Place, Registration};
use crate::layers::{self, plain_json, plain_status};
use crate::surface::Shared;
use crate::traffic::Route;

pub(crate) const REGISTRATION: Registration = Registration {
    name: "hraftd",
    place: Place::OwnPort,
    register,
    route_of,
    unescaped: None,
    example: |url| format!(r#"curl -XPOST {url}/key -d '{{"user1": "batman"}}'"#),
};

/// Longest body of `/join`, in bytes.
const JOIN_BYTES_MAX: usize = 4 * 1024;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// hraftd's keys.
    Key,
    /// hraftd's membership.
    Join,
    /// hraftd's view of its cluster.
    Status,
    /// huffleraft's keys.
    KeyInDirectory,
    /// huffleraft's membership.
    JoinInDirectory,
}

impl Named {
    /// Keys before the rest, and anywhere in the path, as huffleraft looks for them.
    fn of(path: &str) -> Option<Self> {
        match path {
            "/key" => Some(Self::Key),
            "/join" => Some(Self::Join),
            "/status" => Some(Self::Status),
            _ if path.starts_with("/key/") => Some(Self::Key),
            _ if path.contains("/key") => Some(Self::KeyInDirectory),
            _ if path.contains("/join") => Some(Self::JoinInDirectory),
            _ => None,
        }
    }
}

/// Adds the routes of this dialect.
fn register(router: Router, shared: &Arc<Shared>) -> Router {
    router.merge(Router::new().fallback(answer).with_state(Arc::clone(shared)))
}

/// What a request to `path` is about.
fn route_of(path: &str) -> Option<Route> {
    Some(match Named::of(path)? {
        Named::Key | Named::KeyInDirectory => Route::Key,
        Named::Join | Named::JoinInDirectory => Route::Cluster,
        Named::Status => Route::Node,
    })
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (Parts { method, uri, .. }, body) = request.into_parts();
    match Named::of(uri.path()) {
        Some(Named::Key) => key(&shared, &method, &uri, body).await,
        Some(Named::KeyInDirectory) => key_in_directory(&shared, &method, &uri, body).await,
        Some(Named::Join) => join(&shared, &method, body).await,
        Some(Named::JoinInDirectory) => join_in_directory(&shared, &method, body).await,
        Some(Named::Status) if method == Method::GET => {
            let status = convert::status(shared.admin.node(), shared.admin.cluster());
            plain_json(StatusCode::OK, &status)
        }
        Some(Named::Status) => other_method(&method, "GET"),
        None => {
            let detail = format!("there is no `{}`", uri.path());
            error::failed(Error::new(ErrorCode::NotFound, detail).hint(
                "the paths are /key, /join and /status, and /DIRECTORY/key and /DIRECTORY/join",
            ))
        }
    }
}

/// hraftd's `/key` and `/key/{key}`.
async fn key(shared: &Shared, method: &Method, uri: &Uri, body: Body) -> Response {
    let result = match *method {
        Method::GET => get(shared, uri).await,
        Method::POST => set_pairs(shared, body).await,
        Method::DELETE => delete(shared, uri).await,
        _ => return other_method(method, "GET, POST, DELETE"),
    };
    result.unwrap_or_else(error::failed)
}

/// huffleraft's: whatever goes wrong has one status.
async fn key_in_directory(shared: &Shared, method: &Method, uri: &Uri, body: Body) -> Response {
    let result = match *method {
        Method::POST => set(shared, body).await,
        Method::DELETE => delete(shared, uri).await,
        _ => return other_method(method, "POST, DELETE"),
    };
    result.unwrap_or_else(|error| error::failed_with(StatusCode::BAD_REQUEST, error))
}

async fn get(shared: &Shared, uri: &Uri) -> Result<Response, Error> {
    let key = convert::key(uri.path())?;
    let consistency = layers::consistency(uri.query())?;
    let found = layers::get(shared, key.clone(), consistency, shared.deadline()).await?;
    Ok(plain_json(StatusCode::OK, &convert::pair(&key, found.record.as_ref())))
}

async fn set_pairs(shared: &Shared, body: Body) -> Result<Response, Error> {
    let deadline = shared.deadline();
    let writes = convert::pairs(&read(shared, body).await?)?;
    // No pairs are no work, which is done.
    if !writes.is_empty() {
        layers::write_all(shared, writes, deadline).await?;
    }
    Ok(plain_status(StatusCode::OK))
}

async fn set(shared: &Shared, body: Body) -> Result<Response, Error> {
    let deadline = shared.deadline();
    let set = convert::set(&read(shared, body).await?)?;
    layers::write_all(shared, vec![set], deadline).await?;
    Ok(plain_status(StatusCode::OK))
}

async fn delete(shared: &Shared, uri: &Uri) -> Result<Response, Error> {
    let delete = Write::Delete { key: convert::key(uri.path())? };
    layers::write_all(shared, vec![delete], shared.deadline()).await?;
    Ok(plain_status(StatusCode::OK))
}

/// hraftd's `/join`: 400 if the request is malformed, 500 if the node cannot become a member.
async fn join(shared: &Shared, method: &Method, body: Body) -> Response {
    if *method != Method::POST {
        return other_method(method, "POST");
    }
    let until = shared.deadline();
    let newcomer = match read_join(shared, body).await.and_then(|body| convert::newcomer(&body)) {
        Ok(newcomer) => newcomer,
        Err(error) => return error::failed(error),
    };
    joined(joining::join(shared, &newcomer, until).await)
}

/// huffleraft's: the node has no id and must run already, so that it can be asked for its name.
async fn join_in_directory(shared: &Shared, method: &Method, body: Body) -> Response {
    if *method != Method::POST {
        return other_method(method, "POST");
    }
    let until = shared.deadline();
    let address = match read_join(shared, body).await.and_then(|body| convert::address(&body)) {
        Ok(address) => address,
        Err(error) => return error::failed(error),
    };
    joined(layers::take_in(shared, address, None, until).await.map(drop))
}

fn joined(result: Result<(), Error>) -> Response {
    match result {
        Ok(()) => plain_status(StatusCode::OK),
        Err(error) => error::failed_with(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

async fn read(shared: &Shared, body: Body) -> Result<Bytes, Error> {
    let limits = shared.service.limits();
    let body = layers::read(body, limits.request_bytes_max, shared.deadline()).await;
    body.map_err(|error| error.explain(|length| convert::too_large(length, limits)))
}

async fn read_join(shared: &Shared, body: Body) -> Result<Bytes, Error> {
    let body = layers::read(body, JOIN_BYTES_MAX, shared.deadline()).await;
    body.map_err(|error| {
        error.explain(|length| {
            let detail = format!("the body has {length} bytes, the limit is {JOIN_BYTES_MAX}");
            Error::new(ErrorCode::RequestTooLarge, detail)
        })
    })
}

fn other_method(method: &Method, allow: &'static str) -> Response {
    let detail = format!("{method} means nothing here; this path serves {allow}");
    let mut response = error::failed(Error::new(ErrorCode::MethodNotAllowed, detail));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h4_a_directory_in_front_tells_the_two_systems_apart() {
        for (path, place) in [
            ("/key", Some(Named::Key)),
            ("/key/", Some(Named::Key)),
            ("/key/join", Some(Named::Key)),
            ("/join", Some(Named::Join)),
            ("/status", Some(Named::Status)),
            ("/raft1/key", Some(Named::KeyInDirectory)),
            ("/raft1/key/k", Some(Named::KeyInDirectory)),
            ("//tmp/raft1/key", Some(Named::KeyInDirectory)),
            ("/keys/key", Some(Named::KeyInDirectory)),
            ("/raft1/join", Some(Named::JoinInDirectory)),
            ("/joins/key/k", Some(Named::KeyInDirectory)),
            ("/raft1/status", None),
            ("/", None),
            ("/kv", None),
        ] {
            assert_eq!(Named::of(path), place, "{path}");
        }
    }
}
