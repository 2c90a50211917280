//! `cargo xtask rehearse`: what Kubernetes would do with `deploy/kubernetes`, without Kubernetes.
//!
//! The pods of the StatefulSet are started as processes, each in a network namespace of its own
//! with an address of its own, with the environment of the manifest expanded as the kubelet does
//! it, on a read-only root folder that holds what the image holds, as the user of the manifest and
//! with no privilege. A small name server (`names`) answers for the two services. Then the
//! cluster lives through what happens to pods (`acts`), while a client in a pod of its own writes
//! through the service.
//!
//! Everything happens in namespaces that end with the process: the machine's network and mounts are
//! not touched, and nothing is left behind. It needs Linux and root, so it is no part of CI.
//!
//! What it is not: no container runtime, scheduler, kube-proxy, volume driver or seccomp profile is
//! involved. The service's name resolves to the pods that are ready instead of to one address
//! behind which kube-proxy chooses; the pods' file systems are folders of this machine.

mod acts;
mod cluster;
mod manifest;
mod names;
mod network;
mod pod;
mod writer;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

pub use manifest::Manifest;

/// Says, to the process that runs in the namespaces, that it does.
const INSIDE: &str = "REMEX_REHEARSAL_INSIDE";

/// Rehearses with a program that was built before.
///
/// # Errors
/// If something does not go as it should, or this is not Linux, or the user is not root.
pub fn run(root: &Path, program: &Path) -> anyhow::Result<()> {
    let program = program.canonicalize().with_context(|| format!("{}", program.display()))?;
    if env::var_os(INSIDE).is_some() {
        return acts::run(root, &program);
    }
    ensure!(cfg!(target_os = "linux"), "the rehearsal needs the namespaces of Linux");
    let myself: PathBuf = env::current_exe().context("finding this program")?;
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(myself)
        .args(["rehearse", "--binary"])
        .arg(program)
        .env(INSIDE, "1")
        .status()
        .context("starting unshare")?;
    if !status.success() {
        bail!("the rehearsal failed (it needs root)");
    }
    Ok(())
}
