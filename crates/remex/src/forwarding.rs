//! How long a request may be at the leader, on a node that does not lead.
//!
//! A request that another node has to answer can be held up by that node alone: it is given up
//! after the forward timeout, if there is one, rather than at its own deadline. Waiting for a leader
//! is not held against anybody: the time counts only while another node is known to lead, and anew
//! with every term.

use std::time::Duration;

use remex_consensus::{Leadership, Role};
use remex_model::{Effect, Error, ErrorCode, NodeId, Term};

use crate::board::Board;

/// How long a request may be at the leader; `None` for as long as it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarding {
    limit: Option<Duration>,
}

impl Forwarding {
    pub(crate) fn new(limit_ms: Option<u64>) -> Self {
        Self { limit: limit_ms.map(Duration::from_millis) }
    }

    /// Whether requests are ever given up.
    pub(crate) fn has_limit(self) -> bool {
        self.limit.is_some()
    }

    /// Ends when a request of the node `me` that is begun now is to be given up; with the node that
    /// leads.
    pub(crate) async fn given_up(self, board: &Board, me: NodeId) -> NodeId {
        let Some(limit) = self.limit else { return std::future::pending().await };
        let mut leaderships = board.watch_leadership();
        loop {
            let now = elsewhere(*leaderships.borrow_and_update(), me);
            let Some((_, leader)) = now else {
                if leaderships.changed().await.is_err() {
                    // The sender lives in the board, which is borrowed here.
                    return std::future::pending().await;
                }
                continue;
            };
            let moved = leaderships.wait_for(|next| elsewhere(*next, me) != now);
            if tokio::time::timeout(limit, moved).await.is_err() {
                return leader;
            }
        }
    }

    /// The answer to a request that is given up.
    pub(crate) fn late(self, leader: &str, effect: Effect) -> Error {
        let limit_ms = self.limit.unwrap_or_default().as_millis();
        let detail = format!(
            "the leader {leader} has not answered within the forward timeout of {limit_ms} ms"
        );
        let hint = match effect {
            Effect::None => "ask again, ask another node, or raise --forward-timeout",
            Effect::Unknown => {
                "read the key to see whether the write was applied; with an Idempotency-Key a \
                 prompt retry is safe. If it happens often, raise --forward-timeout"
            }
        };
        let mut error = Error::new(ErrorCode::Timeout, detail).hint(hint).retry_after(1000);
        error.effect = effect;
        error
    }
}

/// The leader, if it is another node, and its term.
fn elsewhere(leadership: Leadership, me: NodeId) -> Option<(Term, NodeId)> {
    let leader = leadership.leader.filter(|leader| *leader != me)?;
    (leadership.role == Role::Follower).then_some((leadership.term, leader))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId(1);

    fn set(board: &Board, role: Role, term: u64, leader: Option<u64>) {
        let leadership = Leadership { role, term: Term(term), leader: leader.map(NodeId) };
        board.update(|snapshot| snapshot.leadership = leadership);
    }

    /// Whether it ends, however often it is looked at.
    async fn ends(board: &Board) -> bool {
        let given_up = Forwarding::new(Some(0)).given_up(board, ME);
        let looks = async {
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = given_up => true,
            () = looks => false,
        }
    }

    #[tokio::test]
    async fn only_time_with_another_leader_counts() {
        let board = Board::default();
        assert!(!ends(&board).await, "nobody leads");
        set(&board, Role::Leader, 3, Some(1));
        assert!(!ends(&board).await, "this node leads");
        set(&board, Role::Candidate, 4, Some(2));
        assert!(!ends(&board).await, "an election is under way");
        set(&board, Role::Follower, 4, None);
        let limited = Forwarding::new(Some(1));
        let elected = async {
            tokio::task::yield_now().await;
            set(&board, Role::Follower, 5, Some(3));
        };
        let (leader, ()) = tokio::join!(limited.given_up(&board, ME), elected);
        assert_eq!(leader, NodeId(3));
    }

    #[tokio::test]
    async fn without_a_limit_nothing_is_given_up() {
        let board = Board::default();
        set(&board, Role::Follower, 5, Some(3));
        let forever = Forwarding::new(None);
        assert!(!forever.has_limit());
        tokio::select! {
            biased;
            _ = forever.given_up(&board, ME) => panic!("given up"),
            () = tokio::task::yield_now() => {}
        }
    }

    #[test]
    fn the_answer_names_the_leader_and_the_setting() {
        let forwarding = Forwarding::new(Some(250));
        for effect in [Effect::None, Effect::Unknown] {
            let error = forwarding.late("n3", effect);
            assert_eq!((error.code, error.effect), (ErrorCode::Timeout, effect));
            assert!(error.detail.contains("n3") && error.detail.contains("250 ms"), "{error}");
            assert!(error.hint.unwrap().contains("--forward-timeout"));
        }
    }
}
