//! What happens to the cluster, one after the other; each act ends when all is well again, and
//! every write that was acknowledged is still there.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::cluster::{Cluster, NAMESPACE};
use super::writer::Writer;

/// How long names do not resolve at first: a name server may have remembered that there is none.
const NAMELESS: Duration = Duration::from_secs(6);
/// Exit code of a node that was removed from its cluster.
const REMOVED: i32 = 9;
/// Time for a removed node to end by itself.
const GONE_LIMIT: Duration = Duration::from_secs(60);

/// The whole rehearsal, in namespaces of its own.
pub(super) fn run(root: &Path, program: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("making a folder")?;
    // The folders of the image belong to root, and the nodes are not root.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut cluster = Cluster::prepare(root, program, folder.path())?;
    let mut acknowledged = BTreeSet::new();
    let done = all(&mut cluster, &mut acknowledged);
    if done.is_err() {
        say(&cluster.logs())?;
    }
    done
}

/// An act: what it is called, what happens, and which pods there are in the end.
type Act = (&'static str, fn(&mut Cluster) -> anyhow::Result<()>, &'static [u64]);

const ACTS: &[Act] = &[
    ("the leader's pod is deleted, comes back with another address", delete_leader, &[0, 1, 2]),
    ("a machine dies, the pod comes back with another address", machine_dies, &[0, 1, 2]),
    ("a volume is lost", volume_lost, &[0, 1, 2]),
    ("names do not resolve while a pod moves", nameless_move, &[0, 1, 2]),
    ("3 to 5", grow, &[0, 1, 2, 3, 4]),
    ("a volume is lost of a pod that is not in the list", late_volume_lost, &[0, 1, 2, 3, 4]),
    ("5 to 3", shrink, &[0, 1, 2]),
    ("a rolling update", roll, &[0, 1, 2]),
];

fn all(cluster: &mut Cluster, acknowledged: &mut BTreeSet<String>) -> anyhow::Result<()> {
    heading("first boot: all at once, names do not resolve yet")?;
    first_boot(cluster)?;
    for (number, (title, act, pods)) in ACTS.iter().enumerate() {
        heading(title)?;
        let service = cluster.manifest.name.clone();
        let writer = Writer::start(Arc::clone(&cluster.image), &service, &format!("act{number}"));
        let happened = act(cluster);
        let settled = happened.and_then(|()| cluster.settle(pods));
        let written = writer.stop()?;
        let settled = settled?;
        say(&format!(
            "  settled {:.1} s after the last step; {} writes, {} failed, the longest took {:.1} s",
            settled.as_secs_f32(),
            written.acknowledged.len() + written.failed.len(),
            written.failed.len(),
            written.longest.as_secs_f32()
        ))?;
        for failure in &written.failed {
            say(&format!("  failed: {failure}"))?;
        }
        ensure!(!written.acknowledged.is_empty(), "nothing could be written");
        acknowledged.extend(written.acknowledged);
        check_data(cluster, acknowledged, pods)?;
    }
    heading("all machines lose their power")?;
    for pod in 0..3 {
        cluster.kill(pod)?;
    }
    (0..3).try_for_each(|pod| cluster.start(pod))?;
    let settled = cluster.settle(&[0, 1, 2])?;
    say(&format!("  settled after {:.1} s", settled.as_secs_f32()))?;
    check_data(cluster, acknowledged, &[0, 1, 2])?;
    heading("everything is lost but a backup")?;
    let settled = restore(cluster)?;
    say(&format!("  settled after {:.1} s", settled.as_secs_f32()))?;
    check_data(cluster, acknowledged, &[0, 1, 2])?;
    heading("a new cluster of five at once")?;
    for pod in 0..3 {
        cluster.kill(pod)?;
        cluster.lose_volume(pod)?;
    }
    // Those of the pods that were removed.
    [3, 4].into_iter().try_for_each(|pod| cluster.lose_volume(pod))?;
    (0..5).try_for_each(|pod| cluster.start(pod))?;
    let settled = cluster.settle(&[0, 1, 2, 3, 4])?;
    say(&format!("  settled after {:.1} s", settled.as_secs_f32()))?;
    heading("all is well")?;
    say(&format!("  {} acknowledged writes, all of them there", acknowledged.len()))
}

/// Every acknowledged write is on every node.
fn check_data(
    cluster: &Cluster,
    acknowledged: &BTreeSet<String>,
    pods: &[u64],
) -> anyhow::Result<()> {
    for &pod in pods {
        let keys = cluster.must(&["ls", "--keys", "-e", &cluster.url(pod)])?;
        let keys: BTreeSet<&str> = keys.lines().collect();
        let lost: Vec<&String> =
            acknowledged.iter().filter(|key| !keys.contains(key.as_str())).collect();
        ensure!(lost.is_empty(), "{} lacks {lost:?}", cluster.pod_name(pod));
    }
    Ok(())
}

fn first_boot(cluster: &mut Cluster) -> anyhow::Result<()> {
    let pods: Vec<u64> = (0..cluster.manifest.replicas).collect();
    pods.iter().try_for_each(|&pod| cluster.start(pod))?;
    thread::sleep(NAMELESS);
    cluster.names.set_answers(true);
    let settled = cluster.settle(&pods)?;
    say(&format!("  settled {:.1} s after the names resolve", settled.as_secs_f32()))
}

fn delete_leader(cluster: &mut Cluster) -> anyhow::Result<()> {
    let leader = cluster.leader()?;
    stop_well(cluster, leader)?;
    cluster.start(leader)
}

/// Deletes a pod, which must end in good order.
fn stop_well(cluster: &mut Cluster, pod: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    let code = cluster.terminate(pod)?;
    ensure!(code == Some(0), "{} ended with {code:?}", cluster.pod_name(pod));
    let name = cluster.pod_name(pod);
    say(&format!("  {name} ended {:.1} s after it was deleted", begun.elapsed().as_secs_f32()))
}

fn machine_dies(cluster: &mut Cluster) -> anyhow::Result<()> {
    let leader = cluster.leader()?;
    cluster.kill(leader)?;
    cluster.start(leader)
}

fn volume_lost(cluster: &mut Cluster) -> anyhow::Result<()> {
    cluster.kill(0)?;
    cluster.lose_volume(0)?;
    cluster.start(0)
}

fn nameless_move(cluster: &mut Cluster) -> anyhow::Result<()> {
    cluster.kill(1)?;
    cluster.names.set_answers(false);
    cluster.start(1)?;
    thread::sleep(NAMELESS);
    cluster.names.set_answers(true);
    Ok(())
}

fn grow(cluster: &mut Cluster) -> anyhow::Result<()> {
    [3, 4].into_iter().try_for_each(|pod| cluster.start(pod))
}

fn late_volume_lost(cluster: &mut Cluster) -> anyhow::Result<()> {
    cluster.kill(4)?;
    cluster.lose_volume(4)?;
    cluster.start(4)
}

/// Removes the members first, then their pods, as docs/deploy/kubernetes.md says.
fn shrink(cluster: &mut Cluster) -> anyhow::Result<()> {
    for pod in [4, 3] {
        let url = format!("http://{}.{NAMESPACE}:7480", cluster.manifest.name);
        cluster.must(&["cluster", "remove", &cluster.pod_name(pod), "-e", &url])?;
        let code = cluster.ended(pod, GONE_LIMIT)?;
        ensure!(code == Some(REMOVED), "{} ended with {code:?}", cluster.pod_name(pod));
        // The set has not been told to have fewer pods yet: it starts this one again.
        cluster.start(pod)?;
        let code = cluster.ended(pod, GONE_LIMIT)?;
        ensure!(code == Some(REMOVED), "{} came back: {code:?}", cluster.pod_name(pod));
    }
    Ok(())
}

/// What docs/deploy/kubernetes.md says under "Restore".
fn restore(cluster: &mut Cluster) -> anyhow::Result<Duration> {
    let backup = cluster.back_up(1)?;
    for pod in 0..3 {
        cluster.kill(pod)?;
        cluster.lose_volume(pod)?;
    }
    cluster.restore(0, &backup)?;
    (0..3).try_for_each(|pod| cluster.start(pod))?;
    cluster.settle(&[0, 1, 2])
}

fn roll(cluster: &mut Cluster) -> anyhow::Result<()> {
    for pod in [2, 1, 0] {
        stop_well(cluster, pod)?;
        cluster.start(pod)?;
        let settled = cluster.settle(&[0, 1, 2])?;
        say(&format!("  settled {:.1} s after it was started", settled.as_secs_f32()))?;
        thread::sleep(Duration::from_secs(cluster.manifest.min_ready_s));
    }
    Ok(())
}

fn heading(text: &str) -> anyhow::Result<()> {
    say(&format!("\n== {text} =="))
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "{text}").context("writing to standard error")
}
