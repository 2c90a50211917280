//! A store that applies a write once for its idempotency key, behind connections that are cut at
//! the worst places: before, in and behind the request, before, in and behind the answer. No
//! request may fail, and none may be applied twice.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use remex_client::{Batch, Delete, Put};

use crate::client;
use crate::script::{header, read_request};

const WRITES: usize = 100;
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 60\r\n\
    \r\n{\"key\":\"a\",\"revision\":7,\"create_revision\":3,\"version\":2}    ";
const DRAINING: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 44\r\n\r\n\
    {\"code\":\"draining\",\"outcome\":\"not_applied\"}  ";

/// Where one exchange ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Cut {
    /// The connection is closed unread.
    Unread,
    /// The request is read and not carried out.
    Read,
    /// It is carried out, and nothing is said.
    Silent,
    /// The answer ends in its head.
    InHead,
    /// The answer ends in its body.
    InBody,
    /// The whole answer, and then the end without a warning.
    Behind,
    /// Turned away.
    Refused,
    /// All is well.
    None,
}

const CUTS: [Cut; 8] = [
    Cut::Unread,
    Cut::Read,
    Cut::Silent,
    Cut::InHead,
    Cut::InBody,
    Cut::Behind,
    Cut::Refused,
    Cut::None,
];

/// The store: what was applied under which key.
#[derive(Debug, Default)]
struct Store {
    applied: HashMap<String, String>,
    /// Requests that were carried out although their key was known already.
    replays: usize,
    cuts: HashMap<Cut, usize>,
}

/// Serves until a connection ends; returns how it was cut.
fn serve(stream: TcpStream, store: &Mutex<Store>, random: &mut fastrand::Rng) {
    let mut connection = BufReader::new(stream);
    loop {
        let cut = CUTS[random.usize(..CUTS.len())];
        if cut == Cut::Unread {
            *store.lock().unwrap().cuts.entry(cut).or_default() += 1;
            return;
        }
        let Some(request) = read_request(&mut connection) else { return };
        let mut store = store.lock().unwrap();
        *store.cuts.entry(cut).or_default() += 1;
        if cut == Cut::Read {
            return;
        }
        if cut != Cut::Refused {
            let key = header(&request.head, "idempotency-key").unwrap().to_owned();
            let line = request.head.lines().next().unwrap();
            let write = format!("{line} {}", request.body);
            if let Some(earlier) = store.applied.insert(key, write.clone()) {
                assert_eq!(earlier, write, "a key stands for one write");
                store.replays += 1;
            }
        }
        drop(store);
        let answer = match cut {
            Cut::Unread | Cut::Read | Cut::Silent => return,
            Cut::InHead => &ANSWER[..30],
            Cut::InBody => &ANSWER[..ANSWER.len() - 10],
            Cut::Behind | Cut::None => ANSWER,
            Cut::Refused => DRAINING,
        };
        // A client that gave up is as good as one that reads this.
        if connection.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
        if !matches!(cut, Cut::None | Cut::Refused) {
            return;
        }
    }
}

/// A node over the store. Its threads end with the process.
fn node(store: &Arc<Mutex<Store>>, seed: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let store = Arc::clone(store);
    std::thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(seed);
        for stream in listener.incoming() {
            let (store, mut random) = (Arc::clone(&store), random.fork());
            std::thread::spawn(move || serve(stream.unwrap(), &store, &mut random));
        }
    });
    address
}

#[tokio::test]
async fn no_write_fails_and_none_is_applied_twice() {
    let store = Arc::new(Mutex::new(Store::default()));
    let nodes: Vec<String> = (1..=3).map(|seed| node(&store, seed)).collect();
    // More rounds than luck can use up; the timeout is what bounds them.
    let client = client(&nodes.join(","), 1_000);
    for number in 0..WRITES {
        match number % 3 {
            0 => drop(client.put("a", format!("{number}"), &Put::new()).await.unwrap()),
            1 => {
                let call = Delete::new().call(&format!("k{number}")).unwrap();
                drop(client.send(&call).await.unwrap());
            }
            _ => drop(client.batch(&Batch::new().put("a", number)).await.unwrap()),
        }
    }
    let store = store.lock().unwrap();
    let mut applied: Vec<&String> = store.applied.values().collect();
    applied.sort();
    applied.dedup();
    assert_eq!(applied.len(), WRITES, "every write was applied under one key");
    assert_eq!(store.applied.len(), WRITES, "and under one key only");
    assert!(store.replays > 0, "some were repeated after they had been applied");
    assert!(CUTS.iter().all(|cut| store.cuts.contains_key(cut)), "{:?}", store.cuts);
}
