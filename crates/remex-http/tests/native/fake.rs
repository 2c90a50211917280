//! A store in memory behind the ports: every revision is a whole map.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use remex_http::Surface;
use remex_model::{
    BoxFuture, Check, Command, Condition, Error, ErrorCode, Get, GetResponse, Item, Key, Limits,
    List, ListResponse, NodeId, Operation, Order, Outcome, ReadOptions, Record, Refusal, Request,
    Response, Revision, Service, Test, Write, WriteResult, Written,
};
use tokio::sync::watch;

use crate::cluster::Cluster;

/// The wall clock of the first write; each revision is a second later.
const TIME_MS: u64 = 1_800_000_000_000;

type Keys = BTreeMap<Key, Record>;

#[derive(Debug)]
pub(crate) struct Fake {
    limits: Limits,
    state: Mutex<State>,
    /// While true, calls wait.
    held: watch::Sender<bool>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) revision: Revision,
    pub(crate) oldest: Revision,
    /// The keys at every revision from 1 on.
    history: Vec<Keys>,
    outcomes: Vec<(Command, Outcome)>,
    failure: Option<Error>,
    pub(crate) leader: Option<NodeId>,
    pub(crate) check: Check,
    calls: usize,
    pub(crate) cluster: Cluster,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let state = State {
            revision: Revision(1),
            oldest: Revision(1),
            history: vec![Keys::new()],
            outcomes: Vec::new(),
            failure: None,
            leader: Some(NodeId(2)),
            check: Check { name: "leader", ok: true, detail: "n2 leads".to_owned() },
            calls: 0,
            cluster: Cluster::default(),
        };
        let limits = Limits { request_bytes_max: 64 * 1024, ..Limits::default() };
        Self { limits, state: Mutex::new(state), held: watch::Sender::new(false) }
    }

    /// The surface over this store.
    pub(crate) fn surface(self: &std::sync::Arc<Self>) -> Surface {
        let (service, admin) = (std::sync::Arc::clone(self), std::sync::Arc::clone(self));
        Surface::new(service, admin)
    }

    /// Lets the next call fail.
    pub(crate) fn fail(&self, error: Error) {
        self.state().failure = Some(error);
    }

    /// Drops the revisions before this one.
    pub(crate) fn compact(&self, oldest: Revision) {
        self.state().oldest = oldest;
    }

    /// Sets who leads.
    pub(crate) fn lead(&self, leader: Option<NodeId>) {
        self.state().leader = leader;
    }

    /// Sets the check behind `/readyz` and `/livez`.
    pub(crate) fn check(&self, ok: bool, detail: &str) {
        let name = self.state().check.name;
        self.state().check = Check { name, ok, detail: detail.to_owned() };
    }

    /// Writes past the surface, as another dialect would.
    pub(crate) fn write(&self, command: Command) -> Outcome {
        self.state().apply(command)
    }

    /// Makes calls wait, or lets them go on.
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Number of calls that have begun.
    pub(crate) fn calls(&self) -> usize {
        self.state().calls
    }

    /// Waits while calls are held.
    pub(crate) async fn released(&self) {
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.expect("the sender lives as long as the fake");
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test thread panics while it holds the lock")
    }
}

impl Service for Fake {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response, Error>> {
        Box::pin(async move {
            self.limits.admit(&request.operation)?;
            self.state().calls += 1;
            self.released().await;
            let mut state = self.state();
            if let Some(error) = state.failure.take() {
                return Err(error);
            }
            match request.operation {
                Operation::Get(get) => state.get(&get).map(Response::Get),
                Operation::List(list) => state.list(&list).map(Response::List),
                Operation::Write(command) => Ok(Response::Write(state.apply(command))),
            }
        })
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl State {
    fn at(&self, options: &ReadOptions) -> Result<(Revision, &Keys), Error> {
        let revision = options.at.unwrap_or(self.revision);
        if revision > self.revision || options.min_revision > Some(self.revision) {
            let detail = format!("the store is at revision {}", self.revision);
            return Err(Error::new(ErrorCode::FutureRevision, detail));
        }
        if revision < self.oldest {
            let detail = format!("the oldest revision is {}", self.oldest);
            return Err(Error::new(ErrorCode::Compacted, detail).at_revision(self.oldest));
        }
        let position = usize::try_from(revision.get() - 1).expect("tests write few revisions");
        Ok((revision, &self.history[position]))
    }

    fn get(&self, get: &Get) -> Result<GetResponse, Error> {
        let (_, keys) = self.at(&get.options)?;
        Ok(GetResponse { revision: self.revision, record: keys.get(&get.key).cloned() })
    }

    fn list(&self, list: &List) -> Result<ListResponse, Error> {
        let (revision, keys) = self.at(&list.options)?;
        let in_range = |key: &Key| list.range.contains(key.as_bytes());
        let count = keys.keys().filter(|key| in_range(key)).count();
        let wanted = |key: &Key| {
            in_range(key)
                && list.after.as_ref().is_none_or(|after| match list.order {
                    Order::Ascending => key > after,
                    Order::Descending => key < after,
                })
        };
        let mut items: Vec<Item> = keys
            .iter()
            .filter(|(key, _)| wanted(key))
            .map(|(key, record)| Item { key: key.clone(), record: record.clone() })
            .collect();
        if list.order == Order::Descending {
            items.reverse();
        }
        let more = items.len() > list.limit;
        items.truncate(list.limit);
        if list.keys_only {
            items.iter_mut().for_each(|item| item.record.value = Default::default());
        }
        let count = list.count.then_some(count as u64);
        Ok(ListResponse { revision, items, more, count })
    }

    fn apply(&mut self, command: Command) -> Outcome {
        let remembered =
            self.outcomes.iter().find(|(had, _)| had.request_key == command.request_key);
        if let Some((had, outcome)) = remembered {
            if *had != command {
                return Outcome::KeyReused { revision: self.revision };
            }
            let mut outcome = outcome.clone();
            if let Outcome::Written(written) = &mut outcome {
                written.repeated = true;
                for result in &mut written.results {
                    let (WriteResult::Put { previous, .. } | WriteResult::Deleted { previous, .. }) =
                        result;
                    *previous = None;
                }
            }
            return outcome;
        }
        let outcome = self.execute(command.conditions.clone(), command.writes.clone());
        if command.request_key.is_some() {
            self.outcomes.push((command, outcome.clone()));
        }
        outcome
    }

    fn execute(&mut self, conditions: Vec<Condition>, writes: Vec<Write>) -> Outcome {
        let mut keys = self.history.last().expect("revision 1 is always there").clone();
        for (position, condition) in conditions.iter().enumerate() {
            let current = keys.get(&condition.key).map(|record| record.mod_revision);
            let holds = match condition.test {
                Test::Revision(revision) => current == Some(revision),
                Test::Exists => current.is_some(),
                Test::Absent => current.is_none(),
            };
            if !holds {
                let refusal = Refusal { revision: self.revision, condition: position, current };
                return Outcome::Refused(refusal);
            }
        }
        let revision = self.revision.next();
        let results: Vec<WriteResult> =
            writes.into_iter().map(|write| execute_one(&mut keys, write, revision)).collect();
        let changes =
            |result: &WriteResult| !matches!(result, WriteResult::Deleted { count: 0, .. });
        if results.iter().any(changes) {
            self.revision = revision;
            self.history.push(keys);
        }
        Outcome::Written(Written { revision: self.revision, results, repeated: false })
    }
}

fn execute_one(keys: &mut Keys, write: Write, revision: Revision) -> WriteResult {
    match write {
        Write::Put { key, value, lease } => {
            let previous = keys.get(&key).cloned();
            let create_revision = previous.as_ref().map_or(revision, |old| old.create_revision);
            let version = previous.as_ref().map_or(0, |old| old.version) + 1;
            let time_ms = TIME_MS + 1_000 * revision.get();
            let mod_revision = revision;
            let record = Record { create_revision, mod_revision, version, lease, time_ms, value };
            keys.insert(key, record);
            WriteResult::Put { create_revision, version, previous }
        }
        Write::Delete { key } => {
            let previous = keys.remove(&key);
            WriteResult::Deleted { count: u64::from(previous.is_some()), previous }
        }
        Write::DeleteRange { range } => {
            let before = keys.len();
            keys.retain(|key, _| !range.contains(key.as_bytes()));
            WriteResult::Deleted { count: (before - keys.len()) as u64, previous: None }
        }
    }
}
