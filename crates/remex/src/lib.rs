//! The Remex node, embeddable in a Rust program.

mod config;
mod error;
mod node;

pub use config::Config;
pub use error::{Fatal, OpenError};
pub use node::Node;
