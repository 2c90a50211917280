//! The native API over a store that does nothing: what the surface alone costs.
//!
//! `cargo run --release -p remex-http --example null_server -- [PORT] [WORKERS]`, then point any
//! load generator at `/v1/kv/{key}`. Every put is new, every get finds the same 256 bytes.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use remex_http::Surface;
use remex_model::{
    Admin, BoxFuture, Check, ClusterView, DiskUsage, EngineUsage, Error, ErrorCode, GetResponse,
    Incarnation, Index, Limits, LogUsage, MemberRequest, MemberView, Metric, NodeId, NodeInfo,
    NodeRole, NodeStatus, Operation, Outcome, QuorumView, Record, Request, Response, Revision,
    Service, SnapshotSource, Term, Value, WriteResult, Written,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Answers at once, or through another task if `hops`, as a real store does.
#[derive(Debug)]
struct Null {
    limits: Limits,
    revision: AtomicU64,
    value: Value,
    hops: bool,
}

impl Null {
    fn answer(&self, request: &Request) -> Result<Response, Error> {
        match &request.operation {
            Operation::Get(_) => {
                let revision = Revision(self.revision.load(Ordering::Relaxed));
                let record = Record {
                    create_revision: revision,
                    mod_revision: revision,
                    version: 1,
                    lease: 0,
                    time_ms: 0,
                    value: self.value.clone(),
                };
                Ok(Response::Get(GetResponse { revision, record: Some(record) }))
            }
            Operation::Write(_) => {
                let revision = Revision(self.revision.fetch_add(1, Ordering::Relaxed));
                let put =
                    WriteResult::Put { create_revision: revision, version: 1, previous: None };
                let written = Written { revision, results: vec![put], repeated: false };
                Ok(Response::Write(Outcome::Written(written)))
            }
            Operation::List(_) => {
                Err(Error::new(ErrorCode::Internal, "the null store lists nothing"))
            }
        }
    }
}

impl Service for Null {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response, Error>> {
        Box::pin(async move {
            let answer = self.answer(&request);
            if self.hops {
                let (sender, receiver) = oneshot::channel();
                tokio::spawn(async move { sender.send(answer).is_ok() });
                return receiver
                    .await
                    .map_err(|error| Error::new(ErrorCode::Internal, error.to_string()))?;
            }
            answer
        })
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl Admin for Null {
    fn node(&self) -> NodeInfo {
        NodeInfo {
            id: NodeId(1),
            name: "null".to_owned(),
            incarnation: Incarnation(1),
            cluster_id: None,
            client_url: String::new(),
            peer_address: String::new(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    fn status(&self) -> NodeStatus {
        NodeStatus {
            role: NodeRole::Leader,
            term: Term(1),
            leader: Some(NodeId(1)),
            commit_index: Index(1),
            applied_index: Index(1),
            revision: Revision(self.revision.load(Ordering::Relaxed)),
            oldest_revision: Revision(1),
            uptime_ms: 0,
            pending: 0,
            log: LogUsage::default(),
            engine: EngineUsage::default(),
            disk: DiskUsage::default(),
        }
    }

    fn cluster(&self) -> ClusterView {
        ClusterView {
            id: None,
            term: Term(1),
            leader: Some(NodeId(1)),
            changing: false,
            quorum: QuorumView { voters: 1, reachable: 1, needed: 1 },
            members: vec![remex_model::MemberView {
                id: NodeId(1),
                name: "null".to_owned(),
                role: remex_model::MemberRole::Voter,
                auto_promote: false,
                awaited: false,
                leader: true,
                client_url: String::new(),
                peer_address: String::new(),
                version: None,
                match_index: None,
                lag: None,
                last_contact_ms: None,
                disk: None,
            }],
        }
    }

    fn readiness(&self) -> Vec<Check> {
        Vec::new()
    }

    fn liveness(&self) -> Vec<Check> {
        Vec::new()
    }

    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    fn change_members(&self, _request: MemberRequest) -> BoxFuture<'_, Result<MemberView, Error>> {
        Box::pin(std::future::ready(Err(nothing_here())))
    }

    fn transfer_leadership(
        &self,
        _to: Option<String>,
        _deadline: Instant,
    ) -> BoxFuture<'_, Result<(NodeId, Term), Error>> {
        Box::pin(std::future::ready(Err(nothing_here())))
    }

    fn snapshot(&self, _deadline: Instant) -> BoxFuture<'_, Result<SnapshotSource, Error>> {
        Box::pin(std::future::ready(Err(nothing_here())))
    }
}

fn nothing_here() -> Error {
    Error::new(ErrorCode::Internal, "the null store has no cluster")
}

fn main() -> Result<(), Box<dyn StdError>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().map_or(Ok(7480), |text| text.parse())?;
    let workers: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let hops = arguments.next().as_deref() == Some("hop");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let null = Arc::new(Null {
            limits: Limits::default(),
            revision: AtomicU64::new(1),
            value: Value::raw(vec![b'v'; 256]),
            hops,
        });
        let service = Arc::clone(&null);
        let surface = Surface::new(service, null);
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        remex_http::serve([listener.into()], surface, std::future::pending()).await?;
        Ok(())
    })
}
