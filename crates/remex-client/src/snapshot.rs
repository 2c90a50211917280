//! Reading the whole state as one stream.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::answer::judge;
use crate::client::request;
use crate::pool::{Begun, Pool};
use crate::{Call, Client, Code, Error, Outcome};

/// Time until a snapshot begins to arrive: a node writes it to its disk first.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest silence while it arrives.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A snapshot that begins to arrive.
#[derive(Debug)]
pub struct Snapshot {
    /// Its length, in bytes, as announced; 0 if it was not.
    pub bytes: u64,
    /// The store's revision in it.
    pub revision: Option<u64>,
    /// The name that the node proposes for the file.
    pub file_name: Option<String>,
    /// SHA-256 of all its bytes, as announced.
    pub sha256: Option<[u8; 32]>,
    /// The endpoint that sends it, as a URL.
    pub endpoint: String,
    body: Incoming,
}

/// A snapshot that has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its length, in bytes.
    pub bytes: u64,
    /// SHA-256 of all its bytes. It is the one that was announced.
    pub sha256: [u8; 32],
}

impl Client {
    /// Asks a node for a snapshot. Waits until its first bytes are there.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let call = Call::read("/v1/snapshot");
        let attempt = |pool, limit| self.begin_snapshot(pool, &call, limit);
        self.everywhere(&call, BEGIN_TIMEOUT.max(self.timeout()), attempt).await
    }

    async fn begin_snapshot(
        &self,
        pool: &Pool,
        call: &Call,
        limit: Instant,
    ) -> Result<Snapshot, Error> {
        let begin = pool.begin(request(&pool.endpoint, call)?, self.connect_timeout());
        let begun = self.before(limit, pool, call, begin).await?;
        if begun.response.status().is_success() {
            return Ok(Snapshot::new(begun, pool.endpoint.to_string()));
        }
        let answer = self.before(limit, pool, call, pool.finish(begun)).await?;
        match judge(call, &pool.endpoint, answer) {
            Err(error) => Err(error),
            Ok(answer) => Err(answer.not_understood("a snapshot with the status of an error")),
        }
    }
}

impl Snapshot {
    fn new(begun: Begun, endpoint: String) -> Self {
        let (head, body) = begun.response.into_parts();
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| text(name).and_then(|text| text.parse().ok());
        Self {
            bytes: number(CONTENT_LENGTH.as_str()).unwrap_or(0),
            revision: number("remex-revision"),
            file_name: text(CONTENT_DISPOSITION.as_str()).and_then(file_name),
            sha256: text("repr-digest").and_then(sha256),
            endpoint,
            body,
        }
    }

    /// Writes all of it to `out`, and checks length and digest. `progress` is told the number of
    /// bytes so far. What was written after an error is of no use.
    ///
    /// # Errors
    /// If `out` cannot be written ([`Code::OUTPUT`]), if the stream breaks
    /// ([`Code::CONNECTION_LOST`], [`Code::TIMEOUT`]), or if what arrived is not what was
    /// announced ([`Code::BAD_ANSWER`]).
    pub async fn write_to(
        mut self,
        out: &mut (impl AsyncWrite + Unpin),
        mut progress: impl FnMut(u64),
    ) -> Result<Saved, Error> {
        let mut hasher = Sha256::new();
        let mut bytes = 0_u64;
        while let Some(chunk) = self.next().await? {
            hasher.update(&chunk);
            out.write_all(&chunk).await.map_err(|error| self.output(error))?;
            bytes += chunk.len() as u64;
            progress(bytes);
        }
        out.flush().await.map_err(|error| self.output(error))?;
        let found: [u8; 32] = hasher.finalize().into();
        let Some(announced) = self.sha256 else {
            return Err(self.bad("it came without a digest, so that nothing proves it whole"));
        };
        if self.bytes != bytes {
            let expected = self.bytes;
            return Err(self.bad(&format!("{bytes} bytes arrived, {expected} were announced")));
        }
        if announced != found {
            return Err(self.bad("its bytes do not have the digest that was announced"));
        }
        Ok(Saved { bytes, sha256: found })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = match timeout(SILENCE_MAX, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    let detail = format!("the snapshot of {} broke off: {error}", self.endpoint);
                    return Err(Error::new(Code::CONNECTION_LOST, Outcome::NotApplied, detail)
                        .hint("the node may have stopped: take the snapshot again")
                        .caused_by(error));
                }
                Err(_elapsed) => {
                    let detail = format!("{} sent nothing for {SILENCE_MAX:?}", self.endpoint);
                    return Err(Error::new(Code::TIMEOUT, Outcome::NotApplied, detail));
                }
            };
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    fn output(&self, error: std::io::Error) -> Error {
        let detail = format!("the snapshot cannot be written: {error}");
        Error::new(Code::OUTPUT, Outcome::NotApplied, detail).caused_by(error)
    }

    fn bad(&self, why: &str) -> Error {
        let detail = format!("the snapshot of {} is not good: {why}", self.endpoint);
        let mut error = Error::new(Code::BAD_ANSWER, Outcome::NotApplied, detail)
            .hint("take the snapshot again; if that does not help, from another node");
        error.problem.endpoint.clone_from(&self.endpoint);
        error
    }
}

/// The name in `attachment; filename="…"`, if it is a plain one.
fn file_name(disposition: &str) -> Option<String> {
    let (_, rest) = disposition.split_once("filename=\"")?;
    let (name, _) = rest.split_once('"')?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain))
        .then(|| name.to_owned())
}

/// The digest in `sha-256=:BASE64:` (RFC 9530), which may stand among others.
fn sha256(digests: &str) -> Option<[u8; 32]> {
    let coded = digests.split(',').find_map(|one| one.trim().strip_prefix("sha-256=:"))?;
    STANDARD.decode(coded.strip_suffix(':')?).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_must_be_plain() {
        let name = |text: &str| file_name(&format!("attachment; filename=\"{text}\""));
        assert_eq!(name("remex-c1-11.snapshot").as_deref(), Some("remex-c1-11.snapshot"));
        for text in ["", "../x", "a/b", ".ssh", "a b"] {
            assert_eq!(name(text), None, "{text}");
        }
        assert_eq!(file_name("inline"), None);
    }

    #[test]
    fn the_digest_is_found_among_others() {
        let zeros = format!("sha-256=:{}:", STANDARD.encode([0; 32]));
        assert_eq!(sha256(&zeros), Some([0; 32]));
        assert_eq!(sha256(&format!("sha-512=:AAAA:, {zeros}")), Some([0; 32]));
        for text in ["", "sha-256=:AAAA:", "sha-256=AAAA", "sha-256=:!:", "md5=:AAAA:"] {
            assert_eq!(sha256(text), None, "{text}");
        }
    }
}
