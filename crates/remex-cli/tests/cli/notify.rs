//! What `remex serve` tells the service manager that started it, over the manager's socket.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::remex;

/// Time for one message; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service manager with one service, which is stopped in the end whatever happens.
struct Manager {
    socket: UnixDatagram,
    service: Child,
}

impl Manager {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let ports = ["serve", "--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0"];
        let mut command = remex(&[&ports[..], arguments].concat());
        command.current_dir(directory).env("NOTIFY_SOCKET", &path);
        let service = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { socket, service }
    }

    /// The variables of the next message.
    fn next(&self) -> BTreeSet<String> {
        let mut buffer = [0; 4096];
        let length = loop {
            match self.socket.recv(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received.unwrap(),
            }
        };
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Reads messages up to one that holds a line beginning with this; none may be of another kind
    /// than `STATUS=` before.
    fn until(&self, begin: &str) -> BTreeSet<String> {
        loop {
            let message = self.next();
            if message.iter().any(|line| line.starts_with(begin)) {
                return message;
            }
            assert!(message.iter().all(|line| line.starts_with("STATUS=")), "{message:?}");
        }
    }

    /// Stops the service; what it said last, and its exit code.
    fn stop(mut self) -> (BTreeSet<String>, Option<i32>) {
        let pid = self.service.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let code = self.service.wait().unwrap().code();
        let last = self.until("STOPPING=1");
        self.socket.set_nonblocking(true).unwrap();
        assert!(self.socket.recv(&mut [0; 1]).is_err(), "nothing is said after that");
        (last, code)
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        self.service.kill().ok();
        self.service.wait().ok();
    }
}

#[test]
fn a_service_manager_is_told_of_start_role_and_end() {
    let directory = tempfile::tempdir().unwrap();
    let manager = Manager::start(directory.path(), &[]);
    let first = manager.next();
    assert!(first.contains("READY=1"), "{first:?}");
    if !first.iter().any(|line| line.starts_with("STATUS=leader in term ")) {
        manager.until("STATUS=leader in term ");
    }
    let (last, code) = manager.stop();
    assert!(last.contains("STATUS=stopping"), "{last:?}");
    assert_eq!(code, Some(0));
}

#[test]
fn a_node_that_waits_for_others_is_ready_for_the_service_manager_and_says_what_it_waits_for() {
    let directory = tempfile::tempdir().unwrap();
    let manager = Manager::start(directory.path(), &["--wait"]);
    let first = manager.next();
    assert!(first.contains("READY=1"), "{first:?}");
    let waits = "STATUS=waits for other nodes, or to be invited";
    assert!(first.contains(waits), "{first:?}");
    assert_eq!(manager.stop().1, Some(0));
}
