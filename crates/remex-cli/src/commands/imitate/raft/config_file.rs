//! The configuration file of `raft`: the flags as JSON.

use std::fs;

use serde_json::{Map, Value};

use super::super::go_flags::Words;
use super::super::mistake;
use super::super::plan::Plan;
use super::flags::PROGRAM;
use crate::exit::Failure;

/// Reads the file. Keys that mean nothing are remarked on.
pub(super) fn read(path: &str, plan: &mut Plan) -> Result<Words, Failure> {
    let wrong = |why: &str| mistake(format!("--config-file: {path}: {why}"));
    let text = fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
    let object: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    let mut values = Vec::new();
    for (key, value) in object {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Null => continue,
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(wrong(&format!("{key} is neither a text nor a number")));
            }
        };
        match flag(&key) {
            Some(name) => values.push((name, text)),
            None => {
                plan.remark(format!("raft does not look at {key} in {path}"));
            }
        }
    }
    PROGRAM.collect(values).map_err(|why| wrong(&why))
}

/// The flag that a key stands for. The keys are those of the program, in any case of their letters,
/// or the names of the flags with `_`.
fn flag(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    let key = key.strip_prefix("write_ahead_").unwrap_or(&key);
    let key = key.strip_suffix("_in_millis").unwrap_or(key);
    let name = match key {
        "node_id" => "id".to_owned(),
        "cluster_mode" => "join-mode".to_owned(),
        other => other.replace('_', "-"),
    };
    let is_known = |flag: &str| flag == name && flag != "config-file";
    PROGRAM.flags.iter().map(|flag| flag.name).find(|flag| is_known(flag))
}

/// The key that stands for a flag, in the program's spelling.
pub(super) fn key(name: &str) -> String {
    match name {
        "id" => "node_id".to_owned(),
        "join-mode" => "cluster_mode".to_owned(),
        other => other.replace('-', "_"),
    }
}
