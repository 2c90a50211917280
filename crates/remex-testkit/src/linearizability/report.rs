//! The verdict on a whole history, and what to show of a history that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::event::{Event, Outcome};
use super::model::{ABSENT, States};
use super::search::{Stuck, Verdict, search};

/// Reads are left out of a window one by one while it still fails, up to this many: each costs a
/// search.
const WINDOW_EVENTS_SHRUNK_MAX: usize = 400;

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
        match history.search(&history.events, Start::Absent) {
            Verdict::Linearizable => {}
            Verdict::Impossible(_) => return Err(history.explain()),
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

impl<'a> KeyHistory<'a> {
    fn search(&self, events: &[&Event], start: Start) -> Verdict {
        let calls = self.states.calls(events.iter().copied().enumerate());
        if start == Start::Absent {
            return search(&calls, ABSENT);
        }
        let mut furthest = Verdict::Undecided;
        for state in self.states.all() {
            match search(&calls, state) {
                Verdict::Impossible(stuck) => furthest = Verdict::Impossible(stuck),
                decided => return decided,
            }
        }
        furthest
    }

    fn fails(&self, events: &[&Event], start: Start) -> Option<Stuck> {
        match self.search(events, start) {
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

    /// Finds a short part of a history that fails, which is still a proof of the failure.
    fn explain(&self) -> Violation {
        if let Some(violation) = self.unwritten() {
            return violation;
        }
        let prefix = self.shortest_prefix();
        let prefix: Vec<&Event> = prefix.iter().collect();
        let (mut window, start) = self.latest_start(&prefix);
        self.drop_needless_reads(&mut window, start);
        let stuck = self.fails(&window, start).expect("every step kept a history that fails");
        let mut order: Vec<usize> = (0..window.len()).collect();
        order.sort_by_key(|position| window[*position].call_at);
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
                window.len()
            ),
            window: order.iter().map(|position| window[*position].clone()).collect(),
        }
    }

    /// What had been seen when the history first failed. A history cut at a time keeps what had
    /// been called; a write that had not returned is unknown there, a read says nothing. Cutting
    /// later only adds knowledge, so the first failing cut can be found by bisection.
    fn shortest_prefix(&self) -> Vec<Event> {
        let mut cuts: Vec<u64> = self.events.iter().filter_map(|event| event.return_at).collect();
        cuts.push(u64::MAX);
        cuts.sort_unstable();
        let fails_at = |cut: u64| {
            let prefix = self.prefix(cut);
            self.fails(&prefix.iter().collect::<Vec<_>>(), Start::Absent).is_some()
        };
        let first = cuts.partition_point(|cut| !fails_at(*cut));
        // A search that gives up on a shorter prefix could mislead the bisection.
        let cut = cuts.get(first).copied().filter(|cut| fails_at(*cut)).unwrap_or(u64::MAX);
        self.prefix(cut)
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
    fn latest_start<'e>(&self, prefix: &[&'e Event]) -> (Vec<&'e Event>, Start) {
        let certain = |event: &&&Event| event.result != Outcome::Unknown;
        let mut sorted: Vec<&&Event> = prefix.iter().filter(certain).collect();
        sorted.sort_by_key(|event| event.call_at);
        let mut quiet = Vec::new();
        let mut returned_by = 0;
        for event in sorted {
            if event.call_at > returned_by {
                quiet.push(event.call_at);
            }
            returned_by = returned_by.max(event.return_at.unwrap_or(u64::MAX));
        }
        let suffix = |start: u64| -> Vec<&'e Event> {
            let kept = |event: &&&Event| !certain(event) || event.call_at >= start;
            prefix.iter().filter(kept).copied().collect()
        };
        let last = quiet
            .partition_point(|start| self.fails(&suffix(*start), Start::Anything).is_some())
            .checked_sub(1);
        last.map_or_else(
            || (prefix.to_vec(), Start::Absent),
            |last| (suffix(quiet[last]), Start::Anything),
        )
    }

    /// Leaves out answers, one by one, without which the window still fails. Only reads and
    /// refusals: without them the rest is a weaker claim about the same writes.
    fn drop_needless_reads(&self, window: &mut Vec<&Event>, start: Start) {
        if window.len() > WINDOW_EVENTS_SHRUNK_MAX {
            return;
        }
        let mut position = 0;
        while position < window.len() {
            let event = window[position];
            let observes = event.writes().is_none() || event.result == Outcome::Refused;
            let without: Vec<&Event> =
                window[..position].iter().chain(&window[position + 1..]).copied().collect();
            let needless = event.result == Outcome::Failed
                || (observes && self.fails(&without, start).is_some());
            if needless {
                *window = without;
            } else {
                position += 1;
            }
        }
    }
}
