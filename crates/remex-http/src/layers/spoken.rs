//! An answer that says itself all there is to say, errors included: that of a dialect that imitates
//! another store. The outermost layer adds its headers and leaves the rest alone.

use axum::response::Response;
use remex_model::Error;

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

/// As [`spoken`], for an answer that tells of an error.
pub(crate) fn spoken_error(mut response: Response, error: Error) -> Response {
    response.extensions_mut().insert(Spoken { error: Some(error) });
    response
}
