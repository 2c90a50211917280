//! Parts of an answer.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use remex_model::{Error, ErrorCode, Record, Response as ModelResponse, Revision, Value};
use serde::Serialize;

use crate::layers::{Problem, indent};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The store's revision.
const REVISION: HeaderName = HeaderName::from_static("remex-revision");
const CREATE_REVISION: HeaderName = HeaderName::from_static("remex-create-revision");
const VERSION: HeaderName = HeaderName::from_static("remex-version");
const LEASE: HeaderName = HeaderName::from_static("remex-lease");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Headers of the longest usual answer, those of the layers included.
const HEADERS_USUAL: usize = 12;

/// What a handler comes to.
pub(crate) type Reply = Result<Response, Problem>;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// An answer of JSON, on a line of its own.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T, is_pretty: bool) -> Response {
    let mut bytes = Vec::with_capacity(128);
    serde_json::to_writer(&mut bytes, body)
        .expect("structures of text, numbers and checked JSON always become JSON");
    if is_pretty {
        bytes = indent(&bytes);
    } else {
        bytes.push(b'\n');
    }
    with_body(status, bytes.into(), JSON)
}

/// An answer of text.
pub(crate) fn text(body: String) -> Response {
    with_body(StatusCode::OK, body.into(), TEXT)
}

/// An answer of text in a format of its own.
pub(crate) fn text_as(kind: &'static str, body: String) -> Response {
    with_body(StatusCode::OK, body.into(), HeaderValue::from_static(kind))
}

/// A value as it is.
pub(crate) fn value(value: &Value, is_pretty: bool) -> Response {
    if value.json && is_pretty {
        return with_body(StatusCode::OK, indent(&value.bytes).into(), JSON);
    }
    let kind = if value.json {
        JSON
    } else if std::str::from_utf8(&value.bytes).is_ok() {
        TEXT
    } else {
        BYTES
    };
    with_body(StatusCode::OK, value.bytes.clone(), kind)
}

fn with_body(status: StatusCode, body: Bytes, kind: HeaderValue) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().reserve(HEADERS_USUAL);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Says at which revision of the store the answer was made.
pub(crate) fn stamp_revision(response: &mut Response, revision: Revision) {
    response.headers_mut().insert(REVISION, HeaderValue::from(revision.get()));
}

/// Says what is known about a record.
pub(crate) fn stamp_record(headers: &mut HeaderMap, record: &Record) {
    headers.insert(ETAG, entity_tag(record.mod_revision));
    headers.insert(CREATE_REVISION, HeaderValue::from(record.create_revision.get()));
    headers.insert(VERSION, HeaderValue::from(record.version));
    if record.lease != 0 {
        let lease = HeaderValue::from_str(&format!("{:016x}", record.lease));
        headers.insert(LEASE, lease.expect("hexadecimal digits are a header value"));
    }
}

/// Says which revision a put gave to its key.
pub(crate) fn stamp_tag(response: &mut Response, revision: Revision) {
    response.headers_mut().insert(ETAG, entity_tag(revision));
}

/// Says that the answer is that of an earlier request with the same idempotency key.
pub(crate) fn stamp_replayed(response: &mut Response, repeated: bool) {
    if repeated {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
}

fn entity_tag(revision: Revision) -> HeaderValue {
    use std::io::Write;
    let mut buffer = [0_u8; 22];
    let mut rest = &mut buffer[..];
    write!(rest, "\"{revision}\"").expect("20 digits and two quotes fit into 22 bytes");
    let unused = rest.len();
    HeaderValue::from_bytes(&buffer[..buffer.len() - unused])
        .expect("digits in quotes are a header value")
}

/// The answer to a method that the path does not serve; OPTIONS asks which it does.
pub(crate) fn other_method(method: &Method, allow: &'static str) -> Reply {
    if method == Method::OPTIONS {
        let mut response = empty(StatusCode::NO_CONTENT);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        return Ok(response);
    }
    let detail = format!("{method} is not served on this path");
    let error = Error::new(ErrorCode::MethodNotAllowed, detail).hint(format!("it serves {allow}"));
    Err(Problem::from(error).allow(allow))
}

/// The error for a service that answered another question than the one that was asked.
pub(crate) fn mismatched(response: &ModelResponse) -> Problem {
    let kind = match response {
        ModelResponse::Get(_) => "a read",
        ModelResponse::List(_) => "a listing",
        ModelResponse::Write(_) => "a write",
    };
    let detail = format!("the service answered another request with {kind}");
    Error::new(ErrorCode::Internal, detail).effect_unknown().into()
}
