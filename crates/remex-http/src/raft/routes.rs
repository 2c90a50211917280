//! `/v1/data` and `/v1/data/{key}`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use remex_model::{Consistency, Error, Write};

use super::{convert, error};
use crate::dialect::{Place, Registration};
use crate::layers;
use crate::surface::Shared;
use crate::traffic::Route;

pub(crate) const REGISTRATION: Registration = Registration {
    name: "raft",
    place: Place::ClientPort,
    register,
    route_of,
    unescaped: None,
    example: |url| format!(r#"curl {url}/v1/data -d '{{"k":"a","v":"1"}}'"#),
};

const PATH: &str = "/v1/data";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn register(router: Router, shared: &Arc<Shared>) -> Router {
    let routes = Router::new()
        .route(PATH, any(collection))
        .route("/v1/data/", any(one))
        .route("/v1/data/{*key}", any(one))
        .with_state(Arc::clone(shared));
    router.merge(routes)
}

fn route_of(path: &str) -> Option<Route> {
    let rest = path.strip_prefix(PATH)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(Route::Key)
}

/// `/v1/data`: writes.
async fn collection(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match parts.method {
        Method::POST => put(&shared, body).await.unwrap_or_else(error::answer),
        _ => error::other_method("POST"),
    }
}

/// `/v1/data/{key}`: one key.
async fn one(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path();
    let answer = match *request.method() {
        Method::GET | Method::HEAD => get(&shared, path).await,
        Method::DELETE => delete(&shared, path).await,
        _ => return error::other_method("GET, HEAD, DELETE"),
    };
    answer.unwrap_or_else(error::answer)
}

async fn put(shared: &Shared, body: Body) -> Result<Response, Error> {
    let deadline = shared.deadline();
    let limits = shared.service.limits();
    let body = layers::read(body, convert::body_bytes_max(limits), deadline).await;
    let too_large = |length| convert::body_too_large(length, limits);
    let write = convert::write(&body.map_err(|error| error.explain(too_large))?)?;
    layers::write_all(shared, vec![write], deadline).await?;
    Ok(layers::spoken(StatusCode::OK.into_response()))
}

async fn get(shared: &Shared, path: &str) -> Result<Response, Error> {
    let key = key(path)?;
    let found =
        layers::get(shared, key.clone(), Consistency::Linearizable, shared.deadline()).await?;
    let response = match found.record {
        Some(record) => ([(CONTENT_TYPE, JSON)], convert::body(&key, &record)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    };
    Ok(layers::spoken(response))
}

async fn delete(shared: &Shared, path: &str) -> Result<Response, Error> {
    let key = key(path)?;
    layers::write_all(shared, vec![Write::Delete { key }], shared.deadline()).await?;
    Ok(layers::spoken(StatusCode::OK.into_response()))
}

fn key(path: &str) -> Result<remex_model::Key, Error> {
    let rest = path.strip_prefix(PATH).unwrap_or_default();
    convert::key(rest.strip_prefix('/').unwrap_or_default())
}
