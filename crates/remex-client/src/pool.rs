//! Connections: opened when needed, kept open between requests, one request at a time on each.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Answer, Endpoint, Outcome};

/// Idle connections kept for each endpoint.
const IDLE_MAX: usize = 32;
/// Longest answer that is taken, in bytes: above the largest page that a server with default
/// limits can make.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What became of one exchange that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing was sent.
    NotSent(Cause),
    /// The request may have arrived.
    Lost(Cause),
}

/// An answer whose head has arrived.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) response: Response<Incoming>,
    /// On which the rest arrives.
    connection: SendRequest<Full<Bytes>>,
}

/// The connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) endpoint: Endpoint,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Pool {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, idle: Mutex::new(Vec::new()) }
    }

    /// Sends the request and reads the whole answer.
    pub(crate) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        connect_timeout: Duration,
    ) -> Result<Answer, Failure> {
        let begun = self.begin(request, connect_timeout).await?;
        self.finish(begun).await
    }

    /// Sends the request and reads the head of the answer. A kept connection that the server has
    /// closed in the meantime is replaced, as long as nothing went out on it.
    pub(crate) async fn begin(
        &self,
        mut request: Request<Full<Bytes>>,
        connect_timeout: Duration,
    ) -> Result<Begun, Failure> {
        while let Some(mut kept) = self.take() {
            if kept.ready().await.is_err() {
                continue;
            }
            match kept.try_send_request(request).await {
                Ok(response) => return Ok(Begun { response, connection: kept }),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Failure::Lost(error.into_error().into())),
                },
            }
        }
        let mut fresh = self.open(connect_timeout).await.map_err(Failure::NotSent)?;
        match fresh.try_send_request(request).await {
            Ok(response) => Ok(Begun { response, connection: fresh }),
            Err(mut error) => {
                let unsent = error.take_message().is_some();
                let cause = error.into_error().into();
                Err(if unsent { Failure::NotSent(cause) } else { Failure::Lost(cause) })
            }
        }
    }

    async fn open(&self, connect_timeout: Duration) -> Result<SendRequest<Full<Bytes>>, Cause> {
        let target = (self.endpoint.host(), self.endpoint.port());
        let stream =
            timeout(connect_timeout, TcpStream::connect(target)).await.map_err(|_elapsed| {
                std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    format!("no connection within {connect_timeout:?}"),
                )
            })??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // The task ends with the connection; how it ended reaches whoever waits for an answer.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Reads the rest of the answer, and keeps the connection.
    pub(crate) async fn finish(&self, begun: Begun) -> Result<Answer, Failure> {
        let (head, body) = begun.response.into_parts();
        let body =
            Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(Failure::Lost)?.to_bytes();
        self.keep(begun.connection);
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            endpoint: self.endpoint.to_string(),
            outcome_if_unclear: Outcome::Unknown,
        })
    }

    fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().expect("nobody panics while holding the lock");
        while let Some(sender) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().expect("nobody panics while holding the lock");
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(sender);
        }
    }
}
