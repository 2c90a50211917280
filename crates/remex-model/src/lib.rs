//! The vocabulary of Remex: keys, values, revisions, requests and responses, the log record
//! ([`Command`], [`Batch`]), errors and limits, and the ports [`Service`] and [`Admin`] through
//! which every surface reaches the store.
//!
//! This crate knows no other crate of ours. A surface translates its wire format to a
//! [`Request`], calls [`Service::call`], and translates the [`Response`]; it never sees consensus,
//! log or state. Limits are checked where a request enters ([`Limits::admit`]), never when a
//! committed command is applied: two nodes with different settings must not diverge.

mod admin;
mod batch;
mod codec;
mod command;
mod error;
mod ids;
mod key;
mod limits;
mod membership;
mod metric;
mod operation;
mod outcome;
mod service;
mod value;

pub use admin::{
    Admin, Check, ClusterView, DiskUsage, EngineUsage, LogUsage, MemberRequest, MemberRole,
    MemberStep, MemberView, NodeInfo, NodeRole, NodeStatus, QuorumView, SnapshotSource,
};
pub use batch::{Batch, BatchBuilder, ProposalId, Proposed};
pub use codec::{DecodeError, Decoder, Encoder};
pub use command::{Command, Condition, RequestKey, Test, Write};
pub use error::{Effect, Error, ErrorCode, Retry};
pub use ids::{ClusterId, Incarnation, Index, NodeId, Revision, Term};
pub use key::{Key, KeyRange};
pub use limits::Limits;
pub use membership::{Member, MemberChange, Membership, MembershipChange, MembershipError, Part};
pub use metric::{Metric, MetricKind, MetricValue, Series};
pub use operation::{
    Consistency, Context, Get, GetResponse, Item, List, ListResponse, Operation, Order,
    ReadOptions, Request, Response,
};
pub use outcome::{Outcome, Refusal, WriteResult, Written};
pub use service::{BoxFuture, Service};
pub use value::{Record, Value};
