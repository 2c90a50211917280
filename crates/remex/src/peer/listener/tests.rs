//! Nodes that meet over real sockets, without the parts behind them.

use std::net::Ipv4Addr;

use remex_consensus::Marks;
use remex_model::{
    ClusterId, Incarnation, Index, Member, MemberStep, Membership, NodeId, Revision, Term,
};
use tokio::io::AsyncWriteExt;

use super::*;
use crate::board::Board;
use crate::directory::Directory;
use crate::identity::{Identity, Phase};
use crate::inbox::Expulsion;
use crate::peer::ask::ask;
use crate::peer::form::Former;
use crate::peer::hello::Position;
use crate::peer::links;
use crate::peer::port::PeerPort;

const OURS: ClusterId = ClusterId(9);

/// Generous: a test that needs it all is about to fail anyway.
const PATIENCE: Duration = Duration::from_secs(60);

fn patience() -> Patience {
    Patience::of(&crate::Config::new("unused"))
}

/// A node's peer port, and who the node is.
struct Port {
    former: Arc<Former>,
    inbox: Arc<Inbox>,
    cluster: Option<Arc<Cluster>>,
    port: PeerPort,
    _folder: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl Port {
    /// A node in some phase; as a member, it serves with these members and marks.
    async fn open(id: u64, phase: Phase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(folder.path()).unwrap());
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let identity = Identity {
            id: NodeId(id),
            incarnation: Incarnation(id),
            name: format!("n{id}"),
            has_log: false,
            phase,
        };
        let former = Arc::new(Former::new(directory, identity, address, String::new(), patience()));
        let steward = Arc::new(Steward::new(Arc::clone(&former)));
        let mut tasks = JoinSet::new();
        let (port, handed) = PeerPort::new();
        tasks.spawn(run(Some(socket), handed, steward, Arc::new(Desk::default())));
        let inbox = Arc::new(Inbox::default());
        Self { former, inbox, cluster: None, port, _folder: folder, _tasks: tasks }
    }

    async fn member(id: u64) -> Self {
        Self::open(id, Phase::Member { cluster: OURS, founders: Vec::new() }).await
    }

    fn me(&self) -> Member {
        self.former.me()
    }

    /// The node serves, and dials the members.
    fn serve(&mut self, membership: &Membership, marks: Marks) {
        let position = Position { term: Term(3), last_index: Index(5) };
        let cluster = Cluster::new(OURS, self.me(), 70 + self.me().id.get(), position, marks);
        cluster.update(membership);
        cluster.set_turn(Some(NodeId(1)), position);
        let cluster = Arc::new(cluster);
        let board = Arc::new(Board::default());
        board.set_membership(Arc::new(membership.clone()));
        board.set_revision(Revision(7));
        self.former.set_running(Arc::clone(&cluster), Arc::clone(&self.inbox), board);
        self._tasks.spawn(links::run(Arc::clone(&cluster), Arc::clone(&self.inbox), patience()));
        self.cluster = Some(cluster);
    }

    /// Waits for an input of the driver that is wanted.
    async fn input<T>(&self, wanted: impl Fn(Input) -> Option<T>) -> T {
        let (mut inputs, begin) = (Vec::new(), Instant::now());
        loop {
            assert!(begin.elapsed() < PATIENCE, "nothing of the kind came");
            self.inbox.drain(&mut inputs, Instant::now());
            if let Some(found) = inputs.drain(..).find_map(&wanted) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Waits until something is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < PATIENCE, "never {what}");
        tokio::task::yield_now().await;
    }
}

fn founded(ports: &[&Port]) -> Membership {
    Membership::founded(ports.iter().map(|port| port.me()))
}

#[tokio::test]
async fn members_connect_and_tell_each_other_how_they_are() {
    let (mut first, mut second) = (Port::member(1).await, Port::member(2).await);
    let membership = founded(&[&first, &second]);
    first.serve(&membership, Marks::default());
    second.serve(&membership, Marks::default());
    let cluster = first.cluster.as_ref().unwrap();
    let peer = cluster.peers()[&NodeId(2)].clone();
    // A round trip is known when the second has answered something of the first.
    until("a round trip", || peer.round_trip_us().is_some()).await;
    assert!(cluster.is_alive(&peer));
    let vitals = peer.vitals().unwrap();
    assert_eq!(vitals.sessions, [(NodeId(1), 71)]);
    assert!(!vitals.leads);

    // A member that stops, or is removed, is cut off on both sides.
    second.former.clear_running();
    until("cut off", || !peer.is_connected()).await;
}

#[tokio::test]
async fn a_member_that_was_never_told_is_invited_by_whoever_dials_it() {
    let (mut first, second) = (Port::member(1).await, Port::open(2, Phase::Fresh).await);
    first.serve(&founded(&[&first, &second]), Marks::default());
    let founded = second.former.enter_cluster(&[], None, true).await.unwrap();
    assert_eq!(founded.cluster, OURS);
}

#[tokio::test]
async fn another_node_at_a_members_address_is_left_alone() {
    let (mut first, second) = (Port::member(1).await, Port::open(2, Phase::Fresh).await);
    let other = Member { incarnation: Incarnation(99), ..second.me() };
    let membership = Membership::founded([first.me(), other.clone()]);
    first.serve(&membership, Marks::default());
    let invited = crate::peer::ask::invite(&first.former.hello(), OURS, &other, PATIENCE).await;
    assert!(invited.unwrap_err().to_string().contains("another node"));
    assert_eq!(second.former.phase(), Phase::Fresh);
}

#[tokio::test]
async fn a_node_that_was_removed_while_it_was_away_is_told_when_it_comes_back() {
    let (mut first, mut third) = (Port::member(1).await, Port::member(3).await);
    let before = founded(&[&first, &third]);
    let mut after = before.clone();
    after.apply(&[remex_model::MemberChange::Remove(NodeId(3))]).unwrap();
    after.apply(&[]).unwrap();
    first.serve(&after, Marks::default());
    third.serve(&before, Marks::default());
    let reason = third
        .input(|input| match input {
            Input::Expelled(Expulsion::Removed(reason)) => Some(reason),
            _ => None,
        })
        .await;
    assert!(reason.contains("n3") && reason.contains("removed"), "{reason}");
}

#[tokio::test]
async fn a_node_with_an_old_disk_is_told_and_believes_it_only_if_it_is_true() {
    let (mut first, mut second) = (Port::member(1).await, Port::member(2).await);
    let membership = founded(&[&first, &second]);
    let mut out = vec![1];
    let mut encoder = remex_model::Encoder::new(&mut out);
    encoder.count(1);
    for number in [2, 3, 6] {
        encoder.u64(number);
    }
    let marks = Marks::decode(&mut remex_model::Decoder::new(out.into())).unwrap();
    first.serve(&membership, marks);
    second.serve(&membership, Marks::default());
    let rolled_back = |input| match input {
        Input::Expelled(Expulsion::RolledBack(reason)) => Some(reason),
        _ => None,
    };
    let reason = second.input(rolled_back).await;
    assert!(reason.contains("entry 6") && reason.contains("entry 5"), "{reason}");

    // It has got the entry now: the refusal that was on its way means nothing.
    let position = Position { term: Term(3), last_index: Index(6) };
    let cluster = second.cluster.clone().unwrap();
    cluster.set_turn(Some(NodeId(1)), position);
    let peer = cluster.peers()[&NodeId(1)].clone();
    until("connected", || peer.is_connected()).await;
}

#[tokio::test]
async fn strangers_get_a_refusal_and_nothing_else() {
    let mut port = Port::member(1).await;
    port.serve(&founded(&[&port]), Marks::default());
    let address = port.me().peer_address;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: remex\r\n\r\n").await.unwrap();
    let mut buffer = Vec::new();
    // It is no frame: the connection just ends.
    assert!(stream.read_to_end(&mut buffer).await.is_err() || buffer.is_empty());

    let mut stream = TcpStream::connect(&address).await.unwrap();
    frame::write(&mut stream, |out| out.extend_from_slice(b"what is this")).await.unwrap();
    let mut buffer = BytesMut::new();
    let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await.unwrap();
    let answer = Answer::decode(payload).unwrap();
    assert!(matches!(answer, Answer::Refused { code: RefusalCode::Other, .. }), "{answer:?}");

    // Who is not a member cannot have members changed, even if it knows the cluster.
    let stranger = Port::member(5).await;
    let step = MemberStep::Remove("n1".to_owned());
    let question = Question::Change { step, force: true, ttl_ms: 1000 };
    let hello = stranger.former.hello();
    let (_, reply) = ask(&hello, &address, None, &question, PATIENCE).await.unwrap();
    let Reply::Denied(error) = reply else { panic!("denied, not {reply:?}") };
    assert!(error.detail.contains("not a member"), "{error}");
    // Nor read a snapshot.
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let hello = Hello { purpose: Purpose::Fetch, ..hello };
    frame::write(&mut stream, |out| hello.encode(out)).await.unwrap();
    let mut buffer = BytesMut::new();
    let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await.unwrap();
    let answer = Answer::decode(payload).unwrap();
    assert!(matches!(answer, Answer::Refused { code: RefusalCode::NotAMember, .. }), "{answer:?}");
}

#[tokio::test]
async fn connections_that_come_by_another_port_are_heard_like_all_others() {
    let port = Port::member(1).await;
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = other.local_addr().unwrap().to_string();
    let stranger = Port::open(2, Phase::Fresh).await;
    let hello = stranger.former.hello();
    let asking = ask(&hello, &address, None, &Question::Look, PATIENCE);
    let handing = async { port.port.take(other.accept().await.unwrap().0) };
    let (answered, ()) = tokio::join!(asking, handing);
    let (them, Reply::Here { member, .. }) = answered.unwrap() else { panic!("not who it is") };
    assert_eq!((them.node.id, &member), (NodeId(1), &port.me()));

    // Whoever is no peer is told so, or just cut off.
    let mut stream = TcpStream::connect(&address).await.unwrap();
    port.port.take(other.accept().await.unwrap().0);
    frame::write(&mut stream, |out| out.extend_from_slice(b"what is this")).await.unwrap();
    let mut buffer = BytesMut::new();
    let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await.unwrap();
    assert!(matches!(Answer::decode(payload).unwrap(), Answer::Refused { .. }));

    // A node that has ended takes nothing more.
    let gone = port.port.clone();
    drop(port);
    let mut stream = TcpStream::connect(&address).await.unwrap();
    gone.take(other.accept().await.unwrap().0);
    let mut buffer = Vec::new();
    assert!(stream.read_to_end(&mut buffer).await.is_err() || buffer.is_empty());
}
