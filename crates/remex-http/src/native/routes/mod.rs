//! Paths, methods and the decoding of one request each. No decisions about data.
//!
//! A handler takes the request apart, calls the service, and makes the answer; what it returns as
//! a [`crate::layers::Problem`] is written by the outermost layer. Every path answers every
//! method: OPTIONS with `Allow`, a method that it does not serve with 405.

mod batch;
mod body;
mod cluster;
mod collection;
mod health;
mod key;
mod members;
mod node;
mod table;

pub(crate) use key::answer as answer_key;
pub(crate) use table::register;
