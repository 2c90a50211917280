use bytes::Bytes;

use super::*;
use crate::{Decoder, Encoder};

fn member(id: u64) -> Member {
    Member {
        id: NodeId(id),
        incarnation: Incarnation(100 + id),
        name: format!("n{id}"),
        peer_address: format!("127.0.0.1:{id}"),
        client_url: String::new(),
        promote: true,
    }
}

fn founded(ids: &[u64]) -> Membership {
    Membership::founded(ids.iter().map(|&id| member(id)))
}

fn ids(found: impl Iterator<Item = NodeId>) -> Vec<u64> {
    found.map(NodeId::get).collect()
}

#[test]
fn a_change_of_voters_is_joint_until_it_is_left() {
    let mut membership = founded(&[1, 2, 3]);
    membership.apply(&[MemberChange::Add(member(4))]).unwrap();
    assert!(!membership.is_joint(), "a learner counts for nothing");
    membership.apply(&[MemberChange::Promote(NodeId(4)), MemberChange::Remove(NodeId(1))]).unwrap();
    assert!(membership.is_joint());
    assert_eq!(ids(membership.voters()), [2, 3, 4]);
    assert_eq!(ids(membership.old_voters()), [1, 2, 3]);
    let error = membership.apply(&[MemberChange::Demote(NodeId(2))]).unwrap_err();
    assert_eq!(error, MembershipError::Joint);
    membership.apply(&[]).unwrap();
    assert!(!membership.is_joint());
    assert_eq!(ids(membership.old_voters()), [2, 3, 4]);
    assert!(membership.was_removed(NodeId(1)) && membership.get(NodeId(1)).is_none());
    assert_eq!(membership.apply(&[]), Err(MembershipError::NotJoint));
}

#[test]
fn an_old_self_is_replaced_under_its_name() {
    let mut membership = founded(&[1, 2, 3]);
    let again = Member { id: NodeId(9), ..member(3) };
    let error = membership.after(&[MemberChange::Add(again.clone())]).unwrap_err();
    assert_eq!(error, MembershipError::Exists { id: NodeId(3), name: "n3".to_owned() });
    let replace = [MemberChange::Remove(NodeId(3)), MemberChange::Add(again)];
    membership.apply(&replace).unwrap();
    assert_eq!(membership.get(NodeId(3)).unwrap().1, Part::Leaving);
    assert_eq!(membership.get(NodeId(9)).unwrap().1, Part::Learner);
    membership.apply(&[]).unwrap();
    assert_eq!(ids(membership.voters()), [1, 2]);
    let old = MemberChange::Add(member(3));
    assert_eq!(membership.after(&[old]), Err(MembershipError::Removed(NodeId(3))));
}

#[test]
fn a_node_takes_the_place_of_the_member_that_awaits_it() {
    let mut membership = founded(&[1, 2, 3]);
    let awaited = Member { incarnation: Incarnation(0), ..member(40) };
    let awaited = Member { name: "n4".to_owned(), ..awaited };
    membership.apply(&[MemberChange::Add(awaited.clone())]).unwrap();
    assert_eq!(membership.get(NodeId(40)), Some((&awaited, Part::Learner)));
    assert_eq!(
        membership.after(&[MemberChange::Promote(NodeId(40))]),
        Err(MembershipError::Awaited(NodeId(40)))
    );
    // The name is kept for the node itself.
    let other = Member { id: NodeId(41), ..awaited.clone() };
    let exists = MembershipError::Exists { id: NodeId(40), name: "n4".to_owned() };
    assert_eq!(membership.after(&[MemberChange::Add(other.clone())]), Err(exists));
    let id_taken = Member { id: NodeId(1), ..member(4) };
    assert!(membership.after(&[MemberChange::Add(id_taken)]).is_err());
    // Its address may change; it stays awaited whatever an update says.
    let moved = Member { peer_address: "h:4".to_owned(), ..member(40) };
    let moved = Member { name: "n4".to_owned(), ..moved };
    membership.apply(&[MemberChange::Update(moved)]).unwrap();
    let (now, _) = membership.get(NodeId(40)).unwrap();
    assert!(now.is_awaited() && now.peer_address == "h:4");

    membership.apply(&[MemberChange::Add(member(4))]).unwrap();
    assert_eq!(membership.get(NodeId(4)), Some((&member(4), Part::Learner)));
    assert!(membership.get(NodeId(40)).is_none() && !membership.is_joint());
    assert!(!membership.was_removed(NodeId(40)), "nobody ever bore this id");
    // A member that is one is not awaited again.
    assert!(membership.after(&[MemberChange::Add(other)]).is_err());
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let mut membership = founded(&[1]);
    let before = membership.clone();
    let refused = [
        vec![MemberChange::Remove(NodeId(1))],
        vec![MemberChange::Demote(NodeId(1))],
        vec![MemberChange::Promote(NodeId(7))],
        vec![MemberChange::Update(member(7))],
        vec![MemberChange::Add(member(2)), MemberChange::Add(member(3))],
    ];
    for changes in refused {
        assert!(membership.apply(&changes).is_err(), "{changes:?}");
        assert_eq!(membership, before);
    }
}

#[test]
fn memberships_and_changes_round_trip_and_every_cut_is_refused() {
    let mut membership = founded(&[1, 2, 3]);
    let replaced = Member { id: NodeId(9), promote: false, ..member(3) };
    let changes = vec![
        MemberChange::Remove(NodeId(3)),
        MemberChange::Add(replaced),
        MemberChange::Demote(NodeId(2)),
    ];
    membership.apply(&changes).unwrap();
    for membership in [membership.clone(), membership.after(&[]).unwrap()] {
        let mut out = Vec::new();
        membership.encode(&mut Encoder::new(&mut out));
        let bytes = Bytes::from(out);
        let mut decoder = Decoder::new(bytes.clone());
        assert_eq!(Membership::decode(&mut decoder).unwrap(), membership);
        decoder.finish().unwrap();
        for end in 0..bytes.len() {
            assert!(Membership::decode(&mut Decoder::new(bytes.slice(..end))).is_err());
        }
    }
    let id = ProposalId { session: 5, sequence: 6 };
    let change = MembershipChange { id, changes };
    let bytes = Bytes::from(change.encode());
    assert_eq!(MembershipChange::decode(bytes.clone()).unwrap(), change);
    for end in 0..bytes.len() {
        assert!(MembershipChange::decode(bytes.slice(..end)).is_err());
    }
}
