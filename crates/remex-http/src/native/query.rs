//! Query parameters. A parameter that a route does not know is an error: ignoring a misspelt
//! condition or limit would do something else than was asked for.

use std::borrow::Cow;

use remex_model::{Error, ErrorCode, Revision};

use crate::layers::{Plus, decode};

/// The parameters of one request. Costs nothing if there are none.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pairs: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Takes the query apart. `known` are the parameters of the route; each may be given once.
    pub(crate) fn parse(query: Option<&'a str>, known: &[&'static str]) -> Result<Self, Error> {
        let mut pairs: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = text(name)?;
            let Some(&name) = known.iter().find(|&&known| known == name) else {
                return Err(unknown(&name, known));
            };
            if pairs.iter().any(|&(other, _)| other == name) {
                let detail = format!("the parameter `{name}` is given twice");
                return Err(Error::new(ErrorCode::BadRequest, detail).hint("give it once"));
            }
            pairs.push((name, text(value)?));
        }
        Ok(Self { pairs })
    }

    /// The parameter's text; `None` if it is not given.
    pub(crate) fn text(&self, name: &'static str) -> Option<&str> {
        self.pairs.iter().find(|&&(other, _)| other == name).map(|(_, value)| value.as_ref())
    }

    /// Whether a switch is on: given without a value, or with `true` or `1`.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Error> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(other) => Err(malformed(name, other, "true or false, or no value at all")),
        }
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(name) else { return Ok(None) };
        // `u64::from_str` would also take a plus sign.
        let number = if text.starts_with('+') { None } else { text.parse().ok() };
        number.map(Some).ok_or_else(|| malformed(name, text, "a whole number"))
    }

    /// A revision: a whole number of at least 1.
    pub(crate) fn revision(&self, name: &'static str) -> Result<Option<Revision>, Error> {
        match self.number(name)? {
            Some(0) => Err(malformed(name, "0", "a revision, and the first one is 1")),
            number => Ok(number.map(Revision)),
        }
    }
}

/// The error for a parameter whose value cannot be used.
pub(crate) fn malformed(name: &str, value: &str, expected: &str) -> Error {
    let detail = format!("the parameter `{name}` is `{value}`; it must be {expected}");
    Error::new(ErrorCode::BadRequest, detail).hint("correct the parameter, or leave it out")
}

fn text(coded: &str) -> Result<Cow<'_, str>, Error> {
    let not_text = |_| {
        Error::new(ErrorCode::BadRequest, format!("`{coded}` in the query is not UTF-8"))
            .hint("percent-encode the UTF-8 bytes of each character")
    };
    match decode(coded, Plus::Space)? {
        Cow::Borrowed(_) => Ok(Cow::Borrowed(coded)),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(not_text),
    }
}

fn unknown(name: &str, known: &[&'static str]) -> Error {
    let detail = format!("unknown query parameter `{name}`");
    let error = Error::new(ErrorCode::UnknownParameter, detail);
    if known.is_empty() {
        error.hint("this request takes no parameters")
    } else {
        error.hint(format!("known here: {}", known.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse(Some("prefix=a%2Fb+c&keys&limit=7"), &["prefix", "keys", "limit"]);
        let query = query.unwrap();
        assert_eq!(query.text("prefix"), Some("a/b c"));
        assert!(query.flag("keys").unwrap());
        assert_eq!(query.number("limit").unwrap(), Some(7));
        assert_eq!(query.text("cursor"), None);
    }

    #[test]
    fn an_unknown_parameter_is_named_with_those_that_are_known() {
        let error = Query::parse(Some("prefx=a"), &["prefix", "keys"]).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnknownParameter);
        assert!(error.detail.contains("`prefx`"), "{}", error.detail);
        assert_eq!(error.hint.as_deref(), Some("known here: prefix, keys"));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_refused() {
        let parse = |query| Query::parse(Some(query), &["rev", "keys"]);
        assert!(parse("rev=1&rev=1").is_err());
        assert!(parse("rev=%ff").is_err());
        assert!(parse("rev=0").unwrap().revision("rev").is_err());
        assert!(parse("rev=%2B1").unwrap().number("rev").is_err());
        assert!(parse("rev=").unwrap().number("rev").is_err());
        assert!(parse("keys=maybe").unwrap().flag("keys").is_err());
        assert!(!parse("keys=false").unwrap().flag("keys").unwrap());
    }
}
