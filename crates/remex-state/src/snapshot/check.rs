//! Checks that rows are those of a state, so that a state opened on them cannot fail later.

use bytes::Bytes;
use remex_model::Revision;

use super::{Damage, Header};
use crate::error::Fatal;
use crate::meta::Meta;
use crate::requests::Remembered;
use crate::rows;

/// The longest key that an engine takes, in bytes.
const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// The rows that have come so far.
#[derive(Debug, Default)]
pub(super) struct RowCheck {
    last: Bytes,
    /// Number of the request that is due and of the one behind the last; `None` before `meta`.
    requests: Option<(u64, u64)>,
}

impl RowCheck {
    /// Checks the next row.
    pub(super) fn row(
        &mut self,
        header: &Header,
        key: &Bytes,
        value: &Bytes,
    ) -> Result<(), Damage> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Damage::LongKey(key.len()));
        }
        match &mut self.requests {
            None => self.requests = Some(meta(header, key, value)?),
            Some(_) if *key <= self.last => return Err(Damage::Order),
            Some((due, next)) => {
                if let Some(number) = content(header.revision, key, value)? {
                    if number != *due || number == *next {
                        return Err(Damage::Request { expected: *due });
                    }
                    *due += 1;
                }
            }
        }
        self.last = key.clone();
        Ok(())
    }

    /// Checks that no row is missing.
    pub(super) fn finish(&self) -> Result<(), Damage> {
        match self.requests {
            None => Err(Damage::Meta),
            Some((due, next)) if due != next => Err(Damage::Request { expected: due }),
            Some(_) => Ok(()),
        }
    }
}

/// Checks the first row. Returns which requests must be there.
fn meta(header: &Header, key: &Bytes, value: &Bytes) -> Result<(u64, u64), Damage> {
    if key[..] != [rows::META] {
        return Err(Damage::Meta);
    }
    let meta = Meta::decode(value.clone()).map_err(undecodable)?;
    let same = (meta.applied, meta.term, meta.revision)
        == (header.index, header.term, header.revision)
        && (meta.time_ms, meta.digest.0) == (header.time_ms, header.hash)
        && *meta.membership == header.membership
        && meta.requests.0 <= meta.requests.1
        && meta.history.floor() <= meta.revision;
    if same { Ok(meta.requests) } else { Err(Damage::Meta) }
}

/// Checks any other row. Returns the number of a request.
fn content(current: Revision, key: &Bytes, value: &Bytes) -> Result<Option<u64>, Damage> {
    let known = |table, revision| {
        if revision <= current { Ok(()) } else { Err(Damage::Future(table)) }
    };
    let number = |table| rows::number(key).ok_or_else(|| undecodable(rows::bad_key(table)));
    match key.first() {
        Some(&rows::CURRENT) => {
            let record = rows::decode_record("current", value.clone()).map_err(undecodable)?;
            known("current", record.mod_revision)?;
        }
        Some(&rows::HISTORY) => {
            let (_, superseded) = rows::parse_history_key(key).map_err(undecodable)?;
            known("history", superseded)?;
            let record = rows::decode_record("history", value.clone()).map_err(undecodable)?;
            known("history", record.mod_revision)?;
        }
        Some(&rows::CHANGES) => {
            known("changes", Revision(number("changes")?))?;
            rows::decode_changes(value.clone()).map_err(undecodable)?;
        }
        Some(&rows::REQUESTS) => {
            Remembered::decode(value.clone())
                .map_err(|source| Damage::Undecodable { table: "requests", source })?;
            return number("requests").map(Some);
        }
        table => return Err(Damage::Table(table.copied().unwrap_or_default())),
    }
    Ok(None)
}

/// What decoding a row says, as damage of the snapshot.
fn undecodable(fatal: Fatal) -> Damage {
    match fatal {
        Fatal::Row { table, source } => Damage::Undecodable { table, source },
        Fatal::Engine(_)
        | Fatal::Entry { .. }
        | Fatal::Missing { .. }
        | Fatal::Gap { .. }
        | Fatal::Poisoned => unreachable!("decoding a row fails only as a row"),
    }
}
