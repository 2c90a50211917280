//! Every error code: its page, and its way to a client.

use std::path::Path;

use remex_model::{Error, ErrorCode};

use crate::server::Server;

/// All codes, in the order of the model.
pub(crate) const ALL: [ErrorCode; 28] = [
    ErrorCode::BadRequest,
    ErrorCode::InvalidKey,
    ErrorCode::KeyTooLong,
    ErrorCode::InvalidJson,
    ErrorCode::UnknownParameter,
    ErrorCode::Denied,
    ErrorCode::KeyNotFound,
    ErrorCode::Compacted,
    ErrorCode::FutureRevision,
    ErrorCode::RevisionMismatch,
    ErrorCode::AlreadyExists,
    ErrorCode::Conflict,
    ErrorCode::MemberNotFound,
    ErrorCode::MemberExists,
    ErrorCode::ChangeInProgress,
    ErrorCode::WouldLoseQuorum,
    ErrorCode::ValueTooLarge,
    ErrorCode::RequestTooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::NotFound,
    ErrorCode::MethodNotAllowed,
    ErrorCode::Overloaded,
    ErrorCode::NoLeader,
    ErrorCode::NotReady,
    ErrorCode::Draining,
    ErrorCode::Timeout,
    ErrorCode::NoSpace,
    ErrorCode::Internal,
];

/// The status that `docs/http-api.md` promises, and the place in [`ALL`]: a new code does not
/// build until it is here.
fn promised(code: ErrorCode) -> (usize, u16) {
    match code {
        ErrorCode::BadRequest => (0, 400),
        ErrorCode::InvalidKey => (1, 400),
        ErrorCode::KeyTooLong => (2, 400),
        ErrorCode::InvalidJson => (3, 400),
        ErrorCode::UnknownParameter => (4, 400),
        ErrorCode::Denied => (5, 403),
        ErrorCode::KeyNotFound => (6, 404),
        ErrorCode::Compacted => (7, 410),
        ErrorCode::FutureRevision => (8, 400),
        ErrorCode::RevisionMismatch => (9, 412),
        ErrorCode::AlreadyExists => (10, 412),
        ErrorCode::Conflict => (11, 409),
        ErrorCode::MemberNotFound => (12, 404),
        ErrorCode::MemberExists => (13, 409),
        ErrorCode::ChangeInProgress => (14, 409),
        ErrorCode::WouldLoseQuorum => (15, 409),
        ErrorCode::ValueTooLarge => (16, 413),
        ErrorCode::RequestTooLarge => (17, 413),
        ErrorCode::UnsupportedMediaType => (18, 415),
        ErrorCode::NotFound => (19, 404),
        ErrorCode::MethodNotAllowed => (20, 405),
        ErrorCode::Overloaded => (21, 429),
        ErrorCode::NoLeader => (22, 503),
        ErrorCode::NotReady => (23, 503),
        ErrorCode::Draining => (24, 503),
        ErrorCode::Timeout => (25, 504),
        ErrorCode::NoSpace => (26, 507),
        ErrorCode::Internal => (27, 500),
    }
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let reference = std::fs::read_to_string(docs.join("http-api.md")).expect("the reference");
    for (position, code) in ALL.into_iter().enumerate() {
        let (expected, status) = promised(code);
        assert_eq!(position, expected, "{code}");
        let page = std::fs::read_to_string(docs.join(format!("errors/{code}.md")))
            .unwrap_or_else(|error| panic!("the page of {code}: {error}"));
        assert!(page.starts_with(&format!("# `{code}`: {}", code.title())), "{code}");
        for part in [&format!("Status {status}"), "**Cause.**", "**Check.**", "**Fix.**"] {
            assert!(page.contains(part), "the page of {code} lacks {part}");
        }
        let row = format!("| {status} | [`{code}`](errors/{code}.md) |");
        assert!(reference.contains(&row), "http-api.md lacks {row}");
    }
    for entry in std::fs::read_dir(docs.join("errors")).expect("the folder of pages") {
        let name = entry.expect("the folder can be read").file_name();
        let name = name.to_str().expect("pages have plain names").to_owned();
        assert!(ALL.iter().any(|code| format!("{code}.md") == name), "{name} is of no code");
    }
}

#[tokio::test]
async fn every_code_reaches_the_client_as_a_problem() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    for code in ALL {
        server.fake.fail(Error::new(code, "told to"));
        let answer = wire.ask("GET /v1/kv/a HTTP/1.1", b"").await;
        let (_, status) = promised(code);
        assert_eq!(answer.status(), status, "{code}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{code}");
        let body = answer.json();
        assert_eq!(body["code"], code.as_str());
        assert_eq!(body["type"], format!("/docs/errors/{code}"));
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], answer.header("request-id").unwrap());
        assert_eq!(body["node"], "n1");
        assert!(body["hint"].as_str().is_some_and(|hint| hint.len() > 10), "{code}: {body}");
        let passes = matches!(status, 429 | 503);
        assert_eq!(answer.header("retry-after").is_some(), passes, "{code}");
        assert_eq!(body["retryable"], passes, "{code}");
    }
}
