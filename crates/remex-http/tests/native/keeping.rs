//! What keeping a node takes: metrics, snapshots, the log level, and logs that give nothing away.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use remex_http::Logs;
use tracing_subscriber::fmt::MakeWriter;

use crate::server::Server;
use crate::wire::request;

/// The rows of `docs/metrics.md`: name, type, labels, and the part that measures it.
fn documented() -> BTreeMap<String, (String, Vec<String>, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let text = std::fs::read_to_string(path).expect("the page is there");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, from, meaning] = cells[..] else { continue };
        let bare = |text: &str| text.trim_matches('`').to_owned();
        let labels = labels.split(", ").filter(|label| !label.is_empty()).map(bare).collect();
        assert!(!meaning.is_empty(), "{line}");
        let earlier = rows.insert(bare(name), (kind.to_owned(), labels, from.to_owned()));
        assert!(earlier.is_none(), "{name} is there twice");
    }
    rows
}

#[test]
fn documented_series_follow_the_conventions() {
    let rows = documented();
    assert!(rows.len() > 40, "{}", rows.len());
    for (name, (kind, labels, from)) in rows {
        assert!(["counter", "gauge", "histogram"].contains(&&*kind), "{name}: {kind}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert!(kind != "histogram" || name.ends_with("_seconds"), "{name}");
        assert!(["node", "http"].contains(&&*from), "{name}: {from}");
        assert!(name.starts_with("remex_") || name.starts_with("process_"), "{name}");
        let known = ["version", "peer", "role", "cause", "method", "route", "status"];
        assert!(labels.iter().all(|label| known.contains(&&**label)), "{name}: {labels:?}");
    }
}

#[tokio::test]
async fn metrics_are_those_of_the_page_and_count_what_was_answered() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    for _ in 0..3 {
        wire.ask("PUT /v1/kv/planted-key HTTP/1.1", b"1").await;
    }
    wire.ask("GET /v1/kv/missing HTTP/1.1", b"").await;
    wire.ask("BREW /v1/planted-path HTTP/1.1", b"").await;
    let _idle = server.connect().await;
    // Both connections are accepted once the second is answered on.
    let mut other = server.connect().await;
    let answer = other.ask("GET /metrics HTTP/1.1", b"").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    for line in [
        "remex_term 7",
        "remex_http_requests_total{method=\"PUT\",route=\"key\",status=\"2xx\"} 3",
        "remex_http_requests_total{method=\"GET\",route=\"key\",status=\"4xx\"} 1",
        "remex_http_requests_total{method=\"other\",route=\"other\",status=\"4xx\"} 1",
        "remex_http_request_seconds_bucket{route=\"key\",le=\"+Inf\"} 4",
        "remex_http_request_seconds_count{route=\"key\"} 4",
        "remex_http_connections 3",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line:?} in\n{text}");
    }
    assert!(!text.contains("planted"), "nothing of a request may become a label:\n{text}");

    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types: BTreeMap<&str, &str> = types.filter_map(|line| line.split_once(' ')).collect();
    let rows = documented();
    for (name, (kind, labels, from)) in &rows {
        assert!(from != "http" || types.contains_key(&**name), "{name} is not shown");
        let Some(shown) = types.get(&**name) else { continue };
        assert_eq!(shown, kind, "{name}");
        for line in text.lines().filter(|line| line.starts_with(&format!("{name}{{"))) {
            let used = line.split(['{', ',']).filter_map(|part| part.split_once("=\""));
            let used: Vec<&str> = used.map(|(label, _)| label).collect();
            assert_eq!(&used, labels, "{line}");
        }
    }
    for name in types.keys() {
        assert!(rows.contains_key(*name), "{name} is not in docs/metrics.md");
    }
}

#[tokio::test]
async fn a_snapshot_of_many_chunks_arrives_whole_and_a_broken_off_one_frees_its_place() {
    let server = Server::start_with(|surface| surface.options.snapshots_max = 1).await;
    let bytes: Vec<u8> = (0..9_000_000_u32).map(|n| n.to_le_bytes()[1] ^ 0x5a).collect();
    server.fake.state().cluster.snapshot.clone_from(&bytes);
    let mut wire = server.connect().await;
    assert_eq!(wire.ask("GET /v1/snapshot HTTP/1.1", b"").await.body, bytes);

    // Larger than what the sockets take: the reader has to wait for this client.
    let mut lazy = server.connect().await;
    lazy.send(&request("GET /v1/snapshot HTTP/1.1", b"")).await;
    lazy.head().await.expect("the head comes before the body");
    let refused = wire.ask("GET /v1/snapshot HTTP/1.1", b"").await;
    assert_eq!((refused.status(), refused.header("retry-after")), (429, Some("5")));
    drop(lazy);
    while wire.ask("HEAD /v1/snapshot HTTP/1.1", b"").await.status() == 429 {
        tokio::task::yield_now().await;
    }
    assert_eq!(wire.ask("GET /v1/snapshot HTTP/1.1", b"").await.body.len(), bytes.len());
}

/// Logs whose filter is any word of letters.
#[derive(Debug, Default)]
struct Words(Mutex<String>);

impl Logs for Words {
    fn filter(&self) -> String {
        self.0.lock().expect("no test panics while it holds the lock").clone()
    }

    fn set_filter(&self, filter: &str) -> Result<(), String> {
        if !filter.chars().all(char::is_alphabetic) {
            return Err("must be a word".to_owned());
        }
        *self.0.lock().expect("no test panics while it holds the lock") = filter.to_owned();
        Ok(())
    }
}

#[tokio::test]
async fn the_log_level_is_said_and_changed() {
    let words = Arc::new(Words(Mutex::new("info".to_owned())));
    let logs = Arc::clone(&words);
    let server = Server::start_with(|surface| surface.logs = Some(logs)).await;
    let mut wire = server.connect().await;
    let told = wire.ask("GET /v1/log-level HTTP/1.1", b"").await;
    assert_eq!(told.text(), "{\"level\":\"info\"}\n");
    for (body, level) in
        [(&b"{\"level\":\"debug\"}"[..], "debug"), (b"\"warn\"", "warn"), (b" trace\n", "trace")]
    {
        let answer = wire.ask("PUT /v1/log-level HTTP/1.1", body).await;
        assert_eq!((answer.status(), answer.json()["level"].as_str()), (200, Some(level)));
        assert_eq!(words.filter(), level);
    }
    for body in [&b""[..], b"{}", b"{\"level\":7}", b"no word", b"\"x", &[b'x'; 20_000]] {
        let answer = wire.ask("PUT /v1/log-level HTTP/1.1", body).await;
        assert!(matches!(answer.status(), 400 | 413), "{}", answer.text());
        assert!(answer.json()["hint"].is_string());
        assert_eq!(words.filter(), "trace");
    }
    let wrong = wire.ask("PUT /v1/log-level HTTP/1.1", b"no word").await;
    assert_eq!(wrong.json()["detail"], "the level is `no word`; it must be a word");
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics while it holds the lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_value_is_ever_logged() {
    let kept = Kept::default();
    let lines = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(kept.clone())
        .finish();
    // The server's tasks run on this thread.
    let _guard = tracing::subscriber::set_default(lines);
    let server = Server::start().await;
    let mut wire = server.connect().await;
    for (head, body) in [
        ("PUT /v1/kv/a HTTP/1.1", "s3cret"),
        ("PUT /v1/kv/a HTTP/1.1\nContent-Type: application/json", "s3cret"),
        ("PUT /v1/kv/a HTTP/1.1\nIf-None-Match: *", "\"s3cret\""),
        ("POST /v1/batch HTTP/1.1", "[{\"put\":{\"key\":\"a\",\"text\":\"s3cret\"}}]"),
        ("POST /v1/batch HTTP/1.1", "[{\"put\":\"s3cret\"}]"),
        ("POST /v1/batch HTTP/1.1", "[{\"s3cret\":1}]"),
        ("POST /v1/batch HTTP/1.1", "[{\"put\":{\"key\":\"a\",\"base64\":\"s3cret\"}}]"),
        ("POST /v1/batch HTTP/1.1", "s3cret"),
        ("PUT /v1/log-level HTTP/1.1", "s3cret"),
        ("GET /v1/kv/a HTTP/1.1", ""),
        ("GET /v1/kv HTTP/1.1", ""),
    ] {
        wire.ask(head, body.as_bytes()).await;
    }
    server.fake.fail(remex_model::Error::new(remex_model::ErrorCode::Internal, "a defect"));
    wire.ask("PUT /v1/kv/a HTTP/1.1", b"s3cret").await;
    let logged = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("DEBUG") && logged.contains("a defect"),
        "it was listened to: {logged}"
    );
    assert!(!logged.contains("s3cret"), "{logged}");
}
