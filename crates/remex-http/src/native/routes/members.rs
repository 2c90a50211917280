//! `/v1/cluster/members` and `/v1/cluster/leader/transfer`: who belongs to the cluster, and who
//! leads it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use remex_model::{MemberRequest, MemberStep, MemberView};

use crate::layers::{self, Problem};
use crate::native::query::Query;
use crate::native::reply::{self, Reply};
use crate::native::routes::body;
use crate::native::wire::{AddMemberBody, LeaderBody, MemberBody, MembersBody, TransferBody};
use crate::native::{membership, precondition};
use crate::surface::Shared;

const TRANSFER_HINT: &str = r#"the body is {"to":"n2"}, or nothing to let the node choose"#;

/// `/v1/cluster/members`: the list, and invitations.
pub(crate) async fn collection(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            let is_pretty = Query::parse(parts.uri.query(), &["pretty"])?.flag("pretty")?;
            let view = shared.admin.cluster();
            let members = view.members.into_iter().map(MemberBody::from).collect();
            let body = MembersBody { changing: view.changing, members };
            Ok(reply::json(StatusCode::OK, &body, is_pretty))
        }
        Method::POST => add(&shared, &parts, body).await,
        _ => reply::other_method(&parts.method, "GET, HEAD, POST, OPTIONS"),
    }
}

/// `/v1/cluster/members/{id or name}`: one member.
pub(crate) async fn one(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    let (parts, _body) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            let is_pretty = Query::parse(parts.uri.query(), &["pretty"])?.flag("pretty")?;
            let member =
                membership::find(shared.admin.cluster(), &membership::named(parts.uri.path())?)?;
            Ok(reply::json(StatusCode::OK, &MemberBody::from(member), is_pretty))
        }
        Method::DELETE => change(&shared, &parts, MemberStep::Remove).await,
        _ => reply::other_method(&parts.method, "GET, HEAD, DELETE, OPTIONS"),
    }
}

/// `/v1/cluster/members/{id or name}/promote`: a learner becomes a voter.
pub(crate) async fn promote(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    post(&shared, request, MemberStep::Promote).await
}

/// `/v1/cluster/members/{id or name}/demote`: a voter becomes a learner.
pub(crate) async fn demote(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    post(&shared, request, MemberStep::Demote).await
}

/// `/v1/cluster/leader/transfer`: another voter leads.
pub(crate) async fn transfer(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return reply::other_method(&parts.method, "POST, OPTIONS");
    }
    precondition::none(&parts.headers)?;
    let is_pretty = Query::parse(parts.uri.query(), &["pretty"])?.flag("pretty")?;
    let TransferBody { to } =
        body::json(&shared, &parts, body, TRANSFER_HINT).await?.unwrap_or_default();
    let deadline = shared.change_deadline();
    let (id, term) =
        layers::within(deadline, shared.admin.transfer_leadership(to, deadline)).await?;
    let members = shared.admin.cluster().members;
    let name = members.into_iter().find(|member| member.id == id).map(|member| member.name);
    let body = LeaderBody { leader: id.to_string(), name, term: term.get() };
    Ok(reply::json(StatusCode::OK, &body, is_pretty))
}

async fn add(shared: &Shared, parts: &Parts, body: Body) -> Reply {
    precondition::none(&parts.headers)?;
    let (is_forced, is_pretty) = switches(parts)?;
    let body = body::json::<AddMemberBody>(shared, parts, body, membership::ADD_HINT).await?;
    let body = body.ok_or_else(|| body::missing(membership::ADD_HINT))?;
    let member = carry_out(shared, membership::add(body)?, is_forced).await?;
    let location = format!("/v1/cluster/members/{}", member.id);
    let mut response = reply::json(StatusCode::ACCEPTED, &MemberBody::from(member), is_pretty);
    let location = HeaderValue::from_str(&location).expect("an id is hexadecimal digits");
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

async fn post(shared: &Shared, request: Request, step: fn(String) -> MemberStep) -> Reply {
    let (parts, _body) = request.into_parts();
    if parts.method != Method::POST {
        return reply::other_method(&parts.method, "POST, OPTIONS");
    }
    change(shared, &parts, step).await
}

/// Changes the member that the path names.
async fn change(
    shared: &Shared,
    parts: &Parts,
    step: fn(String) -> MemberStep,
) -> Result<Response, Problem> {
    precondition::none(&parts.headers)?;
    let (is_forced, is_pretty) = switches(parts)?;
    let named = membership::named(parts.uri.path())?;
    let member = carry_out(shared, step(named), is_forced).await?;
    Ok(reply::json(StatusCode::OK, &MemberBody::from(member), is_pretty))
}

fn switches(parts: &Parts) -> Result<(bool, bool), Problem> {
    let query = Query::parse(parts.uri.query(), &["force", "pretty"])?;
    Ok((query.flag("force")?, query.flag("pretty")?))
}

async fn carry_out(shared: &Shared, step: MemberStep, force: bool) -> Result<MemberView, Problem> {
    let deadline = shared.change_deadline();
    let request = MemberRequest { step, force, deadline };
    Ok(layers::within(deadline, shared.admin.change_members(request)).await?)
}
