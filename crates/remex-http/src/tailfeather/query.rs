//! Parameters as .NET binds them: names in any case, `+` for a space, and a percent sign that
//! begins no escape stands for itself. A parameter that is not known is refused: it is usually the
//! rest of a value that holds a bare `&`.
#![warn(clippy::indexing_slicing)]

use remex_model::{Error, ErrorCode};

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(&'static str, String)>,
}

impl Query {
    /// Takes the query apart. `known` are the parameters of the route; each may be given once.
    pub(crate) fn parse(query: Option<&str>, known: &[&'static str]) -> Result<Self, Error> {
        let bad = |detail: String| Err(Error::new(ErrorCode::BadRequest, detail));
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name);
            let is_named = |known: &&&str| known.as_bytes().eq_ignore_ascii_case(&name);
            let Some(&name) = known.iter().find(is_named) else {
                let name = String::from_utf8_lossy(&name);
                let known = known.join(", ");
                return Err(Error::new(
                    ErrorCode::UnknownParameter,
                    format!("unknown parameter `{name}`; known here: {known}"),
                )
                .hint("a `&` within a value is written %26"));
            };
            if pairs.iter().any(|&(other, _)| other == name) {
                return bad(format!("the parameter `{name}` is given twice"));
            }
            match String::from_utf8(decode(value)) {
                Ok(value) => pairs.push((name, value)),
                Err(error) => {
                    let position = error.utf8_error().valid_up_to();
                    return bad(format!(
                        "the parameter `{name}` is not UTF-8 from byte {position} on"
                    ));
                }
            }
        }
        Ok(Self { pairs })
    }

    /// The parameter's text, if it is given.
    pub(crate) fn text(&self, name: &'static str) -> Option<&str> {
        self.pairs.iter().find(|&&(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The parameter's text.
    ///
    /// # Errors
    /// If it is not given.
    pub(crate) fn needed(&self, name: &'static str) -> Result<&str, Error> {
        self.text(name).ok_or_else(|| {
            Error::new(ErrorCode::BadRequest, format!("the parameter `{name}` is missing"))
                .hint(format!("add {name}=… to the query"))
        })
    }
}

fn decode(coded: &str) -> Vec<u8> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(coded.len());
    let mut rest = coded.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        let escaped = match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => {
                digit(high).zip(digit(low)).map(|(high, low)| (high << 4 | low, behind))
            }
            _ => None,
        };
        match (byte, escaped) {
            (_, Some((byte, behind))) => {
                out.push(byte);
                rest = behind;
            }
            (b'+', None) => out.push(b' '),
            (other, None) => out.push(*other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(query: &str) -> Result<String, Error> {
        Query::parse(Some(query), &["key", "val"])?.needed("val").map(str::to_owned)
    }

    #[test]
    fn t7_values_are_decoded_as_dot_net_does() {
        for (query, expected) in [
            ("val=a%20b+c%2Bd", "a b c+d"),
            ("KEY=k&Val=%7B'a'%3A1%7D", "{'a':1}"),
            ("val=100%&key=k", "100%"),
            ("val=%zz%2", "%zz%2"),
            ("val=a=b==", "a=b=="),
            ("val=%C3%BC%26%23", "ü&#"),
            ("&val=&", ""),
            ("val", ""),
        ] {
            assert_eq!(value(query).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn t7_a_bare_ampersand_within_a_value_is_found_out() {
        let error = value("key=k&val={'a':'x&y'}").unwrap_err();
        assert_eq!(error.code, ErrorCode::UnknownParameter);
        assert!(error.detail.contains("`y'}`"), "{}", error.detail);
        assert!(error.hint.unwrap().contains("%26"));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (query, said) in [
            ("key=k", "`val` is missing"),
            ("val=1&VAL=2", "twice"),
            ("val=a%ff", "UTF-8 from byte 1"),
        ] {
            assert!(value(query).unwrap_err().detail.contains(said), "{query}");
        }
        assert!(Query::parse(None, &["val"]).unwrap().text("val").is_none());
    }
}
