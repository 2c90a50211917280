//! An answer that says itself all there is to say, errors included: that of a dialect that imitates
//! another store. The outermost layer adds its headers and leaves the rest alone.

use axum::response::Response;
use http::StatusCode;
use remex_model::{Effect, Error};

/// Marks an answer as final.
#[derive(Clone, Debug)]
pub(crate) struct Spoken {
    /// The error behind the answer, for the log.
    pub(crate) error: Option<Error>,
}

/// Marks an answer as final, whatever its status.
pub(crate) fn spoken(mut response: Response) -> Response {
    response.extensions_mut().insert(Spoken { error: None });
    response
}

/// What went wrong and what can be done about it, on one line.
pub(crate) fn in_words(error: &Error) -> String {
    match &error.hint {
        None => error.detail.clone(),
        Some(hint) => format!("{}; {hint}", error.detail),
    }
}

/// As [`spoken`], for an answer that tells of an error.
pub(crate) fn spoken_error(mut response: Response, error: Error) -> Response {
    response.extensions_mut().insert(Spoken { error: Some(error) });
    response
}

/// The status that tells of `error`: the one that the dialect has for it, unless what was asked for
/// may have happened. Clients take a status below 500 for a refusal.
pub(crate) fn status_of(error: &Error, status: StatusCode) -> StatusCode {
    match error.effect {
        Effect::Unknown if status.is_client_error() => StatusCode::INTERNAL_SERVER_ERROR,
        Effect::Unknown | Effect::None => status,
    }
}

#[cfg(test)]
mod tests {
    use remex_model::ErrorCode;

    use super::*;

    #[test]
    fn what_may_have_happened_is_not_told_as_refused() {
        let error = Error::new(ErrorCode::Timeout, "no answer in time");
        for status in [StatusCode::BAD_REQUEST, StatusCode::CONFLICT, StatusCode::GATEWAY_TIMEOUT] {
            assert_eq!(status_of(&error, status), status);
        }
        let error = error.effect_unknown();
        assert_eq!(status_of(&error, StatusCode::BAD_REQUEST), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(status_of(&error, StatusCode::GATEWAY_TIMEOUT), StatusCode::GATEWAY_TIMEOUT);
    }
}
