//! Percent-decoding, strict: a percent sign that does not begin an escape is an error, not data,
//! because `%` itself has to be sent as `%25` anyway.

use std::borrow::Cow;

use remex_model::{Error, ErrorCode};

/// What a plus sign means: itself in a path, a space in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    Literal,
    Space,
}

/// Decodes `text`; borrows it if there is nothing to decode.
pub(crate) fn decode(text: &str, plus: Plus) -> Result<Cow<'_, [u8]>, Error> {
    let bytes = text.as_bytes();
    let is_coded = |byte: &u8| *byte == b'%' || (plus == Plus::Space && *byte == b'+');
    let Some(first) = bytes.iter().position(is_coded) else {
        return Ok(Cow::Borrowed(bytes));
    };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match byte {
            b'%' => {
                let [high, low, behind @ ..] = behind else { return Err(broken(text)) };
                let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                    return Err(broken(text));
                };
                out.push(high << 4 | low);
                rest = behind;
            }
            b'+' if plus == Plus::Space => out.push(b' '),
            other => out.push(*other),
        }
    }
    Ok(Cow::Owned(out))
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn broken(text: &str) -> Error {
    let detail = format!("`{text}` holds a percent sign without two hexadecimal digits behind it");
    Error::new(ErrorCode::BadRequest, detail).hint("send a percent sign as %25")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_the_rest_is_kept() {
        assert_eq!(&*decode("a%2Fb%c3%Bc", Plus::Literal).unwrap(), "a/bü".as_bytes());
        assert_eq!(&*decode("a+b%2B", Plus::Literal).unwrap(), b"a+b+");
        assert_eq!(&*decode("a+b%2B", Plus::Space).unwrap(), b"a b+");
        assert!(matches!(decode("../a//b", Plus::Literal).unwrap(), Cow::Borrowed(b"../a//b")));
    }

    #[test]
    fn a_broken_escape_is_an_error() {
        for text in ["%", "a%2", "%zz", "%2g", "100%"] {
            assert_eq!(
                decode(text, Plus::Literal).unwrap_err().code,
                ErrorCode::BadRequest,
                "{text}"
            );
        }
    }
}
