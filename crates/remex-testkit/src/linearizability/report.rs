//! The verdict on a whole history, and what to show of a history that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::event::{Event, Outcome};
use super::model::{ABSENT, States};
use super::search::{CONFIGURATIONS_MAX, Stuck, Verdict, search};

/// Reads are left out of a window one by one while it still fails, up to this many: each costs a
/// search.
const WINDOW_EVENTS_SHRUNK_MAX: usize = 400;

/// Configurations that may be searched for a failure to become easier to read. What has been found
/// by then is shown.
const EXPLANATION_CONFIGURATIONS_MAX: usize = 5_000_000;

/// Why a history is not linearizable, shown for one key.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The key.
    pub key: String,
    /// Operations of that key, in the order of their calls, that no order explains. They are few:
    /// what came before the last quiet moment that matters and what was called after the failure
    /// is left out. Empty if the search gave up.
    pub window: Vec<Event>,
    /// Positions in `window` of the operations that had to come next and could not.
    pub stuck: Vec<usize>,
    /// What was tried, in words.
    pub explanation: String,
}

impl std::error::Error for Violation {}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "key {:?} is not linearizable: {}", self.key, self.explanation)?;
        for (position, event) in self.window.iter().enumerate() {
            let mark = if self.stuck.contains(&position) { "  <- does not fit" } else { "" };
            writeln!(formatter, "  {event}{mark}")?;
        }
        Ok(())
    }
}

/// Checks that the history is linearizable, key by key. Each key starts absent.
///
/// # Errors
/// Shows the first key, in the order of keys, whose operations no order explains.
///
/// # Panics
/// If an event is malformed: it returns before it is called, or its answer belongs to another
/// kind of operation.
pub fn check(events: &[Event]) -> Result<(), Violation> {
    let mut keys: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in events {
        keys.entry(&event.key).or_default().push(event);
    }
    for (key, events) in keys {
        let history = KeyHistory { key, states: States::of(events.iter().copied()), events };
        match history.search(&history.events, Start::Absent, &mut { CONFIGURATIONS_MAX }) {
            Verdict::Linearizable => {}
            Verdict::Impossible(stuck) => return Err(history.explain(stuck)),
            Verdict::Undecided => return Err(history.undecided()),
        }
    }
    Ok(())
}

/// The events of one key.
struct KeyHistory<'a> {
    key: &'a str,
    states: States<'a>,
    events: Vec<&'a Event>,
}

/// What a key may hold when a window begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Absent,
    Anything,
}

/// A part of a history that is known to fail.
struct Window<'e> {
    events: Vec<&'e Event>,
    start: Start,
    stuck: Stuck,
}

impl KeyHistory<'_> {
    fn search(&self, events: &[&Event], start: Start, budget: &mut usize) -> Verdict {
        let calls = self.states.calls(events.iter().copied().enumerate());
        if start == Start::Absent {
            return search(&calls, ABSENT, budget);
        }
        let mut furthest = Verdict::Undecided;
        for state in self.states.all() {
            match search(&calls, state, budget) {
                Verdict::Impossible(stuck) => furthest = Verdict::Impossible(stuck),
                decided => return decided,
            }
        }
        furthest
    }

    /// Where no order goes on, if it is certain that there is none.
    fn fails(&self, events: &[&Event], start: Start, budget: &mut usize) -> Option<Stuck> {
        match self.search(events, start, budget) {
            Verdict::Impossible(stuck) => Some(stuck),
            Verdict::Linearizable | Verdict::Undecided => None,
        }
    }

    fn undecided(&self) -> Violation {
        let count = self.events.len();
        let explanation = format!(
            "undecided, which counts as a failure: {count} operations have too many possible \
             orders; use more keys, or fewer operations with unknown outcome"
        );
        let key = self.key.to_owned();
        Violation { key, window: Vec::new(), stuck: Vec::new(), explanation }
    }

    /// The plainest failure: a read found what nothing can have written by then.
    fn unwritten(&self) -> Option<Violation> {
        let (read, found) = self.events.iter().find_map(|read| match &read.result {
            Outcome::Read(Some(found)) if !self.can_have_been_written(&found.value, read) => {
                Some((*read, found))
            }
            _ => None,
        })?;
        let writers = |event: &&&Event| event.writes() == Some(Some(&found.value));
        let mut window: Vec<Event> =
            self.events.iter().filter(writers).map(|event| (*event).clone()).collect();
        window.push(read.clone());
        Some(Violation {
            key: self.key.to_owned(),
            stuck: vec![window.len() - 1],
            explanation: format!("nothing can have written {:?} by then", found.value),
            window,
        })
    }

    fn can_have_been_written(&self, value: &str, read: &Event) -> bool {
        self.events.iter().any(|event| {
            let effective = !matches!(event.result, Outcome::Failed | Outcome::Refused);
            let in_time = read.return_at.is_none_or(|return_at| event.call_at <= return_at);
            effective && in_time && event.writes() == Some(Some(value))
        })
    }

    /// Finds a short part of a history that fails, which is still a proof of the failure. `stuck`
    /// is where the whole of it fails.
    fn explain(&self, stuck: Stuck) -> Violation {
        if let Some(violation) = self.unwritten() {
            return violation;
        }
        self.shrink(stuck, &mut { EXPLANATION_CONFIGURATIONS_MAX })
    }

    fn shrink(&self, stuck: Stuck, budget: &mut usize) -> Violation {
        let whole = || self.events.iter().map(|event| (*event).clone()).collect();
        let (prefix, stuck) = self.shortest_prefix(budget).unwrap_or_else(|| (whole(), stuck));
        let prefix: Vec<&Event> = prefix.iter().collect();
        let window = Window { events: prefix, start: Start::Absent, stuck };
        let window = self.begin_late(window, budget);
        let Window { events, start, stuck } = self.drop_needless_reads(window, budget);
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by_key(|position| events[*position].call_at);
        let next: BTreeSet<usize> = stuck.next.into_iter().collect();
        let stuck_at = order.iter().enumerate().filter(|(_, position)| next.contains(position));
        let begins = match start {
            Start::Absent => "the key starts absent",
            Start::Anything => "whatever the key held before",
        };
        let held = self.states.name(stuck.state);
        Violation {
            key: self.key.to_owned(),
            stuck: stuck_at.map(|(at, _)| at).collect(),
            explanation: format!(
                "no order of these {} operations explains every answer ({begins}); the longest \
                 order found ends with the key holding {held}",
                events.len()
            ),
            window: order.iter().map(|position| events[*position].clone()).collect(),
        }
    }

    /// What had been seen when the history first failed, and where it is stuck then. A history cut at a time keeps what had
    /// been called; a write that had not returned is unknown there, a read says nothing. Cutting
    /// later only adds knowledge, so the first failing cut can be found by bisection.
    fn shortest_prefix(&self, budget: &mut usize) -> Option<(Vec<Event>, Stuck)> {
        let mut cuts: Vec<u64> = self.events.iter().filter_map(|event| event.return_at).collect();
        cuts.push(u64::MAX);
        cuts.sort_unstable();
        first_failing(&cuts, |cut| {
            let prefix = self.prefix(cut);
            let stuck = self.fails(&prefix.iter().collect::<Vec<_>>(), Start::Absent, budget)?;
            Some((prefix, stuck))
        })
    }

    fn prefix(&self, cut: u64) -> Vec<Event> {
        let called = self.events.iter().filter(|event| event.call_at <= cut);
        called
            .map(|event| match event.return_at {
                Some(return_at) if return_at <= cut => (*event).clone(),
                None if cut == u64::MAX => (*event).clone(),
                Some(_) | None if event.result == Outcome::Failed => (*event).clone(),
                Some(_) | None => {
                    Event { result: Outcome::Unknown, return_at: None, ..(*event).clone() }
                }
            })
            .filter(|event| event.writes().is_some() || event.result != Outcome::Unknown)
            .collect()
    }

    /// The latest quiet moment (no certain operation spans it) from which the rest fails even if
    /// the key could have held anything then.
    fn begin_late<'e>(&self, window: Window<'e>, budget: &mut usize) -> Window<'e> {
        let certain = |event: &&&Event| event.result != Outcome::Unknown;
        let mut sorted: Vec<&&Event> = window.events.iter().filter(certain).collect();
        sorted.sort_by_key(|event| event.call_at);
        let mut quiet = Vec::new();
        let mut returned_by = 0;
        for event in sorted {
            if event.call_at > returned_by {
                quiet.push(event.call_at);
            }
            returned_by = returned_by.max(event.return_at.unwrap_or(u64::MAX));
        }
        quiet.reverse();
        let failing = first_failing(&quiet, |begin| {
            let kept = |event: &&&Event| !certain(event) || event.call_at >= begin;
            let events: Vec<&'e Event> = window.events.iter().filter(kept).copied().collect();
            let stuck = self.fails(&events, Start::Anything, budget)?;
            Some(Window { events, start: Start::Anything, stuck })
        });
        failing.unwrap_or(window)
    }

    /// Leaves out answers, one by one, without which the window still fails. Only reads and
    /// refusals: without them the rest is a weaker claim about the same writes.
    fn drop_needless_reads<'e>(&self, mut window: Window<'e>, budget: &mut usize) -> Window<'e> {
        let mut position = 0;
        while position < window.events.len() && window.events.len() <= WINDOW_EVENTS_SHRUNK_MAX {
            let event = window.events[position];
            let observes = event.writes().is_none() || event.result == Outcome::Refused;
            let (before, behind) = (&window.events[..position], &window.events[position + 1..]);
            let without: Vec<&Event> = before.iter().chain(behind).copied().collect();
            let droppable = observes || event.result == Outcome::Failed;
            match droppable.then(|| self.fails(&without, window.start, budget)).flatten() {
                Some(stuck) => window = Window { events: without, stuck, ..window },
                None => position += 1,
            }
        }
        window
    }
}

/// What `fails` finds at the first of these times at which it finds anything: it does at all later
/// ones, unless it gives up.
fn first_failing<T>(times: &[u64], mut fails: impl FnMut(u64) -> Option<T>) -> Option<T> {
    let (mut low, mut high, mut found) = (0, times.len(), None);
    while low < high {
        let middle = low + (high - low) / 2;
        match fails(times[middle]) {
            Some(failure) => (found, high) = (Some(failure), middle),
            None => low = middle + 1,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{Found, Op};
    use super::*;

    fn event(at: u64, op: Op, result: Outcome) -> Event {
        let key = "k".to_owned();
        Event { client: 1, key, op, call_at: at, return_at: Some(at + 1), result }
    }

    /// The shorter explanation is worth only so much searching: without it the failure is shown as
    /// it was found.
    #[test]
    fn a_failure_that_is_too_hard_to_shorten_is_shown_whole() {
        let read = |at, value: &str| {
            let found = Found { value: value.to_owned(), revision: None };
            event(at, Op::Get, Outcome::Read(Some(found)))
        };
        let put = |at, value: &str| {
            let written = Outcome::Written { revision: None, existed: None };
            event(at, Op::Put { value: value.to_owned() }, written)
        };
        let events = [put(0, "a"), read(2, "a"), put(4, "b"), read(6, "b"), read(8, "a")];
        let events: Vec<&Event> = events.iter().collect();
        let states = States::of(events.iter().copied());
        let history = KeyHistory { key: "k", states, events };
        let stuck = || match history.search(&history.events, Start::Absent, &mut 100) {
            Verdict::Impossible(stuck) => stuck,
            verdict => panic!("{verdict:?}"),
        };
        let whole = history.shrink(stuck(), &mut 0);
        assert_eq!((whole.window.len(), whole.stuck), (5, vec![4]));
        let short = history.shrink(stuck(), &mut 1_000);
        assert_eq!((short.window.len(), short.stuck), (2, vec![1]));
        assert!(matches!(
            history.search(&history.events, Start::Absent, &mut 1),
            Verdict::Undecided
        ));
    }
}
