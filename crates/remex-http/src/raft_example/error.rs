//! Errors in this dialect: the text of the status, as in the original, and behind it a line that
//! says why.
#![warn(clippy::wildcard_enum_match_arm)]

use axum::response::Response;
use http::StatusCode;
use remex_model::{Error, ErrorCode};

use super::wire::ErrorBody;
use crate::layers::{plain_error, plain_json, status_of};

/// The answer to a request that failed.
pub(crate) fn failed(error: Error) -> Response {
    answer(status(error.code), error)
}

/// The answer to a `/join` that failed: the same for every reason, as in the original.
pub(crate) fn not_joined(error: Error) -> Response {
    answer(StatusCode::BAD_REQUEST, error)
}

/// The answer to `/join` of a node that does not lead.
pub(crate) fn not_the_leader() -> Response {
    plain_json(StatusCode::BAD_REQUEST, &ErrorBody { error: "Not the leader" })
}

fn answer(status: StatusCode, error: Error) -> Response {
    let status = status_of(&error, status);
    plain_error(status, status.canonical_reason().unwrap_or_default(), error)
}

/// 400 only if the request is at fault; the original has no other status for anything.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::InvalidKey
        | ErrorCode::KeyTooLong
        | ErrorCode::InvalidJson
        | ErrorCode::UnknownParameter
        | ErrorCode::KeyNotFound
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
        ErrorCode::Denied => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
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
