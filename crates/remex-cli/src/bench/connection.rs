//! One connection with one request at a time.

use std::fmt;
use std::io;

use remex_client::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::response::{self, Head, Refused};

/// A kept connection and the buffer for its answers.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of the buffer that hold something.
    filled: usize,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    Lost(io::Error),
    Refused(Refused),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) => write!(formatter, "the connection broke: {error}"),
            Self::Refused(refused) => refused.fmt(formatter),
        }
    }
}

impl Connection {
    pub(crate) async fn open(endpoint: &Endpoint) -> io::Result<Self> {
        let stream = TcpStream::connect((endpoint.host(), endpoint.port())).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 4096], filled: 0 })
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Head, Trouble> {
        self.stream.write_all(request).await?;
        self.filled = 0;
        loop {
            self.read().await?;
            let head = response::parse(&self.buffer[..self.filled]).map_err(Trouble::Refused)?;
            let Some(head) = head else { continue };
            let total = head.head_bytes.saturating_add(head.body_bytes);
            while self.filled < total {
                self.read().await?;
            }
            if self.filled > total {
                // An answer to nothing: this connection cannot be trusted to stay in step.
                return Err(Trouble::Refused(Refused::NotHttp));
            }
            return Ok(head);
        }
    }

    /// The body of the answer read last.
    pub(crate) fn body(&self, head: &Head) -> &[u8] {
        &self.buffer[head.head_bytes..head.head_bytes + head.body_bytes]
    }

    async fn read(&mut self) -> io::Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.filled += count;
                Ok(())
            }
        }
    }
}
