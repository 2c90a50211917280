//! What a failed call says about itself.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use thiserror::Error as ThisError;

/// Whether a failed call may have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Certainly not applied. Always so for reads.
    NotApplied,
    /// It may have been applied, or still be: only a read can tell.
    Unknown,
}

/// The name of what went wrong: the server's code, or one of the client's own (the constants).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// No connection could be made; nothing was sent.
    pub const UNREACHABLE: Self = Self(Cow::Borrowed("unreachable"));
    /// The connection broke after the request was sent.
    pub const CONNECTION_LOST: Self = Self(Cow::Borrowed("connection_lost"));
    /// The time for the call ran out; also a code of the server.
    pub const TIMEOUT: Self = Self(Cow::Borrowed("timeout"));
    /// The answer is not one of Remex's.
    pub const BAD_ANSWER: Self = Self(Cow::Borrowed("bad_answer"));
    /// The call itself cannot be sent; also a code of the server.
    pub const BAD_REQUEST: Self = Self(Cow::Borrowed("bad_request"));

    /// What arrived cannot be written where the caller wants it.
    pub const OUTPUT: Self = Self(Cow::Borrowed("output"));

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn from_server(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl PartialEq<str> for Code {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Code {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// Why a call failed.
#[derive(Debug, ThisError)]
#[error("{code}: {}", problem.detail)]
pub struct Error {
    /// What went wrong.
    pub code: Code,
    /// Whether a write may have been applied.
    pub outcome: Outcome,
    /// The HTTP status; `None` if no answer came.
    pub status: Option<u16>,
    /// The rest of what is known.
    pub problem: Box<Problem>,
    #[source]
    pub(crate) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The fields of an error beside its code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// What went wrong here, with names and numbers.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the server says that the same request can succeed later.
    pub retryable: bool,
    /// How long the server asks to wait before that, in seconds (`Retry-After`).
    pub retry_after_s: Option<u64>,
    /// The key's current revision for a condition that did not hold (`ETag`); `None` if it does
    /// not exist or was not told.
    pub current_revision: Option<u64>,
    /// The name under which the server logged the request.
    pub request_id: Option<String>,
    /// The node that answered.
    pub node: Option<String>,
    /// The endpoint that was asked, as a URL; empty if none was.
    pub endpoint: String,
    /// The checks behind a node that is not ready, or not live.
    pub checks: Vec<Check>,
}

/// One check of a node's health.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Check {
    /// Name, as in `/readyz/{name}`.
    pub name: String,
    /// Whether all is well.
    pub ok: bool,
    /// What was found.
    #[serde(default)]
    pub detail: String,
}

impl Error {
    pub(crate) fn new(code: Code, outcome: Outcome, detail: impl Into<String>) -> Self {
        let problem = Box::new(Problem { detail: detail.into(), ..Problem::default() });
        Self { code, outcome, status: None, problem, source: None }
    }

    /// A call that cannot be sent at all.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Code::BAD_REQUEST, Outcome::NotApplied, detail)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = Some(hint.into());
        self
    }

    pub(crate) fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether the key, or the member, does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code == "key_not_found" || self.code == "member_not_found"
    }

    /// Whether a condition on a key did not hold.
    #[must_use]
    pub fn is_condition_failed(&self) -> bool {
        self.status == Some(412)
    }
}

/// The body of an error answer (RFC 9457). Every field is optional here: what a proxy puts in
/// between is not Remex's.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProblemBody {
    pub(crate) code: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) retryable: Option<bool>,
    pub(crate) request_id: Option<String>,
    pub(crate) node: Option<String>,
    pub(crate) checks: Vec<Check>,
}
