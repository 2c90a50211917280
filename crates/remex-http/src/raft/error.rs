//! Errors in this dialect: a status that its document knows, and one line of text.
#![warn(clippy::wildcard_enum_match_arm)]

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use remex_model::{Effect, Error, ErrorCode, Retry};

use crate::layers;

/// The status of a code: 400 for what the client has to change, 500 for what it may try again.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::InvalidKey
        | ErrorCode::KeyTooLong
        | ErrorCode::InvalidJson
        | ErrorCode::UnknownParameter
        | ErrorCode::Compacted
        | ErrorCode::FutureRevision
        | ErrorCode::RevisionMismatch
        | ErrorCode::AlreadyExists
        | ErrorCode::Conflict
        | ErrorCode::MemberExists
        | ErrorCode::ChangeInProgress
        | ErrorCode::WouldLoseQuorum
        | ErrorCode::UnsupportedMediaType => StatusCode::BAD_REQUEST,
        ErrorCode::Denied => StatusCode::FORBIDDEN,
        ErrorCode::KeyNotFound | ErrorCode::MemberNotFound | ErrorCode::NotFound => {
            StatusCode::NOT_FOUND
        }
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::ValueTooLarge | ErrorCode::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Overloaded
        | ErrorCode::NoLeader
        | ErrorCode::NotReady
        | ErrorCode::Draining
        | ErrorCode::Timeout
        | ErrorCode::NoSpace
        | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer that tells of an error.
pub(crate) fn answer(error: Error) -> Response {
    let status = layers::status_of(&error, status(error.code));
    let mut text = layers::in_words(&error);
    if status.is_server_error() {
        text.push_str(match error.effect {
            Effect::None => "; nothing was changed: try again",
            Effect::Unknown => "; the change may have happened: read the key before you try again",
        });
    }
    text.push('\n');
    let mut response = (status, text).into_response();
    if status.is_server_error() || error.retry != Retry::Never {
        response.headers_mut().insert(RETRY_AFTER, layers::retry_after(&error));
    }
    layers::spoken_error(response, error)
}

/// The answer to a method that the path does not serve.
pub(crate) fn other_method(allow: &'static str) -> Response {
    let error = Error::new(ErrorCode::MethodNotAllowed, format!("this path serves {allow}"));
    let mut response = answer(error);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
