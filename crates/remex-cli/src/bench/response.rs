//! Just enough of HTTP/1.1 to know what an answer says and where it ends.
//!
//! Answers of a known length on a kept connection are all that a Remex node sends to these
//! requests. Everything else is refused by name rather than measured wrongly.

use std::fmt;

/// Longest head of an answer that is taken, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Bytes up to the body.
    pub(crate) head_bytes: usize,
    /// Bytes of the body.
    pub(crate) body_bytes: usize,
    /// Whether the server closes the connection afterwards.
    pub(crate) closes: bool,
}

/// What makes an answer one that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NotHttp,
    TooLong,
    Chunked,
    WithoutLength,
    BadLength,
    Informational,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotHttp => "the answer is not HTTP/1.1",
            Self::TooLong => "the head of the answer is longer than 16 KiB",
            Self::Chunked => "the answer is chunked, which this benchmark does not measure",
            Self::WithoutLength => "the answer has no Content-Length",
            Self::BadLength => "the answer has no usable Content-Length",
            Self::Informational => "the answer has a 1xx status",
        })
    }
}

/// Reads the head at the start of `buffer`; `None` if it is not complete yet.
pub(crate) fn parse(buffer: &[u8]) -> Result<Option<Head>, Refused> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if buffer.len() > HEAD_BYTES_MAX { Err(Refused::TooLong) } else { Ok(None) };
    };
    let mut lines = buffer[..end].split(|&byte| byte == b'\n');
    let status = lines.next().and_then(status).ok_or(Refused::NotHttp)?;
    if status < 200 {
        return Err(Refused::Informational);
    }
    let (mut length, mut closes) = (None, false);
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return Err(Refused::NotHttp);
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let read = number(value).ok_or(Refused::BadLength)?;
            if length.replace(read).is_some_and(|earlier| earlier != read) {
                return Err(Refused::BadLength);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(Refused::Chunked);
        } else if name.eq_ignore_ascii_case(b"connection") {
            closes |= value.eq_ignore_ascii_case(b"close");
        }
    }
    let body_bytes = match length {
        _ if matches!(status, 204 | 304) => 0,
        Some(length) => length,
        None => return Err(Refused::WithoutLength),
    };
    Ok(Some(Head { status, head_bytes: end + 4, body_bytes, closes }))
}

fn status(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    u16::try_from(number(digits)?).ok()
}

fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0_usize, |number, &digit| {
        let value = digit.checked_sub(b'0').filter(|&value| value < 10)?;
        number.checked_mul(10)?.checked_add(usize::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured_wherever_it_is_cut() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: a\r\ncontent-LENGTH:  3\r\n\r\nabc";
        let head = answer.len() - 3;
        for cut in 0..head {
            assert_eq!(parse(&answer[..cut]), Ok(None), "{cut}");
        }
        let want = Head { status: 200, head_bytes: head, body_bytes: 3, closes: false };
        assert_eq!(parse(&answer[..head]), Ok(Some(want)));
        assert_eq!(parse(answer), Ok(Some(want)));
    }

    #[test]
    fn an_end_of_the_connection_is_noticed() {
        let answer = b"HTTP/1.1 503 X\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n";
        let head = parse(answer).unwrap().unwrap();
        assert!(head.closes);
        assert_eq!((head.status, head.body_bytes), (503, 0));
        let head = parse(b"HTTP/1.1 304 X\r\ncontent-length: 9\r\n\r\n").unwrap().unwrap();
        assert_eq!(head.body_bytes, 0);
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        for (answer, want) in [
            (&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"[..], Refused::Chunked),
            (b"HTTP/1.1 200 OK\r\n\r\n", Refused::WithoutLength),
            (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", Refused::BadLength),
            (b"HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n", Refused::BadLength),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
                Refused::BadLength,
            ),
            (b"HTTP/1.0 200 OK\r\n\r\n", Refused::NotHttp),
            (b"HTTP/1.1 2x0 OK\r\n\r\n", Refused::NotHttp),
            (b"HTTP/1.1 20\r\n\r\n", Refused::NotHttp),
            (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", Refused::NotHttp),
            (b"HTTP/1.1 100 Continue\r\n\r\n", Refused::Informational),
            (&[b'a'; HEAD_BYTES_MAX + 1], Refused::TooLong),
        ] {
            assert_eq!(parse(answer), Err(want), "{}", String::from_utf8_lossy(answer));
        }
    }
}
