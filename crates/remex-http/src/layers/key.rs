//! Keys as the surfaces over HTTP admit them.

use remex_model::{Error, ErrorCode};

/// The text of a key, which must be UTF-8 without control characters: what one dialect writes, all
/// others can name. Its length is checked on admission.
pub(crate) fn key_text(key: &[u8]) -> Result<&str, Error> {
    let text = std::str::from_utf8(key).map_err(|error| {
        let detail = format!("the key is not UTF-8 from byte {} on", error.valid_up_to());
        Error::new(ErrorCode::InvalidKey, detail).hint("keys are UTF-8 text, percent-encoded")
    })?;
    // Nearly every key is printable ASCII, which this tells without decoding characters.
    if key.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Ok(text);
    }
    match text.chars().position(char::is_control) {
        None => Ok(text),
        Some(position) => {
            let detail = format!("character {} of the key is a control character", position + 1);
            Err(Error::new(ErrorCode::InvalidKey, detail).hint("keys are printable text"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_printable_text() {
        assert_eq!(key_text("app/ü 🪶".as_bytes()).unwrap(), "app/ü 🪶");
        for key in [&b"a\0"[..], b"\n", b"\x7f", "\u{85}".as_bytes(), b"\xff"] {
            assert_eq!(key_text(key).unwrap_err().code, ErrorCode::InvalidKey, "{key:?}");
        }
    }
}
