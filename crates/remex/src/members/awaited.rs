//! Members that are awaited: named, with an address, before their node runs.
//!
//! Such a member is in the membership, so every leader knows of it, and nowhere else: it is no peer,
//! and consensus has never heard of it ([`Member::is_awaited`]). Its node takes its place when it
//! asks to be taken in under its name, or when the leader, which looks once a second, finds it at
//! the address. There is no waiting as for a member that is only gone: nobody's place is taken.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use remex_model::{
    Error, ErrorCode, Incarnation, Member, MemberChange, MemberRole, Membership, NodeId, Part,
};
use tokio::task::JoinSet;

use super::decide::check_texts;
use super::propose::{Stop, TTL, propose};
use super::{Changed, Steward, role};
use crate::peer::form::Serving;
use crate::{OpenError, random};

/// What was last complained of, for each awaited member: the same is not repeated.
pub(super) type Complaints = BTreeMap<NodeId, String>;

/// How a node is awaited that does not run yet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Awaiting {
    /// It is, or it is a member already, which is only away.
    Already(Member, Part),
    /// With this change, which leads to this member.
    By(Member, MemberChange),
}

/// Makes a member of a node that has not appeared yet.
pub(super) async fn expect(
    serving: &Serving,
    address: &str,
    name: &str,
    wanted: MemberRole,
    deadline: Instant,
) -> Result<Changed, Stop> {
    let failed = |error: OpenError| Error::new(ErrorCode::Internal, error.to_string());
    let wanted = Member {
        id: NodeId(random::identity().map_err(failed)?),
        incarnation: Incarnation(0),
        name: name.to_owned(),
        peer_address: address.to_owned(),
        client_url: String::new(),
        promote: wanted == MemberRole::Voter,
    };
    match awaiting(&serving.board.membership(), wanted)? {
        Awaiting::Already(member, part) => Ok((member, role(part))),
        Awaiting::By(member, change) => {
            propose(serving, vec![change], false, deadline).await?;
            tracing::info!(member = %member.name, %address, "awaits a node that does not run yet");
            Ok((member, MemberRole::Learner))
        }
    }
}

/// How the node that `wanted` stands for is awaited. The address and role that were asked for last
/// are those that hold.
fn awaiting(membership: &Membership, wanted: Member) -> Result<Awaiting, Error> {
    check_texts(&wanted)?;
    let exists =
        |detail: String, hint: &str| Err(Error::new(ErrorCode::MemberExists, detail).hint(hint));
    let address = &wanted.peer_address;
    let mut others = membership.members().map(|(member, _)| member);
    if let Some(other) = others.find(|it| it.peer_address == *address && it.name != wanted.name) {
        let detail = format!("{address} is the address of the member {}", other.name);
        return exists(detail, "check the address, or remove that member first");
    }
    let Some((known, part)) = membership.named(&wanted.name) else {
        let change = MemberChange::Add(wanted.clone());
        return Ok(Awaiting::By(wanted, change));
    };
    if !known.is_awaited() {
        if known.peer_address == *address {
            return Ok(Awaiting::Already(known.clone(), part));
        }
        let detail = format!(
            "the cluster has a member {} already, at {}, and no node answers at {address}",
            known.name, known.peer_address
        );
        return exists(detail, "start the node, choose another name, or remove that member first");
    }
    let wanted = Member { id: known.id, ..wanted };
    if *known == wanted {
        return Ok(Awaiting::Already(wanted, part));
    }
    let change = MemberChange::Update(wanted.clone());
    Ok(Awaiting::By(wanted, change))
}

/// Checks the form of an address at which a node is awaited: if it is wrong, nobody ever answers.
pub(super) fn check_address(address: &str) -> Result<(), Error> {
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let port = parts.and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_some_and(|port| port != 0) {
        return Ok(());
    }
    let detail = format!("{address:?} is not the address of a node");
    Err(Error::new(ErrorCode::BadRequest, detail).hint("give its peer address as host:port"))
}

impl Steward {
    /// Looks for the nodes that are awaited, and takes in those that have appeared.
    pub(super) async fn look_out(
        &self,
        serving: &Serving,
        complaints: &mut Complaints,
    ) -> Result<(), Stop> {
        let membership = serving.board.membership();
        complaints.retain(|id, _| membership.get(*id).is_some());
        let mut looks = JoinSet::new();
        for (member, _) in membership.members().filter(|(member, _)| member.is_awaited()) {
            let (former, member) = (self.former().clone(), member.clone());
            looks.spawn(async move {
                let found = former.look(&member.peer_address).await;
                (member, found)
            });
        }
        while let Some(looked) = looks.join_next().await {
            // An error means that the look was ended, with this node.
            let Ok((member, found)) = looked else { continue };
            let complaint = match found {
                Ok(found) => {
                    let role = match member.promote {
                        true => MemberRole::Voter,
                        false => MemberRole::Learner,
                    };
                    let deadline = Instant::now() + TTL;
                    let name = Some(&*member.name);
                    match self.invite(serving, found, name, role, deadline).await {
                        Ok((member, _)) => {
                            tracing::info!(member = %member.name, "a node that was awaited is here");
                            continue;
                        }
                        Err(Stop::Error(error)) => error.to_string(),
                        Err(moved @ Stop::Moved { .. }) => return Err(moved),
                    }
                }
                Err(no_answer) if is_nobody(&no_answer.source) => continue,
                Err(no_answer) => no_answer.to_string(),
            };
            if complaints.get(&member.id) != Some(&complaint) {
                let (name, address) = (&member.name, &member.peer_address);
                tracing::warn!(
                    member = %name, %address, reason = %complaint,
                    "a node is awaited where another answers"
                );
                complaints.insert(member.id, complaint);
            }
        }
        Ok(())
    }
}

/// Whether a question got no answer because nobody is there yet, rather than somebody else.
fn is_nobody(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn awaited(id: u64, name: &str) -> Member {
        Member { incarnation: Incarnation(0), ..member(id, name) }
    }

    fn trio() -> Membership {
        Membership::founded([member(1, "n1"), member(2, "n2"), member(3, "n3")])
    }

    #[test]
    fn who_is_awaited_again_keeps_its_place_and_only_moves() {
        let mut membership = trio();
        let first = awaited(40, "n4");
        let add = MemberChange::Add(first.clone());
        let by = Awaiting::By(first.clone(), add.clone());
        assert_eq!(awaiting(&membership, first.clone()).unwrap(), by);
        membership.apply(&[add]).unwrap();
        let again = Member { id: NodeId(41), ..first.clone() };
        let already = Awaiting::Already(first.clone(), Part::Learner);
        assert_eq!(awaiting(&membership, again.clone()).unwrap(), already);

        for moved in [
            Member { peer_address: "h:4".to_owned(), ..again.clone() },
            Member { promote: false, ..again },
        ] {
            let expected = Member { id: NodeId(40), ..moved.clone() };
            let update = MemberChange::Update(expected.clone());
            let by = Awaiting::By(expected.clone(), update.clone());
            assert_eq!(awaiting(&membership, moved).unwrap(), by);
            let after = membership.after(&[update]).unwrap();
            assert_eq!(after.get(NodeId(40)), Some((&expected, Part::Learner)));
        }
    }

    #[test]
    fn members_that_are_there_are_not_awaited() {
        let away = Member { id: NodeId(40), ..awaited(3, "n3") };
        let already = Awaiting::Already(member(3, "n3"), Part::Voter);
        assert_eq!(awaiting(&trio(), away).unwrap(), already, "it is only away");
        let refused = |wanted| awaiting(&trio(), wanted).unwrap_err();
        let error = refused(awaited(40, "n3"));
        assert_eq!(error.code, ErrorCode::MemberExists);
        assert!(error.detail.contains("127.0.0.1:3,") && error.detail.contains("127.0.0.1:40"));
        let error = refused(awaited(3, "n4"));
        assert_eq!(error.code, ErrorCode::MemberExists);
        assert!(error.detail.contains("n3"), "{error}");
        assert_eq!(refused(awaited(40, "n\n4")).code, ErrorCode::BadRequest);
        assert_eq!(refused(awaited(40, "")).code, ErrorCode::BadRequest);
    }

    #[test]
    fn an_address_that_nobody_could_have_is_refused() {
        for good in ["127.0.0.1:1", "n4.example:65535", "[::1]:80", "localhost:2223"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for bad in ["", "n4", ":1", "n4:", "n4:0", "n4:65536", "http://n4:1/x", "n4:-1"] {
            assert_eq!(check_address(bad).unwrap_err().code, ErrorCode::BadRequest, "{bad}");
        }
    }

    #[test]
    fn silence_is_no_reason_to_complain_and_a_stranger_is() {
        assert!(is_nobody(&io::ErrorKind::ConnectionRefused.into()));
        assert!(is_nobody(&io::ErrorKind::TimedOut.into()));
        assert!(!is_nobody(&io::Error::other("this is something else")));
        assert!(!is_nobody(&io::ErrorKind::InvalidData.into()));
    }
}
