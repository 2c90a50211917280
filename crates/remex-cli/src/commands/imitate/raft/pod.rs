//! `--join-mode=k8s`: a pod of a StatefulSet finds the others by the labels that it carries.
//!
//! Kubernetes' downward API writes the labels to a file, a line `key="value"` each. Three of them
//! tell the cluster's name, its size and its headless service; the pods of the set are then
//! `NAME-0.SERVICE`, `NAME-1.SERVICE` and so on, with the same ports all of them. The names are
//! resolved within the pod's namespace, so that the file `k8s-ns` beside the labels is not needed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::super::mistake;
use super::super::plan::Plan;
use crate::exit::Failure;

const ID: &str = "raft-cluster/id";
const SIZE: &str = "raft-cluster/size";
const SERVICE: &str = "raft-cluster/svcName";

/// Most nodes that a label may promise.
const SIZE_MAX: usize = 99;

/// Adds what others are told of this pod, and whom it forms a cluster with. `ports` are those for
/// clients and for the other nodes.
pub(super) fn set_peers(
    plan: &mut Plan,
    folder: &Path,
    node: &str,
    (api, rpc): (u16, u16),
) -> Result<(), Failure> {
    let path = folder.join("labels");
    let wrong = |why: String| mistake(format!("--cluster-config-path: {}: {why}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let labels = labels(&text).map_err(wrong)?;
    let label = |name: &str| {
        let label = labels.get(name).copied().filter(|text| !text.is_empty());
        label.ok_or_else(|| wrong(format!("the pod has no label {name}")))
    };
    let (id, size, service) = (label(ID)?, label(SIZE)?, label(SERVICE)?);
    let count = size.parse::<usize>().ok().filter(|count| (1..=SIZE_MAX).contains(count));
    let count = count
        .ok_or_else(|| wrong(format!("{SIZE}: '{size}' is no number from 1 to {SIZE_MAX}")))?;

    let own = format!("{node}.{service}");
    let peers: Vec<String> = (0..count).map(|i| format!("{id}-{i}.{service}:{rpc}")).collect();
    plan.set("advertise", format!("http://{own}:{api}"));
    plan.set("peer-advertise", format!("{own}:{rpc}"));
    // A pod beyond the size of the label joins the others; the only one founds its cluster alone.
    if peers != [format!("{own}:{rpc}")] {
        plan.set("join", peers.join(",")).set("expect", (count / 2 + 1).to_string());
    }
    Ok(())
}

/// Reads the labels of a pod.
fn labels(text: &str) -> Result<BTreeMap<&str, &str>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let label = line
                .split_once('=')
                .and_then(|(key, value)| Some((key, value.strip_prefix('"')?.strip_suffix('"')?)));
            label.ok_or_else(|| format!("'{line}' is no label: key=\"value\""))
        })
        .collect()
}
