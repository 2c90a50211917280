//! What a dialect is to the rest of the surface: a name, routes, and where they are served.

use std::sync::Arc;

use axum::Router;

use crate::surface::Shared;
use crate::traffic::Route;

/// Where a dialect is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Beside the native API, always: its paths belong to nobody else.
    ClientPort,
    /// On listeners of its own, for those who ask for one.
    OwnPort,
}

/// What a dialect's folder says of itself; its one line in `registry` registers it.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The name in settings and documents.
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    /// Adds its routes to a router.
    pub(crate) register: fn(Router, &Arc<Shared>) -> Router,
    /// What a request to this path is about; `None` if the path is not the dialect's.
    pub(crate) route_of: fn(&str) -> Option<Route>,
    /// How its request lines begin, if their targets may hold what no URL may.
    pub(crate) unescaped: Option<&'static [u8]>,
    /// A request to try, for a listener at this URL.
    pub(crate) example: fn(&str) -> String,
}
