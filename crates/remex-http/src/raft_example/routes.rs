//! `/set`, `/get`, `/join`, and `/del`, by any method.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::request::Parts;
use http::{StatusCode, Uri};
use remex_model::{Error, ErrorCode, Write};

use super::{convert, error};
use crate::dialect::{Place, Registration};
use crate::layers::{self, plain_json, plain_status};
use crate::surface::Shared;
use crate::traffic::Route;

pub(crate) const REGISTRATION: Registration = Registration {
    name: "raft-example",
    place: Place::OwnPort,
    register,
    route_of,
    unescaped: None,
    example: |url| format!(r#"curl -X POST '{url}/set' -d '{{"key": "x", "value": "23"}}'"#),
};

/// Adds the routes of this dialect.
fn register(router: Router, shared: &Arc<Shared>) -> Router {
    router.merge(Router::new().fallback(answer).with_state(Arc::clone(shared)))
}

/// What a request to `path` is about.
fn route_of(path: &str) -> Option<Route> {
    match path {
        "/set" | "/get" | "/del" => Some(Route::Key),
        "/join" => Some(Route::Cluster),
        _ => None,
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    route(&shared, &parts, body).await.unwrap_or_else(error::failed)
}

async fn route(shared: &Shared, parts: &Parts, body: Body) -> Result<Response, Error> {
    let uri = &parts.uri;
    match uri.path() {
        "/get" => get(shared, uri).await,
        "/set" => {
            layers::guard(shared, parts)?;
            set(shared, body).await
        }
        "/del" => {
            layers::guard(shared, parts)?;
            delete(shared, uri).await
        }
        "/join" => {
            layers::guard(shared, parts)?;
            Ok(join(shared, uri).await)
        }
        other => Err(Error::new(ErrorCode::NotFound, format!("there is no `{other}`"))
            .hint("the paths are /set, /get, /join and /del")),
    }
}

async fn set(shared: &Shared, body: Body) -> Result<Response, Error> {
    let deadline = shared.deadline();
    let limits = shared.service.limits();
    let body = layers::read(body, limits.request_bytes_max, deadline).await;
    let body = body.map_err(|error| error.explain(|length| convert::too_large(length, limits)))?;
    layers::write_all(shared, vec![convert::set(&body)?], deadline).await?;
    Ok(plain_status(StatusCode::OK))
}

async fn get(shared: &Shared, uri: &Uri) -> Result<Response, Error> {
    let key = convert::key(uri.query())?;
    let consistency = layers::consistency(uri.query())?;
    let found = layers::get(shared, key, consistency, shared.deadline()).await?;
    Ok(plain_json(StatusCode::OK, &convert::data(found.record.as_ref())))
}

async fn delete(shared: &Shared, uri: &Uri) -> Result<Response, Error> {
    let write = Write::Delete { key: convert::key(uri.query())? };
    layers::write_all(shared, vec![write], shared.deadline()).await?;
    Ok(plain_status(StatusCode::OK))
}

async fn join(shared: &Shared, uri: &Uri) -> Response {
    if shared.admin.leader() != Some(shared.admin.node().id) {
        return error::not_the_leader();
    }
    let joined = async {
        let (name, address) = convert::follower(uri.query())?;
        layers::take_in(shared, address, Some(name), shared.deadline()).await
    };
    match joined.await {
        Ok(_member) => plain_status(StatusCode::OK),
        Err(error) => error::not_joined(error),
    }
}
