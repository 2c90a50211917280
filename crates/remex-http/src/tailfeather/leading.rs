//! Who leads, and where a request is sent that is the leader's to answer.

use std::time::{Duration, Instant};

use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use remex_model::{Error, ErrorCode, NodeId};

use crate::layers;
use crate::surface::Shared;

/// How long a request waits for a leader to be known. An election takes less.
const PATIENCE: Duration = Duration::from_secs(1);

/// Pause between two looks at who leads.
const PAUSE: Duration = Duration::from_millis(20);

/// The redirect for a request that the leader has to answer; `None` if this node can answer it:
/// because it leads, or because it knows no URL of the leader but one that leads to itself, and
/// passes the request on inside.
///
/// # Errors
/// If nobody leads for a while.
pub(crate) async fn elsewhere(
    shared: &Shared,
    parts: &Parts,
    deadline: Instant,
) -> Result<Option<Response>, Error> {
    let leader = leader(shared, deadline.min(Instant::now() + PATIENCE)).await?;
    let own = shared.admin.node();
    if leader == own.id {
        return Ok(None);
    }
    let members = shared.admin.cluster().members;
    let url = members.into_iter().find(|member| member.id == leader).map(|one| one.client_url);
    let url = url.filter(|url| !url.is_empty() && *url != own.client_url);
    // A URL that several nodes share, that of a balancer in front of them, would lead here again.
    let url = url.filter(|url| !layers::was_asked_at(parts, url));
    Ok(url.and_then(|url| redirect(&url, parts)))
}

async fn leader(shared: &Shared, until: Instant) -> Result<NodeId, Error> {
    loop {
        if let Some(leader) = shared.admin.leader() {
            return Ok(leader);
        }
        if Instant::now() >= until {
            return Err(Error::new(ErrorCode::NoLeader, "nobody leads").retry_after(1_000));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same path and query at another node. After 302 clients go on with GET, which loses the
/// body of a POST; after 307 they repeat the request as it was.
fn redirect(url: &str, parts: &Parts) -> Option<Response> {
    let target = parts.uri.path_and_query()?;
    let location = format!("{}{target}", url.trim_end_matches('/'));
    let location = HeaderValue::try_from(location).ok()?;
    let status = match parts.method {
        Method::GET | Method::HEAD => StatusCode::FOUND,
        _ => StatusCode::TEMPORARY_REDIRECT,
    };
    Some(layers::spoken((status, [(LOCATION, location)]).into_response()))
}
