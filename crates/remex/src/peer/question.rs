//! What one node asks another, and the answers. Encoding (little-endian), behind the hellos:
//!
//! ```text
//! question  u8 0 look | 1 promise, u64 cluster, members | 2 release, u64 cluster
//!           | 3 founded, u64 cluster, members | 4 join, member, u64 cluster or 0
//!           | 5 invite, u64 cluster | 6 change, u64 ms left, u8 force, step
//!           | 7 transfer, u64 ms left, u8 to someone, bytes to | 8 spare
//! step      u8 0 add, bytes address, u8 named, bytes name, u8 learner, u8 awaited
//!           | 1 remove | 2 promote | 3 demote, each: bytes member
//! reply     u8 0 here, member, phase, u8 pristine | 1 accepted | 2 taken in, u64 cluster
//!           | 3 changed, member, u8 learner | 4 leads, u64 leader, u64 term
//!           | 5 elsewhere, bytes address
//!           | 6 denied, u8 code, bytes detail, u8 hinted, bytes hint, u8 unknown effect,
//!             u8 retry, u64 pause ms
//! ```

use bytes::Bytes;
use remex_model::{
    ClusterId, DecodeError, Decoder, Effect, Encoder, Error, ErrorCode, Member, MemberRole,
    MemberStep, NodeId, Retry, Term,
};

use crate::identity::{Phase, decode_all, encode_all};

/// What one node asks another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Who are you, and how far have you come?
    Look,
    /// Will you be part of the cluster that I want to found?
    Promise { cluster: ClusterId, members: Vec<Member> },
    /// I give up; you are free again.
    Release { cluster: ClusterId },
    /// All have promised: the cluster is founded.
    Founded { cluster: ClusterId, members: Vec<Member> },
    /// Take me in; into this cluster, if I say which.
    Join { member: Member, cluster: Option<ClusterId> },
    /// You are a member of this cluster: come.
    Invite { cluster: ClusterId },
    /// For the leader: change the membership.
    Change { step: MemberStep, force: bool, ttl_ms: u64 },
    /// For the leader: hand leadership over.
    Transfer { to: Option<String>, ttl_ms: u64 },
    /// For the leader: are the others a majority without me? I would give up who I am.
    Spare,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Who the node is, and how far it has come; `pristine` if it is all alone in a cluster that
    /// was never written to.
    Here { member: Member, phase: Phase, pristine: bool },
    /// Yes.
    Accepted,
    /// You are a member of this cluster now.
    TakenIn { cluster: ClusterId },
    /// The membership is changed; this is (or was) the member.
    Changed { member: Member, role: MemberRole },
    /// Leadership is handed over.
    Leads { leader: NodeId, term: Term },
    /// Ask the leader, at this peer address.
    Elsewhere { address: String },
    /// No, and why.
    Denied(Error),
}

/// Codes with which a question can be denied.
const CODES: [(ErrorCode, u8); 11] = [
    (ErrorCode::Internal, 0),
    (ErrorCode::BadRequest, 1),
    (ErrorCode::Conflict, 2),
    (ErrorCode::MemberNotFound, 3),
    (ErrorCode::MemberExists, 4),
    (ErrorCode::ChangeInProgress, 5),
    (ErrorCode::WouldLoseQuorum, 6),
    (ErrorCode::NoLeader, 7),
    (ErrorCode::NotReady, 8),
    (ErrorCode::Draining, 9),
    (ErrorCode::Timeout, 10),
];

fn unknown<T>(field: &'static str, value: u8) -> Result<T, DecodeError> {
    Err(DecodeError::Unknown { field, value: u64::from(value) })
}

fn encode_optional(text: Option<&str>, encoder: &mut Encoder<'_>) {
    encoder.bool(text.is_some());
    encoder.bytes(text.unwrap_or_default().as_bytes());
}

fn decode_optional(
    decoder: &mut Decoder,
    field: &'static str,
) -> Result<Option<String>, DecodeError> {
    let some = decoder.bool(field)?;
    let text = decoder.text(field)?;
    Ok(some.then_some(text))
}

fn encode_role(role: MemberRole, encoder: &mut Encoder<'_>) {
    encoder.bool(role == MemberRole::Learner);
}

fn decode_role(decoder: &mut Decoder) -> Result<MemberRole, DecodeError> {
    Ok(if decoder.bool("learner")? { MemberRole::Learner } else { MemberRole::Voter })
}

fn encode_step(step: &MemberStep, encoder: &mut Encoder<'_>) {
    let mut named = |kind: u8, name: &str| {
        encoder.u8(kind);
        encoder.bytes(name.as_bytes());
    };
    match step {
        MemberStep::Add { peer_address, name, role, awaited } => {
            named(0, peer_address);
            encode_optional(name.as_deref(), encoder);
            encode_role(*role, encoder);
            encoder.bool(*awaited);
        }
        MemberStep::Remove(name) => named(1, name),
        MemberStep::Promote(name) => named(2, name),
        MemberStep::Demote(name) => named(3, name),
    }
}

fn decode_step(decoder: &mut Decoder) -> Result<MemberStep, DecodeError> {
    let kind = decoder.u8("step")?;
    let text = decoder.text("member or address")?;
    Ok(match kind {
        0 => MemberStep::Add {
            peer_address: text,
            name: decode_optional(decoder, "name")?,
            role: decode_role(decoder)?,
            awaited: decoder.bool("awaited")?,
        },
        1 => MemberStep::Remove(text),
        2 => MemberStep::Promote(text),
        3 => MemberStep::Demote(text),
        other => return unknown("step", other),
    })
}

fn encode_error(error: &Error, encoder: &mut Encoder<'_>) {
    let code = CODES.iter().find(|(code, _)| *code == error.code).map_or(0, |&(_, byte)| byte);
    encoder.u8(code);
    encoder.bytes(error.detail.as_bytes());
    encode_optional(error.hint.as_deref(), encoder);
    encoder.bool(error.effect == Effect::Unknown);
    let pause_ms = match error.retry {
        Retry::Never => None,
        Retry::After { pause_ms } => Some(pause_ms),
    };
    encoder.bool(pause_ms.is_some());
    encoder.u64(pause_ms.unwrap_or_default());
}

fn decode_error(decoder: &mut Decoder) -> Result<Error, DecodeError> {
    let byte = decoder.u8("error code")?;
    let Some(&(code, _)) = CODES.iter().find(|(_, known)| *known == byte) else {
        return unknown("error code", byte);
    };
    let mut error = Error::new(code, decoder.text("detail")?);
    error.hint = decode_optional(decoder, "hint")?;
    if decoder.bool("unknown effect")? {
        error = error.effect_unknown();
    }
    let retry = decoder.bool("retry")?;
    let pause_ms = decoder.u64("pause")?;
    Ok(if retry { error.retry_after(pause_ms) } else { error })
}

impl Question {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        match self {
            Self::Look => encoder.u8(0),
            Self::Promise { cluster, members } => {
                encoder.u8(1);
                encoder.u64(cluster.get());
                encode_all(members, &mut encoder);
            }
            Self::Release { cluster } => {
                encoder.u8(2);
                encoder.u64(cluster.get());
            }
            Self::Founded { cluster, members } => {
                encoder.u8(3);
                encoder.u64(cluster.get());
                encode_all(members, &mut encoder);
            }
            Self::Join { member, cluster } => {
                encoder.u8(4);
                member.encode(&mut encoder);
                encoder.u64(cluster.map_or(0, ClusterId::get));
            }
            Self::Invite { cluster } => {
                encoder.u8(5);
                encoder.u64(cluster.get());
            }
            Self::Change { step, force, ttl_ms } => {
                encoder.u8(6);
                encoder.u64(*ttl_ms);
                encoder.bool(*force);
                encode_step(step, &mut encoder);
            }
            Self::Transfer { to, ttl_ms } => {
                encoder.u8(7);
                encoder.u64(*ttl_ms);
                encode_optional(to.as_deref(), &mut encoder);
            }
            Self::Spare => encoder.u8(8),
        }
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(payload);
        let cluster = |decoder: &mut Decoder| decoder.u64("cluster").map(ClusterId);
        let question = match decoder.u8("question")? {
            0 => Self::Look,
            1 => Self::Promise {
                cluster: cluster(&mut decoder)?,
                members: decode_all(&mut decoder)?,
            },
            2 => Self::Release { cluster: cluster(&mut decoder)? },
            3 => Self::Founded {
                cluster: cluster(&mut decoder)?,
                members: decode_all(&mut decoder)?,
            },
            4 => Self::Join {
                member: Member::decode(&mut decoder)?,
                cluster: Some(cluster(&mut decoder)?).filter(|cluster| cluster.get() != 0),
            },
            5 => Self::Invite { cluster: cluster(&mut decoder)? },
            6 => {
                let ttl_ms = decoder.u64("time left")?;
                let force = decoder.bool("force")?;
                Self::Change { step: decode_step(&mut decoder)?, force, ttl_ms }
            }
            7 => {
                let ttl_ms = decoder.u64("time left")?;
                Self::Transfer { to: decode_optional(&mut decoder, "to")?, ttl_ms }
            }
            8 => Self::Spare,
            other => return unknown("question", other),
        };
        decoder.finish()?;
        Ok(question)
    }
}

impl Reply {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        match self {
            Self::Here { member, phase, pristine } => {
                encoder.u8(0);
                member.encode(&mut encoder);
                phase.encode(&mut encoder);
                encoder.bool(*pristine);
            }
            Self::Accepted => encoder.u8(1),
            Self::TakenIn { cluster } => {
                encoder.u8(2);
                encoder.u64(cluster.get());
            }
            Self::Changed { member, role } => {
                encoder.u8(3);
                member.encode(&mut encoder);
                encode_role(*role, &mut encoder);
            }
            Self::Leads { leader, term } => {
                encoder.u8(4);
                encoder.u64(leader.get());
                encoder.u64(term.get());
            }
            Self::Elsewhere { address } => {
                encoder.u8(5);
                encoder.bytes(address.as_bytes());
            }
            Self::Denied(error) => {
                encoder.u8(6);
                encode_error(error, &mut encoder);
            }
        }
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(payload);
        let reply = match decoder.u8("reply")? {
            0 => Self::Here {
                member: Member::decode(&mut decoder)?,
                phase: Phase::decode(&mut decoder)?,
                pristine: decoder.bool("pristine")?,
            },
            1 => Self::Accepted,
            2 => Self::TakenIn { cluster: ClusterId(decoder.u64("cluster")?) },
            3 => Self::Changed {
                member: Member::decode(&mut decoder)?,
                role: decode_role(&mut decoder)?,
            },
            4 => {
                let leader = NodeId(decoder.u64("leader")?);
                Self::Leads { leader, term: Term(decoder.u64("term")?) }
            }
            5 => Self::Elsewhere { address: decoder.text("address")? },
            6 => Self::Denied(decode_error(&mut decoder)?),
            other => return unknown("reply", other),
        };
        decoder.finish()?;
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use remex_model::Incarnation;

    use super::*;

    fn member() -> Member {
        Member {
            id: NodeId(1),
            incarnation: Incarnation(2),
            name: "n1".to_owned(),
            peer_address: "127.0.0.1:1".to_owned(),
            client_url: "http://127.0.0.1:2".to_owned(),
            promote: true,
        }
    }

    fn steps() -> Vec<MemberStep> {
        let add = |name, role| MemberStep::Add {
            peer_address: "a:1".to_owned(),
            name,
            role,
            awaited: role == MemberRole::Learner,
        };
        vec![
            add(Some("n4".to_owned()), MemberRole::Learner),
            add(None, MemberRole::Voter),
            MemberStep::Remove("n1".to_owned()),
            MemberStep::Promote("n2".to_owned()),
            MemberStep::Demote("n3".to_owned()),
        ]
    }

    #[test]
    fn every_question_round_trips_and_every_cut_is_refused() {
        let (cluster, members) = (ClusterId(7), vec![member(), member()]);
        let mut questions = vec![
            Question::Look,
            Question::Promise { cluster, members: members.clone() },
            Question::Release { cluster },
            Question::Founded { cluster, members },
            Question::Join { member: member(), cluster: Some(cluster) },
            Question::Join { member: member(), cluster: None },
            Question::Invite { cluster },
            Question::Transfer { to: Some("n2".to_owned()), ttl_ms: 5 },
            Question::Transfer { to: None, ttl_ms: 5 },
            Question::Spare,
        ];
        let change = |step| Question::Change { step, force: true, ttl_ms: 9 };
        questions.extend(steps().into_iter().map(change));
        for question in questions {
            let mut out = Vec::new();
            question.encode(&mut out);
            let bytes = Bytes::from(out);
            assert_eq!(Question::decode(bytes.clone()).unwrap(), question);
            for end in 0..bytes.len() {
                assert!(Question::decode(bytes.slice(..end)).is_err(), "{question:?} at {end}");
            }
        }
    }

    #[test]
    fn every_reply_round_trips_and_every_cut_is_refused() {
        let mut replies = vec![
            Reply::Here { member: member(), phase: Phase::Fresh, pristine: true },
            Reply::Accepted,
            Reply::TakenIn { cluster: ClusterId(7) },
            Reply::Changed { member: member(), role: MemberRole::Learner },
            Reply::Leads { leader: NodeId(4), term: Term(5) },
            Reply::Elsewhere { address: "b:2".to_owned() },
        ];
        for (code, _) in CODES {
            replies.push(Reply::Denied(Error::new(code, "no")));
            replies.push(Reply::Denied(
                Error::new(code, "no").hint("do this").effect_unknown().retry_after(100),
            ));
        }
        for reply in replies {
            let mut out = Vec::new();
            reply.encode(&mut out);
            let bytes = Bytes::from(out);
            assert_eq!(Reply::decode(bytes.clone()).unwrap(), reply);
            for end in 0..bytes.len() {
                assert!(Reply::decode(bytes.slice(..end)).is_err(), "{reply:?} cut at {end}");
            }
        }
    }
}
