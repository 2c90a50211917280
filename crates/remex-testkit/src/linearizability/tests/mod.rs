//! How the judges are judged: by mistakes planted by hand, by histories of a real sequential
//! store, and by a second judge that tries every order.

mod planted;
mod random;
mod second_judge;

use super::{Event, Op, Outcome};

/// An event of one key, with the interval from `call_at` to `return_at`.
fn event(client: u64, interval: (u64, u64), op: Op, result: Outcome) -> Event {
    let (call_at, return_at) = interval;
    Event { client, key: "k".to_owned(), op, call_at, return_at: Some(return_at), result }
}

fn put(value: &str) -> Op {
    Op::Put { value: value.to_owned() }
}

fn swap(expect: Option<&str>, value: Option<&str>) -> Op {
    Op::CompareAndSet { expect: expect.map(str::to_owned), value: value.map(str::to_owned) }
}

fn done(existed: bool) -> Outcome {
    Outcome::Written { revision: None, existed: Some(existed) }
}

const ACKED: Outcome = Outcome::Written { revision: None, existed: None };
const ABSENT: Outcome = Outcome::Read(None);

fn found(value: &str) -> Outcome {
    Outcome::found(value, None)
}
