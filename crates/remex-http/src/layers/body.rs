//! Reading a request body, bounded in bytes and in time.

use std::pin::pin;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use remex_model::{Error, ErrorCode};

/// A body over its bound is still read and thrown away up to this size, so that the client gets
/// to read the answer: closing a socket with unread input would reset the connection, and the
/// answer with it. Beyond, the connection is given up.
const DISCARD_BYTES_MAX: usize = 1024 * 1024;

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is longer than the bound. `length` is what was announced or seen of it, in bytes.
    TooLarge { length: usize },
    /// The client did not send it in time.
    Timeout,
    /// The connection or its encoding broke.
    Broken(String),
}

impl BodyError {
    /// What to tell the client; `too_large` makes the error for a body of that many bytes.
    pub(crate) fn explain(self, too_large: impl FnOnce(usize) -> Error) -> Error {
        match self {
            Self::TooLarge { length } => too_large(length),
            Self::Timeout => {
                Error::new(ErrorCode::Timeout, "the request body did not arrive in time")
            }
            Self::Broken(cause) => {
                let detail = format!("the request body could not be read: {cause}");
                Error::new(ErrorCode::BadRequest, detail).hint("send the whole body")
            }
        }
    }
}

/// Reads a body of at most `bytes_max` bytes before `deadline`. A body that arrives in one piece
/// is not copied.
pub(crate) async fn read<B>(
    body: B,
    bytes_max: usize,
    deadline: Instant,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    match tokio::time::timeout_at(deadline.into(), collect(body, bytes_max)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(BodyError::Timeout),
    }
}

async fn collect<B>(body: B, bytes_max: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = pin!(body);
    if let Some(announced) = body.size_hint().exact()
        && announced > bytes_max as u64
    {
        let length = usize::try_from(announced).unwrap_or(usize::MAX);
        if length <= DISCARD_BYTES_MAX {
            while let Some(frame) = body.frame().await {
                frame.map_err(|error| BodyError::Broken(error.to_string()))?;
            }
        }
        return Err(BodyError::TooLarge { length });
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > bytes_max {
            if length > DISCARD_BYTES_MAX {
                return Err(BodyError::TooLarge { length });
            }
            (first, rest) = (Bytes::new(), BytesMut::new());
        } else if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    if length > bytes_max {
        return Err(BodyError::TooLarge { length });
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use http_body::Frame;
    use http_body_util::Full;

    use super::*;

    /// A body of unknown length in chunks, which ends behind the last one or hangs there.
    struct Chunks {
        chunks: VecDeque<Bytes>,
        hangs: bool,
    }

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.chunks.pop_front() {
                Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
                None if self.hangs => Poll::Pending,
                None => Poll::Ready(None),
            }
        }
    }

    fn chunks(chunks: &[&'static str], hangs: bool) -> Chunks {
        Chunks { chunks: chunks.iter().map(|&chunk| Bytes::from(chunk)).collect(), hangs }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn chunks_are_put_together_up_to_the_bound() {
        assert_eq!(read(chunks(&["ab", "cd", "e"], false), 5, soon()).await.unwrap(), "abcde");
        assert_eq!(read(chunks(&[], false), 5, soon()).await.unwrap(), "");
        assert_eq!(
            read(chunks(&["ab", "cd", "ef", "gh"], false), 5, soon()).await.unwrap_err(),
            BodyError::TooLarge { length: 8 }
        );
    }

    #[tokio::test]
    async fn an_announced_length_over_the_bound_is_refused_with_its_size() {
        let body = Full::new(Bytes::from_static(b"abcdef"));
        assert_eq!(read(body, 5, soon()).await.unwrap_err(), BodyError::TooLarge { length: 6 });
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let result = read(chunks(&["ab"], true), 5, Instant::now()).await;
        assert_eq!(result.unwrap_err(), BodyError::Timeout);
    }
}
