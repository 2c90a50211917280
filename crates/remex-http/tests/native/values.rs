//! Keys and values come back as they were sent.

use remex_model::{Key, Limits};

use crate::server::Server;
use crate::wire::Wire;

/// Characters that paths, queries and encodings treat specially, and some that they do not.
const CHARACTERS: [&str; 28] = [
    "a", "Z", "0", "/", "/", ".", ".", "%", "+", " ", "?", "#", "&", "=", ":", "@", "\\", "\"",
    "'", "~", "*", "ü", "ß", "中", "🪶", "\u{301}", "\u{200b}", "\u{ffff}",
];

fn random_key(random: &mut fastrand::Rng) -> String {
    let length = random.usize(1..=Limits::default().key_chars_max);
    let length = if random.bool() { length } else { length.min(8) };
    let pick = |_| match random.u8(0..10) {
        0 => loop {
            let character = random.char(..);
            if !character.is_control() {
                break character.to_string();
            }
        },
        _ => CHARACTERS[random.usize(..CHARACTERS.len())].to_owned(),
    };
    (0..length).map(pick).collect()
}

/// Percent-encodes what must be, and a part of what need not be.
fn encode(text: &str, random: &mut fastrand::Rng) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"/.~-_:@!$'()*,;".contains(&byte);
        if plain && random.u8(0..8) != 0 {
            out.push(char::from(byte));
        } else if random.bool() {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}

#[tokio::test]
async fn a_key_is_the_same_in_the_path_in_the_query_and_in_a_listing() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let key = random_key(&mut random);
        let mut path = || format!("/v1/kv/{}", encode(&key, &mut random));
        let (write, read, delete) = (path(), path(), path());

        let answer = wire.ask(&format!("PUT {write} HTTP/1.1"), b"1").await;
        assert_eq!(answer.status(), 201, "seed {seed}: {key:?} as {write}: {}", answer.text());
        assert_eq!(answer.json()["key"], key, "seed {seed}");
        let answer = wire.ask(&format!("GET {read}?meta HTTP/1.1"), b"").await;
        assert_eq!(answer.json()["key"], key, "seed {seed}: {read}");

        let query = encode(&key, &mut random).replace("%20", "+");
        let answer = wire.ask(&format!("GET /v1/kv?prefix={query} HTTP/1.1"), b"").await;
        assert_eq!(answer.json()["items"][0]["key"], key, "seed {seed}: {query}");

        let body = serde_json::json!([{"delete": {"key": key}}, {"put": {"key": key, "value": 2}}]);
        let answer = wire.ask("POST /v1/batch HTTP/1.1", body.to_string().as_bytes()).await;
        assert_eq!(answer.json()["results"][0]["delete"]["deleted"], 1, "seed {seed}: {key:?}");

        let answer = wire.ask(&format!("DELETE {delete} HTTP/1.1"), b"").await;
        assert_eq!(answer.json()["deleted"], 1, "seed {seed}: {delete}");
    }
}

#[tokio::test]
async fn json_comes_back_byte_for_byte() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    for json in [
        r#"{"replicas": 3, "big": 12345678901234567890}"#,
        "{ \"z\" : 1,\n\t\"a\" : [ 1.000, -0, 1E400, 0.1e-7 ] ,\"z\":2 }\r\n",
        r#""\u00fc \ud83e\udeb6 \/ ü""#,
        " null ",
        "123456789012345678901234567890.5",
        "[]",
    ] {
        put(&mut wire, "verbatim", json.as_bytes()).await;
        let answer = wire.ask("GET /v1/kv/verbatim HTTP/1.1", b"").await;
        assert_eq!(answer.text(), json);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        // Inside other JSON only the white space round it is lost.
        let answer = wire.ask("GET /v1/kv?prefix=verbatim HTTP/1.1", b"").await;
        let value = format!("\"value\":{},", json.trim());
        assert!(answer.text().contains(&value), "{value} in {}", answer.text());
        let answer = wire.ask("GET /v1/kv/verbatim?meta HTTP/1.1", b"").await;
        assert!(answer.text().contains(&value), "{value} in {}", answer.text());
        // And through a batch.
        let batch = format!("[{{\"put\":{{\"key\":\"batched\",\"value\":{json}}}}}]");
        wire.ask("POST /v1/batch HTTP/1.1", batch.as_bytes()).await;
        let answer = wire.ask("GET /v1/kv/batched HTTP/1.1", b"").await;
        assert_eq!(answer.text(), json.trim());
    }
}

#[tokio::test]
async fn any_bytes_come_back() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    let limit = Limits::default().value_bytes_max;
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let length = [0, 1, random.usize(..200), random.usize(..limit), limit][random.usize(..5)];
        let bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        put(&mut wire, "any", &bytes).await;
        let answer = wire.ask("GET /v1/kv/any HTTP/1.1", b"").await;
        assert_eq!(answer.body, bytes, "seed {seed}");
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    put(&mut wire, "a/b", b"{\"x\":1}").await;
    for path in [
        "/",
        "/v1/kv/a/b",
        "/v1/kv/a/b?meta&pretty",
        "/v1/kv/none",
        "/v1/kv/",
        "/v1/kv/a?x=1",
        "/v1/kv?prefix=a",
        "/v1/kv?limit=0",
        "/v1/node",
        "/v1/status",
        "/v1/cluster",
        "/version",
        "/livez",
        "/readyz?verbose",
        "/readyz/disk",
        "/readyz/none",
        "/nowhere",
    ] {
        let id = "Request-Id: same";
        let get = wire.ask(&format!("GET {path} HTTP/1.1\n{id}"), b"").await;
        let head = wire.ask(&format!("HEAD {path} HTTP/1.1\n{id}"), b"").await;
        assert!(!get.body.is_empty(), "{path}");
        assert_eq!(get.header("content-length"), Some(get.body.len().to_string().as_str()));
        let sorted = |mut headers: Vec<(String, String)>| {
            headers.retain(|(name, _)| name != "date");
            headers.sort();
            headers
        };
        assert_eq!(get.status_line, head.status_line, "{path}");
        assert_eq!(sorted(get.headers), sorted(head.headers), "{path}");
    }
}

#[tokio::test]
async fn pages_cover_a_listing_at_one_revision_in_both_orders() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    let names: Vec<String> = (0..23).map(|number| format!("p/{number:02}")).collect();
    for name in &names {
        put(&mut wire, name, b"x").await;
    }
    for (order, limit) in [("asc", 1), ("asc", 7), ("asc", 23), ("desc", 5), ("desc", 100)] {
        let head = format!("GET /v1/kv?prefix=p/&order={order}&limit={limit} HTTP/1.1");
        let mut page = wire.ask(&head, b"").await;
        let revision = page.json()["revision"].clone();
        let mut found = Vec::new();
        loop {
            // A write between two pages is not seen by them.
            put(&mut wire, "p/zz", b"later").await;
            let body = page.json();
            assert_eq!(body["revision"], revision);
            assert_eq!(body["count"], names.len());
            for item in body["items"].as_array().unwrap() {
                found.push(item["key"].as_str().unwrap().to_owned());
            }
            let Some(next) = body["next"].as_str() else { break };
            let link = page.header("link").unwrap();
            assert_eq!(link, format!("</v1/kv?cursor={next}&limit={limit}>; rel=\"next\""));
            let path = link.split(['<', '>']).nth(1).unwrap();
            page = wire.ask(&format!("GET {path} HTTP/1.1"), b"").await;
        }
        assert_eq!(page.header("link"), None);
        if order == "desc" {
            found.reverse();
        }
        assert_eq!(found, names, "{order} by {limit}");
        wire.ask("DELETE /v1/kv/p/zz HTTP/1.1", b"").await;
    }
}

#[tokio::test]
async fn a_key_of_the_greatest_length_fits_into_a_request() {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    let key = "🪶".repeat(Limits::KEY_CHARS_CEILING);
    let path = "%F0%9F%AA%B6".repeat(Limits::KEY_CHARS_CEILING);
    let answer = wire.ask(&format!("GET /v1/kv/{path} HTTP/1.1"), b"").await;
    // This store admits 128 characters; what matters here is that the key reached it.
    assert_eq!(answer.json()["code"], "key_too_long");
    assert!(Key::from(key.as_str()).chars() == Limits::KEY_CHARS_CEILING);
    assert!(answer.json()["detail"].as_str().unwrap().contains("4096 characters"));
}

async fn put(wire: &mut Wire, key: &str, value: &[u8]) {
    let answer = wire.ask(&format!("PUT /v1/kv/{key} HTTP/1.1"), value).await;
    assert!(matches!(answer.status(), 200 | 201), "{answer:?}");
}
