//! An error on its way out, and its body: RFC 9457 with the members that a caller can act on.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use remex_model::{Check, Effect, Error, ErrorCode, Retry, Revision};
use serde::Serialize;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// The pause that is advised if the error itself advises none.
const RETRY_PAUSE_MS: u64 = 1_000;
const REMEX_REVISION: HeaderName = HeaderName::from_static("remex-revision");

/// An error with what its answer needs. Travels inside the response until the outermost layer,
/// which knows request id and node, writes the body.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    error: Error,
    allow: Option<&'static str>,
    store_revision: Option<Revision>,
    checks: Vec<Check>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, error: Error) -> Self {
        let parts = Parts { status, error, allow: None, store_revision: None, checks: Vec::new() };
        Self(Box::new(parts))
    }

    /// For an answer that was not made here: a rejection of the framework, for example.
    pub(crate) fn foreign(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => ErrorCode::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::RequestTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorCode::Timeout,
            _ if status.is_client_error() => ErrorCode::BadRequest,
            _ => ErrorCode::Internal,
        };
        let reason = status.canonical_reason().unwrap_or("no standard reason");
        Self::new(status, Error::new(code, format!("the request was answered with {reason}")))
    }

    /// Adds the methods that the path does serve.
    pub(crate) fn allow(mut self, methods: &'static str) -> Self {
        self.0.allow = Some(methods);
        self
    }

    /// Adds the store's revision, for the header that reads and writes carry.
    pub(crate) fn store_revision(mut self, revision: Revision) -> Self {
        self.0.store_revision = Some(revision);
        self
    }

    /// Adds the checks that failed.
    pub(crate) fn checks(mut self, checks: Vec<Check>) -> Self {
        self.0.checks = checks;
        self
    }

    /// The request had done part of its work already: says what, and that the whole may not have
    /// been without effect.
    pub(crate) fn after(mut self, done: &str) -> Self {
        let error = &mut self.0.error;
        error.detail = format!("{}; {done}", error.detail);
        error.effect = Effect::Unknown;
        self
    }

    pub(crate) fn error(&self) -> &Error {
        &self.0.error
    }

    /// The answer, as far as it can be made without knowing the request.
    fn into_bare_response(self) -> Response {
        let parts = &self.0;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = parts.status;
        let headers = response.headers_mut();
        if let Some(methods) = parts.allow {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        if let Some(revision) = parts.store_revision {
            headers.insert(REMEX_REVISION, HeaderValue::from(revision.get()));
        }
        if parts.error.retry != Retry::Never || passes(parts.status) {
            headers.insert(RETRY_AFTER, retry_after(&parts.error));
        }
        if let (true, Some(revision)) = (is_about_a_key(parts.error.code), parts.error.revision) {
            let tag = HeaderValue::from_str(&format!("\"{revision}\""));
            headers.insert(ETAG, tag.expect("digits in quotes are a header value"));
        }
        response.extensions_mut().insert(self);
        response
    }

    /// Writes the body into the answer that carries this problem.
    pub(crate) fn write_body(&self, response: &mut Response, request_id: &str, node: &str) {
        let Parts { status, error, checks, .. } = &*self.0;
        let (oldest_revision, revision) = match error.code {
            ErrorCode::Compacted => (error.revision, None),
            code if is_about_a_key(code) => (None, error.revision),
            _ => (None, None),
        };
        let body = ProblemBody {
            kind: format_args!("/docs/errors/{}", error.code),
            title: error.code.title(),
            status: status.as_u16(),
            code: error.code.as_str(),
            detail: &error.detail,
            hint: error.hint.as_deref().unwrap_or_else(|| usual_hint(error.code)),
            outcome: match error.effect {
                Effect::None => "not_applied",
                Effect::Unknown => "unknown",
            },
            // A write that may have happened is not to be repeated blindly, even if the node will
            // be well soon; that is for the client to decide.
            retryable: error.retry != Retry::Never
                || (passes(*status) && error.effect == Effect::None),
            oldest_revision: oldest_revision.map(Revision::get),
            revision: revision.map(Revision::get),
            checks: checks.iter().map(CheckBody::from).collect(),
            request_id,
            node,
        };
        let mut bytes = serde_json::to_vec(&body)
            .expect("a structure of text, numbers and booleans always becomes JSON");
        bytes.push(b'\n');
        *response.body_mut() = Body::from(bytes);
        // That of the body before, which the router has noted.
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    }
}

/// The value of `Retry-After`, in seconds: the pause that the error advises, or the usual one.
pub(crate) fn retry_after(error: &Error) -> HeaderValue {
    let pause_ms = match error.retry {
        Retry::After { pause_ms } => pause_ms,
        Retry::Never => RETRY_PAUSE_MS,
    };
    HeaderValue::from(pause_ms.div_ceil(1_000).max(1))
}

/// What the caller can do if whoever made the error did not say anything better.
fn usual_hint(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::BadRequest | ErrorCode::UnknownParameter => {
            "GET / names the paths, docs/http-api.md their parameters"
        }
        ErrorCode::InvalidKey | ErrorCode::KeyTooLong => {
            "keys are 1 to 128 printable characters, percent-encoded; --max-key-chars raises that"
        }
        ErrorCode::InvalidJson => "check the body with a JSON parser, for example: jq . FILE",
        ErrorCode::Denied => "send it from the place that `detail` asks for",
        ErrorCode::KeyNotFound => "list the keys that there are: GET /v1/kv?prefix=",
        ErrorCode::Compacted => "read the present state, or a revision from `oldest_revision` on",
        ErrorCode::FutureRevision => "read without `rev`, or wait with `min_revision`",
        ErrorCode::RevisionMismatch | ErrorCode::AlreadyExists => {
            "read the key again and decide anew"
        }
        ErrorCode::Conflict => "look at the present state, and decide anew",
        ErrorCode::MemberNotFound => "list the members: GET /v1/cluster/members",
        ErrorCode::MemberExists => "list the members: GET /v1/cluster/members; remove it first",
        ErrorCode::ChangeInProgress => {
            "wait until `changing` in GET /v1/cluster is false, then repeat"
        }
        ErrorCode::WouldLoseQuorum => {
            "bring back the members that are not reachable, or repeat with force=true"
        }
        ErrorCode::ValueTooLarge => "store a smaller value, or raise --max-value-bytes",
        ErrorCode::RequestTooLarge => "split the request, or raise --max-request-bytes",
        ErrorCode::UnsupportedMediaType => "send the bare body, not encoded, as JSON or as bytes",
        ErrorCode::NotFound => "GET / names the paths",
        ErrorCode::MethodNotAllowed => "the header `Allow` names the methods",
        ErrorCode::Overloaded => "repeat after `Retry-After`, with fewer requests at a time",
        ErrorCode::NoLeader => "repeat after `Retry-After`; run: remex status",
        ErrorCode::NotReady => "ask another node; GET /readyz?verbose names the checks",
        ErrorCode::Draining => "ask another node: this one is shutting down",
        ErrorCode::Timeout => "if `outcome` is `unknown`, read before you repeat",
        ErrorCode::NoSpace => "free space on the disks of the cluster, or delete keys",
        ErrorCode::Internal => "report it with the node's log lines for this `request_id`",
    }
}

/// Whether the status says that things will be better by themselves, which promises a
/// `Retry-After`.
fn passes(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// Whether the error's revision is that of a key, and so its entity tag.
fn is_about_a_key(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::RevisionMismatch | ErrorCode::AlreadyExists)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_bare_response()
    }
}

/// The body. The order of the members is the order in which a person wants to read them.
#[derive(Serialize)]
struct ProblemBody<'a> {
    #[serde(rename = "type")]
    kind: std::fmt::Arguments<'a>,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    hint: &'a str,
    outcome: &'static str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<CheckBody<'a>>,
    request_id: &'a str,
    node: &'a str,
}

#[derive(Serialize)]
struct CheckBody<'a> {
    name: &'a str,
    ok: bool,
    detail: &'a str,
}

impl<'a> From<&'a Check> for CheckBody<'a> {
    fn from(check: &'a Check) -> Self {
        Self { name: check.name, ok: check.ok, detail: &check.detail }
    }
}
