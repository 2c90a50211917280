//! Whole nodes in one process, over real sockets and files, through the ports `Service` and `Admin`.

mod awaited;
mod basics;
mod fleet;
mod membership;
mod one_port;
mod peers;
mod places;
mod repair;
mod requests;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use remex::Config;
use remex_model::{
    Command, Context, Error, Get, GetResponse, Operation, Outcome, ReadOptions, Request, Response,
    Revision, Service, Value,
};

/// Generous: a test that needs it all is about to fail anyway.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(dir: &Path) -> Config {
    Config { segment_bytes: 4 * 1024 * 1024, ..Config::new(dir) }
}

fn request(operation: Operation) -> Request {
    Request { context: Context { deadline: Instant::now() + PATIENCE }, operation }
}

async fn write(service: &Arc<dyn Service>, command: Command) -> Result<Outcome, Error> {
    match service.call(request(Operation::Write(command))).await? {
        Response::Write(outcome) => Ok(outcome),
        other => panic!("a write was answered with {other:?}"),
    }
}

async fn put(service: &Arc<dyn Service>, key: &str, value: &str) -> Revision {
    let command = Command::put(key.into(), Value::raw(value.to_owned()));
    match write(service, command).await.expect("the write succeeds") {
        Outcome::Written(written) => written.revision,
        refused => panic!("refused: {refused:?}"),
    }
}

async fn get(service: &Arc<dyn Service>, key: &str, options: ReadOptions) -> GetResponse {
    let get = Get { key: key.into(), options };
    match service.call(request(Operation::Get(get))).await.expect("the read succeeds") {
        Response::Get(found) => found,
        other => panic!("a get was answered with {other:?}"),
    }
}

async fn value(service: &Arc<dyn Service>, key: &str) -> Option<String> {
    let record = get(service, key, ReadOptions::default()).await.record?;
    Some(String::from_utf8(record.value.bytes.to_vec()).expect("text was written"))
}

/// Free ports of loopback. Another process may take one before the node does; then the node
/// says so and the test fails loudly.
fn free_addresses(count: usize) -> Vec<String> {
    let sockets: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    sockets.iter().map(|socket| socket.local_addr().expect("bound").to_string()).collect()
}
