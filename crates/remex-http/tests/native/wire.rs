//! A client that sees every byte: what the transcripts and the tests of connections speak.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status_line: String,
    /// Names in lower case, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.status_line.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.send_all(bytes).await.expect("the server reads");
    }

    pub(crate) async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a request with the headers that every client adds.
    pub(crate) async fn ask(&mut self, head: &str, body: &[u8]) -> Answer {
        self.send(&request(head, body)).await;
        let is_head = head.starts_with("HEAD ");
        self.answer(is_head).await.expect("the server answers")
    }

    /// Reads one answer. `without_body` for one to HEAD.
    pub(crate) async fn answer(&mut self, without_body: bool) -> io::Result<Answer> {
        let mut answer = self.head().await?;
        let length = answer
            .header("content-length")
            .map_or(0, |text| text.parse().expect("a length is a number"));
        if !without_body && answer.status() != 304 {
            while self.unread.len() < length {
                self.read_more().await?;
            }
            let rest = self.unread.split_off(length);
            answer.body = std::mem::replace(&mut self.unread, rest);
        }
        Ok(answer)
    }

    /// Reads the head of an answer alone.
    pub(crate) async fn head(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            self.read_more().await?;
        };
        let rest = self.unread.split_off(end + 4);
        let head = String::from_utf8(std::mem::replace(&mut self.unread, rest));
        let head = head.expect("heads are text");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap_or_default().to_owned();
        let split = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a header has a colon");
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Ok(Answer { status_line, headers: lines.map(split).collect(), body: Vec::new() })
    }

    /// Whether the server closed the connection with nothing left to say.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.read_more().await.is_err()
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// The bytes of a request: `head` is the request line and headers, a line each.
pub(crate) fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let mut out = head.trim_end().replace('\n', "\r\n");
    let has = |name: &str| {
        head.lines().any(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))
    };
    out.push_str("\r\n");
    if !has("host") {
        out.push_str("Host: localhost\r\n");
    }
    if !has("content-length") && !has("transfer-encoding") && !body.is_empty() {
        out.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}
