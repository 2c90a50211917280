//! Connections: limits of bodies, protocols, silence, shutdown.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use remex_http::{Guests, Listener};
use tokio::net::{TcpListener, TcpStream};

use crate::fake::Fake;
use crate::server::Server;
use crate::wire::{Wire, request};

/// Waits until the store has been asked `calls` times.
async fn wait_for_calls(server: &Server, calls: usize) {
    while server.fake.calls() < calls {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_connection_goes_on() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    for (body, length) in [(vec![b'x'; 16_385], "16385"), (vec![b'x'; 300_000], "300000")] {
        let answer = wire.ask("PUT /v1/kv/a HTTP/1.1", &body).await;
        assert_eq!(answer.status(), 413);
        assert_eq!(answer.json()["code"], "value_too_large");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(length) && detail.contains("16384"), "{detail}");
        let mut chunked = format!("{:x}\r\n", body.len()).into_bytes();
        chunked.extend_from_slice(&body);
        chunked.extend_from_slice(b"\r\n0\r\n\r\n");
        let answer = wire.ask("PUT /v1/kv/a HTTP/1.1\nTransfer-Encoding: chunked", &chunked).await;
        assert_eq!(answer.json()["code"], "value_too_large");
        assert!(answer.json()["detail"].as_str().unwrap().contains(length));
    }
    assert_eq!(wire.ask("GET /v1/kv/a HTTP/1.1", b"").await.status(), 404);
    assert_eq!(server.fake.calls(), 1);
}

#[tokio::test]
async fn a_body_far_over_the_limit_is_refused_unread() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    let head = "POST /v1/batch HTTP/1.1\nContent-Length: 99999999999";
    let answer = wire.ask(head, b"").await;
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.json()["code"], "request_too_large");
    assert!(answer.json()["detail"].as_str().unwrap().contains("99999999999"));
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_answered() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    let head = "PUT /v1/kv/a HTTP/1.1\nExpect: 100-continue\nContent-Length: 2";
    wire.send(&request(head, b"")).await;
    assert_eq!(wire.answer(false).await.unwrap().status(), 100);
    wire.send(b"42").await;
    assert_eq!(wire.answer(false).await.unwrap().status(), 201);
}

#[tokio::test]
async fn requests_may_follow_each_other_without_waiting() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    let mut bytes = request("PUT /v1/kv/a HTTP/1.1", b"1");
    bytes.extend(request("GET /v1/kv/a HTTP/1.1", b""));
    bytes.extend(request("DELETE /v1/kv/a HTTP/1.1", b""));
    wire.send(&bytes).await;
    assert_eq!(wire.answer(false).await.unwrap().status(), 201);
    assert_eq!(wire.answer(false).await.unwrap().text(), "1");
    assert_eq!(wire.answer(false).await.unwrap().json()["deleted"], 1);
}

#[tokio::test]
async fn http_2_is_spoken_on_the_same_port() {
    let server = Server::start().await;
    let stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut ask = async |method: &str, path: &str, body: &'static str| {
        let uri = format!("http://localhost{path}");
        let body: Full<Bytes> = Full::new(Bytes::from(body));
        let request = http::Request::builder().method(method).uri(uri).body(body).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    };
    let (parts, _) = ask("PUT", "/v1/kv/a//../b%2F", "{\"x\":1}").await;
    assert_eq!((parts.status.as_u16(), parts.version), (201, http::Version::HTTP_2));
    let (parts, body) = ask("GET", "/v1/kv/a//../b%2F", "").await;
    assert_eq!((parts.status.as_u16(), &body[..]), (200, &b"{\"x\":1}"[..]));
    let (parts, body) = ask("HEAD", "/v1/kv/a//../b%2F", "").await;
    assert_eq!((parts.headers["content-length"].to_str().unwrap(), &body[..]), ("7", &b""[..]));
    let (parts, _) = ask("PATCH", "/v1/kv/a", "").await;
    assert_eq!(parts.status, 405);
    connection.abort();
}

#[tokio::test]
async fn a_connection_that_sends_no_whole_head_is_closed() {
    let server = Server::start_with(|surface| surface.options.head_timeout_ms = 0).await;
    // The second begins like the preface of HTTP/2, so that not even the protocol is known.
    for beginning in [&b""[..], b"P", b"GET /v1/kv/a HTTP/1.1\r\nHost:"] {
        let mut wire = server.connect().await;
        // The server may have closed it before it comes to this.
        wire.try_send(beginning).await;
        assert!(wire.is_closed().await);
    }
    assert_eq!(server.fake.calls(), 0);
}

#[tokio::test]
async fn a_connection_that_stays_silent_between_requests_is_closed() {
    let server = Server::start_with(|surface| {
        surface.options.head_timeout_ms = 5_000;
        surface.options.idle_timeout_ms = 0;
    });
    let server = server.await;
    let mut wire = server.connect().await;
    assert_eq!(wire.ask("GET /livez HTTP/1.1", b"").await.status(), 200);
    // Half a request is as silent as none.
    wire.send(b"GET /livez HTTP/1.1\r\nHost: loc").await;
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn connections_beyond_the_most_wait_for_one_to_end() {
    let server = Server::start_with(|surface| surface.options.connections_max = 1).await;
    let mut first = server.connect().await;
    assert_eq!(first.ask("GET /livez HTTP/1.1", b"").await.status(), 200);
    let mut second = server.connect().await;
    second.send(&request("PUT /v1/kv/a HTTP/1.1", b"1")).await;
    assert_eq!(first.ask("GET /v1/kv/a HTTP/1.1", b"").await.status(), 404);
    drop(first);
    assert_eq!(second.answer(false).await.unwrap().status(), 201);
}

#[tokio::test]
async fn shutdown_finishes_requests_in_flight_and_closes_the_rest() {
    let mut server = Server::start().await;
    let mut idle = server.connect().await;
    assert_eq!(idle.ask("GET /livez HTTP/1.1", b"").await.header("connection"), None);
    let mut busy = server.connect().await;
    server.fake.hold(true);
    busy.send(&request("PUT /v1/kv/a HTTP/1.1", b"1")).await;
    wait_for_calls(&server, 1).await;

    server.begin_shutdown();
    assert!(idle.is_closed().await);
    let refused = TcpStream::connect(("127.0.0.1", server.port)).await;
    assert!(refused.is_err(), "the listener is closed before idle connections are");
    server.fake.hold(false);
    let answer = busy.answer(false).await.unwrap();
    assert_eq!((answer.status(), answer.header("connection")), (201, Some("close")));
    assert!(busy.is_closed().await);
    server.ended().await;
}

/// Takes nobody, and can tell from four bytes.
#[derive(Debug)]
struct Shy;

impl Guests for Shy {
    fn wants(&self, first: &[u8]) -> Option<bool> {
        (first.len() >= 4).then_some(false)
    }

    fn take(&self, _stream: TcpStream) {
        unreachable!("it wants nobody");
    }
}

/// Whether it is a guest's is not known yet.
#[tokio::test]
async fn shutdown_closes_connections_that_have_not_said_whose_they_are() {
    let mut server = Server::start_with(|surface| {
        surface.guests = Some(Arc::new(Shy));
        surface.options.head_timeout_ms = 3_600_000;
        surface.options.drain_timeout_ms = 3_600_000;
    })
    .await;
    let mut silent = server.connect().await;
    let mut begun = server.connect().await;
    begun.send(b"GE").await;
    // By now both are accepted.
    let mut busy = server.connect().await;
    assert_eq!(busy.ask("GET /livez HTTP/1.1", b"").await.status(), 200);
    server.begin_shutdown();
    for wire in [&mut silent, &mut begun, &mut busy] {
        assert!(wire.is_closed().await);
    }
    server.ended().await;
}

/// Takes everybody, and drops them.
#[derive(Debug)]
struct Greedy;

impl Guests for Greedy {
    fn wants(&self, _first: &[u8]) -> Option<bool> {
        Some(true)
    }

    fn take(&self, stream: TcpStream) {
        drop(stream);
    }
}

/// Who opens the port of a dialect to strangers does not open that for peers with it.
#[tokio::test]
async fn guests_come_in_by_the_client_port_alone() {
    let mut doors = Vec::new();
    let mut ports = Vec::new();
    for dialect in [None, Some("hraftd")] {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        ports.push(socket.local_addr().unwrap().port());
        doors.push(Listener { socket, dialect: dialect.map(|name| name.parse().unwrap()) });
    }
    let mut surface = Arc::new(Fake::new()).surface();
    surface.guests = Some(Arc::new(Greedy));
    let server = tokio::spawn(remex_http::serve(doors, surface, std::future::pending()));
    let mut wire = Wire::connect(ports[1]).await;
    assert_eq!(wire.ask("GET /status HTTP/1.1", b"").await.status(), 200);
    let mut wire = Wire::connect(ports[0]).await;
    wire.send(b"a frame of theirs").await;
    assert!(wire.is_closed().await);
    server.abort();
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let mut server = Server::start_with(|surface| surface.options.drain_timeout_ms = 0).await;
    server.fake.hold(true);
    let mut wire = server.connect().await;
    wire.send(&request("PUT /v1/kv/a HTTP/1.1", b"1")).await;
    wait_for_calls(&server, 1).await;
    server.begin_shutdown();
    server.ended().await;
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn a_store_that_forgets_its_deadline_is_given_up() {
    let server = Server::start_with(|surface| surface.options.request_timeout_ms = 0).await;
    server.fake.hold(true);
    let mut wire = server.connect().await;
    let write = wire.ask("DELETE /v1/kv/a HTTP/1.1", b"").await;
    assert_eq!((write.status(), write.json()["outcome"].as_str()), (504, Some("unknown")));
    let read = wire.ask("GET /v1/kv/a HTTP/1.1", b"").await;
    assert_eq!((read.status(), read.json()["outcome"].as_str()), (504, Some("not_applied")));
    // And a client that forgets its body.
    let head = "PUT /v1/kv/a HTTP/1.1\nContent-Length: 2";
    let write = wire.ask(head, b"").await;
    assert_eq!((write.status(), write.json()["outcome"].as_str()), (504, Some("not_applied")));
}

#[tokio::test]
async fn the_router_alone_answers_as_the_server_does() {
    let fake = std::sync::Arc::new(crate::fake::Fake::new());
    let router = remex_http::router(fake.surface());
    let service = hyper_util::service::TowerToHyperService::new(router);
    let ask = async |method: &str, path: &str, body: &'static str| {
        let body: Full<Bytes> = Full::new(Bytes::from(body));
        let request = http::Request::builder().method(method).uri(path).body(body).unwrap();
        let answer: Result<_, Infallible> = hyper::service::Service::call(&service, request).await;
        let (parts, body) = answer.unwrap().into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    };
    let (parts, _) = ask("PUT", "/v1/kv/a//b/../c", "x").await;
    assert_eq!(
        (parts.status.as_u16(), &parts.headers["remex-served-by"]),
        (201, &"n1".parse().unwrap())
    );
    let (parts, body) = ask("GET", "/v1/kv/a//b/../c", "").await;
    assert_eq!((parts.status.as_u16(), &body[..]), (200, &b"x"[..]));
    assert_eq!(parts.headers["remex-leader"], "n2");
    let (parts, body) = ask("GET", "/v1/kv/", "").await;
    assert_eq!(parts.headers["content-type"], "application/problem+json");
    assert!(String::from_utf8_lossy(&body).contains("invalid_key"));
}

impl Wire {
    /// Sends what the server may no longer want.
    async fn try_send(&mut self, bytes: &[u8]) {
        if self.send_all(bytes).await.is_err() {
            // Reset already; the test goes on to see that it is closed.
        }
    }
}
