//! Answers of plain text and of JSON as the HTTP library of Go makes them, which several imitated
//! systems are built on.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use remex_model::{Effect, Error, Retry};
use serde::Serialize;

use super::problem::retry_after;
use super::spoken::{in_words, spoken, spoken_error};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// An error: the imitated system's own line, if it has one, and behind it a line that says why and
/// what can be done. `Retry-After` if a retry can help.
pub(crate) fn plain_error(status: StatusCode, line: &str, error: Error) -> Response {
    let mut body = String::with_capacity(128);
    if !line.is_empty() {
        body.push_str(line);
        body.push('\n');
    }
    body.push_str(&in_words(&error));
    if error.effect == Effect::Unknown {
        body.push_str("; whether it was done is unknown");
    }
    body.push('\n');
    let mut response = with_body(status, Body::from(body), TEXT);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if error.retry != Retry::Never {
        response.headers_mut().insert(RETRY_AFTER, retry_after(&error));
    }
    spoken_error(response, error)
}

/// JSON as Go writes it: nothing in it can end a script of HTML.
pub(crate) fn plain_json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let json = serde_json::to_string(body).expect("structures of text always become JSON");
    // Outside of strings JSON has none of these.
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped.push('\n');
    spoken(with_body(status, Body::from(escaped), JSON))
}

/// A status and no more.
pub(crate) fn plain_status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    spoken(response)
}

fn with_body(status: StatusCode, body: Body, kind: HeaderValue) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use remex_model::ErrorCode;

    use super::*;

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
    }

    #[tokio::test]
    async fn an_error_keeps_its_line_and_says_why() {
        let error = Error::new(ErrorCode::NoLeader, "nobody leads").hint("wait").retry_after(1_500);
        let answer = plain_error(StatusCode::BAD_REQUEST, "Bad Request", error.clone());
        assert_eq!(answer.headers()["retry-after"], "2");
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(text(answer).await, "Bad Request\nnobody leads; wait\n");
        let mut error = error.effect_unknown();
        (error.hint, error.retry) = (None, Retry::Never);
        let answer = plain_error(StatusCode::BAD_REQUEST, "", error);
        assert!(!answer.headers().contains_key("retry-after"));
        assert_eq!(text(answer).await, "nobody leads; whether it was done is unknown\n");
    }

    #[tokio::test]
    async fn json_is_escaped_as_go_escapes_it() {
        let answer = plain_json(StatusCode::OK, &["<a href=\"\">&</a>", "\u{2028}\u{2029} ü\u{1}"]);
        let expected = "[\"\\u003ca href=\\\"\\\"\\u003e\\u0026\\u003c/a\\u003e\",\
                        \"\\u2028\\u2029 ü\\u0001\"]\n";
        assert_eq!(text(answer).await, expected);
    }
}
