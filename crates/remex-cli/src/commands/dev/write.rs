//! The files of a cluster, for a start by hand or a move to other machines.

use std::fs;
use std::io;
use std::path::Path;

use super::directory::{self, Directory};
use super::layout::{Layout, Member, local};
use crate::exit::{Exit, Failure};
use crate::shell;

/// What a node's folder may hold.
const NODE_CONTENTS: [&str; 2] = ["data", "remex.toml"];

/// Lays out the files of a cluster. What is there already and is as it would be written stays as
/// it is.
///
/// # Errors
/// If the directory holds anything else: then nothing is written.
pub(super) fn lay_out(
    directory: &Directory,
    layout: &Layout,
    log_level: &str,
) -> Result<(), Failure> {
    let settings = |member: &Member| {
        let text = settings_text(member, directory, log_level);
        (directory.settings_file(&member.name), text)
    };
    let mut files: Vec<(String, String)> = layout.members().iter().map(settings).collect();
    files.push((directory.cluster_file(), directory::cluster_text(layout)));
    check(directory, layout, &files)?;
    for member in layout.members() {
        directory::create(&directory.data_dir(&member.name))?;
    }
    for (file, text) in files {
        if !Path::new(&file).exists() {
            fs::write(&file, text).map_err(|error| directory::unwritable(&file, error))?;
        }
    }
    Ok(())
}

/// Nothing in the directory may be of another's making, or have been edited.
fn check(
    directory: &Directory,
    layout: &Layout,
    files: &[(String, String)],
) -> Result<(), Failure> {
    for name in directory.contents()? {
        let is_node = layout.members().iter().any(|member| member.name == name);
        if !is_node && !directory.cluster_file().ends_with(&format!("/{name}")) {
            return Err(directory::foreign(directory.as_str(), &name));
        }
    }
    for member in layout.members() {
        for name in directory.contents_of(&member.name)? {
            if !NODE_CONTENTS.contains(&name.as_str()) {
                let folder = format!("{}/{}", directory.as_str(), member.name);
                return Err(directory::foreign(&folder, &name));
            }
        }
    }
    for (file, text) in files {
        match fs::read_to_string(file) {
            Ok(found) if found == *text => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) => {
                let message = format!("{file} is not what these options would write");
                return Err(Failure::new(Exit::Protected, message).remedy(
                    "use the options that it was written with, remove it, or name another directory",
                ));
            }
            Err(error) => return Err(directory::unreadable(file, error)),
        }
    }
    Ok(())
}

/// A node's settings file.
fn settings_text(member: &Member, directory: &Directory, log_level: &str) -> String {
    let name = &member.name;
    let dialects = member.dialects.iter();
    let dialects: Vec<String> =
        dialects.map(|(dialect, port)| text(&format!("{dialect}={}", local(*port)))).collect();
    let dialects = if dialects.is_empty() {
        "# dialect = [\"raftexample=127.0.0.1:12380\"]".to_owned()
    } else {
        format!("dialect = [{}]", dialects.join(", "))
    };
    format!(
        "\
# Settings of the node {name}, written by remex dev --write. To start it:
#
#   remex serve --config {file}
#
# Every flag of remex serve can be set here by its name (remex serve --help lists them); a flag
# or a REMEX_* variable wins over what is said here.
#
# To run the node on a machine of its own, copy this file and the cluster file there, and set
# data-dir and cluster-file below to where they are to be. In the cluster file, which is the same
# on every machine, replace 127.0.0.1 with addresses by which the nodes and their clients reach
# each node. There is no authentication yet: let only trusted machines reach the ports.

# The name by which the cluster file knows this node.
name = {name_text}

# Everything that the node keeps. No other node may use the same directory.
data-dir = {data_dir}

# All nodes with their addresses. This node listens on its own (api_url for clients, rpc_url for
# the other nodes) and founds or joins the cluster of the others.
cluster-file = {cluster_file}

# The interfaces of other stores, each on an address of its own of this machine.
{dialects}

# What is logged to standard error: error, warn, info, debug or trace.
log-level = {log_level}
",
        file = shell::quoted(&directory.settings_file(name)),
        name_text = text(name),
        data_dir = text(&directory.data_dir(name)),
        cluster_file = text(&directory.cluster_file()),
        log_level = text(log_level),
    )
}

/// A text as TOML writes it: every string of JSON is one of TOML.
fn text(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}
