//! The operations, retries and redirects.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::flock::{Flock, believed};
use crate::{Answer, Call, Client, Code, Endpoint, Error, Options, Outcome};

/// How often a request that failed is tried again.
const RETRIES: u32 = 3;

/// Pause before the first retry; doubled before each further one. All of them together outlast an
/// election.
const PAUSE_FIRST: Duration = Duration::from_millis(300);

/// Most redirects that one attempt follows.
const HOPS_MAX: usize = 5;

/// A client of one cluster by TailFeather's API. See [`crate::tailfeather`].
#[derive(Debug)]
pub struct TailFeatherClient {
    options: Options,
    nodes: Mutex<Nodes>,
}

#[derive(Debug)]
struct Nodes {
    /// All that are known: those that the client was given, and those that they named.
    known: Vec<Client>,
    /// The one that led when somebody was asked last.
    leader: Option<Client>,
}

/// One operation of a batch.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Operation<'a, T> {
    #[serde(rename = "Type")]
    kind: &'static str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a T>,
}

/// A key that was read, or was not there.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    #[serde(default)]
    missing: bool,
    #[serde(default)]
    value: serde_json::Value,
}

/// Any error.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    error: String,
}

impl TailFeatherClient {
    /// A client that begins with these nodes. Connects when the first request is made.
    ///
    /// # Errors
    /// If there is no URL, or one is none.
    pub fn new<S: AsRef<str>>(urls: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let options = Options { retries: 0, ..Options::default() };
        let mut known = Vec::new();
        for url in urls {
            known.push(node(url.as_ref(), options)?);
        }
        if known.is_empty() {
            return Err(Error::bad_request("a client needs at least one URL"));
        }
        Ok(Self { options, nodes: Mutex::new(Nodes { known, leader: None }) })
    }

    /// Sets a key.
    ///
    /// # Errors
    /// If the value does not become JSON, a limit is broken, or no leader took it in time.
    pub async fn set<T: Serialize>(&self, key: &str, value: &T) -> Result<(), Error> {
        self.write(&[Operation { kind: "Add", key, value: Some(value) }]).await
    }

    /// Reads a key through the leader; `None` if it is not there.
    ///
    /// # Errors
    /// If no leader answered in time.
    pub async fn get(&self, key: &str) -> Result<Option<serde_json::Value>, Error> {
        let call =
            Call::read("/tailfeather/key-val/read").query("key", key).query("mode", "leader");
        let found: Found = self.send(&call).await?.json()?;
        Ok((!found.missing).then_some(found.value))
    }

    /// Removes a key; nothing happens if it is not there.
    ///
    /// # Errors
    /// If no leader took it in time.
    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        self.write::<()>(&[Operation { kind: "Del", key, value: None }]).await
    }

    async fn write<T: Serialize>(&self, operations: &[Operation<'_, T>]) -> Result<(), Error> {
        let body = serde_json::to_vec(operations).map_err(|error| {
            Error::bad_request(format!("the value does not become JSON: {error}")).caused_by(error)
        })?;
        let call = Call::write(Method::POST, "/tailfeather/key-val/batch")
            .header("content-type", "application/json")
            .body(body);
        self.send(&call).await.map(drop)
    }

    /// Sends a call to the leader, and again where that helps and is safe.
    async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let mut pause = PAUSE_FIRST;
        let mut left = RETRIES;
        loop {
            let attempt = match self.leader().await {
                Ok(leader) => self.follow(leader, call).await,
                Err(error) => Err(error),
            };
            let error = match attempt {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.lock().leader = None;
            if left == 0 || !is_transient(&error) || !call.may_repeat(error.outcome) {
                return Err(error);
            }
            left -= 1;
            sleep(pause).await;
            pause *= 2;
        }
    }

    /// Sends a call to a node, and wherever that one redirects it to.
    async fn follow(&self, mut node: Client, call: &Call) -> Result<Answer, Error> {
        let mut call = call.clone();
        for _ in 0..HOPS_MAX {
            let answer = node.once(&call).await?;
            let Some((url, path)) = redirected(&answer) else {
                let answer = judge(&call, answer)?;
                self.lock().leader = Some(node);
                return Ok(answer);
            };
            node = self.known(&url)?;
            call.path = path;
        }
        let detail = format!("redirected more than {HOPS_MAX} times");
        Err(Error::new(Code::BAD_ANSWER, Outcome::NotApplied, detail))
    }

    /// The node that leads, or that may know who does.
    async fn leader(&self) -> Result<Client, Error> {
        let known = {
            let nodes = self.lock();
            if let Some(leader) = &nodes.leader {
                return Ok(leader.clone());
            }
            nodes.known.clone()
        };
        let mut questions = JoinSet::new();
        for node in known {
            questions.spawn(async move {
                let call = Call::read("/tailfeather/admin/flock");
                let answer = judge(&call, node.once(&call).await?)?;
                Ok::<_, Error>((node, answer.json::<Flock>()?))
            });
        }
        let mut flocks = Vec::new();
        let mut failure = None;
        while let Some(answer) = questions.join_next().await {
            match answer {
                Ok(Ok(flock)) => flocks.push(flock),
                Ok(Err(error)) => failure = Some(error),
                // Asking cannot panic, and nobody cancels it; the others may have answered.
                Err(error) => {
                    let detail = format!("a node could not be asked: {error}");
                    failure = Some(Error::new(Code::UNREACHABLE, Outcome::NotApplied, detail));
                }
            }
        }
        let Some((node, flock)) = believed(flocks) else {
            return Err(failure.expect("a client knows at least one node, which was asked"));
        };
        for url in flock.urls() {
            self.known(url)?;
        }
        flock.leader().map_or(Ok(node), |url| self.known(url))
    }

    /// The node at a URL, which is known from now on.
    fn known(&self, url: &str) -> Result<Client, Error> {
        let found = node(url, self.options)?;
        let mut nodes = self.lock();
        if let Some(known) = nodes.known.iter().find(|known| is_same(known, &found)) {
            return Ok(known.clone());
        }
        nodes.known.push(found.clone());
        Ok(found)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Nodes> {
        // Every change of the guarded value is whole.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client of one node, which makes one attempt.
fn node(url: &str, options: Options) -> Result<Client, Error> {
    let endpoint: Endpoint = url.parse().map_err(|error: crate::EndpointError| {
        Error::bad_request(error.to_string()).caused_by(error)
    })?;
    Client::new(vec![endpoint], options)
}

fn is_same(one: &Client, other: &Client) -> bool {
    one.endpoints().eq(other.endpoints())
}

/// Where an answer sends the request: a node, and the path there.
fn redirected(answer: &Answer) -> Option<(String, String)> {
    if !matches!(answer.status, 302 | 307 | 308) {
        return None;
    }
    let location = answer.headers.get("location")?.to_str().ok()?;
    let authority = location.strip_prefix("http://")?;
    let slash = authority.find('/')?;
    Some((authority[..slash].to_owned(), authority[slash..].to_owned()))
}

/// Tells success from failure. A key that is not there is an answer.
fn judge(call: &Call, mut answer: Answer) -> Result<Answer, Error> {
    answer.outcome_if_unclear = call.outcome_after_sending();
    let is_missing =
        answer.status == 404 && answer.json::<Found>().is_ok_and(|found| found.missing);
    if (200..300).contains(&answer.status) || is_missing {
        return Ok(answer);
    }
    let code = Code::from_server(
        match answer.status {
            400 => "bad_request",
            403 => "denied",
            404 => "not_found",
            412 => "no_leader",
            429 => "overloaded",
            504 => "timeout",
            _ => "internal",
        }
        .to_owned(),
    );
    let outcome = if (400..500).contains(&answer.status) {
        Outcome::NotApplied
    } else {
        call.outcome_after_sending()
    };
    let detail = serde_json::from_slice::<Told>(&answer.body).map_or_else(
        |_other_body| format!("{} answered with HTTP status {}", answer.endpoint, answer.status),
        |told| told.error,
    );
    let mut error = Error::new(code, outcome, detail);
    error.status = Some(answer.status);
    error.problem.endpoint = answer.endpoint;
    Err(error)
}

/// Whether another attempt could end differently.
fn is_transient(error: &Error) -> bool {
    let passing = [Code::UNREACHABLE, Code::CONNECTION_LOST, Code::TIMEOUT];
    passing.contains(&error.code)
        || error.status.is_some_and(|status| matches!(status, 412 | 429) || status >= 500)
}
