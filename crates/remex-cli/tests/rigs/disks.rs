//! Small file systems of their own, for which one must be root.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a file system is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In memory.
    Tmpfs,
    /// ext4 in a file.
    Ext4,
}

/// A mounted file system. It is unmounted when this is dropped.
#[derive(Debug)]
pub(crate) struct Mount {
    path: PathBuf,
    /// The file that an ext4 lies in.
    image: Option<PathBuf>,
}

impl Mount {
    /// Makes a file system of this size and mounts it; its file, if there is one, lies in `beside`.
    ///
    /// # Errors
    /// What this machine lacks.
    pub(crate) fn make(
        kind: Kind,
        mebibytes: u64,
        path: &Path,
        beside: &Path,
    ) -> Result<Self, String> {
        fs::create_dir_all(path).unwrap();
        match kind {
            Kind::Tmpfs => {
                let size = format!("size={mebibytes}m");
                run("mount", &["-t", "tmpfs", "-o", &size, "remex-rig", text(path)])?;
                Ok(Self { path: path.to_owned(), image: None })
            }
            Kind::Ext4 => {
                let image = beside.join("disk.img");
                File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
                run("mkfs.ext4", &["-q", "-F", text(&image)])?;
                Self::of_image(image, path)
            }
        }
    }

    /// Mounts the image of an ext4.
    ///
    /// # Errors
    /// What this machine lacks.
    pub(crate) fn of_image(image: PathBuf, path: &Path) -> Result<Self, String> {
        fs::create_dir_all(path).unwrap();
        run("mount", &["-o", "loop", text(&image), text(path)])?;
        Ok(Self { path: path.to_owned(), image: Some(image) })
    }

    /// The file that the file system lies in.
    pub(crate) fn image(&self) -> &Path {
        self.image.as_ref().expect("only an ext4 is asked for its image")
    }

    /// Cuts the power: from now on nothing reaches the disk, and every call fails. What was synced
    /// is there when the file system is mounted again.
    ///
    /// # Errors
    /// What this machine lacks.
    pub(crate) fn shut_down(&self) -> Result<(), String> {
        // EXT4_IOC_SHUTDOWN without a last flush of the journal.
        let script = "open F, '<', $ARGV[0] or die $!; my $how = pack 'L', 2; \
                      ioctl F, 0x8004587d, $how or die $!";
        run("perl", &["-e", script, text(&self.path)])
    }

    /// Unmounts it and mounts it again, as at a start of the machine.
    pub(crate) fn remount(self) -> Self {
        let (path, image) = (self.path.clone(), self.image().to_owned());
        drop(self);
        Self::of_image(image, &path).unwrap()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A process that has just been killed may hold it for a moment; lazily it goes all the same.
        if run("umount", &[text(&self.path)]).is_err() {
            run("umount", &["-l", text(&self.path)]).ok();
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of temporary files are text")
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program} ({error})"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("the right to run {program} {} ({said})", arguments.join(" ")))
}
