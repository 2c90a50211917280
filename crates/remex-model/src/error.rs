//! The error that surfaces see: closed, with its effect and what the caller can do.

use std::fmt;

use thiserror::Error as ThisError;

use crate::Revision;

/// Whether a failed write may have been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Certainly not applied; a retry is safe.
    None,
    /// It may have been applied, or still be; only a read (or a request key) can tell.
    Unknown,
}

/// Whether the same request can succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The request itself is at fault.
    Never,
    /// Try again after about this many milliseconds.
    After {
        /// The pause, in milliseconds.
        pause_ms: u64,
    },
}

/// What went wrong. The names of the codes are part of the API and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is malformed.
    BadRequest,
    /// The key is empty or holds characters that this surface does not admit.
    InvalidKey,
    /// The key is longer than the limit.
    KeyTooLong,
    /// A body that must be JSON is not.
    InvalidJson,
    /// A query parameter is not known.
    UnknownParameter,
    /// The request comes from where this surface takes none from.
    Denied,
    /// The key does not exist.
    KeyNotFound,
    /// The revision asked for is older than what retention keeps.
    Compacted,
    /// The revision asked for lies in the future of this store.
    FutureRevision,
    /// A condition on a key's revision did not hold.
    RevisionMismatch,
    /// The key exists although it must not.
    AlreadyExists,
    /// The request contradicts an earlier one of the same name.
    Conflict,
    /// The cluster has no such member.
    MemberNotFound,
    /// The cluster has a member of this name or address already.
    MemberExists,
    /// Another change of the membership is under way.
    ChangeInProgress,
    /// The change would leave no reachable majority.
    WouldLoseQuorum,
    /// The value is longer than the limit.
    ValueTooLarge,
    /// The request is longer than the limit.
    RequestTooLarge,
    /// The media type is not supported here.
    UnsupportedMediaType,
    /// The path is not served.
    NotFound,
    /// The method is not served on this path.
    MethodNotAllowed,
    /// Too much is waiting already.
    Overloaded,
    /// No leader is known.
    NoLeader,
    /// This node is not yet, or no longer, able to serve.
    NotReady,
    /// This node is shutting down.
    Draining,
    /// The deadline passed.
    Timeout,
    /// The disk is full.
    NoSpace,
    /// A defect of Remex.
    Internal,
}

impl ErrorCode {
    /// The name in the API: lower case with underscores.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::InvalidKey => "invalid_key",
            Self::KeyTooLong => "key_too_long",
            Self::InvalidJson => "invalid_json",
            Self::UnknownParameter => "unknown_parameter",
            Self::Denied => "denied",
            Self::KeyNotFound => "key_not_found",
            Self::Compacted => "compacted",
            Self::FutureRevision => "future_revision",
            Self::RevisionMismatch => "revision_mismatch",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::MemberNotFound => "member_not_found",
            Self::MemberExists => "member_exists",
            Self::ChangeInProgress => "change_in_progress",
            Self::WouldLoseQuorum => "would_lose_quorum",
            Self::ValueTooLarge => "value_too_large",
            Self::RequestTooLarge => "request_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Overloaded => "overloaded",
            Self::NoLeader => "no_leader",
            Self::NotReady => "not_ready",
            Self::Draining => "draining",
            Self::Timeout => "timeout",
            Self::NoSpace => "no_space",
            Self::Internal => "internal",
        }
    }

    /// A short title for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad request",
            Self::InvalidKey => "Invalid key",
            Self::KeyTooLong => "Key too long",
            Self::InvalidJson => "Invalid JSON",
            Self::UnknownParameter => "Unknown parameter",
            Self::Denied => "Denied",
            Self::KeyNotFound => "Key not found",
            Self::Compacted => "Revision compacted",
            Self::FutureRevision => "Revision not reached",
            Self::RevisionMismatch => "Revision mismatch",
            Self::AlreadyExists => "Key already exists",
            Self::Conflict => "Conflict",
            Self::MemberNotFound => "No such member",
            Self::MemberExists => "Member already exists",
            Self::ChangeInProgress => "Change in progress",
            Self::WouldLoseQuorum => "Would lose quorum",
            Self::ValueTooLarge => "Value too large",
            Self::RequestTooLarge => "Request too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::NotFound => "No such path",
            Self::MethodNotAllowed => "Method not allowed",
            Self::Overloaded => "Overloaded",
            Self::NoLeader => "No leader",
            Self::NotReady => "Not ready",
            Self::Draining => "Shutting down",
            Self::Timeout => "Timed out",
            Self::NoSpace => "No space left",
            Self::Internal => "Internal error",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why a request was not carried out, or not certainly.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("{code}: {detail}")]
pub struct Error {
    /// What went wrong.
    pub code: ErrorCode,
    /// What went wrong here, with names and numbers.
    pub detail: String,
    /// What the caller can do, preferably as a command.
    pub hint: Option<String>,
    /// Whether a write may have been applied.
    pub effect: Effect,
    /// Whether to try again.
    pub retry: Retry,
    /// For [`ErrorCode::Compacted`]: the oldest revision that can still be read. For
    /// [`ErrorCode::RevisionMismatch`] and [`ErrorCode::AlreadyExists`]: the key's revision.
    pub revision: Option<Revision>,
}

impl Error {
    /// An error without effect that a retry does not cure.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            hint: None,
            effect: Effect::None,
            retry: Retry::Never,
            revision: None,
        }
    }

    /// Adds what the caller can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that a write may have been applied.
    #[must_use]
    pub fn effect_unknown(mut self) -> Self {
        self.effect = Effect::Unknown;
        self
    }

    /// Says that the same request can succeed after a pause.
    #[must_use]
    pub fn retry_after(mut self, pause_ms: u64) -> Self {
        self.retry = Retry::After { pause_ms };
        self
    }

    /// Adds the revision that the code is about.
    #[must_use]
    pub fn at_revision(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }
}
