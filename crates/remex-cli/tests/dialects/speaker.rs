//! A node with a listener for one dialect of its own.

use std::net::SocketAddr;

use remex_testkit::cluster::ports::free_address;
use remex_testkit::cluster::{PATIENCE, Signal};
use remex_testkit::http::{HttpClient, Reply};

use crate::{Stage, ask, eventually};

/// Where a node is reached, and how it is started: the same way every time.
pub(crate) struct Speaker {
    /// Where it speaks the dialect.
    pub(crate) dialect: SocketAddr,
    /// Where it speaks the native API.
    pub(crate) native: SocketAddr,
    /// Where peers reach it.
    pub(crate) peer: SocketAddr,
    name: String,
    language: String,
    flags: Vec<String>,
    /// Its directory on the stage, which also names its logs.
    directory: String,
    /// Its process on the stage; `None` before its first start.
    process: Option<usize>,
}

impl Speaker {
    /// A node that is not started yet.
    pub(crate) fn new(dialect: &str, name: &str, flags: &[&str]) -> Self {
        let [speaks, native, peer] = [(); 3].map(|()| free_address().unwrap());
        Self {
            dialect: speaks,
            native,
            peer,
            name: name.to_owned(),
            language: dialect.to_owned(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            directory: format!("data-{}", peer.port()),
            process: None,
        }
    }

    /// One that takes requests, in a cluster of its own.
    pub(crate) fn alone(stage: &mut Stage, dialect: &str, name: &str) -> Self {
        let mut speaker = Self::new(dialect, name, &[]);
        speaker.start(stage);
        speaker.wait_ready();
        speaker
    }

    /// Three that founded a cluster together, named 1, 2 and 3.
    pub(crate) fn three(stage: &mut Stage, dialect: &str) -> [Self; 3] {
        let mut three = ["1", "2", "3"].map(|name| Self::new(dialect, name, &["--expect", "3"]));
        let peers = three.each_ref().map(|speaker| speaker.peer.to_string()).join(",");
        for speaker in &mut three {
            speaker.flags.extend(["--join".to_owned(), peers.clone()]);
            speaker.start(stage);
        }
        three.iter().for_each(Self::wait_ready);
        three
    }

    /// Lets it run where another one ran, as far as its peers can tell.
    pub(crate) fn move_to(&mut self, other: &Self) {
        self.peer = other.peer;
    }

    /// Starts it, for the first time or again.
    pub(crate) fn start(&mut self, stage: &mut Stage) {
        let (listen, peer_listen) = (self.native.to_string(), self.peer.to_string());
        let dialect = format!("{}={}", self.language, self.dialect);
        let mut arguments = vec!["serve", "--name", &self.name, "--data-dir", &self.directory];
        arguments.extend(["--listen", &listen, "--peer-listen", &peer_listen]);
        arguments.extend(["--dialect", &dialect]);
        arguments.extend(self.flags.iter().map(String::as_str));
        self.process = Some(stage.start(&self.directory, &arguments));
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&self, stage: &mut Stage) {
        let process = stage.process(self.process.unwrap());
        process.signal(Signal::KILL).unwrap();
        process.wait_exit(PATIENCE).unwrap();
    }

    /// Waits until it has ended by itself; answers with its exit code.
    pub(crate) fn wait_exit(&self, stage: &mut Stage) -> Option<i32> {
        stage.process(self.process.unwrap()).wait_exit(PATIENCE).unwrap().code()
    }

    /// What it has logged.
    pub(crate) fn log(&self, stage: &mut Stage) -> String {
        stage.process(self.process.unwrap()).logs().stderr().unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until it takes requests.
    pub(crate) fn wait_ready(&self) {
        let ready = || self.look("/readyz").filter(|reply| reply.status == 200);
        eventually("a node that takes requests", ready);
    }

    /// Waits until this node sees that the members of these names vote, and no others.
    pub(crate) fn wait_voters(&self, names: &[&str]) {
        eventually(&format!("the voters {names:?}"), || {
            let reply = self.look("/v1/cluster/members").filter(|reply| reply.status == 200)?;
            let members = reply.json().unwrap()["members"].as_array().unwrap().clone();
            let voters = members.iter().filter(|member| member["role"] == "voter");
            let mut seen: Vec<_> = voters.map(|it| it["name"].as_str().unwrap()).collect();
            seen.sort_unstable();
            (seen == names && members.len() == names.len()).then_some(reply.clone())
        });
    }

    /// A member as this node sees it.
    pub(crate) fn member(&self, name: &str) -> serde_json::Value {
        let members = ask(self.native, "GET", "/v1/cluster/members", "").json().unwrap();
        let members = members["members"].as_array().unwrap();
        members.iter().find(|member| member["name"] == name).cloned().unwrap_or_default()
    }

    /// One attempt to read a path of the native API.
    fn look(&self, target: &str) -> Option<Reply> {
        HttpClient::new(self.native, PATIENCE).get(target).ok()
    }
}

/// Asks until this is the status and the body of the answer.
pub(crate) fn wait_for(address: SocketAddr, target: &str, status: u16, body: &str) -> Reply {
    eventually(&format!("{status} {body:?} at {target}"), || {
        let reply = HttpClient::new(address, PATIENCE).get(target).ok()?;
        (reply.status == status && reply.text() == body).then_some(reply)
    })
}
