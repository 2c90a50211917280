//! Writes the state that an engine holds as a snapshot.

use std::io::Write;
use std::ops::Bound;

use remex_engine::{Direction, Engine};
use remex_model::ClusterId;

use super::format;
use super::writer::Writer;
use super::{Header, SnapshotError, Summary};
use crate::meta::Meta;
use crate::rows;

/// Writes a snapshot of what the engine holds at this moment: the state at [`crate::State::durable`].
/// Runs and compactions may go on meanwhile and do not show in it, but what they replace is kept on
/// disk until this returns. To give up, let `out` fail.
///
/// # Errors
/// If the engine holds no state or cannot be read, or if `out` cannot be written.
pub fn export<E: Engine>(
    engine: &E,
    cluster: ClusterId,
    out: impl Write,
) -> Result<Summary, SnapshotError> {
    let mut scan = engine.scan(Bound::Unbounded, Bound::Unbounded, Direction::Forward);
    let (key, row) = scan.next().ok_or(SnapshotError::Empty)??;
    if key[..] != [rows::META] {
        return Err(SnapshotError::Empty);
    }
    let meta = Meta::decode(row.clone())?;
    let header = Header {
        cluster,
        index: meta.applied,
        term: meta.term,
        revision: meta.revision,
        time_ms: meta.time_ms,
        hash: meta.digest.0,
        membership: (*meta.membership).clone(),
    };
    let mut writer = Writer::new(out, header, format::salt(cluster, &row))?;
    writer.put(&key, &row)?;
    for row in scan {
        let (key, value) = row?;
        // By what this very `meta` says, not by what may be dropped by now: so the snapshot is a
        // function of the state alone.
        if !meta.drops(&key) {
            writer.put(&key, &value)?;
        }
    }
    writer.finish()
}
