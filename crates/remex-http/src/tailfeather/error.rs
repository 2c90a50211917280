//! Errors in this dialect: `{"Error": …}`, with the statuses that its document knows.
#![warn(clippy::wildcard_enum_match_arm)]

use axum::response::Response;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use remex_model::{Effect, Error, ErrorCode, Retry};

use super::convert;
use super::wire::ErrorBody;
use crate::layers;

/// What the dialect says when nobody leads.
const NO_LEADER: &str = "No current leader, try again later";

/// The status of a code. Broken limits are 400 here, and a node that cannot lead a request to a
/// leader says 412.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::InvalidKey
        | ErrorCode::KeyTooLong
        | ErrorCode::InvalidJson
        | ErrorCode::UnknownParameter
        | ErrorCode::Compacted
        | ErrorCode::FutureRevision
        | ErrorCode::ValueTooLarge
        | ErrorCode::RequestTooLarge
        | ErrorCode::UnsupportedMediaType => StatusCode::BAD_REQUEST,
        ErrorCode::Denied => StatusCode::FORBIDDEN,
        ErrorCode::KeyNotFound | ErrorCode::MemberNotFound | ErrorCode::NotFound => {
            StatusCode::NOT_FOUND
        }
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::RevisionMismatch
        | ErrorCode::AlreadyExists
        | ErrorCode::Conflict
        | ErrorCode::MemberExists
        | ErrorCode::ChangeInProgress
        | ErrorCode::WouldLoseQuorum => StatusCode::CONFLICT,
        ErrorCode::NoLeader | ErrorCode::NotReady | ErrorCode::Draining => {
            StatusCode::PRECONDITION_FAILED
        }
        ErrorCode::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Whether the same request may succeed by itself later.
fn passes(status: StatusCode) -> bool {
    matches!(status, StatusCode::PRECONDITION_FAILED | StatusCode::TOO_MANY_REQUESTS)
}

/// The answer that tells of an error.
pub(crate) fn answer(error: Error) -> Response {
    let status = layers::status_of(&error, status(error.code));
    let text = text(&error);
    let mut response = convert::reply(status, &ErrorBody { error: &text });
    if error.retry != Retry::Never || passes(status) {
        response.headers_mut().insert(RETRY_AFTER, layers::retry_after(&error));
    }
    layers::spoken_error(response, error)
}

fn text(error: &Error) -> String {
    let is_unknown = error.effect == Effect::Unknown;
    if error.code == ErrorCode::NoLeader && !is_unknown {
        return NO_LEADER.to_owned();
    }
    let mut text = layers::in_words(error);
    if is_unknown {
        text.push_str("; it may still have happened: look before you try again");
    }
    text
}

/// The answer to a method that the path does not serve.
pub(crate) fn other_method(allow: &'static str) -> Response {
    let error = Error::new(ErrorCode::MethodNotAllowed, format!("this path serves {allow}"));
    let mut response = answer(error);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t18_what_may_have_happened_is_not_told_as_refused() {
        let error = Error::new(ErrorCode::NoLeader, "leadership has moved");
        assert_eq!(text(&error), NO_LEADER);
        assert_eq!(answer(error.clone()).status(), StatusCode::PRECONDITION_FAILED);
        let error = error.effect_unknown();
        assert!(text(&error).contains("may still have happened"));
        assert_eq!(answer(error).status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
