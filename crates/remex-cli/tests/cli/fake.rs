//! A server that follows a script: one answer for each request, in order.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

/// What the server does with one request.
pub(crate) enum Step {
    /// Answers with this status line (and headers), and this body.
    Reply(&'static str, String),
    /// Closes the connection without an answer.
    HangUp,
    /// Never answers, until the client is gone.
    Silence,
}

/// An answer.
pub(crate) fn reply(head: &'static str, body: &str) -> Step {
    Step::Reply(head, body.to_owned())
}

pub(crate) struct Fake {
    pub(crate) url: String,
    arrived: Receiver<()>,
    thread: JoinHandle<Vec<String>>,
}

impl Fake {
    pub(crate) fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (arrive, arrived) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            let mut kept: Option<BufReader<TcpStream>> = None;
            for step in steps {
                let (mut connection, request) = next(&listener, kept.take());
                seen.push(request);
                // Whoever does not care for arrivals has dropped the other end.
                arrive.send(()).ok();
                match step {
                    Step::Reply(head, body) => {
                        let length = body.len();
                        let text =
                            format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}");
                        connection.get_mut().write_all(text.as_bytes()).unwrap();
                        kept = Some(connection);
                    }
                    Step::HangUp => {}
                    Step::Silence => {
                        // Ends when the client is gone; how it went is of no interest.
                        connection.read_to_end(&mut Vec::new()).ok();
                    }
                }
            }
            seen
        });
        Self { url, arrived, thread }
    }

    /// Waits until a request has arrived.
    pub(crate) fn wait_arrival(&self) {
        self.arrived.recv().unwrap();
    }

    /// Every request, head and body, at the end of the script.
    pub(crate) fn seen(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn next(
    listener: &TcpListener,
    mut kept: Option<BufReader<TcpStream>>,
) -> (BufReader<TcpStream>, String) {
    loop {
        let connection = kept.take();
        let mut connection =
            connection.unwrap_or_else(|| BufReader::new(listener.accept().unwrap().0));
        if let Some(request) = read(&mut connection) {
            return (connection, request);
        }
    }
}

fn read(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        // A client that is gone closes or resets what it kept open.
        if !connection.read_line(&mut request).is_ok_and(|count| count > 0) {
            return None;
        }
    }
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    connection.read_exact(&mut body).unwrap();
    Some(request + std::str::from_utf8(&body).unwrap())
}
