//! The client against servers that are not Remex: one that follows a script, one that cuts
//! connections at the worst places.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod calls;
mod cluster;
mod cuts;
mod script;
mod tailfeather;

use std::net::TcpListener;
use std::time::Duration;

use remex_client::{Client, Endpoint, Options};

fn client(endpoints: &str, retries: u32) -> Client {
    let options = Options { timeout: Duration::from_secs(30), retries, ..Options::default() };
    Client::new(Endpoint::parse_list(endpoints).unwrap(), options).unwrap()
}

/// An address on which nothing listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
