//! The state machine against a naive model, against its own past, and against golden scripts.

#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod faults;
mod format;
mod membership;
mod model;
mod random;
mod scripts;
mod snapshot;

use bytes::Bytes;
use remex_model::{BatchBuilder, Command, Incarnation, Member, NodeId, ProposalId, Proposed};

/// An encoded batch of commands.
fn batch(time_ms: u64, commands: &[Command]) -> Bytes {
    let mut builder = BatchBuilder::new(time_ms, 0);
    for (sequence, command) in (1..).zip(commands) {
        let id = ProposalId { session: 1, sequence };
        builder.push(&Proposed { id, command: command.to_bytes() });
    }
    Bytes::from(builder.finish())
}

/// A member whose fields follow from its id.
fn member(id: u64) -> Member {
    Member {
        id: NodeId(id),
        incarnation: Incarnation(id + 100),
        name: format!("node-{id}"),
        peer_address: format!("10.0.0.{id}:7400"),
        client_url: format!("http://10.0.0.{id}:7380"),
        promote: id.is_multiple_of(2),
    }
}
