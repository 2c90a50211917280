//! One ordered walk over all layers.

use std::iter::Peekable;
use std::ops::Bound;

use bytes::Bytes;
use remex_engine::{Direction, Engine};
use remex_model::{Key, KeyRange, Order, Record, Revision};

use super::past::{StoredCurrent, StoredPast};
use crate::buffer::{Buffer, Seen};
use crate::error::Fatal;
use crate::state::State;

/// What one layer knows about one key.
pub(super) type Found = Result<(Bytes, Seen<Record>), Fatal>;

type Layer<'a> = Peekable<Box<dyn Iterator<Item = Found> + 'a>>;

/// The keys that a walk covers.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(super) start: Bound<Bytes>,
    pub(super) end: Bound<Bytes>,
}

impl Bounds {
    /// All keys of a range.
    pub(crate) fn of(range: &KeyRange) -> Self {
        let start = Bound::Included(range.start.clone());
        let end = range.end.clone().map_or(Bound::Unbounded, Bound::Excluded);
        Self { start, end }
    }

    /// The part that lies behind a key, in the order of the walk.
    pub(super) fn behind(mut self, after: Option<&Key>, order: Order) -> Self {
        let Some(after) = after.map(Key::bytes) else { return self };
        match order {
            Order::Ascending => {
                let inside = matches!(&self.start, Bound::Included(start) if after < start);
                if !inside {
                    self.start = Bound::Excluded(after.clone());
                }
            }
            Order::Descending => {
                let inside = matches!(&self.end, Bound::Excluded(end) if after >= end);
                if !inside {
                    self.end = Bound::Excluded(after.clone());
                }
            }
        }
        self
    }

    /// Whether no key can lie within.
    fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (
                Bound::Included(start) | Bound::Excluded(start),
                Bound::Included(end) | Bound::Excluded(end),
            ) => start >= end,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        }
    }
}

/// The keys that exist at one revision, in order.
pub(crate) struct Merge<'a> {
    /// From the newest layer to the oldest.
    layers: Vec<Layer<'a>>,
    order: Order,
}

impl<E: Engine> State<E> {
    /// Walks the keys within the bounds that exist at a revision; `None` is the newest.
    pub(crate) fn merge<'a>(
        &'a self,
        bounds: &Bounds,
        order: Order,
        at: Option<Revision>,
    ) -> Merge<'a> {
        if bounds.is_empty() {
            return Merge { layers: Vec::new(), order };
        }
        let direction = match order {
            Order::Ascending => Direction::Forward,
            Order::Descending => Direction::Backward,
        };
        let engine = &*self.lower.engine;
        let stored: Box<dyn Iterator<Item = Found> + 'a> = match at {
            None => Box::new(StoredCurrent::new(engine, bounds, direction)),
            Some(at) => Box::new(StoredPast::new(engine, bounds, direction, at)),
        };
        let buffers = [Some(&self.active), self.lower.frozen.as_deref()];
        let layers = buffers
            .into_iter()
            .flatten()
            .map(|buffer| buffered(buffer, bounds, order, at))
            .chain([stored])
            .map(Iterator::peekable)
            .collect();
        Merge { layers, order }
    }
}

fn buffered<'a>(
    buffer: &'a Buffer,
    bounds: &Bounds,
    order: Order,
    at: Option<Revision>,
) -> Box<dyn Iterator<Item = Found> + 'a> {
    let range = (bounds.start.as_ref(), bounds.end.as_ref());
    let found = buffer.chains.range::<Bytes, _>(range).map(move |(key, chain)| {
        let seen = match chain.at(at) {
            Seen::Record(record) => Seen::Record(record.clone()),
            Seen::Absent => Seen::Absent,
            Seen::Below => Seen::Below,
        };
        Ok((key.clone(), seen))
    });
    match order {
        Order::Ascending => Box::new(found),
        Order::Descending => Box::new(found.rev()),
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<(Bytes, Record), Fatal>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut next: Option<Bytes> = None;
            for layer in &mut self.layers {
                let key = match layer.peek() {
                    None => continue,
                    Some(Ok((key, _))) => key,
                    Some(Err(_)) => return layer.next()?.err().map(Err),
                };
                let first = next.as_ref().is_none_or(|next| match self.order {
                    Order::Ascending => key < next,
                    Order::Descending => key > next,
                });
                if first {
                    next = Some(key.clone());
                }
            }
            let key = next?;
            let mut answer = Seen::Below;
            for layer in &mut self.layers {
                let here = |found: &Found| matches!(found, Ok((other, _)) if *other == key);
                let Some(Ok((_, seen))) = layer.next_if(here) else { continue };
                if matches!(answer, Seen::Below) {
                    answer = seen;
                }
            }
            if let Seen::Record(record) = answer {
                return Some(Ok((key, record)));
            }
        }
    }
}
