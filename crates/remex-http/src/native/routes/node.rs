//! What a node gives for its keeping: `/v1/snapshot`, `/metrics`, `/v1/log-level`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use remex_model::{Error, ErrorCode};

use super::cluster::ALLOW_READ;
use crate::layers::{self, Problem};
use crate::native::query::Query;
use crate::native::reply::{self, Reply};
use crate::native::routes::body;
use crate::native::snapshot::SnapshotBody;
use crate::native::wire::{LogLevelBody, SetLogLevelBody};
use crate::native::{exposition, precondition};
use crate::surface::{Logs, Shared};

/// RFC 9530.
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

const LEVEL_HINT: &str =
    r#"the body is {"level":"debug"}, or a filter as text: info,remex_http=debug"#;

/// The whole state as one stream.
pub(crate) async fn snapshot(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply::other_method(request.method(), ALLOW_READ);
    }
    Query::parse(request.uri().query(), &[])?;
    let Ok(permit) = Arc::clone(&shared.snapshots).try_acquire_owned() else {
        let count = shared.options.snapshots_max;
        let detail = format!("{count} snapshots are being read from this node already");
        return Err(Error::new(ErrorCode::Overloaded, detail)
            .hint("wait until one is done, or ask another node")
            .retry_after(5_000)
            .into());
    };
    let deadline = shared.snapshot_deadline();
    let source = layers::within(deadline, shared.admin.snapshot(deadline)).await?;
    let name = format!("remex-{}-{}.snapshot", source.cluster_id, source.index);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (CONTENT_LENGTH, HeaderValue::from(source.bytes)),
        (CONTENT_DISPOSITION, header(&format!("attachment; filename=\"{name}\""))),
        (REPR_DIGEST, header(&format!("sha-256=:{}:", STANDARD.encode(source.sha256)))),
    ];
    let revision = source.revision;
    let mut response = reply::empty(StatusCode::OK);
    response.headers_mut().extend(headers);
    reply::stamp_revision(&mut response, revision);
    *response.body_mut() = Body::new(SnapshotBody::new(source, permit));
    Ok(response)
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ids, numbers and base64 are visible ASCII")
}

/// What the node and this surface measure.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply::other_method(request.method(), ALLOW_READ);
    }
    Query::parse(request.uri().query(), &[])?;
    let (node, surface) = (shared.admin.metrics(), shared.traffic.metrics());
    let text = exposition::text(node.iter().chain(&surface));
    Ok(reply::text_as(exposition::MEDIA_TYPE, text))
}

/// What the program logs.
pub(crate) async fn log_level(State(shared): State<Arc<Shared>>, request: Request) -> Reply {
    let Some(logs) = &shared.logs else {
        return Err(Error::new(ErrorCode::NotFound, "the logs of this program cannot be changed")
            .hint("set them where the program is started")
            .into());
    };
    let (parts, body) = request.into_parts();
    let is_pretty = match parts.method {
        Method::GET | Method::HEAD => {
            Query::parse(parts.uri.query(), &["pretty"])?.flag("pretty")?
        }
        Method::PUT => set_log_level(&shared, &**logs, &parts, body).await?,
        _ => return reply::other_method(&parts.method, "GET, HEAD, PUT, OPTIONS"),
    };
    Ok(reply::json(StatusCode::OK, &LogLevelBody { level: logs.filter() }, is_pretty))
}

/// Sets the filter; returns whether the answer is to be indented.
async fn set_log_level(
    shared: &Shared,
    logs: &dyn Logs,
    parts: &Parts,
    body: Body,
) -> Result<bool, Problem> {
    precondition::none(&parts.headers)?;
    let is_pretty = Query::parse(parts.uri.query(), &["pretty"])?.flag("pretty")?;
    let body = body::bytes(shared, parts, body).await?;
    let body = body.trim_ascii();
    let level = match body.first() {
        None => return Err(body::missing(LEVEL_HINT)),
        Some(b'{') => body::parse::<SetLogLevelBody>(body, LEVEL_HINT)?.level,
        Some(b'"') => body::parse::<String>(body, LEVEL_HINT)?,
        Some(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let before = logs.filter();
    logs.set_filter(&level).map_err(|why| {
        let detail = format!("the level is `{level}`; it {why}");
        Error::new(ErrorCode::BadRequest, detail).hint(LEVEL_HINT)
    })?;
    tracing::info!(before, now = logs.filter(), "the log level was changed");
    Ok(is_pretty)
}
