//! The port through which every surface reaches the store.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::{Error, Limits, Request, Response};

/// A boxed future, so that the ports can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The store as a surface sees it. Implemented by the node; tests of surfaces implement a fake.
pub trait Service: fmt::Debug + Send + Sync + 'static {
    /// Carries out one request on this node or through the leader.
    ///
    /// # Errors
    /// An [`Error`] says with its effect whether a write was certainly not applied, or whether
    /// its outcome is unknown. Refused conditions are outcomes, not errors.
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response, Error>>;

    /// The limits that this node enforces on admission, so that a surface can bound what it
    /// reads before it has a request to admit.
    fn limits(&self) -> &Limits;
}
