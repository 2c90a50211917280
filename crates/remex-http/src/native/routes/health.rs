//! `/livez` and `/readyz`, for supervisors and load balancers. They look at memory alone and
//! answer also while there is no leader.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::{Method, StatusCode};
use remex_model::{Check, Error, ErrorCode, NodeRole};

use super::cluster::ALLOW_READ;
use crate::layers::Problem;
use crate::native::query::Query;
use crate::native::reply::{self, Reply};
use crate::native::wire::HealthBody;
use crate::surface::Shared;

const READY_PATH: &str = "/readyz/";
/// The checks that this surface adds to those of the node.
const DRAINING: &str = "draining";
const MEMBER: &str = "member";

pub(crate) async fn live(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    answer(&request, || Ok(shared.admin.liveness()))
}

pub(crate) async fn ready(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    answer(&request, || Ok(readiness(&shared)))
}

pub(crate) async fn ready_check(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    answer(&request, || {
        let name = request.uri().path().strip_prefix(READY_PATH).unwrap_or_default();
        let mut checks = readiness(&shared);
        let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
        if !names.contains(&name) {
            let error = Error::new(ErrorCode::NotFound, format!("there is no check `{name}`"));
            return Err(error.hint(format!("the checks are {}", names.join(", "))).into());
        }
        checks.retain(|check| check.name == name);
        Ok(checks)
    })
}

fn readiness(shared: &Shared) -> Vec<Check> {
    let mut checks = shared.admin.readiness();
    if checks.iter().all(|check| check.name != MEMBER) {
        checks.push(membership(shared.admin.status().role));
    }
    let is_draining = shared.is_draining();
    let detail = if is_draining { "this node is shutting down" } else { "takes connections" };
    checks.push(Check { name: DRAINING, ok: !is_draining, detail: detail.to_owned() });
    checks
}

/// Whether the node is one that requests can be sent to. A learner is: it reads, and forwards.
fn membership(role: NodeRole) -> Check {
    let (ok, detail) = match role {
        NodeRole::Follower | NodeRole::Candidate | NodeRole::Leader => (true, "a voter"),
        NodeRole::Learner => (true, "a learner: serves, and does not count for the quorum"),
        NodeRole::Waiting => (false, "not part of a cluster yet"),
        NodeRole::Repairing => (false, "fetches from the other members what its disk has lost"),
        NodeRole::Removed => (false, "was removed from its cluster; stop it for good"),
    };
    Check { name: MEMBER, ok, detail: detail.to_owned() }
}

fn answer(request: &Request, checks: impl FnOnce() -> Result<Vec<Check>, Problem>) -> Reply {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply::other_method(request.method(), ALLOW_READ);
    }
    let query = Query::parse(request.uri().query(), &["verbose", "pretty"])?;
    let (is_verbose, is_pretty) = (query.flag("verbose")?, query.flag("pretty")?);
    let checks = checks()?;
    if checks.iter().all(|check| check.ok) {
        let checks = if is_verbose { &checks[..] } else { &[] };
        return Ok(reply::json(StatusCode::OK, &HealthBody::new(checks), is_pretty));
    }
    Err(failed(checks, is_verbose))
}

/// The answer that names what failed; all checks if that was asked for.
fn failed(mut checks: Vec<Check>, is_verbose: bool) -> Problem {
    let is_draining = checks.iter().any(|check| !check.ok && check.name == DRAINING);
    let code = if is_draining { ErrorCode::Draining } else { ErrorCode::NotReady };
    let failures = checks.iter().filter(|check| !check.ok);
    let details: Vec<String> =
        failures.map(|check| format!("{}: {}", check.name, check.detail)).collect();
    if !is_verbose {
        checks.retain(|check| !check.ok);
    }
    Problem::from(Error::new(code, details.join("; "))).checks(checks)
}
