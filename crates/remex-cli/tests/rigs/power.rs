//! Power cuts: the file system under a node stops at an instant, and is mounted again as a machine
//! does that starts. What was synced is there; what was not is there or not.
//!
//! The file system is shut down under the running node, as the driver of a disk does that has lost
//! its power: whatever call is under way is cut in its middle, nothing reaches the image any more, and
//! what only the page cache held is gone. (Copying the image of a mounted file system would not be one
//! instant: the copy takes longer than a sync.)

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use remex_testkit::cluster::PATIENCE;

use crate::disks::{Kind, Mount};
use crate::life::{Context, load, prepare, revive, writers};
use crate::settings::{number, say, skip};

/// What CI can afford, in cuts.
const CUTS_IN_CI: usize = 4;

/// Size of the file system, in mebibytes: on a smaller one history is dropped after some dozens of
/// cuts, and old revisions could not be compared. The image has holes.
const DISK_MIB: u64 = 1024;

#[test]
fn r12_what_was_acknowledged_survives_the_power() {
    let cuts = number("REMEX_RIG_CUTS", CUTS_IN_CI);
    let mut cluster = prepare(1);
    let data = cluster.nodes()[0].data_directory().to_owned();
    let mut mount = match Mount::make(Kind::Ext4, DISK_MIB, &data, cluster.directory()) {
        Ok(mount) => mount,
        Err(missing) => return skip("power cuts", &missing),
    };
    let (begun, mut random) = (Instant::now(), fastrand::Rng::with_seed(7));
    let mut writers = writers();
    cluster.node(0).start().unwrap();
    cluster.node(0).wait_ready().unwrap();
    for cut in 1..=cuts {
        let context = Context(format!("power cut {cut} of {cuts}"));
        let node = cluster.node(0);
        let pause = Duration::from_millis(random.u64(20..600));
        let done = Mutex::new(Ok(()));
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(pause);
                *done.lock().unwrap_or_else(PoisonError::into_inner) = mount.shut_down();
            });
            load(node, &mut writers, usize::MAX);
        });
        if let Err(missing) = done.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return skip("power cuts", &missing);
        }
        // It notices at its next write; if it does not, it is cut off with the machine.
        let status = node.wait_exit(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(1), "{}", node.logs().tail());
        mount = mount.remount();
        revive(node, &mut writers);
        drop(context);
    }
    let changes: usize = writers.iter().map(crate::writer::Writer::acknowledged).sum();
    say(&format!("{cuts} power cuts, {changes} changes kept, in {:.0?}", begun.elapsed()));
    drop(cluster);
    drop(mount);
}
