//! `hraftd`: the reference use of HashiCorp's Raft library that several others build on.
//!
//! A node without `-join` founds a cluster. One with `-join` waits, and asks the node that is named
//! there, in hraftd's own API, until it is a member; hraftd asks once and gives up.

use super::address::Address;
use super::go_flags::{Flag, Kind, Program};
use super::machine::Machine;
use super::mistake;
use super::plan::{Course, Invitation, Plan};
use crate::exit::Failure;
use crate::settings::check_name;

const PROGRAM: Program = Program {
    usage: "Usage: hraftd [options] <raft-data-path>",
    flags: &[
        Flag {
            name: "haddr",
            kind: Kind::Text,
            default: "localhost:11000",
            help: "Set the HTTP bind address",
        },
        Flag {
            name: "id",
            kind: Kind::Text,
            default: "",
            help: "Node ID. If not set, same as Raft bind address",
        },
        Flag {
            name: "inmem",
            kind: Kind::Switch,
            default: "false",
            help: "Use in-memory storage for Raft (has no effect: nothing is lost at a restart)",
        },
        Flag { name: "join", kind: Kind::Text, default: "", help: "Set join address, if any" },
        Flag {
            name: "raddr",
            kind: Kind::Text,
            default: "localhost:12000",
            help: "Set Raft bind address",
        },
    ],
};

/// Its flags.
pub(super) fn help() -> String {
    PROGRAM.help()
}

/// Reads the words as the program does.
pub(super) fn plan(words: &[String], machine: &dyn Machine) -> Result<Plan, Failure> {
    let read = PROGRAM.read(words)?;
    let path = read.rest.first().filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| mistake("No Raft storage directory specified"))?;
    let address = |name: &'static str| {
        let text = read.get(name);
        text.parse::<Address>().map_err(|why| mistake(format!("-{name}: '{text}' {why}")))
    };
    let (raft, http) = (address("raddr")?, address("haddr")?);
    if raft.overlaps(&http) {
        return Err(mistake("-raddr and -haddr are the same port: choose two"));
    }
    let id = Some(read.get("id")).filter(|id| !id.is_empty()).unwrap_or(read.get("raddr"));
    check_name(id).map_err(|why| mistake(format!("-id: '{id}' {why}")))?;

    let mut plan = Plan::new();
    plan.set("name", id).set("data-dir", path);
    let join = read.get("join");
    if !join.is_empty() {
        plan.switch_on("wait");
        plan.course = Course::ServeAndAsk(invitation(join, &raft.told(machine), id)?);
    }
    plan.switch_on("single-port")
        .set("listen", raft.listen())
        .set("peer-advertise", raft.told(machine))
        .set("dialect", format!("hraftd={}", http.listen()));
    if read.is_on("inmem") {
        plan.remark("-inmem has no effect: everything is kept on disk, and there after a restart");
    }
    if let Some(unread) = read.rest.get(1..).filter(|unread| !unread.is_empty()) {
        let unread = unread.join(" ");
        plan.remark(format!("hraftd does not look at what follows the data path: {unread}"));
    }
    Ok(plan)
}

/// What hraftd sends to the node that is to take it in.
fn invitation(join: &str, address: &str, id: &str) -> Result<Invitation, Failure> {
    // Go connects to this machine where the host is missing.
    let host = if join.starts_with(':') { "localhost" } else { "" };
    let node = format!("{host}{join}").parse();
    let node = node.map_err(|error| mistake(format!("-join: {error}")))?;
    let body = serde_json::json!({ "addr": address, "id": id }).to_string();
    Ok(Invitation { node, path: "/join", body })
}

#[cfg(test)]
mod tests {
    use super::super::machine::Imagined;
    use super::super::words;
    use super::*;
    use crate::exit::Exit;

    fn read(line: &str) -> Result<Plan, Failure> {
        plan(&words(line), &Imagined::default())
    }

    fn native(line: &str) -> String {
        read(line).unwrap().arguments()
    }

    #[test]
    fn h14_the_path_is_enough() {
        assert_eq!(
            native("./node0"),
            "--name localhost:12000 --data-dir ./node0 --single-port --listen 127.0.0.1:12000 \
             --peer-advertise localhost:12000 --dialect hraftd=127.0.0.1:11000"
        );
        assert_eq!(read("./node0").unwrap().course, Course::Serve);
    }

    #[test]
    fn h14_joining_waits_and_asks_in_hraftds_words() {
        let line = "-id node1 -haddr localhost:11001 -raddr localhost:12001 -join :11000 /tmp/n1";
        let plan = read(line).unwrap();
        assert_eq!(
            native(line),
            "--name node1 --data-dir /tmp/n1 --wait --single-port --listen 127.0.0.1:12001 \
             --peer-advertise localhost:12001 --dialect hraftd=127.0.0.1:11001"
        );
        assert_eq!(
            plan.announcement(false)[1],
            "then: curl http://localhost:11000/join \
             -d '{\"addr\":\"localhost:12001\",\"id\":\"node1\"}'"
        );
    }

    #[test]
    fn h14_an_address_without_a_host_is_every_address() {
        let native = native("-haddr :11000 -raddr :12000 -id=n --inmem d");
        assert!(native.contains("--listen 0.0.0.0:12000 --peer-advertise MACHINE:12000"));
        assert!(native.ends_with("--dialect hraftd=0.0.0.0:11000"), "{native}");
    }

    #[test]
    fn h14_mistakes_end_with_the_programs_exit_codes() {
        for (line, exit, want) in [
            ("", Exit::Failure, "No Raft storage directory specified"),
            ("-id x", Exit::Failure, "No Raft storage directory specified"),
            // Go's own mistakes have been said with the list of flags already.
            ("-nope d", Exit::Usage, ""),
            ("-haddr nowhere d", Exit::Failure, "-haddr: 'nowhere' has no port"),
            ("-haddr :12000 d", Exit::Failure, "choose two"),
            ("-id a/b d", Exit::Failure, "-id: 'a/b' must be"),
            ("-join https://a d", Exit::Failure, "-join: "),
        ] {
            let failure = read(line).unwrap_err();
            assert_eq!(failure.exit, exit, "{line}");
            assert!(failure.message.contains(want), "{line}: {}", failure.message);
            assert_eq!(failure.message.is_empty(), want.is_empty());
        }
    }

    #[test]
    fn h14_what_has_no_effect_is_said() {
        let plan = read("-inmem d -id late").unwrap();
        assert_eq!(plan.remarks.len(), 2, "{:?}", plan.remarks);
        assert!(plan.remarks[0].starts_with("-inmem has no effect"));
        assert!(plan.remarks[1].ends_with(": -id late"));
    }
}
