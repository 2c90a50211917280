//! What a node says about itself and its cluster: `/v1/node`, `/v1/status`, `/v1/cluster`,
//! `/version`, and the front page `/`.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::{Method, StatusCode};
use serde::Serialize;

use crate::native::query::Query;
use crate::native::reply::{self, Reply};
use crate::native::wire::{ClusterBody, NodeBody, StatusBody, VersionBody};
use crate::surface::Shared;

/// Methods of everything that can only be read.
pub(crate) const ALLOW_READ: &str = "GET, HEAD, OPTIONS";

pub(crate) async fn node(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    read(&request, || NodeBody::from(shared.admin.node()))
}

pub(crate) async fn status(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    read(&request, || StatusBody::new(shared.admin.node(), &shared.admin.status()))
}

pub(crate) async fn cluster(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    read(&request, || ClusterBody::from(shared.admin.cluster()))
}

pub(crate) async fn version(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    read(&request, || VersionBody { version: shared.admin.node().version, api: ["v1"] })
}

fn read<T: Serialize>(request: &Request, body: impl FnOnce() -> T) -> Reply {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply::other_method(request.method(), ALLOW_READ);
    }
    let is_pretty = Query::parse(request.uri().query(), &["pretty"])?.flag("pretty")?;
    Ok(reply::json(StatusCode::OK, &body(), is_pretty))
}

pub(crate) async fn front(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply::other_method(request.method(), ALLOW_READ);
    }
    Query::parse(request.uri().query(), &[])?;
    let node = shared.admin.node();
    Ok(reply::text(format!("Remex {}, node {}\n{PATHS}", node.version, shared.served_by.name())))
}

const PATHS: &str = "
GET PUT DELETE  /v1/kv/{key}        one key; slashes belong to it
GET DELETE      /v1/kv?prefix=      keys by prefix
POST            /v1/batch           puts and deletes, all or none
GET             /v1/node            who this node is
GET             /v1/status          how it is doing
GET             /v1/cluster         the members and the leader
GET POST        /v1/cluster/members           who is in; invite a node
GET DELETE      /v1/cluster/members/{name}    one member; remove it
POST            /v1/cluster/members/{name}/promote   /demote
POST            /v1/cluster/leader/transfer   let another node lead
GET             /v1/snapshot        the whole state, as a file
GET PUT         /v1/log-level       what the node logs
GET             /metrics            for Prometheus
GET             /livez /readyz      health; /readyz?verbose names the checks
GET             /version

  curl -X PUT localhost:7480/v1/kv/app/config -d '{\"replicas\": 3}'
  curl localhost:7480/v1/kv/app/config
";
