//! Histories of a real sequential store, with overlapping clients and lost answers: all legal.
//! Then with one answer changed: mostly caught.

use std::collections::BTreeMap;

use super::super::{Found, check, check_revisions};
use super::*;

/// What the histories look like.
#[derive(Clone, Copy)]
struct Shape {
    clients: u64,
    keys: usize,
    operations: usize,
    /// Of a thousand writes, how many lose their answer.
    unknown_per_mille: u16,
}

/// An operation with the moment at which the store performs it, if ever.
struct Planned {
    event: Event,
    performed_at: Option<u64>,
}

/// Plans what each client does, one operation after another, with the moment at which each takes
/// effect somewhere between its call and its return, or (its answer lost) later or never.
fn plan(random: &mut fastrand::Rng, shape: Shape) -> Vec<Planned> {
    let mut now = vec![0; usize::try_from(shape.clients).unwrap()];
    let mut plan = Vec::new();
    for number in 0..shape.operations {
        let client = random.u64(0..shape.clients);
        let clock = &mut now[usize::try_from(client).unwrap()];
        let call_at = *clock + random.u64(1..20);
        let performed_at = call_at + random.u64(0..20);
        let return_at = performed_at + random.u64(0..20);
        *clock = return_at;
        let value = format!("v{number}");
        let op = match random.u8(0..10) {
            0..=3 => Op::Get,
            4..=6 => Op::Put { value },
            7 => Op::Delete,
            // The expectation is filled in when the store is asked.
            _ => Op::CompareAndSet { expect: None, value: random.u8(0..4).gt(&0).then_some(value) },
        };
        let key = format!("k{}", random.usize(0..shape.keys));
        let lost = op != Op::Get && random.u16(0..1000) < shape.unknown_per_mille;
        let result = if lost { Outcome::Unknown } else { Outcome::Failed };
        let late = performed_at + random.u64(0..2_000);
        plan.push(Planned {
            event: Event { client, key, op, call_at, return_at: Some(return_at), result },
            performed_at: match lost.then(|| random.u8(0..3)) {
                None | Some(0) => Some(performed_at),
                Some(1) => Some(late),
                Some(_) => None,
            },
        });
    }
    plan
}

/// Performs the plan in the order of its moments on one copy of the data.
fn perform(random: &mut fastrand::Rng, mut plan: Vec<Planned>) -> Vec<Event> {
    plan.sort_by_key(|planned| planned.performed_at);
    let mut store: BTreeMap<String, Found> = BTreeMap::new();
    let mut revision = 1;
    let mut old = vec!["never written".to_owned()];
    for Planned { event, performed_at } in &mut plan {
        let current = store.get(&event.key).cloned();
        if let Op::CompareAndSet { expect, .. } = &mut event.op {
            *expect = match random.u8(0..4) {
                0 => Some(old[random.usize(..old.len())].clone()),
                _ => current.as_ref().map(|found| found.value.clone()),
            };
        }
        if performed_at.is_none() {
            continue;
        }
        let answer = answer(event, current, &mut store, &mut revision);
        if let Some(Some(value)) = event.writes() {
            old.push(value.to_owned());
        }
        if event.result != Outcome::Unknown {
            event.result = answer;
        }
    }
    let mut events: Vec<Event> = plan.into_iter().map(|planned| planned.event).collect();
    events.sort_by_key(|event| event.call_at);
    events
}

fn answer(
    event: &Event,
    current: Option<Found>,
    store: &mut BTreeMap<String, Found>,
    revision: &mut u64,
) -> Outcome {
    let existed = Some(current.is_some());
    if let Op::CompareAndSet { expect, .. } = &event.op
        && expect.as_ref() != current.as_ref().map(|found| &found.value)
    {
        return Outcome::Refused;
    }
    let Some(content) = event.writes() else { return Outcome::Read(current) };
    if let Some(value) = content {
        *revision += 1;
        let found = Found { value: value.to_owned(), revision: Some(*revision) };
        store.insert(event.key.clone(), found);
    } else if store.remove(&event.key).is_some() {
        *revision += 1;
    }
    Outcome::Written { revision: Some(*revision), existed }
}

fn history(seed: u64, shape: Shape) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(seed);
    let plan = plan(&mut random, shape);
    perform(&mut random, plan)
}

fn accepted(seed: u64, history: &[Event]) {
    if let Err(violation) = check(history) {
        panic!("seed {seed}: {violation}");
    }
    if let Err(violation) = check_revisions(history) {
        panic!("seed {seed}: {violation}");
    }
}

#[test]
fn every_history_of_a_sequential_store_is_accepted() {
    let shapes = [
        Shape { clients: 2, keys: 1, operations: 60, unknown_per_mille: 0 },
        Shape { clients: 5, keys: 1, operations: 100, unknown_per_mille: 50 },
        Shape { clients: 16, keys: 3, operations: 300, unknown_per_mille: 100 },
        Shape { clients: 8, keys: 40, operations: 1_000, unknown_per_mille: 10 },
    ];
    for seed in 0..150 {
        shapes.iter().for_each(|shape| accepted(seed, &history(seed, *shape)));
    }
}

#[test]
fn long_histories_are_decided() {
    for (keys, unknown_per_mille) in [(100, 10), (1_000, 10), (10, 10), (1, 0)] {
        let shape = Shape { clients: 16, keys, operations: 10_000, unknown_per_mille };
        accepted(7, &history(7, shape));
    }
}

/// Changes one answer. Returns whether there was one of the wanted kind to change.
fn mutate(random: &mut fastrand::Rng, history: &mut [Event]) -> bool {
    let values: Vec<Found> = history
        .iter()
        .filter_map(|event| match &event.result {
            Outcome::Read(found) => found.clone(),
            Outcome::Written { .. } | Outcome::Refused | Outcome::Unknown | Outcome::Failed => None,
        })
        .collect();
    if values.is_empty() {
        return false;
    }
    let event = &mut history[random.usize(..history.len())];
    let changed = match &event.result {
        Outcome::Read(Some(_)) if random.bool() => ABSENT,
        Outcome::Read(_) => Outcome::Read(Some(values[random.usize(..values.len())].clone())),
        Outcome::Written { revision, existed: Some(existed) } => match event.op {
            Op::CompareAndSet { .. } => Outcome::Refused,
            Op::Get | Op::Put { .. } | Op::Delete => {
                Outcome::Written { revision: *revision, existed: Some(!existed) }
            }
        },
        Outcome::Refused => ACKED,
        Outcome::Written { existed: None, .. } | Outcome::Unknown | Outcome::Failed => {
            return false;
        }
    };
    if event.result == changed {
        return false;
    }
    event.result = changed;
    true
}

#[test]
fn one_changed_answer_is_mostly_caught() {
    let shape = Shape { clients: 5, keys: 2, operations: 80, unknown_per_mille: 20 };
    let (mut changed, mut by_search, mut by_revisions) = (0, 0, 0);
    for seed in 0..1_000 {
        let mut history = history(seed, shape);
        if mutate(&mut fastrand::Rng::with_seed(seed), &mut history) {
            changed += 1;
            by_search += u32::from(check(&history).is_err());
            by_revisions += u32::from(check_revisions(&history).is_err());
        }
    }
    assert!(changed > 800, "only {changed} histories were changed");
    // Some changes are legal: a read that overlaps the write it now misses, for one.
    assert!(by_search * 10 > changed * 7, "{by_search} of {changed} were caught");
    assert!(by_revisions * 10 > changed * 3, "{by_revisions} of {changed} were caught");
}
