//! The native API against a store in memory, through real sockets.

mod cluster;
mod codes;
mod connections;
mod fake;
mod keeping;
mod server;
mod transcript;
mod values;
mod wire;
