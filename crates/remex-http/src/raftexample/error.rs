//! Errors in this dialect: a line of the original, and behind it one that says why.
#![warn(clippy::wildcard_enum_match_arm)]

use axum::response::Response;
use http::StatusCode;
use remex_model::{Error, ErrorCode};

use crate::layers::{plain_error, status_of};

/// The answer to a request that failed; `line` is what the original says then.
pub(crate) fn failed(line: &str, error: Error) -> Response {
    plain_error(status_of(&error, status(error.code)), line, error)
}

/// 400 if the request is at fault, as in the original; 500 if the cluster is, which the original
/// never tells.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::InvalidKey
        | ErrorCode::KeyTooLong
        | ErrorCode::InvalidJson
        | ErrorCode::UnknownParameter
        | ErrorCode::Denied
        | ErrorCode::Compacted
        | ErrorCode::FutureRevision
        | ErrorCode::RevisionMismatch
        | ErrorCode::AlreadyExists
        | ErrorCode::Conflict
        | ErrorCode::MemberNotFound
        | ErrorCode::MemberExists
        | ErrorCode::WouldLoseQuorum
        | ErrorCode::ValueTooLarge
        | ErrorCode::RequestTooLarge
        | ErrorCode::UnsupportedMediaType => StatusCode::BAD_REQUEST,
        ErrorCode::KeyNotFound | ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::ChangeInProgress
        | ErrorCode::Overloaded
        | ErrorCode::NoLeader
        | ErrorCode::NotReady
        | ErrorCode::Draining
        | ErrorCode::Timeout
        | ErrorCode::NoSpace
        | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
