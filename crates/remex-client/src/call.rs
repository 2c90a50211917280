//! One request of the API before it is sent.

use bytes::Bytes;
use http::Method;

use crate::{Error, Outcome};

/// A request: method, path with query, headers, body, and whether it may be sent twice.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Has no effect.
    Read,
    /// Has an effect each time it arrives.
    Write,
    /// A write of data that has no idempotency key yet: the client makes one when it sends it.
    DataWrite,
    /// Has an effect once, thanks to its idempotency key.
    KeyedWrite,
    /// Has the same effect however often it arrives.
    Repeatable,
}

impl Call {
    /// A `GET` of a path that is already encoded.
    #[must_use]
    pub fn read(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            kind: Kind::Read,
        }
    }

    /// A request with an effect on a path that is already encoded. It is sent again only while it
    /// certainly was not applied, unless it gets a [`Call::idempotency_key`].
    #[must_use]
    pub fn write(method: Method, path: impl Into<String>) -> Self {
        Self { method, kind: Kind::Write, ..Self::read(path) }
    }

    /// A write of data: one that the server applies once for an idempotency key. The key is made
    /// anew for each sending, so that sending the same call twice writes twice.
    pub(crate) fn data_write(method: Method, path: impl Into<String>) -> Self {
        Self { method, kind: Kind::DataWrite, ..Self::read(path) }
    }

    /// Says that the request has the same effect however often it arrives.
    pub(crate) fn repeatable(mut self) -> Self {
        self.kind = Kind::Repeatable;
        self
    }

    /// The same call with an idempotency key of its own; `None` if it has or takes none.
    pub(crate) fn with_fresh_key(&self) -> Option<Self> {
        // Every process seeds its generator anew. Two writes that meet with the same 128 bits are
        // not to be expected.
        let fresh = || self.clone().idempotency_key(&format!("rx-{:032x}", fastrand::u128(..)));
        (self.kind == Kind::DataWrite).then(fresh)
    }

    /// The path `/v1/kv/{key}`.
    ///
    /// # Errors
    /// If the key is empty: the path would name the listing.
    pub(crate) fn key_path(key: &str) -> Result<String, Error> {
        if key.is_empty() {
            return Err(
                Error::bad_request("the key is empty").hint("name a key of at least one character")
            );
        }
        let mut path = String::from("/v1/kv/");
        encode_key(key, &mut path);
        Ok(path)
    }

    /// A text in the form that a query holds it.
    pub(crate) fn text(text: &str) -> String {
        let mut encoded = String::new();
        encode(text.as_bytes(), &mut encoded);
        encoded
    }

    /// Says that the request changes nothing, whatever its method.
    #[must_use]
    pub(crate) fn without_effect(mut self) -> Self {
        self.kind = Kind::Read;
        self
    }

    /// Adds a query parameter; one without a value is a switch.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(name);
        if !value.is_empty() {
            self.path.push('=');
            encode(value.as_bytes(), &mut self.path);
        }
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Marks a write with a key that the caller chose at random: however often it arrives, the
    /// server applies it once. It may then be sent again after any failure.
    #[must_use]
    pub fn idempotency_key(mut self, key: &str) -> Self {
        self.kind = Kind::KeyedWrite;
        self.header("idempotency-key", key)
    }

    /// The same request as a command line for `curl`, for people.
    #[must_use]
    pub fn curl(&self, endpoint: &str) -> String {
        let mut line = String::from("curl");
        if self.method != Method::GET {
            line.push_str(" -X ");
            line.push_str(self.method.as_str());
        }
        for (name, value) in &self.headers {
            line.push_str(" -H ");
            line.push_str(&quote(&format!("{name}: {value}")));
        }
        if !self.body.is_empty() || self.method == Method::PUT || self.method == Method::POST {
            match std::str::from_utf8(&self.body) {
                // `curl` reads a file for a leading `@`, except with `--data-raw`.
                Ok(text) => {
                    line.push_str(" --data-raw ");
                    line.push_str(&quote(text));
                }
                Err(_) => line.push_str(" --data-binary @VALUE"),
            }
        }
        line.push(' ');
        line.push_str(&quote(&format!("{endpoint}{}", self.path)));
        line
    }

    /// What is known of the effect when a request may have arrived and no answer came.
    pub(crate) fn outcome_after_sending(&self) -> Outcome {
        match self.kind {
            Kind::Read => Outcome::NotApplied,
            Kind::Write | Kind::DataWrite | Kind::KeyedWrite | Kind::Repeatable => Outcome::Unknown,
        }
    }

    /// Whether the request may be sent again after it came to this.
    pub(crate) fn may_repeat(&self, outcome: Outcome) -> bool {
        match self.kind {
            Kind::Read | Kind::KeyedWrite | Kind::Repeatable => true,
            Kind::Write | Kind::DataWrite => outcome == Outcome::NotApplied,
        }
    }
}

/// Percent-encodes a key for the path. Slashes stay, except where something on the way could
/// normalize them away: at the start and after another slash. So do the segments `.` and `..`,
/// which are data here.
fn encode_key(key: &str, out: &mut String) {
    for (position, segment) in key.split('/').enumerate() {
        if position > 0 {
            let plain = !out.ends_with('/') && !out.ends_with("%2F");
            out.push_str(if plain { "/" } else { "%2F" });
        }
        match segment {
            "." => out.push_str("%2E"),
            ".." => out.push_str("%2E%2E"),
            _ => encode(segment.as_bytes(), out),
        }
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 §2.3.
fn encode(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// Quotes a text for a POSIX shell.
fn quote(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:=@%,+".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_slashes_and_nothing_that_could_be_resolved_away() {
        for (key, want) in [
            ("app/config", "/v1/kv/app/config"),
            ("/app", "/v1/kv/%2Fapp"),
            ("a//b", "/v1/kv/a/%2Fb"),
            ("a///b", "/v1/kv/a/%2F%2Fb"),
            ("a/", "/v1/kv/a/"),
            ("a/../b/.", "/v1/kv/a/%2E%2E/b/%2E"),
            ("...", "/v1/kv/..."),
            ("50% ü?#", "/v1/kv/50%25%20%C3%BC%3F%23"),
        ] {
            assert_eq!(Call::key_path(key).unwrap(), want, "{key}");
        }
        assert_eq!(Call::key_path("").unwrap_err().outcome, Outcome::NotApplied);
    }

    #[test]
    fn queries_are_joined_and_encoded() {
        let call = Call::read("/v1/kv").query("prefix", "a b/&").query("keys", "");
        assert_eq!(call.path, "/v1/kv?prefix=a%20b%2F%26&keys");
    }

    #[test]
    fn shows_the_equivalent_curl() {
        let call = Call::write(Method::PUT, "/v1/kv/a").header("if-none-match", "*").body("it's");
        assert_eq!(
            call.curl("http://h:1"),
            r"curl -X PUT -H 'if-none-match: *' --data-raw 'it'\''s' http://h:1/v1/kv/a"
        );
        assert_eq!(
            Call::read("/v1/kv?prefix=a").curl("http://h:1"),
            "curl 'http://h:1/v1/kv?prefix=a'"
        );
    }

    #[test]
    fn every_sending_of_a_write_has_a_key_of_its_own() {
        let write = Call::data_write(Method::PUT, "/v1/kv/a");
        assert!(!write.may_repeat(Outcome::Unknown));
        let (one, other) = (write.with_fresh_key().unwrap(), write.with_fresh_key().unwrap());
        assert!(one.may_repeat(Outcome::Unknown));
        assert_ne!(one.headers, other.headers);
        assert!(write.idempotency_key("k").with_fresh_key().is_none());
        assert!(Call::read("/").with_fresh_key().is_none());
        assert!(Call::write(Method::POST, "/x").with_fresh_key().is_none());
    }

    #[test]
    fn only_a_keyed_write_may_be_repeated_after_an_unknown_outcome() {
        let write = Call::write(Method::PUT, "/v1/kv/a");
        assert!(write.may_repeat(Outcome::NotApplied) && !write.may_repeat(Outcome::Unknown));
        assert!(write.clone().idempotency_key("k").may_repeat(Outcome::Unknown));
        assert!(Call::read("/").may_repeat(Outcome::Unknown));
        assert_eq!(Call::read("/").outcome_after_sending(), Outcome::NotApplied);
    }
}
