//! A server that follows a script: one step for each request, in order.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// What the server does with one request.
pub(crate) enum Step {
    /// Answers and keeps the connection.
    Reply(&'static str, &'static str),
    /// Answers and closes the connection, saying so.
    ReplyAndClose(&'static str, &'static str),
    /// Answers, but for the last byte, and closes the connection.
    CutBody(&'static str, &'static str),
    /// Reads the request and closes the connection.
    Hang,
    /// Reads the request and never answers, until the client is gone.
    Silence,
}

/// A request as it arrived: its head and its body.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) struct Script {
    pub(crate) address: String,
    thread: JoinHandle<Vec<Seen>>,
}

impl Script {
    pub(crate) fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self { address, thread: std::thread::spawn(move || play(&listener, steps)) }
    }

    /// Everything that arrived. Waits for the end of the script, while the client's connections
    /// go on.
    pub(crate) async fn seen(self) -> Vec<Seen> {
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap()
    }
}

fn play(listener: &TcpListener, steps: Vec<Step>) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut open: Option<BufReader<TcpStream>> = None;
    for step in steps {
        let (mut connection, request) = loop {
            let mut connection =
                open.take().unwrap_or_else(|| BufReader::new(listener.accept().unwrap().0));
            if let Some(request) = read_request(&mut connection) {
                break (connection, request);
            }
        };
        seen.push(request);
        let (head, body, keep) = match step {
            Step::Reply(head, body) => (head, body, true),
            Step::ReplyAndClose(head, body) => (head, body, false),
            Step::CutBody(head, body) => {
                let length = body.len();
                let body = &body[..length - 1];
                let reply = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}");
                connection.get_mut().write_all(reply.as_bytes()).unwrap();
                continue;
            }
            Step::Hang => continue,
            Step::Silence => {
                let mut rest = Vec::new();
                // Ends when the client gives up; how it does so is of no interest.
                connection.read_to_end(&mut rest).ok();
                continue;
            }
        };
        let close = if keep { "" } else { "connection: close\r\n" };
        let reply =
            format!("HTTP/1.1 {head}\r\n{close}content-length: {}\r\n\r\n{body}", body.len());
        connection.get_mut().write_all(reply.as_bytes()).unwrap();
        if keep {
            open = Some(connection);
        }
    }
    seen
}

pub(crate) fn read_request(connection: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        // A client that is gone closes or resets what it kept open.
        if !connection.read_line(&mut head).is_ok_and(|count| count > 0) {
            return None;
        }
    }
    let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    Some(Seen { head, body: String::from_utf8(body).unwrap() })
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
