//! Which dialect answers a request.
//!
//! The table of routes is axum's. The one route that carries nearly all traffic is tried before
//! it: matching the path, boxing the future and passing the layers cost a fifth of the
//! instructions of a request there (`docs/http-api.md`, "What a request costs").

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use crate::surface::Shared;
use crate::traffic::{Arrival, Route};
use crate::{layers, native};

/// The routes without the layers: one line for each dialect.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    let router = Router::new();
    native::register(router, shared)
}

/// What a request to this path is about: one line for each dialect.
pub(crate) fn route_of(path: &str) -> Route {
    native::route_of(path)
}

/// Answers requests straight from a connection.
#[derive(Debug)]
pub(crate) struct Dispatch {
    shared: Arc<Shared>,
    routes: Router,
}

impl Dispatch {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { routes: routes(&shared), shared }
    }

    /// Answers one request, layers included.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let arrival = Arrival::now(route_of(request.uri().path()), request.method());
        layers::seal(&self.shared, arrival, request, |request| self.route(arrival, request)).await
    }

    async fn route<B>(&self, arrival: Arrival, request: Request<B>) -> Response
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        if arrival.route == Route::Key {
            let deadline = self.shared.deadline_of(arrival);
            return native::answer_key(&self.shared, request, deadline).await.into_response();
        }
        match TowerToHyperService::new(self.routes.clone()).call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
