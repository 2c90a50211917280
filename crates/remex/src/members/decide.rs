//! What the leader decides about members, without touching anything.

use remex_consensus::ChangeRefusal;
use remex_model::{
    ClusterId, Error, ErrorCode, Member, MemberChange, Membership, MembershipError, NodeId, Part,
};

use crate::identity::Phase;
use crate::peer::form::{holds_data, was_removed};

/// Longest name and address of a member, in bytes.
const TEXT_BYTES_MAX: usize = 255;

/// The member of a name or id.
pub(super) fn resolve<'a>(membership: &'a Membership, name: &str) -> Option<(&'a Member, Part)> {
    membership.named(name).or_else(|| membership.get(NodeId::parse(name)?))
}

/// The error for a name that no member has.
pub(super) fn no_member(membership: &Membership, name: &str) -> Error {
    let names: Vec<&str> = membership.members().map(|(member, _)| &*member.name).collect();
    let detail = format!("the cluster has no member {name}; its members are {}", names.join(", "));
    Error::new(ErrorCode::MemberNotFound, detail)
        .hint("names and ids of the members: remex cluster members")
}

/// How a node becomes a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It is one.
    Already,
    /// With these changes, one after the other.
    By(Vec<Vec<MemberChange>>),
}

/// How a node of this description becomes a member. If its name is taken by a member that is not
/// `alive`, it is that member's new self, come back without its disk, and takes its place; and if
/// that member is awaited, it is the node that it stands for.
pub(super) fn entry(
    membership: &Membership,
    cluster: ClusterId,
    mut member: Member,
    alive: impl Fn(NodeId) -> bool,
) -> Result<Entry, Error> {
    check_texts(&member)?;
    if member.is_awaited() {
        let detail = format!("{} says that it has no data directory", member.name);
        return Err(Error::new(ErrorCode::BadRequest, detail));
    }
    if let Some((known, _)) = membership.get(member.id) {
        if known.incarnation == member.incarnation {
            return Ok(Entry::Already);
        }
        let detail = format!(
            "{} has the id of the member {} ({}), but another data directory",
            member.name, known.name, known.id
        );
        let hint = "give it an empty --data-dir, not a copy of another node's";
        return Err(Error::new(ErrorCode::Conflict, detail).hint(hint));
    }
    if membership.was_removed(member.id) {
        return Err(was_removed(&member.name, cluster));
    }
    let Some((old, part)) = membership.named(&member.name) else {
        return Ok(Entry::By(vec![vec![MemberChange::Add(member)]]));
    };
    if old.is_awaited() {
        member.promote = old.promote;
        return Ok(Entry::By(vec![vec![MemberChange::Add(member)]]));
    }
    if alive(old.id) {
        let detail = format!(
            "the cluster has a member {} already, which runs at {} (node {}); the node at {} \
             (node {}) wants to join under the same name",
            old.name, old.peer_address, old.id, member.peer_address, member.id
        );
        let hint = "give it another --name; or, if it is to take that member's place, stop that \
                    member first";
        return Err(Error::new(ErrorCode::MemberExists, detail).hint(hint));
    }
    let remove = MemberChange::Remove(old.id);
    if part == Part::Learner {
        member.promote = old.promote;
        return Ok(Entry::By(vec![vec![remove], vec![MemberChange::Add(member)]]));
    }
    Ok(Entry::By(vec![vec![remove, MemberChange::Add(member)]]))
}

/// Checks what a node says of itself before it is made known to all.
pub(super) fn check_texts(member: &Member) -> Result<(), Error> {
    let texts = [
        ("name", &member.name, 1),
        ("peer address", &member.peer_address, 1),
        ("client URL", &member.client_url, 0),
    ];
    for (what, text, min) in texts {
        let fits = (min..=TEXT_BYTES_MAX).contains(&text.len());
        if !fits || text.chars().any(char::is_control) {
            let detail = format!(
                "the {what} of a member must have {min} to {TEXT_BYTES_MAX} bytes and no control \
                 characters"
            );
            return Err(Error::new(ErrorCode::BadRequest, detail));
        }
    }
    Ok(())
}

/// Whether a node that was looked at can be invited; it may have to give up a cluster of its own
/// that nothing was ever written to (`pristine`).
pub(super) fn invitable(
    membership: &Membership,
    cluster: ClusterId,
    found: &Member,
    phase: &Phase,
    pristine: bool,
    wanted: Option<&str>,
) -> Result<(), Error> {
    let name = &found.name;
    let conflict = |detail: String| Error::new(ErrorCode::Conflict, detail);
    if let Some(wanted) = wanted.filter(|wanted| wanted != name) {
        let detail = format!("the node at {} is {name}, not {wanted}", found.peer_address);
        return Err(conflict(detail).hint("check the address, or invite it under its own name"));
    }
    match phase {
        Phase::Fresh => Ok(()),
        Phase::Member { cluster: its, .. } if *its == cluster => {
            if membership.get(found.id).is_some() {
                return Ok(());
            }
            Err(was_removed(name, cluster))
        }
        Phase::Member { .. } if pristine => Ok(()),
        Phase::Member { cluster: its, .. } => Err(holds_data(name, *its, cluster)),
        Phase::Removed { cluster: its } => Err(was_removed(name, *its)),
        Phase::Returning { cluster: its, .. } if *its == cluster => Ok(()),
        Phase::Returning { cluster: its, .. } | Phase::Promised { cluster: its, .. } => {
            let detail = format!("{name} is about to become a member of cluster {its}");
            Err(conflict(detail).hint("wait until it is, or give it an empty --data-dir"))
        }
    }
}

/// Checks that majorities of the voters before and after a change are `reachable`. The core checks
/// that too; the transport notices earlier that a peer has gone.
pub(super) fn check_reachable(
    membership: &Membership,
    changes: &[MemberChange],
    reachable: impl Fn(NodeId) -> bool,
) -> Result<(), ChangeRefusal> {
    let after = membership.after(changes)?;
    if after.is_joint() { check_majorities(&after, reachable) } else { Ok(()) }
}

fn check_majorities(
    membership: &Membership,
    reachable: impl Fn(NodeId) -> bool,
) -> Result<(), ChangeRefusal> {
    let check = |voters: Vec<NodeId>| {
        let needed = voters.len() / 2 + 1;
        let reachable = voters.into_iter().filter(|&id| reachable(id)).count();
        if reachable < needed {
            return Err(ChangeRefusal::WouldLoseQuorum { reachable, needed });
        }
        Ok(())
    };
    check(membership.old_voters().collect())?;
    check(membership.voters().collect())
}

/// Checks that the cluster can do without a node that has lost what it promised: that those of the
/// others that are `active` are a majority by themselves.
pub(super) fn spare(
    membership: &Membership,
    member: &Member,
    active: impl Fn(NodeId) -> bool,
) -> Result<(), Error> {
    let (id, name) = (member.id, &member.name);
    if membership.was_removed(id) {
        let detail = format!("{name} was removed from the cluster");
        return Err(Error::new(ErrorCode::MemberNotFound, detail));
    }
    check_majorities(membership, |voter| voter != id && active(voter)).map_err(|_refusal| {
        let detail = format!("the members that are there are no majority without {name}");
        Error::new(ErrorCode::WouldLoseQuorum, detail).retry_after(1000)
    })
}

/// The error for a change that the core does not propose.
pub(super) fn refused(refusal: &ChangeRefusal) -> Error {
    let detail = refusal.to_string();
    match refusal {
        ChangeRefusal::InProgress
        | ChangeRefusal::IsLeader
        | ChangeRefusal::Invalid(MembershipError::Joint) => {
            Error::new(ErrorCode::ChangeInProgress, detail)
                .hint("wait until it is over; see: remex cluster members")
                .retry_after(1000)
        }
        ChangeRefusal::NotLeader | ChangeRefusal::Busy => {
            Error::new(ErrorCode::NotReady, detail).retry_after(1000)
        }
        ChangeRefusal::WouldLoseQuorum { .. } => Error::new(ErrorCode::WouldLoseQuorum, detail)
            .hint(
                "bring unreachable members back, or remove those first; with --force it is done \
                 all the same, and writes stop until enough members are back",
            ),
        ChangeRefusal::Invalid(invalid) => invalid_change(invalid),
    }
}

fn invalid_change(invalid: &MembershipError) -> Error {
    let detail = invalid.to_string();
    match invalid {
        MembershipError::Exists { .. } => Error::new(ErrorCode::MemberExists, detail),
        MembershipError::NotFound(_) => Error::new(ErrorCode::MemberNotFound, detail),
        MembershipError::Removed(_) => Error::new(ErrorCode::Conflict, detail)
            .hint("start the node with an empty --data-dir, so that it gets a new id"),
        MembershipError::NoVoters => Error::new(ErrorCode::WouldLoseQuorum, detail)
            .hint("add or promote another member first"),
        MembershipError::Awaited(_) => Error::new(ErrorCode::Conflict, detail)
            .hint("it becomes a voter by itself once its node has come and caught up"),
        MembershipError::Joint | MembershipError::NotJoint | MembershipError::TooMany => {
            Error::new(ErrorCode::Conflict, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use remex_model::Incarnation;

    use super::*;

    const OURS: ClusterId = ClusterId(9);

    fn member(id: u64, name: &str) -> Member {
        Member {
            id: NodeId(id),
            incarnation: Incarnation(id + 100),
            name: name.to_owned(),
            peer_address: format!("127.0.0.1:{id}"),
            client_url: String::new(),
            promote: true,
        }
    }

    fn trio() -> Membership {
        Membership::founded([member(1, "n1"), member(2, "n2"), member(3, "n3")])
    }

    #[test]
    fn members_are_found_by_name_and_by_id() {
        let membership = trio();
        let found = |name: &str| resolve(&membership, name).map(|(member, _)| member.id);
        assert_eq!(found("n2"), Some(NodeId(2)));
        assert_eq!(found("0000000000000003"), Some(NodeId(3)));
        assert_eq!(found("n4"), None);
        let error = no_member(&membership, "n4");
        assert_eq!(error.code, ErrorCode::MemberNotFound);
        assert!(error.detail.contains("n4") && error.detail.contains("n1, n2, n3"));
    }

    #[test]
    fn a_new_name_is_added_and_a_member_stays_what_it_is() {
        let new = member(4, "n4");
        let added = Entry::By(vec![vec![MemberChange::Add(new.clone())]]);
        assert_eq!(entry(&trio(), OURS, new, |_| true).unwrap(), added);
        assert_eq!(entry(&trio(), OURS, member(3, "n3"), |_| true).unwrap(), Entry::Already);
        let copy = Member { incarnation: Incarnation(1), ..member(3, "n3") };
        assert_eq!(entry(&trio(), OURS, copy, |_| false).unwrap_err().code, ErrorCode::Conflict);
    }

    #[test]
    fn a_wiped_node_takes_the_place_of_its_old_self_only_if_that_is_gone() {
        let new = member(30, "n3");
        let error = entry(&trio(), OURS, new.clone(), |id| id == NodeId(3)).unwrap_err();
        assert_eq!(error.code, ErrorCode::MemberExists);
        assert!(error.detail.contains("127.0.0.1:3 ") && error.detail.contains("127.0.0.1:30 "));
        let replaced =
            Entry::By(vec![vec![MemberChange::Remove(NodeId(3)), MemberChange::Add(new.clone())]]);
        assert_eq!(entry(&trio(), OURS, new.clone(), |_| false).unwrap(), replaced);

        // A learner for good comes back as one.
        let mut membership = trio();
        let learner = Member { promote: false, ..member(4, "n4") };
        membership.apply(&[MemberChange::Add(learner)]).unwrap();
        let new = member(40, "n4");
        let expected = Member { promote: false, ..new.clone() };
        let replaced = Entry::By(vec![
            vec![MemberChange::Remove(NodeId(4))],
            vec![MemberChange::Add(expected)],
        ]);
        assert_eq!(entry(&membership, OURS, new, |_| false).unwrap(), replaced);
        let Entry::By(steps) = replaced else { unreachable!() };
        for step in steps {
            membership.apply(&step).unwrap();
        }
    }

    #[test]
    fn a_node_takes_the_place_of_the_member_that_stood_for_it_at_once() {
        let mut membership = trio();
        let awaited = Member {
            incarnation: Incarnation(0),
            promote: false,
            peer_address: "elsewhere:4".to_owned(),
            ..member(40, "n4")
        };
        membership.apply(&[MemberChange::Add(awaited)]).unwrap();
        // What it is to become was said when it was awaited.
        let new = Member { promote: false, ..member(4, "n4") };
        let replaced = Entry::By(vec![vec![MemberChange::Add(new.clone())]]);
        assert_eq!(entry(&membership, OURS, member(4, "n4"), |_| true).unwrap(), replaced);
        membership.apply(&[MemberChange::Add(new.clone())]).unwrap();
        assert_eq!(membership.named("n4").unwrap().0, &new);

        let nobody = Member { incarnation: Incarnation(0), ..member(5, "n5") };
        let error = entry(&membership, OURS, nobody, |_| true).unwrap_err();
        assert_eq!(error.code, ErrorCode::BadRequest, "no node is awaited by itself");
    }

    #[test]
    fn majorities_before_and_after_must_be_reachable() {
        let remove = |id| [MemberChange::Remove(NodeId(id))];
        let check = |changes: &[MemberChange], gone: u64| {
            check_reachable(&trio(), changes, |id| id != NodeId(gone))
        };
        assert_eq!(check(&remove(2), 9), Ok(()));
        assert_eq!(check(&remove(3), 3), Ok(()), "the one that is gone can go");
        let refusal = ChangeRefusal::WouldLoseQuorum { reachable: 1, needed: 2 };
        assert_eq!(check(&remove(2), 3), Err(refusal));
        let add = [MemberChange::Add(member(4, "n4"))];
        assert_eq!(check_reachable(&trio(), &add, |_| false), Ok(()), "learners do not count");
        assert!(check(&remove(9), 9).is_err());
    }

    #[test]
    fn a_node_is_spared_only_by_a_majority_of_the_others() {
        let spared = |of: &Membership, id: u64, gone: &[u64]| {
            let active = |id: NodeId| !gone.contains(&id.get());
            spare(of, &member(id, "n"), active).map_err(|error| error.code)
        };
        assert_eq!(spared(&trio(), 3, &[3]), Ok(()));
        // It does not count for itself, even if it was heard of a moment ago.
        assert_eq!(spared(&trio(), 3, &[2]), Err(ErrorCode::WouldLoseQuorum));
        let pair = Membership::founded([member(1, "n1"), member(2, "n2")]);
        assert_eq!(spared(&pair, 2, &[]), Err(ErrorCode::WouldLoseQuorum));
        let mut alone = Membership::founded([member(1, "n1")]);
        alone.apply(&[MemberChange::Add(member(2, "n2"))]).unwrap();
        assert_eq!(spared(&alone, 2, &[]), Ok(()), "a learner");
        let mut joint = trio();
        joint.apply(&[MemberChange::Remove(NodeId(1)), MemberChange::Remove(NodeId(2))]).unwrap();
        assert_eq!(spared(&joint, 3, &[]), Err(ErrorCode::WouldLoseQuorum), "of the new voters");
        let mut without = trio();
        without.apply(&[MemberChange::Remove(NodeId(3))]).unwrap();
        without.apply(&[]).unwrap();
        assert_eq!(spared(&without, 3, &[]), Err(ErrorCode::MemberNotFound));
    }

    #[test]
    fn a_removed_id_never_comes_back() {
        let mut membership = trio();
        membership.apply(&[MemberChange::Remove(NodeId(3))]).unwrap();
        membership.apply(&[]).unwrap();
        let error = entry(&membership, OURS, member(3, "n3"), |_| false).unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict);
        assert!(error.detail.contains("removed"), "{error}");
        assert!(error.hint.unwrap().contains("empty --data-dir"));
    }

    #[test]
    fn what_a_stranger_says_of_itself_is_bounded() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        for bad in [
            Member { name: String::new(), ..member(4, "") },
            Member { name: long.clone(), ..member(4, "") },
            Member { name: "n\n4".to_owned(), ..member(4, "") },
            Member { peer_address: long.clone(), ..member(4, "n4") },
            Member { client_url: long, ..member(4, "n4") },
        ] {
            let error = entry(&trio(), OURS, bad, |_| true).unwrap_err();
            assert_eq!(error.code, ErrorCode::BadRequest);
        }
    }

    #[test]
    fn only_nodes_without_data_of_their_own_are_invited() {
        let other = ClusterId(8);
        let new = member(4, "n4");
        let of = |cluster| Phase::Member { cluster, founders: Vec::new() };
        let decide =
            |phase: &Phase, pristine| invitable(&trio(), OURS, &new, phase, pristine, None);
        assert!(decide(&Phase::Fresh, false).is_ok());
        assert!(decide(&of(other), true).is_ok(), "a pristine cluster is given up");
        let error = decide(&of(other), false).unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict);
        let both =
            error.detail.contains(&OURS.to_string()) && error.detail.contains(&other.to_string());
        assert!(both && error.hint.unwrap().contains("--data-dir"));

        assert!(invitable(&trio(), OURS, &member(3, "n3"), &of(OURS), false, None).is_ok());
        assert!(decide(&of(OURS), false).unwrap_err().detail.contains("removed"));
        assert!(decide(&Phase::Removed { cluster: OURS }, false).is_err());
        let returning = |cluster| Phase::Returning { cluster, addresses: Vec::new() };
        assert!(decide(&returning(OURS), false).is_ok());
        assert!(decide(&returning(other), false).is_err());
        let (founder, members) = (NodeId(7), Vec::new());
        assert!(decide(&Phase::Promised { cluster: other, founder, members }, false).is_err());
    }

    #[test]
    fn a_node_is_invited_under_the_name_that_it_has() {
        let found = member(4, "n4");
        let named = |name| invitable(&trio(), OURS, &found, &Phase::Fresh, false, Some(name));
        assert!(named("n4").is_ok());
        let error = named("n5").unwrap_err();
        assert!(error.detail.contains("n4") && error.detail.contains("n5"), "{error}");
    }
}
