//! `raft`: the key/value store with a REST API that was written to learn Go and Raft.
//!
//! All nodes are known from the start: from a cluster file that lies on every machine
//! (`--join-mode=cluster-file`), or in Kubernetes from the labels of the pod (`--join-mode=k8s`).
//! Its documentation calls some options required and gives defaults to them; here they are required.
//! What a container of it takes from variables (`NODE_ID` and so on) holds where an option is
//! missing.

mod config_file;
mod flags;
mod pod;

use std::path::{Path, PathBuf};

use self::flags::PROGRAM;
use super::address::{Address, port};
use super::go_flags::Words;
use super::machine::Machine;
use super::mistake;
use super::plan::Plan;
use crate::exit::Failure;
use crate::settings::check_name;

/// Where Kubernetes puts what a pod may know of itself, unless something else is said.
const POD_FOLDER: &str = "/etc/podinfo";

/// Its flags.
pub(super) fn help() -> String {
    let variables = "Variables hold where the flag is missing: NODE_ID for -id, CLUSTER_CONFIG_PATH for \
                     -cluster-config-path,\nRUNNING_IN_K8S_ENV for -join-mode=k8s.";
    format!("{}{variables}\n", PROGRAM.help())
}

/// Reads the words as the program does.
pub(super) fn plan(words: &[String], machine: &dyn Machine) -> Result<Plan, Failure> {
    let mut plan = Plan::new();
    let told = Told::new(words, machine, &mut plan)?;
    let id = told.required("id", Some("NODE_ID"))?;
    check_name(&id).map_err(|why| told.wrong("id", &id, &why))?;
    let (api, rpc) = (told.port("api-port")?, told.port("rpc-port")?);
    if api == rpc {
        let [api, rpc] = ["api-port", "rpc-port"].map(|name| told.shown(name));
        return Err(mistake(format!("{api} and {rpc} are the same: choose two ports")));
    }
    plan.set("name", &id);
    set_folders(&mut plan, &told)?;
    plan.set("listen", Address::everywhere(api).listen());
    plan.set("peer-listen", Address::everywhere(rpc).listen());
    match told.join_mode()? {
        JoinMode::ClusterFile => {
            let path = told.required("cluster-config-path", Some("CLUSTER_CONFIG_PATH"))?;
            plan.set("cluster-file", path);
        }
        JoinMode::Kubernetes => {
            let path = told.optional("cluster-config-path", Some("CLUSTER_CONFIG_PATH"));
            let folder = PathBuf::from(path.as_deref().unwrap_or(POD_FOLDER));
            pod::set_peers(&mut plan, &folder, &id, (api, rpc))?;
        }
    }
    set_times(&mut plan, &told)?;
    Ok(plan)
}

/// How the nodes find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JoinMode {
    ClusterFile,
    Kubernetes,
}

/// What the program was told, by flags or by its configuration file.
struct Told<'a> {
    words: Words,
    /// The configuration file, if there is one: then flags mean nothing.
    file: Option<String>,
    machine: &'a dyn Machine,
}

impl<'a> Told<'a> {
    fn new(words: &[String], machine: &'a dyn Machine, plan: &mut Plan) -> Result<Self, Failure> {
        let words = PROGRAM.read(words)?;
        if !words.rest.is_empty() {
            let unread = words.rest.join(" ");
            plan.remark(format!("raft does not look at what follows its flags: {unread}"));
        }
        let Some(file) = words.given("config-file").filter(|file| !file.is_empty()) else {
            return Ok(Self { words, file: None, machine });
        };
        let unread: Vec<String> = words
            .names()
            .filter(|name| *name != "config-file")
            .map(|name| format!("--{name}"))
            .collect();
        if !unread.is_empty() {
            let unread = unread.join(" ");
            plan.remark(format!("with --config-file raft does not look at other flags: {unread}"));
        }
        let words = config_file::read(file, plan)?;
        Ok(Self { words, file: Some(file.to_owned()), machine })
    }

    /// What is told for a flag, or else by a variable.
    fn optional(&self, name: &'static str, variable: Option<&str>) -> Option<String> {
        let given = self.words.given(name).filter(|text| !text.is_empty()).map(str::to_owned);
        given.or_else(|| self.machine.variable(variable?))
    }

    fn required(&self, name: &'static str, variable: Option<&str>) -> Result<String, Failure> {
        self.optional(name, variable).ok_or_else(|| {
            let or = variable.map(|variable| format!(" (or the variable {variable})"));
            let or = or.unwrap_or_default();
            match &self.file {
                None => mistake(format!("Missing required flag: --{name}{or}")),
                Some(file) => mistake(format!("{file} has no {}{or}", config_file::key(name))),
            }
        })
    }

    fn port(&self, name: &'static str) -> Result<u16, Failure> {
        let text = self.required(name, None)?;
        port(&text).map_err(|why| self.wrong(name, &text, &why))
    }

    /// A number that is at least 1, told or not.
    fn number(&self, name: &'static str) -> Result<u64, Failure> {
        let text = self.words.get(name);
        match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(self.wrong(name, text, "must be at least 1")),
        }
    }

    fn join_mode(&self) -> Result<JoinMode, Failure> {
        let running_in_pod = self.machine.variable("RUNNING_IN_K8S_ENV").is_some();
        let usual = if running_in_pod { "k8s" } else { self.words.get("join-mode") };
        match self.words.given("join-mode").unwrap_or(usual) {
            "cluster-file" => Ok(JoinMode::ClusterFile),
            "k8s" => Ok(JoinMode::Kubernetes),
            other => Err(self.wrong("join-mode", other, "must be cluster-file or k8s")),
        }
    }

    /// What the user calls a flag: with dashes, or as a key of the configuration file.
    fn shown(&self, name: &'static str) -> String {
        match &self.file {
            None => format!("--{name}"),
            Some(file) => format!("{} in {file}", config_file::key(name)),
        }
    }

    fn wrong(&self, name: &'static str, text: &str, why: &str) -> Failure {
        mistake(format!("{}: '{text}' {why}", self.shown(name)))
    }
}

/// Where things are kept. Two of the paths name a file; what counts is its folder.
fn set_folders(plan: &mut Plan, told: &Told<'_>) -> Result<(), Failure> {
    let entries = told.required("log-entry-path", None)?;
    let metadata = folder(&told.required("log-metadata-path", None)?);
    let state = folder(&told.required("raft-state-path", None)?);
    let snapshots = told.required("snapshot-path", None)?;
    plan.set("data-dir", state.display().to_string());
    for (setting, path, name) in
        [("log-dir", &entries, "log-entry-path"), ("snapshot-dir", &snapshots, "snapshot-path")]
    {
        if lies_in(Path::new(path), &state) {
            // Within its data directory a node has folders of its own.
            plan.remark(format!(
                "what {} is for lies in a folder of {}, beside the state",
                told.shown(name),
                state.display()
            ));
        } else {
            plan.set(setting, path);
        }
    }
    plan.remark(format!(
        "nothing is kept in {}: the log describes itself",
        told.shown("log-metadata-path")
    ));
    // Whoever looks for the folder finds it; but the node's own folders must be empty at first.
    let own = [state.as_path(), Path::new(&entries), Path::new(&snapshots)];
    if !own.iter().any(|own| lies_in(&metadata, own)) {
        plan.folders.push(metadata);
    }
    Ok(())
}

/// Whether a path is a folder or lies in it, as the two are written.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute(path).starts_with(absolute(folder))
}

/// The folder that a path stands for: the path itself, or that of the file it names.
fn folder(path: &str) -> PathBuf {
    let path = Path::new(path);
    let names_file = path.extension().is_some() && !path.is_dir();
    match path.parent() {
        Some(parent) if names_file && parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) if names_file => parent.to_path_buf(),
        _ => path.to_path_buf(),
    }
}

/// Times, which raft takes in milliseconds, and how they must fit together.
fn set_times(plan: &mut Plan, told: &Told<'_>) -> Result<(), Failure> {
    let heartbeat_name = match told.words.given("heartbeat-interval") {
        Some(interval) if told.words.given("heartbeat").is_none_or(|other| other == interval) => {
            "heartbeat-interval"
        }
        Some(_) => {
            let [one, other] = ["heartbeat", "heartbeat-interval"].map(|name| told.shown(name));
            return Err(mistake(format!("{one} and {other} differ: leave one of them out")));
        }
        None => "heartbeat",
    };
    let heartbeat_ms = told.number(heartbeat_name)?;
    let election_ms = told.number("election-timeout")?;
    let rpc_ms = told.number("rpc-timeout")?;
    if heartbeat_ms.saturating_mul(3) > election_ms {
        return Err(mistake(format!(
            "{} ({heartbeat_ms} ms) must be at most a third of {} ({election_ms} ms), or every late \
             heartbeat starts an election",
            told.shown(heartbeat_name),
            told.shown("election-timeout")
        )));
    }
    if rpc_ms <= heartbeat_ms {
        return Err(mistake(format!(
            "{} ({rpc_ms} ms) must be longer than {} ({heartbeat_ms} ms), or nodes that only have \
             nothing to say are disconnected",
            told.shown("rpc-timeout"),
            told.shown(heartbeat_name)
        )));
    }
    plan.set("election-timeout", ms(election_ms))
        .set("heartbeat", ms(heartbeat_ms))
        .set("peer-timeout", ms(rpc_ms))
        .set("request-timeout", ms(told.number("api-timeout")?))
        .set("forward-timeout", ms(told.number("api-fwd-timeout")?))
        .set("connect-retries", told.number("max-conn-retry-attempts")?.to_string());
    Ok(())
}

fn ms(number: u64) -> String {
    format!("{number}ms")
}

#[cfg(test)]
mod tests;
