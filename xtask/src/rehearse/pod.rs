//! What the image holds, and processes that see nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, ensure};

use super::names::DOMAIN;
use super::network::Network;

/// Where the program is in the image.
const PROGRAM: &str = "usr/local/bin/remex";

/// Runs in a pod's namespaces: `$1` root, `$2` volume, `$3` its place, `$4` user, then the program
/// and its arguments. The root folder is read-only from here on, but for the volume.
const ENTER: &str = r#"
root=$1 volume=$2 place=$3 user=$4
shift 4
mount --bind "$root" "$root"
[ -z "$volume" ] || mount --bind "$volume" "$root$place"
mount -t proc proc "$root/proc"
mount --bind /dev/null "$root/dev/null"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user:$user" --groups= "$root" "$@"
"#;

/// The files of the image, as a folder.
#[derive(Debug)]
pub(super) struct Image {
    root: PathBuf,
    user: u64,
    volume_path: String,
}

impl Image {
    /// Collects what the program needs, as the image has it: itself, the libraries that it names,
    /// and the few files that the C library reads to resolve names.
    pub(super) fn build(
        root: PathBuf,
        program: &Path,
        user: u64,
        volume_path: &str,
        namespace: &str,
    ) -> anyhow::Result<Self> {
        for folder in ["usr/local/bin", "etc", "proc", "dev", volume_path.trim_start_matches('/')] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::copy(program, root.join(PROGRAM)).context("copying the program")?;
        let listed = Command::new("ldd").arg(program).output().context("starting ldd")?;
        ensure!(listed.status.success(), "ldd failed");
        let listed = String::from_utf8(listed.stdout)?;
        for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
            let copy = root.join(library.trim_start_matches('/'));
            fs::create_dir_all(copy.parent().context("a library has a folder")?)?;
            fs::copy(library, copy).with_context(|| format!("copying {library}"))?;
        }
        let server = Network::name_server().ip();
        let resolver = format!(
            "nameserver {server}\nsearch {namespace}.{DOMAIN} {DOMAIN} cluster.local\noptions ndots:5\n"
        );
        for (file, text) in [
            ("etc/resolv.conf", resolver.as_str()),
            ("etc/hosts", "127.0.0.1 localhost\n"),
            ("etc/nsswitch.conf", "hosts: files dns\n"),
            ("dev/null", ""),
        ] {
            fs::write(root.join(file), text)?;
        }
        Ok(Self { root, user, volume_path: volume_path.to_owned() })
    }

    /// A volume as Kubernetes hands it over: writable for the group of the pod, and empty but for
    /// what a new file system holds.
    pub(super) fn make_volume(&self, volume: &Path) -> anyhow::Result<()> {
        use std::os::unix::fs::{PermissionsExt, chown};
        fs::create_dir_all(volume.join("lost+found"))?;
        fs::set_permissions(volume.join("lost+found"), fs::Permissions::from_mode(0o700))?;
        chown(volume, Some(0), Some(u32::try_from(self.user)?))?;
        fs::set_permissions(volume, fs::Permissions::from_mode(0o2775))?;
        Ok(())
    }

    fn command(&self, namespace: &str, volume: Option<&Path>, arguments: &[String]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, "unshare", "--mount", "sh", "-euc", ENTER, "sh"]);
        command.arg(&self.root).arg(volume.unwrap_or(Path::new(""))).arg(&self.volume_path);
        command.arg(self.user.to_string()).arg(format!("/{PROGRAM}")).args(arguments);
        // Mount and ip are found through PATH; Kubernetes sets it for containers, too.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command
    }

    /// Starts the program as a pod; what it says goes to a file.
    pub(super) fn start(
        &self,
        namespace: &str,
        volume: &Path,
        environment: &BTreeMap<String, String>,
        arguments: &[String],
        log: &Path,
    ) -> anyhow::Result<Child> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = self.command(namespace, Some(volume), arguments);
        command.envs(environment).stdout(log.try_clone()?).stderr(log);
        command.spawn().context("starting a pod")
    }

    /// Runs the program as a client, to its end, with or without a volume.
    pub(super) fn ask(
        &self,
        namespace: &str,
        volume: Option<&Path>,
        arguments: &[&str],
    ) -> anyhow::Result<Output> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        self.command(namespace, volume, &arguments).output().context("starting a client")
    }
}
