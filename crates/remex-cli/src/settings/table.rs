//! The table of settings, and its form as flags.

use clap::{Arg, ArgAction, ArgMatches, Command};

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name: the flag without dashes, and the key in the file.
    pub(crate) name: &'static str,
    /// What stands for its value in the help; empty for a switch, which has no value as a flag.
    pub(crate) value: &'static str,
    /// The value if nobody says otherwise.
    pub(crate) default: Option<&'static str>,
    /// What it does, as the help says it.
    pub(crate) help: &'static str,
    /// Under which heading the help has it; empty if the help has nothing to say of it.
    pub(crate) heading: &'static str,
    /// Whether it is a list: its text is comma separated, and its flag may be repeated.
    pub(crate) is_list: bool,
}

impl Setting {
    /// Whether it is on or off.
    pub(crate) fn is_switch(&self) -> bool {
        self.value.is_empty()
    }

    /// The variable's name.
    pub(crate) fn variable(&self) -> String {
        format!("REMEX_{}", self.name.replace('-', "_").to_ascii_uppercase())
    }
}

const NODE: &str = "Node";
const CLUSTER: &str = "Cluster";
const LIMITS: &str = "Limits";
const TUNING: &str = "Logs and tuning";
/// Sizes that are right as they are: they can be set so that tests need little data.
const UNLISTED: &str = "";

const fn setting(
    heading: &'static str,
    name: &'static str,
    value: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { name, value, default, help, heading, is_list: false }
}

/// A setting that takes any number of values.
const fn list(
    heading: &'static str,
    name: &'static str,
    value: &'static str,
    help: &'static str,
) -> Setting {
    Setting { name, value, default: None, help, heading, is_list: true }
}

/// All settings of `remex serve`.
#[rustfmt::skip] // One line a setting is what makes it a table.
pub(crate) const TABLE: &[Setting] = &[
    setting(NODE, "name", "NAME", None, "Label of this node; by default the host name"),
    setting(NODE, "data-dir", "DIR", Some("./remex-data"), "Where everything is kept"),
    setting(NODE, "log-dir", "DIR", None, "Folder of its own for the log; remembered in --data-dir"),
    setting(NODE, "engine-dir", "DIR", None, "Folder of its own for keys and history; remembered in --data-dir"),
    setting(NODE, "snapshot-dir", "DIR", None, "Folder of its own for snapshots under way; remembered in --data-dir"),
    setting(NODE, "listen", "ADDR", Some("127.0.0.1:7480"), "Address for clients"),
    setting(NODE, "advertise", "URL", None, "URL that clients are told; by default made from --listen"),
    setting(NODE, "peer-listen", "ADDR", Some("127.0.0.1:7481"), "Address for the other nodes"),
    setting(NODE, "peer-advertise", "ADDR", None, "Address that the other nodes are told; by default --peer-listen"),
    setting(NODE, "single-port", "", None, "Peers connect to --listen, too: no port of their own"),
    list(NODE, "dialect", "NAME=ADDR", "Speak the API of raft-example, hraftd or raftexample at an address of its own; may be repeated"),
    list(NODE, "allow-host", "HOSTS", "Host names that browsers may use for requests which write by GET, beside those of the nodes"),
    list(CLUSTER, "join", "ADDRS", "Join the cluster of any of these nodes: peer addresses, or http:// URLs for clients, comma separated; may include this one"),
    setting(CLUSTER, "expect", "N", None, "With --join: found a cluster when N nodes see each other, unless there is one already"),
    setting(CLUSTER, "wait", "", None, "Wait to be invited (remex cluster add) instead of founding a cluster"),
    setting(CLUSTER, "cluster-file", "FILE", None, "Addresses of all nodes as JSON; with --name it stands for --listen, --peer-listen, --join and --expect"),
    setting(LIMITS, "max-key-chars", "N", Some("128"), "Longest key, in characters; up to 4096"),
    setting(LIMITS, "max-value-bytes", "SIZE", Some("16KiB"), "Longest value; up to 1536KiB"),
    setting(LIMITS, "max-batch-ops", "N", Some("1024"), "Most operations in a batch"),
    setting(LIMITS, "max-request-bytes", "SIZE", Some("2MiB"), "Longest batch"),
    setting(LIMITS, "max-list-keys", "N", Some("10000"), "Most keys in a page of a listing"),
    setting(LIMITS, "request-timeout", "TIME", Some("5s"), "Time for one request"),
    setting(TUNING, "log-format", "FORMAT", Some("text"), "text or json; logs go to standard error"),
    setting(TUNING, "log-level", "LEVEL", Some("info"), "error, warn, info, debug, trace, or by part: info,remex_http=debug"),
    setting(TUNING, "log-keep-bytes", "SIZE", Some("64MiB"), "Log that is kept for members that are behind; others get a snapshot"),
    setting(TUNING, "heartbeat", "TIME", Some("100ms"), "Pause between two heartbeats of the leader"),
    setting(TUNING, "election-timeout", "TIME", Some("750ms"), "Silence after which a follower stands for election"),
    setting(TUNING, "peer-timeout", "TIME", Some("5s"), "Time to connect to another node, and for a small question to it; one that is silent for three times this is disconnected"),
    setting(TUNING, "forward-timeout", "TIME", None, "Time for a request that is passed to the leader; by default the request's own"),
    setting(TUNING, "connect-retries", "N", Some("5"), "Failed attempts to connect after which another node is said to be unreachable"),
    setting(TUNING, "connect-pause", "TIME", Some("50ms"), "Pause after the first failed attempt to connect; it doubles with each"),
    setting(TUNING, "connect-pause-max", "TIME", Some("1s"), "Longest pause between attempts to connect; they never end"),
    setting(UNLISTED, "segment-bytes", "SIZE", Some("64MiB"), "One segment of the log"),
    setting(UNLISTED, "buffer-bytes", "SIZE", Some("32MiB"), "Changes in memory that are written to disk at once"),
    setting(TUNING, "worker-threads", "N", None, "Threads for requests; by default one less than the cores, 1 to 4"),
];

/// The settings that were given as flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags(pub(crate) Vec<(&'static str, String)>);

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        TABLE.iter().fold(command, |command, setting| {
            let default = setting.default.map(|text| format!(" [default: {text}]"));
            let help = format!("{}{}", setting.help, default.unwrap_or_default());
            let arg = Arg::new(setting.name)
                .long(setting.name)
                .help_heading(setting.heading)
                .help(help)
                .hide(setting.heading == UNLISTED);
            command.arg(if setting.is_switch() {
                arg.action(ArgAction::SetTrue)
            } else if setting.is_list {
                arg.value_name(setting.value).action(ArgAction::Append)
            } else {
                arg.value_name(setting.value)
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &Setting| {
            if setting.is_switch() {
                return matches.get_flag(setting.name).then(|| (setting.name, "true".to_owned()));
            }
            let texts: Vec<&str> =
                matches.get_many::<String>(setting.name)?.map(String::as_str).collect();
            Some((setting.name, texts.join(",")))
        };
        Ok(Self(TABLE.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
