//! Puts, gets, deletes and compares over the native HTTP API, and records what came of it.
//!
//! An answer is believed only as far as the API promises: success needs the documented status
//! and fields, "no effect" needs `outcome: not_applied`, everything else about a write is
//! unknown. An answer that breaks the API is an error, so that a test cannot pass over it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::history::History;
use crate::http::{Failure, HttpClient, Reply, escape_key};
use crate::linearizability::{Found, Op, Outcome};

/// A client that records every operation.
#[derive(Debug)]
pub struct RecordedClient {
    id: u64,
    http: HttpClient,
    history: Arc<History>,
}

impl RecordedClient {
    /// A client with a number of its own that talks to the node at `address` and waits up to
    /// `timeout` for each answer.
    #[must_use]
    pub fn new(id: u64, address: SocketAddr, timeout: Duration, history: Arc<History>) -> Self {
        Self { id, http: HttpClient::new(address, timeout), history }
    }

    /// Reads a key, linearizably.
    ///
    /// # Errors
    /// If the answer breaks the API.
    pub fn get(&mut self, key: &str) -> anyhow::Result<Outcome> {
        self.attempt(key, Op::Get, "GET", None, b"", read_outcome)
    }

    /// Writes a key.
    ///
    /// # Errors
    /// If the answer breaks the API.
    pub fn put(&mut self, key: &str, value: &str) -> anyhow::Result<Outcome> {
        let op = Op::Put { value: value.to_owned() };
        self.attempt(key, op, "PUT", None, value.as_bytes(), put_outcome)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// If the answer breaks the API.
    pub fn delete(&mut self, key: &str) -> anyhow::Result<Outcome> {
        self.attempt(key, Op::Delete, "DELETE", None, b"", delete_outcome)
    }

    /// Writes a key if it still is what an earlier read found; `None`: if it does not exist. The
    /// read must have told the revision.
    ///
    /// # Errors
    /// If the answer breaks the API, or the read did not tell the revision.
    pub fn put_if(
        &mut self,
        key: &str,
        seen: Option<&Found>,
        value: &str,
    ) -> anyhow::Result<Outcome> {
        let condition = match seen {
            None => ("If-None-Match", "*".to_owned()),
            Some(found) => ("If-Match", etag(found)?),
        };
        let expect = seen.map(|found| found.value.clone());
        let op = Op::CompareAndSet { expect, value: Some(value.to_owned()) };
        self.attempt(key, op, "PUT", Some(condition), value.as_bytes(), put_outcome)
    }

    /// Removes a key if it still is what an earlier read found.
    ///
    /// # Errors
    /// As [`RecordedClient::put_if`].
    pub fn delete_if(&mut self, key: &str, seen: &Found) -> anyhow::Result<Outcome> {
        let op = Op::CompareAndSet { expect: Some(seen.value.clone()), value: None };
        let condition = ("If-Match", etag(seen)?);
        self.attempt(key, op, "DELETE", Some(condition), b"", delete_outcome)
    }

    fn attempt(
        &mut self,
        key: &str,
        op: Op,
        method: &str,
        condition: Option<(&str, String)>,
        body: &[u8],
        interpret: fn(&Reply) -> anyhow::Result<Outcome>,
    ) -> anyhow::Result<Outcome> {
        let described = format!("{method} of {key:?}");
        let target = format!("/v1/kv/{}", escape_key(key));
        let mut headers = vec![("Content-Type", "text/plain")];
        if let Some((name, value)) = &condition {
            headers.push((name, value));
        }
        let pending = self.history.begin(self.id, key, op);
        let outcome = match self.http.request(method, &target, &headers, body) {
            Ok(reply) => interpret(&reply).with_context(|| {
                format!("{described} was answered {}: {}", reply.status, reply.text())
            })?,
            Err(Failure::NotSent(_)) => Outcome::Failed,
            Err(Failure::Lost(_)) => Outcome::Unknown,
        };
        self.history.end(pending, outcome.clone());
        Ok(outcome)
    }
}

fn etag(found: &Found) -> anyhow::Result<String> {
    let revision = found.revision.context("the read did not tell the revision")?;
    Ok(format!("\"{revision}\""))
}

fn read_outcome(reply: &Reply) -> anyhow::Result<Outcome> {
    match reply.status {
        200 => {
            let tag = reply.header("etag").context("no ETag")?;
            let revision = tag.trim_matches('"').parse().context("the ETag is no revision")?;
            Ok(Outcome::found(reply.text(), Some(revision)))
        }
        404 => {
            let problem = reply.json()?;
            ensure!(problem["code"] == "key_not_found", "another code than key_not_found");
            Ok(Outcome::Read(None))
        }
        status => {
            ensure!(status >= 429, "not an answer to a read of a proper key");
            Ok(Outcome::Failed)
        }
    }
}

fn put_outcome(reply: &Reply) -> anyhow::Result<Outcome> {
    match reply.status {
        200 | 201 => Ok(Outcome::Written {
            revision: Some(revision(reply)?),
            existed: Some(reply.status == 200),
        }),
        _ => write_failure(reply),
    }
}

fn delete_outcome(reply: &Reply) -> anyhow::Result<Outcome> {
    if reply.status != 200 {
        return write_failure(reply);
    }
    let deleted = reply.json()?["deleted"].as_u64().context("no number `deleted`")?;
    ensure!(deleted <= 1, "one key cannot be deleted {deleted} times");
    Ok(Outcome::Written { revision: Some(revision(reply)?), existed: Some(deleted == 1) })
}

/// What a write that was not acknowledged did.
fn write_failure(reply: &Reply) -> anyhow::Result<Outcome> {
    let problem = reply.json()?;
    match (reply.status, problem["outcome"].as_str()) {
        (412, Some("not_applied")) => Ok(Outcome::Refused),
        (_, Some("not_applied")) => Ok(Outcome::Failed),
        (_, Some("unknown")) => Ok(Outcome::Unknown),
        (_, _) => anyhow::bail!("a failed write must say its outcome"),
    }
}

fn revision(reply: &Reply) -> anyhow::Result<u64> {
    reply.json()?["revision"].as_u64().context("no number `revision`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_failed_write_is_believed_only_when_it_says_its_outcome() {
        let not_applied = reply(503, r#"{"code":"no_leader","outcome":"not_applied"}"#);
        assert_eq!(put_outcome(&not_applied).unwrap(), Outcome::Failed);
        let unknown = reply(504, r#"{"code":"timeout","outcome":"unknown"}"#);
        assert_eq!(put_outcome(&unknown).unwrap(), Outcome::Unknown);
        let refused = reply(412, r#"{"code":"revision_mismatch","outcome":"not_applied"}"#);
        assert_eq!(delete_outcome(&refused).unwrap(), Outcome::Refused);
        put_outcome(&reply(503, r#"{"code":"no_leader"}"#)).unwrap_err();
        put_outcome(&reply(200, "{}")).unwrap_err();
        delete_outcome(&reply(200, r#"{"deleted":2,"revision":4}"#)).unwrap_err();
        read_outcome(&reply(200, "value without an ETag")).unwrap_err();
        read_outcome(&reply(404, r#"{"code":"not_found"}"#)).unwrap_err();
    }

    #[test]
    fn an_acknowledged_write_tells_whether_the_key_existed() {
        let created = put_outcome(&reply(201, r#"{"revision":7}"#)).unwrap();
        assert_eq!(created, Outcome::Written { revision: Some(7), existed: Some(false) });
        let nothing = delete_outcome(&reply(200, r#"{"deleted":0,"revision":7}"#)).unwrap();
        assert_eq!(nothing, Outcome::Written { revision: Some(7), existed: Some(false) });
    }
}
