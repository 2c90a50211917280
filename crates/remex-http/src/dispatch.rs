//! Which dialect answers a request.
//!
//! The table of routes is axum's. The one route that carries nearly all traffic is tried before
//! it: matching the path, boxing the future and passing the layers cost a fifth of the
//! instructions of a request there (`docs/http-api.md`, "What a request costs").

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use crate::dialect::{Place, Registration};
use crate::registry::{DIALECTS, Dialect};
use crate::surface::Shared;
use crate::traffic::{Arrival, Route};
use crate::{layers, native};

/// How request lines begin that are escaped before they are read.
static UNESCAPED: LazyLock<Vec<&[u8]>> =
    LazyLock::new(|| DIALECTS.iter().filter_map(|dialect| dialect.unescaped).collect());

/// The routes without the layers, of a listener for one dialect or of the client port.
pub(crate) fn routes(shared: &Arc<Shared>, only: Option<Dialect>) -> Router {
    if let Some(Dialect(dialect)) = only {
        return (dialect.register)(Router::new(), shared);
    }
    let router = beside().fold(Router::new(), |router, dialect| (dialect.register)(router, shared));
    native::register(router, shared)
}

/// The dialects that stand beside the native API.
fn beside() -> impl Iterator<Item = &'static Registration> {
    DIALECTS.iter().filter(|dialect| dialect.place == Place::ClientPort)
}

/// What a request to this path is about on the client port.
pub(crate) fn route_of(path: &str) -> Route {
    match native::route_of(path) {
        Route::Other => {
            beside().find_map(|dialect| (dialect.route_of)(path)).unwrap_or(Route::Other)
        }
        route => route,
    }
}

/// Answers requests straight from a connection.
#[derive(Debug)]
pub(crate) struct Dispatch {
    shared: Arc<Shared>,
    /// The only dialect that is spoken; `None` on the client port.
    only: Option<Dialect>,
    routes: Router,
}

impl Dispatch {
    pub(crate) fn new(shared: Arc<Shared>, only: Option<Dialect>) -> Self {
        Self { routes: routes(&shared, only), shared, only }
    }

    /// Whether it answers on the client port, not for one dialect alone.
    pub(crate) fn is_client_port(&self) -> bool {
        self.only.is_none()
    }

    /// How request lines begin that are escaped before they are read.
    pub(crate) fn unescaped(&self) -> &'static [&'static [u8]] {
        if self.is_client_port() { &UNESCAPED } else { &[] }
    }

    /// Answers one request, layers included.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let path = request.uri().path();
        let route = match self.only {
            None => route_of(path),
            Some(Dialect(dialect)) => (dialect.route_of)(path).unwrap_or(Route::Other),
        };
        let arrival = Arrival::now(route, request.method());
        layers::seal(&self.shared, arrival, request, |request| self.route(arrival, request)).await
    }

    async fn route<B>(&self, arrival: Arrival, request: Request<B>) -> Response
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        if self.is_client_port() && native::is_key(request.uri().path()) {
            let deadline = self.shared.deadline_of(arrival);
            return native::answer_key(&self.shared, request, deadline).await.into_response();
        }
        match TowerToHyperService::new(self.routes.clone()).call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
