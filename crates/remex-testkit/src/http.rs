//! An HTTP/1.1 client that makes exactly one attempt, and says how far it came.
//!
//! A history is only worth judging if one attempt is one event. So this client never retries,
//! never follows a redirect, and never reuses a connection that the server has closed. Its
//! failures come in two kinds, because they mean different things for a write: [`Failure::NotSent`]
//! (certainly without effect) and [`Failure::Lost`] (nobody knows).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest answer that is taken, in bytes.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A client of one server, over one connection at a time.
#[derive(Debug)]
pub struct HttpClient {
    address: SocketAddr,
    timeout: Duration,
    connection: Option<BufReader<TcpStream>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers in order, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from its transfer coding.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of this name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is not JSON; shows it.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).map_err(|error| {
            anyhow::anyhow!(
                "status {} with a body that is not JSON: {error}: {}",
                self.status,
                self.text()
            )
        })
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The connection could not be made: the server has not seen the request.
    NotSent(io::Error),
    /// The connection broke, or time ran out, while sending or waiting: the server may have seen
    /// the request, and may still act on it.
    Lost(io::Error),
}

impl std::error::Error for Failure {}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent(error) => write!(formatter, "not sent: {error}"),
            Self::Lost(error) => write!(formatter, "answer lost: {error}"),
        }
    }
}

impl HttpClient {
    /// A client of the server at `address` that waits up to `timeout` for each whole answer.
    #[must_use]
    pub fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self { address, timeout, connection: None }
    }

    /// Reads a path.
    ///
    /// # Errors
    /// See [`HttpClient::request`].
    pub fn get(&mut self, target: &str) -> Result<Reply, Failure> {
        self.request("GET", target, &[], b"")
    }

    /// Makes one attempt. `target` is the path and query as they go on the wire.
    ///
    /// # Errors
    /// If there is no answer; says whether the request may have been seen.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Reply, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut connection = self.connect(deadline).map_err(Failure::NotSent)?;
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut message = head.into_bytes();
        message.extend_from_slice(body);
        let (reply, reusable) =
            exchange(&mut connection, method, &message, deadline).map_err(Failure::Lost)?;
        self.connection = reusable.then_some(connection);
        Ok(reply)
    }

    fn connect(&mut self, deadline: Instant) -> io::Result<BufReader<TcpStream>> {
        if let Some(connection) = self.connection.take()
            && is_quiet(connection.get_ref())?
        {
            return Ok(connection);
        }
        let stream = TcpStream::connect_timeout(&self.address, remaining(deadline)?)?;
        // A port of this machine can be connected to itself while nobody listens on it.
        if stream.local_addr()? == self.address {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }
}

/// Whether an idle connection is still open: a server that closed it has an end of file waiting.
fn is_quiet(stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    Ok(matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock))
}

fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A connection that stops reading when time is up.
struct Timed<'a> {
    connection: &'a mut BufReader<TcpStream>,
    deadline: Instant,
}

impl Timed<'_> {
    fn arm(&self) -> io::Result<()> {
        self.connection.get_ref().set_read_timeout(Some(remaining(self.deadline)?))
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.arm()?;
        self.connection.read(buffer)
    }
}

impl BufRead for Timed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.arm()?;
        self.connection.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.connection.consume(amount);
    }
}

/// Sends a request and reads its answer. Also says whether the connection can be used again.
fn exchange(
    connection: &mut BufReader<TcpStream>,
    method: &str,
    message: &[u8],
    deadline: Instant,
) -> io::Result<(Reply, bool)> {
    connection.get_ref().set_write_timeout(Some(remaining(deadline)?))?;
    connection.get_mut().write_all(message)?;
    let mut input = Timed { connection, deadline };
    let mut reply = loop {
        let reply = read_head(&mut input)?;
        // An interim answer (100 to 199) announces the real one.
        if reply.status >= 200 {
            break reply;
        }
    };
    let bodiless = method == "HEAD" || matches!(reply.status, 204 | 304);
    let chunked = reply.header("transfer-encoding").is_some_and(|coding| coding == "chunked");
    let length = reply.header("content-length").map(str::to_owned);
    let mut reusable = reply.header("connection") != Some("close");
    if bodiless {
        return Ok((reply, reusable));
    }
    if chunked {
        reply.body = read_chunks(&mut input)?;
    } else if let Some(length) = length {
        let length = length.parse().map_err(|error| invalid(format!("content-length: {error}")))?;
        reply.body = read_exactly(&mut input, length)?;
    } else {
        input.take(BODY_BYTES_MAX).read_to_end(&mut reply.body)?;
        reusable = false;
    }
    Ok((reply, reusable))
}

fn read_head(input: &mut Timed<'_>) -> io::Result<Reply> {
    let status_line = read_line(input)?;
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| invalid(format!("status line {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(input)?;
        if line.is_empty() {
            return Ok(Reply { status, headers, body: Vec::new() });
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| invalid(format!("header line {line:?}")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_chunks(input: &mut Timed<'_>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(input)?;
        let digits = line.split(';').next().unwrap_or_default();
        let length = u64::from_str_radix(digits.trim(), 16)
            .map_err(|error| invalid(format!("chunk length {line:?}: {error}")))?;
        if length == 0 {
            while !read_line(input)?.is_empty() {}
            return Ok(body);
        }
        body.extend(read_exactly(input, length)?);
        if !read_line(input)?.is_empty() || body.len() as u64 > BODY_BYTES_MAX {
            return Err(invalid("a chunk that is too long".to_owned()));
        }
    }
}

fn read_exactly(input: &mut Timed<'_>, length: u64) -> io::Result<Vec<u8>> {
    if length > BODY_BYTES_MAX {
        return Err(invalid(format!("a body of {length} bytes")));
    }
    let mut body = Vec::new();
    input.take(length).read_to_end(&mut body)?;
    if (body.len() as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

fn read_line(input: &mut Timed<'_>) -> io::Result<String> {
    let mut line = String::new();
    input.take(64 * 1024).read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A key as it stands in a path: everything but letters, digits, `-._~` and `/` is escaped.
#[must_use]
pub fn escape_key(key: &str) -> String {
    let mut path = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Serves each answer on a connection of its own, then closes it; returns what came in.
    fn serve(answers: &'static [&'static str]) -> (SocketAddr, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            answers.iter().map(|answer| serve_one(&listener, answer)).collect()
        });
        (address, server)
    }

    fn serve_one(listener: &TcpListener, answer: &str) -> String {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    }

    fn client(address: SocketAddr) -> HttpClient {
        HttpClient::new(address, Duration::from_secs(20))
    }

    #[test]
    fn every_framing_of_a_body_is_read() {
        let (address, server) = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"7\"\r\nConnection: close\r\n\r\nhello",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
             3;x\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\nhello",
        ]);
        let mut client = client(address);
        let first = client.request("PUT", "/v1/kv/a", &[("If-Match", "\"6\"")], b"").unwrap();
        assert_eq!((first.status, first.text().as_str()), (200, "hello"));
        assert_eq!(first.header("etag"), Some("\"7\""));
        assert_eq!(client.get("/b").unwrap().text(), "hello");
        let last = client.get("/c").unwrap();
        assert_eq!((last.status, last.text().as_str()), (503, "hello"));
        let requests = server.join().unwrap();
        assert!(requests[0].starts_with("PUT /v1/kv/a HTTP/1.1\r\n"), "{requests:?}");
        assert!(requests[0].contains("\r\nIf-Match: \"6\"\r\n"), "{requests:?}");
    }

    #[test]
    fn a_lost_answer_is_told_from_a_request_that_never_left() {
        let (address, server) = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"]);
        let mut client = client(address);
        assert!(matches!(client.get("/"), Err(Failure::Lost(_))));
        server.join().unwrap();
        assert!(matches!(client.get("/"), Err(Failure::NotSent(_))));
    }

    #[test]
    fn silence_ends_as_a_lost_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = HttpClient::new(address, Duration::from_millis(20));
        assert!(matches!(client.get("/"), Err(Failure::Lost(_))));
    }

    #[test]
    fn keys_are_escaped_but_for_slashes() {
        assert_eq!(escape_key("app/ü ?#%"), "app/%C3%BC%20%3F%23%25");
    }
}
