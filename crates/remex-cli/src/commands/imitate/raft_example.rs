//! `raft-example`: the key/value store of one file over HashiCorp's Raft library.
//!
//! Every node is the leader of a cluster of its own until another one is told to `/join` it: a
//! cluster that nobody has written to is given up for the other one.

use super::address::{Address, port};
use super::machine::Machine;
use super::mistake;
use super::plan::Plan;
use crate::exit::Failure;
use crate::settings::check_name;

/// Its options; all of them are required.
pub(super) fn help() -> String {
    "Usage of raft-example:\n  --node-id ID\n    \tname of this node (required)\n  \
     --raft-port PORT\n    \tport for the other nodes, on localhost (required)\n  \
     --http-port PORT\n    \tport for clients, on all addresses (required)\n\
     The data is kept in ./data/raftID.\n"
        .to_owned()
}

/// Reads the words as the program does: the value of an option is the next word, whatever it is,
/// the last one given holds, and words that are no option are not looked at.
pub(super) fn plan(words: &[String], machine: &dyn Machine) -> Result<Plan, Failure> {
    let value = |name: &str| {
        let given = words.windows(2).rev().find(|pair| pair[0] == name);
        given.map(|pair| pair[1].as_str()).filter(|value| !value.is_empty())
    };
    let required =
        |name| value(name).ok_or_else(|| mistake(format!("Missing required parameter: {name}")));
    let id = required("--node-id")?;
    let raft = required("--raft-port")?;
    let http = required("--http-port")?;
    let wrong = |name, text, why| mistake(format!("{name}: '{text}' {why}"));
    check_name(id).map_err(|why| wrong("--node-id", id, why))?;
    let raft = Address::here(port(raft).map_err(|why| wrong("--raft-port", raft, why))?);
    let http = Address::everywhere(port(http).map_err(|why| wrong("--http-port", http, why))?);
    if raft.overlaps(&http) {
        return Err(mistake("--raft-port and --http-port are the same: choose two ports"));
    }
    let mut plan = Plan::new();
    plan.set("name", id)
        .set("data-dir", format!("data/raft{id}"))
        .switch_on("single-port")
        .set("listen", raft.listen())
        .set("peer-advertise", raft.told(machine))
        .set("dialect", format!("raft-example={}", http.listen()));
    let unread = unread(words);
    if !unread.is_empty() {
        plan.remark(format!("raft-example does not look at: {}", unread.join(" ")));
    }
    Ok(plan)
}

/// The words that are neither an option nor its value.
fn unread(words: &[String]) -> Vec<&str> {
    let is_option = |word: &str| matches!(word, "--node-id" | "--raft-port" | "--http-port");
    let follows_option = |at: usize| at > 0 && is_option(&words[at - 1]);
    let unread = words.iter().enumerate();
    let unread = unread.filter(|(at, word)| !is_option(word) && !follows_option(*at));
    unread.map(|(_, word)| word.as_str()).collect()
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
    fn e1_the_documented_line_becomes_settings() {
        assert_eq!(
            native("--node-id node1 --raft-port 2222 --http-port 8222"),
            "--name node1 --data-dir data/raftnode1 --single-port --listen 127.0.0.1:2222 \
             --peer-advertise localhost:2222 --dialect raft-example=0.0.0.0:8222"
        );
    }

    #[test]
    fn e1_what_is_missing_is_named_in_the_programs_order() {
        for (line, name) in [
            ("", "--node-id"),
            ("--http-port 1 --raft-port 2", "--node-id"),
            ("--node-id a --http-port 1", "--raft-port"),
            ("--node-id a --raft-port 2", "--http-port"),
            ("--node-id=a --raft-port 2 --http-port 1", "--node-id"),
            ("--raft-port 2 --http-port 1 --node-id", "--node-id"),
        ] {
            let failure = read(line).unwrap_err();
            assert_eq!(failure.message, format!("Missing required parameter: {name}"), "{line}");
            assert_eq!(failure.exit, Exit::Failure);
        }
    }

    #[test]
    fn e1_the_value_is_the_next_word_whatever_it_is() {
        let failure = read("--node-id --raft-port 2222 --http-port 8222").unwrap();
        assert_eq!(failure.settings[0], ("name", "--raft-port".to_owned()));
        assert!(native("--node-id a --raft-port 1 --raft-port 2 --http-port 3").contains(":2 "));
    }

    #[test]
    fn what_cannot_work_is_refused_in_the_programs_words() {
        for (line, want) in [
            ("--node-id a/b --raft-port 1 --http-port 2", "--node-id: 'a/b' must be"),
            ("--node-id a --raft-port x --http-port 2", "--raft-port: 'x' has no port"),
            ("--node-id a --raft-port 1 --http-port 65536", "--http-port: '65536' has no port"),
            ("--node-id a --raft-port 1 --http-port 1", "choose two ports"),
        ] {
            let failure = read(line).unwrap_err();
            assert!(failure.message.contains(want), "{}", failure.message);
        }
    }

    #[test]
    fn what_is_not_looked_at_is_said() {
        let plan = read("x --node-id a --raft-port 1 --http-port 2 --verbose").unwrap();
        assert_eq!(plan.remarks, ["raft-example does not look at: x --verbose"]);
    }
}
