//! The outermost layer: what every answer carries, and how an error becomes its body.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_LENGTH};
use http::{HeaderValue, Method, StatusCode};
use http_body::Body as _;
use remex_model::{Error, ErrorCode};

use super::request_id::REQUEST_ID;
use super::{Problem, Spoken, guard_post};
use crate::surface::Shared;
use crate::traffic::{Arrival, Route};

/// Puts the layer round a router.
pub(crate) fn wrap(router: Router, shared: Arc<Shared>, route_of: fn(&str) -> Route) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let shared = Arc::clone(&shared);
        let arrival = Arrival::now(route_of(request.uri().path()), request.method());
        async move { seal(&shared, arrival, request, |request| next.run(request)).await }
    }))
}

/// Answers `request` through `inner`, completes the answer, and counts it.
pub(crate) async fn seal<B, F>(
    shared: &Shared,
    arrival: Arrival,
    request: http::Request<B>,
    inner: impl FnOnce(http::Request<B>) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let request_id = shared.request_ids.of(request.headers());
    let is_head = request.method() == Method::HEAD;
    let mut response = match guard_post(&request) {
        Ok(()) => inner(request).await,
        Err(error) => Problem::new(StatusCode::FORBIDDEN, error).into_response(),
    };
    if let Some(Spoken { error }) = response.extensions_mut().remove::<Spoken>() {
        if let Some(error) = error {
            note(&error, &request_id);
        }
    } else if response.status().is_client_error() || response.status().is_server_error() {
        response = explain(response, &request_id, shared.served_by.name());
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, request_id);
    shared.served_by.stamp(headers, &*shared.admin);
    if is_head {
        behead(&mut response);
    }
    shared.traffic.count(arrival, response.status());
    response
}

/// Gives an error its body. One that carries no [`Problem`] was not made here; its own body is
/// replaced.
fn explain(mut response: Response, request_id: &HeaderValue, node: &str) -> Response {
    let problem = response.extensions_mut().remove::<Problem>().unwrap_or_else(|| {
        let foreign = Problem::foreign(response.status());
        let allow = response.headers_mut().remove(ALLOW);
        response = foreign.clone().into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, allow);
        }
        foreign
    });
    note(problem.error(), request_id);
    let request_id = request_id.to_str().expect("request ids are visible ASCII");
    problem.write_body(&mut response, request_id, node);
    response
}

/// Logs an error: a defect of ours loudly, anything else for those who look for it.
fn note(error: &Error, request_id: &HeaderValue) {
    let request_id = request_id.to_str().expect("request ids are visible ASCII");
    if error.code == ErrorCode::Internal {
        tracing::error!(request_id, detail = error.detail, "a request met a defect");
    } else {
        // Not its detail: that may quote the body, and values do not belong into logs.
        tracing::debug!(request_id, code = error.code.as_str(), "refused");
    }
}

/// Makes the answer to HEAD: the headers of the answer to GET, its length included, and no body.
fn behead(response: &mut Response) {
    let length = std::mem::take(response.body_mut()).size_hint().exact();
    let status = response.status();
    let has_length = !(status.is_informational() || status == 204 || status == 304);
    // The router beheads its answers too, and has noted the length then.
    if let (true, Some(length)) = (has_length, length)
        && !response.headers().contains_key(CONTENT_LENGTH)
    {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn explained(bare: impl IntoResponse) -> (Response<()>, serde_json::Value) {
        let id = HeaderValue::from_static("id-1");
        let (parts, body) = explain(bare.into_response(), &id, "n1").into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(parts, ()), serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn an_error_that_was_not_made_here_becomes_a_problem() {
        let bare = (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")], "no such method");
        let (answer, body) = explained(bare).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()[ALLOW], "GET");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(body["code"], "method_not_allowed");
        assert_eq!(
            (body["request_id"].as_str(), body["node"].as_str()),
            (Some("id-1"), Some("n1"))
        );
    }

    #[tokio::test]
    async fn a_status_without_a_code_of_its_own_gets_the_nearest() {
        for (status, code) in [(404, "not_found"), (422, "bad_request"), (502, "internal")] {
            let (answer, body) = explained(StatusCode::from_u16(status).unwrap()).await;
            assert_eq!((answer.status().as_u16(), body["code"].as_str()), (status, Some(code)));
            assert_eq!(body["status"], status);
        }
    }
}
