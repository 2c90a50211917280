//! One key as a sequential object: what each operation does to what it holds.

use std::collections::BTreeMap;

use super::event::{Event, Op, Outcome};

/// What a key holds: a small number for a value, so that states compare and hash fast.
pub(super) type State = u32;

/// The key does not exist.
pub(super) const ABSENT: State = 0;

/// A value that no operation of the history asks for. All such values behave alike, so they are
/// one state; the search then meets far fewer configurations.
pub(super) const UNOBSERVED: State = 1;

/// What one operation does and what its answer claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A read that found `found`.
    Get { found: State },
    /// A write of `value` (`ABSENT`: a removal) that may have told whether the key existed.
    Set { value: State, existed: Option<bool> },
    /// A compare-and-set that took effect.
    Exchange { expect: State, value: State },
    /// A compare-and-set that was refused.
    Refused { expect: State },
}

impl Effect {
    /// The state behind this operation, or `None` if its answer is impossible in `state`.
    pub(super) fn step(self, state: State) -> Option<State> {
        let exists = state != ABSENT;
        match self {
            Self::Get { found } => (found == state).then_some(state),
            Self::Set { value, existed } => {
                existed.is_none_or(|existed| existed == exists).then_some(value)
            }
            Self::Exchange { expect, value } => (expect == state).then_some(value),
            Self::Refused { expect } => (expect != state).then_some(state),
        }
    }

    /// Whether this is an exchange that takes effect in `state`.
    pub(super) fn expects(self, state: State) -> bool {
        match self {
            Self::Exchange { expect, .. } => expect == state,
            Self::Get { .. } | Self::Set { .. } | Self::Refused { .. } => false,
        }
    }

    /// Whether the operation leaves every state in which it is possible as it is. Such an
    /// operation can be placed as soon as it fits: in any order that places it later it can be
    /// moved to the front.
    pub(super) fn observes_only(self) -> bool {
        match self {
            Self::Get { .. } | Self::Refused { .. } => true,
            Self::Set { value, existed } => value == ABSENT && existed == Some(false),
            Self::Exchange { expect, value } => expect == value,
        }
    }
}

/// One operation, ready for the search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) effect: Effect,
    pub(super) call_at: u64,
    /// `u64::MAX` if it never returned.
    pub(super) return_at: u64,
    /// Position of its event.
    pub(super) event: usize,
}

/// The history of one key.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Operations whose answer is known, in the order of their calls: all must be placed.
    pub(super) certain: Vec<Call>,
    /// Writes whose answer is not known, in the order of their calls: each may be placed once.
    pub(super) unknown: Vec<Call>,
}

/// Translates the values of one key to states.
#[derive(Debug)]
pub(super) struct States<'a>(BTreeMap<&'a str, State>);

impl<'a> States<'a> {
    /// Gives a state of its own to each value that some operation asks for.
    pub(super) fn of(events: impl Iterator<Item = &'a Event>) -> Self {
        let mut states = BTreeMap::new();
        for event in events {
            let expected = match &event.op {
                Op::CompareAndSet { expect, .. } => expect.as_deref(),
                Op::Get | Op::Put { .. } | Op::Delete => None,
            };
            let found = match &event.result {
                Outcome::Read(Some(found)) => Some(found.value.as_str()),
                Outcome::Read(None)
                | Outcome::Written { .. }
                | Outcome::Refused
                | Outcome::Unknown
                | Outcome::Failed => None,
            };
            for value in [expected, found].into_iter().flatten() {
                let next = UNOBSERVED + 1 + as_state(states.len());
                states.entry(value).or_insert(next);
            }
        }
        Self(states)
    }

    fn state(&self, value: Option<&str>) -> State {
        value.map_or(ABSENT, |value| self.0.get(value).copied().unwrap_or(UNOBSERVED))
    }

    /// What people call a state.
    pub(super) fn name(&self, state: State) -> String {
        if state == ABSENT {
            return "nothing".to_owned();
        }
        let value = self.0.iter().find(|(_, known)| **known == state);
        value.map_or_else(
            || "a value that no operation asks for".to_owned(),
            |(value, _)| format!("{value:?}"),
        )
    }

    /// Every state that this history can tell apart.
    pub(super) fn all(&self) -> impl Iterator<Item = State> + use<> {
        ABSENT..=UNOBSERVED + as_state(self.0.len())
    }

    /// The calls behind some events of this key.
    pub(super) fn calls<'e>(&self, events: impl Iterator<Item = (usize, &'e Event)>) -> Calls {
        let mut calls = Calls::default();
        for (position, event) in events {
            event.assert_well_formed();
            let Some((effect, certain)) = self.effect(event) else { continue };
            let return_at = if certain { event.return_at.unwrap_or(u64::MAX) } else { u64::MAX };
            let call = Call { effect, call_at: event.call_at, return_at, event: position };
            if certain { &mut calls.certain } else { &mut calls.unknown }.push(call);
        }
        calls.certain.sort_by_key(|call| (call.call_at, call.return_at));
        calls.unknown.sort_by_key(|call| call.call_at);
        calls
    }

    /// What the event does and whether that is certain; `None` if it says nothing.
    fn effect(&self, event: &Event) -> Option<(Effect, bool)> {
        let certain = match &event.result {
            Outcome::Failed => return None,
            Outcome::Unknown => false,
            Outcome::Read(_) | Outcome::Written { .. } | Outcome::Refused => true,
        };
        let existed = match &event.result {
            Outcome::Written { existed, .. } => *existed,
            Outcome::Read(_) | Outcome::Refused | Outcome::Unknown | Outcome::Failed => None,
        };
        let effect = match &event.op {
            Op::Get => match &event.result {
                Outcome::Read(found) => {
                    let found = found.as_ref().map(|found| found.value.as_str());
                    Effect::Get { found: self.state(found) }
                }
                Outcome::Written { .. } | Outcome::Refused | Outcome::Unknown | Outcome::Failed => {
                    return None;
                }
            },
            Op::Put { value } => Effect::Set { value: self.state(Some(value)), existed },
            Op::Delete => Effect::Set { value: ABSENT, existed },
            Op::CompareAndSet { expect, value } => {
                let (expect, value) = (self.state(expect.as_deref()), self.state(value.as_deref()));
                if event.result == Outcome::Refused {
                    Effect::Refused { expect }
                } else {
                    Effect::Exchange { expect, value }
                }
            }
        };
        Some((effect, certain))
    }
}

fn as_state(count: usize) -> State {
    State::try_from(count).expect("a history has fewer than 2^32 values")
}
