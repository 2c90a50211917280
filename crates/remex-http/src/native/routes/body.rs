//! The small bodies of requests about the node and its cluster.

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use remex_model::{Error, ErrorCode};
use serde::de::DeserializeOwned;

use crate::layers::{self, Problem};
use crate::native::media;
use crate::surface::Shared;

/// Longest body of such a request, in bytes.
const BYTES_MAX: usize = 16 * 1024;

/// Reads the whole body.
pub(crate) async fn bytes(shared: &Shared, parts: &Parts, body: Body) -> Result<Bytes, Problem> {
    media::of(&parts.headers)?;
    let too_large = |length| {
        let detail = format!("the request body has {length} bytes, the limit is {BYTES_MAX}");
        Error::new(ErrorCode::RequestTooLarge, detail).hint("this request needs only a few words")
    };
    let read = layers::read(body, BYTES_MAX, shared.deadline()).await;
    Ok(read.map_err(|error| error.explain(too_large))?)
}

/// Reads the body as JSON; `None` if it is empty. `hint` shows what it has to look like.
pub(crate) async fn json<T: DeserializeOwned>(
    shared: &Shared,
    parts: &Parts,
    body: Body,
    hint: &'static str,
) -> Result<Option<T>, Problem> {
    let bytes = bytes(shared, parts, body).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    Ok(Some(parse(&bytes, hint)?))
}

/// Reads JSON.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], hint: &'static str) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_data() { ErrorCode::BadRequest } else { ErrorCode::InvalidJson };
        Error::new(code, format!("the body cannot be used: {error}")).hint(hint)
    })
}

/// The problem for a body that must not be empty.
pub(crate) fn missing(hint: &'static str) -> Problem {
    Error::new(ErrorCode::BadRequest, "the request has no body").hint(hint).into()
}
