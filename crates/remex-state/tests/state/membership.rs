//! The membership as part of the state.

use std::sync::Arc;

use bytes::Bytes;
use remex_engine::{Engine, MemoryEngine};
use remex_model::{
    Index, MemberChange, Membership, MembershipChange, MembershipError, NodeId, ProposalId,
    Revision, Term,
};
use remex_state::{Fatal, Options, State};

use crate::member;

fn open(engine: &Arc<MemoryEngine>, founded: Option<Membership>) -> State<MemoryEngine> {
    State::open(Arc::clone(engine), Options::default(), founded).unwrap()
}

fn founders() -> Membership {
    Membership::founded([member(1), member(2), member(3)])
}

fn change(sequence: u64, changes: &[MemberChange]) -> Bytes {
    let id = ProposalId { session: 1, sequence };
    Bytes::from(MembershipChange { id, changes: changes.to_vec() }.encode())
}

#[test]
fn a_founder_begins_at_index_1_with_everybody() {
    let engine = Arc::new(MemoryEngine::new());
    let state = open(&engine, Some(founders()));
    assert_eq!((state.applied(), state.applied_term()), (Index(1), Term(1)));
    assert_eq!((state.durable(), state.revision()), (Index(1), Revision(1)));
    assert_eq!(*state.membership(), founders());
    // A crash right away changes nothing, and who founds it then does not matter any more.
    let again = open(&Arc::new(engine.image()), Some(Membership::founded([member(4)])));
    assert_eq!((again.durable(), again.hash()), (Index(1), state.hash()));
    assert_eq!(*again.membership(), founders());
    // Founders that do not agree on each other are told apart.
    let other = open(&Arc::default(), Some(Membership::founded([member(1)])));
    assert_ne!(other.hash(), state.hash());
}

#[test]
fn a_node_that_was_not_there_begins_with_nothing() {
    let engine = Arc::new(MemoryEngine::new());
    let state = open(&engine, None);
    assert_eq!((state.applied(), state.durable()), (Index(0), Index(0)));
    assert!(state.membership().is_empty());
    assert_eq!(engine.disk_bytes(), 0);
}

#[test]
fn changes_are_applied_and_misfits_are_outcomes() {
    let engine = Arc::new(MemoryEngine::new());
    let (mut state, mut twin) =
        (open(&engine, Some(founders())), open(&Arc::default(), Some(founders())));
    let before = state.hash();
    let add = change(1, &[MemberChange::Add(member(4))]);
    let applied = state.apply_membership(Index(2), Term(2), add).unwrap();
    assert_eq!(applied.id, ProposalId { session: 1, sequence: 1 });
    assert_eq!(applied.accepted, Ok(()));
    assert_eq!((applied.membership.len(), state.membership().len()), (4, 4));
    assert_eq!((state.applied(), state.applied_term()), (Index(2), Term(2)));
    assert_ne!(state.hash(), before);

    // A node to which something else was said is told apart, whether it took place or not.
    let (mut hash, accepted) = (state.hash(), applied.membership);
    let gone = change(2, &[MemberChange::Remove(NodeId(9))]);
    let applied = state.apply_membership(Index(3), Term(2), gone.clone()).unwrap();
    assert_eq!(applied.accepted, Err(MembershipError::NotFound(NodeId(9))));
    assert_eq!((applied.membership, state.applied()), (accepted, Index(3)));
    assert_ne!(state.hash(), hash);
    hash = state.hash();
    let other = change(1, &[MemberChange::Add(member(5))]);
    twin.apply_membership(Index(2), Term(2), other).unwrap();
    twin.apply_membership(Index(3), Term(2), gone).unwrap();
    assert_ne!(twin.hash(), hash);

    // It is in the engine with everything else.
    let frozen = state.freeze().unwrap();
    frozen.write().unwrap();
    drop(state.finish_flush(frozen));
    let again = open(&engine, None);
    assert_eq!((again.applied(), again.hash()), (Index(3), hash));
    assert_eq!(again.membership(), state.membership());
}

#[test]
fn a_change_that_cannot_be_read_or_is_not_next_is_fatal_and_changes_nothing() {
    let mut state = open(&Arc::default(), Some(founders()));
    let hash = state.hash();
    let mut unknown = change(1, &[]).to_vec();
    unknown[0] = 9;
    for payload in [Bytes::new(), Bytes::from(unknown)] {
        let error = state.apply_membership(Index(2), Term(1), payload).unwrap_err();
        assert!(matches!(error, Fatal::Entry { index: Index(2), .. }), "{error}");
        assert!(!error.is_damage() && !error.is_full());
    }
    let error = state.apply_membership(Index(3), Term(1), change(1, &[])).unwrap_err();
    assert!(matches!(error, Fatal::Gap { applied: Index(1), got: Index(3) }), "{error}");
    assert_eq!((state.applied(), state.hash()), (Index(1), hash));
}
