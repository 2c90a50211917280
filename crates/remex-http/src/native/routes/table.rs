//! The table of routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;
use http::Method;
use remex_model::{Error, ErrorCode};

use super::{batch, cluster, collection, health, key, members, node};
use crate::native::reply::{Reply, other_method};
use crate::surface::Shared;

/// Adds the routes of this dialect, and the answer to paths that nobody serves.
pub(crate) fn register(router: Router, shared: &Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/", any(cluster::front))
        .route("/v1/kv", any(collection::answer))
        .route("/v1/kv/", any(one_key))
        .route("/v1/kv/{*key}", any(one_key))
        .route("/v1/batch", any(batch::answer))
        .route("/v1/node", any(cluster::node))
        .route("/v1/status", any(cluster::status))
        .route("/v1/cluster", any(cluster::cluster))
        .route("/v1/cluster/members", any(members::collection))
        .route("/v1/cluster/members/{member}", any(members::one))
        .route("/v1/cluster/members/{member}/promote", any(members::promote))
        .route("/v1/cluster/members/{member}/demote", any(members::demote))
        .route("/v1/cluster/leader/transfer", any(members::transfer))
        .route("/v1/snapshot", any(node::snapshot))
        .route("/v1/log-level", any(node::log_level))
        .route("/metrics", any(node::metrics))
        .route("/version", any(cluster::version))
        .route("/livez", any(health::live))
        .route("/readyz", any(health::ready))
        .route("/readyz/{check}", any(health::ready_check))
        .fallback(nowhere)
        .with_state(Arc::clone(shared));
    router.merge(routes)
}

async fn one_key(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    let deadline = shared.deadline();
    key::answer(&shared, request, deadline).await
}

async fn nowhere(request: Request) -> Reply {
    let path = request.uri().path();
    if request.method() == Method::OPTIONS && path == "*" {
        return other_method(request.method(), "GET, HEAD, PUT, POST, DELETE, OPTIONS");
    }
    let error = Error::new(ErrorCode::NotFound, format!("nothing is served at {path}"));
    Err(error.hint("GET / names the paths").into())
}
