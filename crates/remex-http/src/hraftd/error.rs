//! Errors in this dialect: a status, and a line that says why where the originals send nothing.
#![warn(clippy::wildcard_enum_match_arm)]

use axum::response::Response;
use http::StatusCode;
use remex_model::{Error, ErrorCode};

use crate::layers::{plain_error, status_of};

/// The answer to a request that failed: 400 if it is at fault, 500 if the cluster is.
pub(crate) fn failed(error: Error) -> Response {
    failed_with(status(error.code), error)
}

/// The answer to a request that could not be carried out, whatever the reason, where the original
/// has one status for all of them.
pub(crate) fn failed_with(status: StatusCode, error: Error) -> Response {
    plain_error(status_of(&error, status), "", error)
}

fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::InvalidKey
        | ErrorCode::KeyTooLong
        | ErrorCode::InvalidJson
        | ErrorCode::UnknownParameter
        | ErrorCode::Denied
        | ErrorCode::KeyNotFound
        | ErrorCode::Compacted
        | ErrorCode::FutureRevision
        | ErrorCode::RevisionMismatch
        | ErrorCode::AlreadyExists
        | ErrorCode::ValueTooLarge
        | ErrorCode::RequestTooLarge
        | ErrorCode::UnsupportedMediaType => StatusCode::BAD_REQUEST,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Conflict
        | ErrorCode::MemberNotFound
        | ErrorCode::MemberExists
        | ErrorCode::ChangeInProgress
        | ErrorCode::WouldLoseQuorum
        | ErrorCode::Overloaded
        | ErrorCode::NoLeader
        | ErrorCode::NotReady
        | ErrorCode::Draining
        | ErrorCode::Timeout
        | ErrorCode::NoSpace
        | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
