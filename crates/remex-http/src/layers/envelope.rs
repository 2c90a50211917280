//! The outermost layer: what every answer carries, and how an error becomes its body.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_LENGTH};
use http::{HeaderValue, Method};
use http_body::Body as _;
use remex_model::ErrorCode;

use super::Problem;
use super::request_id::REQUEST_ID;
use crate::surface::Shared;

/// Puts the layer round a router.
pub(crate) fn wrap(router: Router, shared: Arc<Shared>) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let shared = Arc::clone(&shared);
        async move { seal(&shared, request, |request| next.run(request)).await }
    }))
}

/// Answers `request` through `inner` and completes the answer.
pub(crate) async fn seal<B, F>(
    shared: &Shared,
    request: http::Request<B>,
    inner: impl FnOnce(http::Request<B>) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let request_id = shared.request_ids.of(request.headers());
    let is_head = request.method() == Method::HEAD;
    let mut response = inner(request).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        response = explain(shared, response, &request_id);
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, request_id);
    shared.served_by.stamp(headers, &*shared.admin);
    if is_head {
        behead(&mut response);
    }
    response
}

/// Gives an error its body. One that carries no [`Problem`] was not made here; its own body is
/// replaced.
fn explain(shared: &Shared, mut response: Response, request_id: &HeaderValue) -> Response {
    let problem = response.extensions_mut().remove::<Problem>().unwrap_or_else(|| {
        let foreign = Problem::foreign(response.status());
        let allow = response.headers_mut().remove(ALLOW);
        response = foreign.clone().into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, allow);
        }
        foreign
    });
    let request_id = request_id.to_str().expect("request ids are visible ASCII");
    let error = problem.error();
    if error.code == ErrorCode::Internal {
        tracing::error!(request_id, detail = error.detail, "a request met a defect");
    } else {
        tracing::debug!(request_id, code = error.code.as_str(), detail = error.detail, "refused");
    }
    problem.write_body(&mut response, request_id, shared.served_by.name());
    response
}

/// Makes the answer to HEAD: the headers of the answer to GET, its length included, and no body.
fn behead(response: &mut Response) {
    let length = response.body().size_hint().exact();
    *response.body_mut() = Body::empty();
    let status = response.status();
    let has_length = !(status.is_informational() || status == 204 || status == 304);
    if let (true, Some(length)) = (has_length, length) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}
