//! What a node answered.

use bytes::Bytes;
use http::HeaderMap;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::error::ProblemBody;
use crate::{Code, Endpoint, Error, Outcome};

/// A successful answer, with its body as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status: 200 to 299.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// The endpoint that answered, as a URL.
    pub endpoint: String,
    /// What is known of the effect if the answer cannot be understood.
    pub(crate) outcome_if_unclear: Outcome,
}

impl Answer {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`Code::BAD_ANSWER`] if it has another form. The outcome of a write is given as unknown
    /// then: whoever answered may not be a Remex node.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.not_understood(&error.to_string()).caused_by(error))
    }

    /// A header as a number; for an `ETag`, the number in its quotes.
    #[must_use]
    pub fn number(&self, header: &str) -> Option<u64> {
        number(&self.headers, header)
    }

    /// The media type of the body; empty if it was not told.
    #[must_use]
    pub fn content_type(&self) -> &str {
        text(&self.headers, "content-type").unwrap_or_default()
    }

    pub(crate) fn not_understood(&self, what: &str) -> Error {
        let detail = format!("{} gave an answer that is not understood: {what}", self.endpoint);
        let mut error = Error::new(Code::BAD_ANSWER, self.outcome_if_unclear, detail)
            .hint("check that the endpoint is a Remex node: curl -i ENDPOINT/version");
        error.status = Some(self.status);
        error.problem.endpoint.clone_from(&self.endpoint);
        error
    }
}

/// Tells success from failure.
pub(crate) fn judge(call: &Call, endpoint: &Endpoint, mut answer: Answer) -> Result<Answer, Error> {
    answer.outcome_if_unclear = call.outcome_after_sending();
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let body: ProblemBody = serde_json::from_slice(&answer.body).unwrap_or_default();
    let status = answer.status;
    let code = match body.code {
        Some(name) => Code::from_server(name),
        None => Code::BAD_ANSWER,
    };
    let detail = body
        .detail
        .or(body.title)
        .unwrap_or_else(|| format!("{endpoint} answered with HTTP status {status}"));
    let mut error = Error::new(code, outcome(call, status, body.outcome.as_deref()), detail);
    error.status = Some(status);
    let problem = &mut *error.problem;
    problem.hint = body.hint;
    problem.retryable = body.retryable.unwrap_or(matches!(status, 429 | 503));
    problem.retry_after_s = number(&answer.headers, "retry-after");
    problem.current_revision = number(&answer.headers, "etag");
    problem.request_id = body.request_id;
    problem.node = body.node;
    problem.checks = body.checks;
    problem.endpoint = endpoint.to_string();
    Err(error)
}

/// What the server says, or else what the status allows to conclude: a 4xx refuses the request
/// before anything is done (except 408, which means that it took too long).
fn outcome(call: &Call, status: u16, told: Option<&str>) -> Outcome {
    match told {
        Some("not_applied") => Outcome::NotApplied,
        None if (400..500).contains(&status) && status != 408 => Outcome::NotApplied,
        _ => call.outcome_after_sending(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim_matches('"').parse().ok()
}
