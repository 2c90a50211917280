//! Error codes and their statuses in this dialect.
#![warn(clippy::wildcard_enum_match_arm)]

use http::StatusCode;
use remex_model::{Error, ErrorCode};

use crate::layers::Problem;

/// The status of a code. Codes never change meaning, and neither do their statuses.
pub(crate) fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::InvalidKey
        | ErrorCode::KeyTooLong
        | ErrorCode::InvalidJson
        | ErrorCode::UnknownParameter
        | ErrorCode::FutureRevision => StatusCode::BAD_REQUEST,
        ErrorCode::Denied => StatusCode::FORBIDDEN,
        ErrorCode::KeyNotFound | ErrorCode::MemberNotFound | ErrorCode::NotFound => {
            StatusCode::NOT_FOUND
        }
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Compacted => StatusCode::GONE,
        ErrorCode::RevisionMismatch | ErrorCode::AlreadyExists => StatusCode::PRECONDITION_FAILED,
        ErrorCode::Conflict
        | ErrorCode::MemberExists
        | ErrorCode::ChangeInProgress
        | ErrorCode::WouldLoseQuorum => StatusCode::CONFLICT,
        ErrorCode::ValueTooLarge | ErrorCode::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::NoLeader | ErrorCode::NotReady | ErrorCode::Draining => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::new(status(error.code), error)
    }
}
