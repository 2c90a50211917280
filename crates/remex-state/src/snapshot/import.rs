//! Fills an engine from a snapshot.

use std::io::Read;
use std::ops::Bound;
use std::sync::Arc;

use remex_engine::{Direction, Engine, EngineError, RowSink};
use remex_model::Membership;

use super::reader::Reader;
use super::{SnapshotError, Summary};
use crate::meta::Meta;

/// Puts the rows of a snapshot into an empty engine, as one run: when this returns, the engine
/// holds the state durably; after an error or a crash it is as empty as before.
///
/// With a `membership` the state gets that one instead of its own, and nothing else about it is
/// different: so a cluster is founded anew from what another one has left. The summary is that of
/// the snapshot as it was.
///
/// # Errors
/// If the engine is not empty or cannot be written, or if the snapshot cannot be read, is damaged
/// or not whole.
pub fn import<E: Engine, R: Read>(
    engine: &E,
    mut reader: Reader<R>,
    membership: Option<Membership>,
) -> Result<Summary, SnapshotError> {
    if let Some(row) = engine.scan(Bound::Unbounded, Bound::Unbounded, Direction::Forward).next() {
        row?;
        return Err(SnapshotError::Occupied);
    }
    let mut membership = membership.map(Arc::new);
    let mut failure = None;
    let ingested = engine.ingest(&mut |sink| {
        pour(&mut reader, sink, membership.take()).map_err(|error| {
            failure = Some(error);
            EngineError::Io(std::io::Error::other("the run was given up"))
        })
    });
    match (failure, ingested) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(())) => Ok(reader.into_summary()),
    }
}

fn pour<R: Read>(
    reader: &mut Reader<R>,
    sink: &mut dyn RowSink,
    mut membership: Option<Arc<Membership>>,
) -> Result<(), SnapshotError> {
    while let Some((key, value)) = reader.next_row()? {
        // The first row is `meta`: the reader has checked it.
        match membership.take() {
            Some(membership) => {
                let meta = Meta { membership, ..Meta::decode(value)? };
                let mut row = Vec::new();
                meta.encode(&mut row);
                sink.put(&key, &row)?;
            }
            None => sink.put(&key, &value)?,
        }
    }
    Ok(())
}
