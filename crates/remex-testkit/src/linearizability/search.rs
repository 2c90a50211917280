//! The search for an order of one key's operations (Wing and Gong, with Lowe's memory).

use std::collections::HashSet;

use rustc_hash::FxBuildHasher;

use super::model::{Calls, State};

/// After this many configurations of one key the search gives up rather than fill the memory.
/// Histories as tests make them need a few for each operation.
pub(super) const CONFIGURATIONS_MAX: usize = 10_000_000;

/// What the search found.
#[derive(Debug)]
pub(super) enum Verdict {
    /// There is an order.
    Linearizable,
    /// There is none.
    Impossible(Stuck),
    /// Too many configurations; nothing is known.
    Undecided,
}

/// The configuration that placed the most operations before no other fitted.
#[derive(Debug)]
pub(super) struct Stuck {
    /// What the key held then.
    pub(super) state: State,
    /// Events that had to come next and could not.
    pub(super) next: Vec<usize>,
}

/// Which operations are placed, and what the key holds then. How they were ordered does not
/// matter for what can follow, hence the memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Configuration {
    state: State,
    /// All certain operations before this one are placed, this one is not.
    base: usize,
    /// Certain operations behind `base` that are placed, ascending. There are never more than
    /// clients, since all of them overlap the operation at `base`.
    ahead: Vec<usize>,
    /// A bit for each unknown operation that is placed.
    unknown: Vec<u64>,
}

impl Configuration {
    fn start(state: State, calls: &Calls) -> Self {
        let words = calls.unknown.len().div_ceil(64);
        Self { state, base: 0, ahead: Vec::new(), unknown: vec![0; words] }
    }

    fn place_certain(&mut self, index: usize) {
        if index != self.base {
            if let Err(position) = self.ahead.binary_search(&index) {
                self.ahead.insert(position, index);
            }
            return;
        }
        self.base += 1;
        let run = self.ahead.iter().enumerate().take_while(|(i, at)| **at == self.base + i).count();
        self.base += run;
        self.ahead.drain(..run);
    }

    fn has_unknown(&self, index: usize) -> bool {
        self.unknown[index / 64] & (1 << (index % 64)) != 0
    }

    fn place_unknown(&mut self, index: usize) {
        self.unknown[index / 64] |= 1 << (index % 64);
    }

    fn placed(&self) -> usize {
        self.base + self.ahead.len()
    }
}

/// Looks for an order in which every certain operation, and any of the unknown ones, gives the
/// answer that was recorded, starting from `initial`. It gives up when as many configurations were
/// seen as `budget` allows, and takes from that what it has used.
pub(super) fn search(calls: &Calls, initial: State, budget: &mut usize) -> Verdict {
    let twins = earlier_twins(calls);
    let mut seen = HashSet::with_hasher(FxBuildHasher);
    let mut waiting = vec![Configuration::start(initial, calls)];
    let mut stuck = Stuck { state: initial, next: Vec::new() };
    let mut placed_max = None;
    // Depth first, certain operations before unknown ones: a legal history is then explained
    // with hardly a step back.
    while let Some(mut configuration) = waiting.pop() {
        let (next, until) = settle(&mut configuration, calls);
        if configuration.base == calls.certain.len() {
            return Verdict::Linearizable;
        }
        if placed_max.is_none_or(|max| configuration.placed() > max) {
            placed_max = Some(configuration.placed());
            let events = next.iter().map(|index| calls.certain[*index].event).collect();
            stuck = Stuck { state: configuration.state, next: events };
        }
        if seen.contains(&configuration) {
            continue;
        }
        let Some(left) = budget.checked_sub(1) else { return Verdict::Undecided };
        *budget = left;
        for (index, state) in useful_unknown(&configuration, calls, &twins, &next, until) {
            let mut successor = Configuration { state, ..configuration.clone() };
            successor.place_unknown(index);
            waiting.push(successor);
        }
        for index in next.into_iter().rev() {
            if let Some(state) = calls.certain[index].effect.step(configuration.state) {
                let mut successor = Configuration { state, ..configuration.clone() };
                successor.place_certain(index);
                waiting.push(successor);
            }
        }
        seen.insert(configuration);
    }
    Verdict::Impossible(stuck)
}

/// Places every operation that fits and only observes. Then returns the certain operations that
/// may come next, and the time by which the next one must have been called: no operation may
/// come before one that had returned when it was called.
fn settle(configuration: &mut Configuration, calls: &Calls) -> (Vec<usize>, u64) {
    loop {
        let mut next = Vec::new();
        let mut until = u64::MAX;
        let mut ahead = configuration.ahead.iter().peekable();
        for (index, call) in calls.certain.iter().enumerate().skip(configuration.base) {
            if call.call_at > until {
                break;
            }
            if ahead.next_if(|placed| **placed == index).is_some() {
                continue;
            }
            until = until.min(call.return_at);
            next.push(index);
        }
        let before = next.len();
        next.retain(|index| {
            let effect = calls.certain[*index].effect;
            let fits = effect.observes_only() && effect.step(configuration.state).is_some();
            if fits {
                configuration.place_certain(*index);
            }
            !fits
        });
        if next.len() == before {
            return (next, until);
        }
    }
}

/// The unknown operations that are worth placing now, with the state that each makes.
///
/// An unknown operation that is placed must make something possible that was not: take an order
/// in which it comes directly before an operation that was possible without it. If that one only
/// observes, the two can be swapped; if it writes, the unknown operation had no effect and can be
/// left out. So it is placed directly before a certain operation that needs it, or before an
/// unknown exchange that expects its value.
fn useful_unknown(
    configuration: &Configuration,
    calls: &Calls,
    twins: &[Option<usize>],
    next: &[usize],
    until: u64,
) -> Vec<(usize, State)> {
    let before = configuration.state;
    let can_come =
        |index: usize| calls.unknown[index].call_at <= until && !configuration.has_unknown(index);
    let enables_certain = |after: State| {
        let mut certain = next.iter().map(|index| calls.certain[*index].effect);
        certain.any(|it| it.step(before).is_none() && it.step(after).is_some())
    };
    let enables_exchange = |after: State| {
        let mut exchanges = calls.unknown.iter().enumerate();
        exchanges.any(|(index, call)| call.effect.expects(after) && can_come(index))
    };
    let mut useful = Vec::new();
    for (index, call) in calls.unknown.iter().enumerate() {
        // Of unknown operations that do the same, the earliest called is as good as any.
        let twin_waits = twins[index].is_some_and(|twin| !configuration.has_unknown(twin));
        if !can_come(index) || twin_waits {
            continue;
        }
        if let Some(after) = call.effect.step(before)
            && after != before
            && (enables_certain(after) || enables_exchange(after))
        {
            useful.push((index, after));
        }
    }
    useful
}

/// For each unknown operation, the last one called before it that does the same.
fn earlier_twins(calls: &Calls) -> Vec<Option<usize>> {
    let unknown = &calls.unknown;
    let twin =
        |index: usize| (0..index).rev().find(|i| unknown[*i].effect == unknown[index].effect);
    (0..unknown.len()).map(twin).collect()
}
