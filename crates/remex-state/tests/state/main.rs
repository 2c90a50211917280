//! The state machine against a naive model, against its own past, and against golden scripts.

#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod faults;
mod format;
mod model;
mod random;
mod scripts;

use bytes::Bytes;
use remex_model::{BatchBuilder, Command, ProposalId, Proposed};

/// An encoded batch of commands.
fn batch(time_ms: u64, commands: &[Command]) -> Bytes {
    let mut builder = BatchBuilder::new(time_ms, 0);
    for (sequence, command) in (1..).zip(commands) {
        let id = ProposalId { session: 1, sequence };
        builder.push(&Proposed { id, command: command.to_bytes() });
    }
    Bytes::from(builder.finish())
}
