//! The search against a judge that is too simple to be wrong: it tries every order of every
//! choice of unknown writes.

use super::super::{check, check_revisions};
use super::*;

/// A small random history in which every answer is invented. Many are legal by chance.
fn invent(random: &mut fastrand::Rng) -> Vec<Event> {
    let values = ["a", "b", "c"];
    let count = random.usize(1..=6);
    let pick = |random: &mut fastrand::Rng| values[random.usize(..values.len())];
    let maybe = |random: &mut fastrand::Rng| random.bool().then(|| pick(random));
    (0..count)
        .map(|client| {
            let call_at = random.u64(0..8);
            let interval = (call_at, call_at + random.u64(0..4));
            let op = match random.u8(0..10) {
                0..=3 => Op::Get,
                4..=5 => put(pick(random)),
                6..=7 => Op::Delete,
                _ => swap(maybe(random), maybe(random)),
            };
            let result = match (&op, random.u8(0..10)) {
                (_, 0) => Outcome::Failed,
                (_, 1..=2) => Outcome::Unknown,
                (Op::Get, _) => maybe(random).map_or(ABSENT, found),
                (Op::CompareAndSet { .. }, 3..=5) => Outcome::Refused,
                (Op::CompareAndSet { .. }, _) => ACKED,
                (Op::Put { .. } | Op::Delete, 3..=5) => done(random.bool()),
                (Op::Put { .. } | Op::Delete, _) => ACKED,
            };
            event(client as u64, interval, op, result)
        })
        .collect()
}

/// Whether some order explains `left`, starting with `state`.
fn explains(left: &[&Event], state: Option<&str>) -> bool {
    if left.iter().all(|event| event.result == Outcome::Unknown) {
        return true;
    }
    let ends = |event: &Event| match event.result {
        Outcome::Unknown => None,
        Outcome::Read(_) | Outcome::Written { .. } | Outcome::Refused | Outcome::Failed => {
            event.return_at
        }
    };
    (0..left.len()).any(|first| {
        let event = left[first];
        let rest: Vec<&Event> =
            left.iter().enumerate().filter(|(at, _)| *at != first).map(|(_, e)| *e).collect();
        let too_late = rest.iter().any(|other| ends(other).is_some_and(|end| end < event.call_at));
        !too_late && perform(event, state).is_some_and(|state| explains(&rest, state))
    })
}

/// The state after the event, or `None` if its answer is impossible.
fn perform<'a>(event: &'a Event, state: Option<&'a str>) -> Option<Option<&'a str>> {
    let holds = match (&event.op, &event.result) {
        (Op::Get, Outcome::Read(found)) => {
            return (found.as_ref().map(|found| found.value.as_str()) == state).then_some(state);
        }
        (Op::Get, _) => return Some(state),
        (Op::CompareAndSet { expect, .. }, _) => expect.as_deref() == state,
        (Op::Put { .. } | Op::Delete, _) => true,
    };
    let after = if holds { event.writes()? } else { state };
    match &event.result {
        Outcome::Unknown => Some(after),
        Outcome::Refused => (!holds).then_some(state),
        Outcome::Written { existed, .. } => {
            let honest = existed.is_none_or(|existed| existed == state.is_some());
            (holds && honest).then_some(after)
        }
        Outcome::Read(_) | Outcome::Failed => None,
    }
}

#[test]
fn both_judges_agree_on_invented_histories() {
    let mut legal = 0;
    let seeds = 30_000;
    for seed in 0..seeds {
        let history = invent(&mut fastrand::Rng::with_seed(seed));
        let counts = |event: &&Event| {
            let silent = event.op == Op::Get && event.result == Outcome::Unknown;
            event.result != Outcome::Failed && !silent
        };
        let relevant: Vec<&Event> = history.iter().filter(counts).collect();
        let expected = explains(&relevant, None);
        let verdict = check(&history);
        let list: String = history.iter().map(|event| format!("{event}\n")).collect();
        assert_eq!(verdict.is_ok(), expected, "seed {seed}\n{list}\n{verdict:?}");
        legal += u64::from(expected);
        if let Err(violation) = verdict {
            let window: Vec<&Event> = violation.window.iter().filter(counts).collect();
            let proof = !explains(&window, None);
            assert!(proof, "seed {seed}: the report proves nothing\n{list}\n{violation}");
        }
        // Without revisions there is nothing to contradict.
        assert!(check_revisions(&history).is_ok(), "seed {seed}\n{list}");
    }
    // Neither verdict is rare, so agreement means something.
    assert!(legal > seeds / 10 && legal < seeds * 9 / 10, "{legal} of {seeds} are legal");
}
