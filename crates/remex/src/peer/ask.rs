//! Asking: one question from node to node, on a connection of its own, which ends with the answer.
//!
//! Nodes that belong to no cluster find each other, found clusters and join them this way; members
//! pass on to their leader what people want of the cluster.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use remex_model::{ClusterId, Error, Member};
use tokio::net::TcpStream;

use super::frame;
use super::hello::{Answer, Hello, Purpose};
use super::question::{Question, Reply};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(crate) struct NoAnswer {
    /// Whether the question may have been heard, and acted on.
    pub(crate) asked: bool,
    pub(crate) source: io::Error,
}

/// Asks whoever answers at an address; if it is to be a certain member, makes sure that it is.
/// Answers also with who answered.
pub(crate) async fn ask(
    hello: &Hello,
    address: &str,
    expected: Option<&Member>,
    question: &Question,
    limit: Duration,
) -> Result<(Hello, Reply), NoAnswer> {
    let mut asked = false;
    let asking = tokio::time::timeout(limit, async {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let hello = Hello { purpose: Purpose::Ask, ..hello.clone() };
        frame::write(&mut stream, |out| hello.encode(out)).await?;
        let mut buffer = BytesMut::new();
        let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await?;
        let them = match Answer::decode(payload).map_err(io::Error::other)? {
            Answer::Welcome(them) => them,
            Answer::Refused { reason, .. } => return Err(io::Error::other(reason)),
        };
        let same = |member: &Member| {
            (member.id, member.incarnation) == (them.node.id, them.node.incarnation)
        };
        if !expected.is_none_or(same) {
            let text = format!("another node answers at the member's address: {them}");
            return Err(io::Error::other(text));
        }
        asked = true;
        frame::write(&mut stream, |out| question.encode(out)).await?;
        let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await?;
        Ok((them, Reply::decode(payload).map_err(io::Error::other)?))
    });
    let answer = asking.await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
    answer.map_err(|source| NoAnswer { asked, source })
}

/// Why an invited node does not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Absent {
    #[error("{0}")]
    Denied(Error),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// Tells a node that it is a member of a cluster. Telling it again changes nothing.
pub(crate) async fn invite(
    hello: &Hello,
    cluster: ClusterId,
    member: &Member,
    limit: Duration,
) -> Result<(), Absent> {
    let question = Question::Invite { cluster };
    let address = &member.peer_address;
    match ask(hello, address, Some(member), &question, limit).await?.1 {
        Reply::Accepted => Ok(()),
        Reply::Denied(error) => Err(Absent::Denied(error)),
        other => {
            let source = io::Error::other(format!("it answered with {other:?}"));
            Err(NoAnswer { asked: true, source }.into())
        }
    }
}
